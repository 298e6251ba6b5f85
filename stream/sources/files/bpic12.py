"""How does the loan process of a Dutch bank (BPI Challenge 2012) read as deals?

The file is a CSV with one row an activity: ``case_id, amount_req, activity, lifecycle, timestamp, resource`` (other
columns are ignored). A case is a deal, its resource the owner:

* the case's first row is ``deal.created``, with the amount asked for (no currency is named:
  the business one) and the activity as the first stage;
* the other ``A_*`` and ``O_*`` activities are ``deal.stage_changed``;
* the first of A_APPROVED, A_REGISTERED, A_ACTIVATED is ``deal.won``; A_DECLINED and A_CANCELLED are ``deal.lost``;
* ``A_*`` and ``O_*`` rows of a deal that is closed are ``deal.activity`` (they would otherwise reopen it), with the
  activity in lower case as its kind;
* ``W_*`` rows are ``deal.activity`` when COMPLETE, and left out when SCHEDULE or START: nothing has happened yet.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from stream.sources.files.base import CsvRow, Dated, FileEvent, FileReject, Item, ReadOptions, by_time, epoch_ms, read_csv
from stream.sources.files.ids import damage

COLUMNS = ("case_id", "amount_req", "activity", "lifecycle", "timestamp", "resource")
WON = frozenset({"A_APPROVED", "A_REGISTERED", "A_ACTIVATED"})
LOST = {"A_DECLINED": "declined", "A_CANCELLED": "cancelled"}
LIFECYCLES = ("SCHEDULE", "START", "COMPLETE")


def read(path: Path, options: ReadOptions) -> Iterator[Item]:
    """The deal events of the log at ``path``, in time order; memory grows with the number of cases, not of rows."""
    cases: dict[str, _Case] = {}
    for item in by_time(_dated_rows(path)):
        if isinstance(item, FileReject):
            yield item
            continue
        case_id, amount, activity, lifecycle, time, resource = item.value  # in the order of COLUMNS
        case = cases.get(case_id)
        if case is None:
            case = cases[case_id] = _Case()
        case.rows += 1
        told = case.tell(activity, lifecycle, amount)
        if told is None:
            continue
        kind, data = told
        if resource:
            data["owner"] = resource
        yield FileEvent(
            item.line,
            {
                "specversion": "1.0",
                # The row's number comes first and is padded: where times are equal, ids are in the file's order.
                "id": f"bpic12:{case_id}:{case.rows:04d}:{activity}",
                "source": "/files/bpic12",
                "type": kind,
                "time": time,
                "subject": case_id,
                "data": data,
            },
        )


class _Case:
    """What must be remembered of a case: how many rows it had, and whether it is closed."""

    __slots__ = ("closed", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self.closed = False

    def tell(self, activity: str, lifecycle: str, amount: str) -> tuple[str, dict[str, Any]] | None:
        """The event type and data that this row stands for; None for a row that says nothing."""
        if self.rows == 1:
            return "deal.created", {"amount": amount, "stage": activity}
        if lifecycle != "COMPLETE":
            return None
        if activity.startswith("W_"):
            return "deal.activity", {"kind": activity}
        if self.closed:
            return "deal.activity", {"kind": activity.lower()}
        if activity in WON:
            self.closed = True
            return "deal.won", {}
        if activity in LOST:
            self.closed = True
            return "deal.lost", {"reason": LOST[activity]}
        return "deal.stage_changed", {"stage": activity}


def _dated_rows(path: Path) -> Iterator[Dated | FileReject]:
    for row in read_csv(path, COLUMNS):
        yield row if isinstance(row, FileReject) else _dated(row)


def _dated(row: CsvRow) -> Dated | FileReject:
    fields = row.fields
    try:
        moment = datetime.fromisoformat(fields["timestamp"])
    except ValueError:
        return FileReject(row.line, f'timestamp: found "{fields["timestamp"]}"; an ISO 8601 time with offset is needed')
    if moment.tzinfo is None:
        return FileReject(row.line, f'timestamp: found "{fields["timestamp"]}" without an offset; one is needed')
    if not fields["case_id"]:
        return FileReject(row.line, "case_id: empty; the case's number is needed")
    if wrong := damage(fields["case_id"]):
        return FileReject(row.line, f"case_id: {wrong}")
    if fields["lifecycle"] not in LIFECYCLES:
        return FileReject(row.line, f'lifecycle: found "{fields["lifecycle"]}"; {", ".join(LIFECYCLES)} are known')
    if not fields["activity"].startswith(("A_", "O_", "W_")):
        return FileReject(row.line, f'activity: found "{fields["activity"]}"; A_…, O_… or W_… are known')
    return Dated(epoch_ms(moment), row.line, [fields[name] for name in COLUMNS])
