"""What do customers cost? ``python -m bench.customers [CUSTOMERS]``: CPU seconds and bytes, one process, no broker.

Invoices of customers as the BG/NBD model of CDNOW has them (a year; some 2.1 invoices each), in the order of their times.
"""

import random
import resource
import sys
import time

import orjson

from models.business import Business
from models.calendar import DAY_MS, iso
from models.customers.live import KnowCustomers
from models.customers.register import Register
from models.customers.segments import Named, Terms
from models.fold import Record

_DAYS = 364
_START = 1_735_689_600_000  # 2025-01-01
_CHUNK = 5_000


def invoices(customers: int, seed: int = 7) -> list[tuple[int, int]]:
    """Return when (ms) which customer was invoiced."""
    draw = random.Random(seed)
    found = []
    for customer in range(customers):
        rate, leaves = draw.gammavariate(0.243, 1 / 4.414) / 7, draw.betavariate(0.793, 2.426)
        day = draw.uniform(0, 84)
        while day < _DAYS:
            found.append((_START + int(day * DAY_MS), customer))
            if len(found) > 1 and draw.random() < leaves and day > 84:
                break
            day += draw.expovariate(max(rate, 1e-6))
    return sorted(found)


def record(number: int, at: int, customer: int) -> Record:
    """Return an invoice as it comes from a topic."""
    event = {
        "specversion": "1.0", "id": f"inv-{number:09}", "source": "erp", "type": "customer.invoiced", "time": iso(at),
        "subject": f"C-{customer:07}", "data": {"amount": f"{20 + number % 97}.{number % 100:02}", "currency": "EUR"},
    }  # fmt: skip
    return Record("customers", 0, number, at, b"", orjson.dumps(event), ())


def main(customers: int) -> None:
    """Measure, and print."""
    fold, told, spent = KnowCustomers(0, Business()), invoices(customers), 0.0
    for begin in range(0, len(told), _CHUNK):
        records = [record(begin + place, *one) for place, one in enumerate(told[begin : begin + _CHUNK])]
        before = time.process_time()
        fold.fold(records)
        fold.changes()
        spent += time.process_time() - before
    sizes = [len(row) for _, row in fold.entities.rows]
    print(f"{len(sizes):,} customers, {len(told):,} invoices: {len(told) / spent:,.0f} a second of CPU, checkpoints included")
    print(f"rows: {sum(sizes) / len(sizes):.0f} bytes on average, {sum(size > 200 for size in sizes) / len(sizes):.2%} above 200")
    register, day = Register(Named(), Terms()), Business().calendar.day(_START + _DAYS * DAY_MS)
    before = time.process_time()
    register.put(fold.everything())
    print(f"columns: {time.process_time() - before:.1f} s once")
    before = time.process_time()
    first = register.now(day, None)
    print(f"cuts, fit and all customers' outlook: {time.process_time() - before:.1f} s, {first.fitted.buying}")
    before = time.process_time()
    register.now(day, first.fitted)
    print(f"all customers' outlook again: {time.process_time() - before:.2f} s")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory at most: {most:,.0f} MB, the bench's own {len(told):,} invoices included")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
