"""What has each customer of one partition bought? A fold beside that of the KPIs, over the same events.

Rows: ``E<id>`` a customer (:mod:`models.customers.purchases`). The same bytes go to the compacted topic ``customer-states``, for
those who look at all customers at once. What cannot be used is told by the KPIs' fold; here it is passed over.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from models.business import Business
from models.customers import purchases
from models.customers.intake import take
from models.customers.purchases import Purchases
from models.entities.store import Entities
from models.events.customers import CustomerChurned, CustomerInvoiced
from models.events.dead_letter import dead_letter
from models.events.decode import decoder
from models.events.refused import Reason, Refused
from models.faults import Faults
from models.fold import Changes, Output, Record, Row

EVENTS, STATES = "customers", "customer-states"
_TOLD = (CustomerInvoiced, CustomerChurned)
#: Rows of customers, by id; None for one that is not there any more.
Rows = list[tuple[str, bytes | None]]


class KnowCustomers:
    """One partition of the customers (a :class:`models.fold.PartitionFold`)."""

    def __init__(self, partition: int, business: Business, home: Callable[[bytes], int] | None = None) -> None:
        """``home`` gives the partition in which a customer lives; events of others come by there (None: all live here)."""
        self.partition = partition
        self.faults = Faults()
        self.outcomes: Counter[str] = Counter()
        self.entities: Entities[Purchases] = Entities(purchases.decode, purchases.encode)
        self._business = business
        self._home = home
        self._decode = decoder(EVENTS, currencies=business.rates.currencies)
        self._outputs: list[Output] = []
        self._news: set[str] | None = None  # customers that have changed since they were asked for; None: nobody has asked yet

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the customers back, as bytes."""
        for key, value in rows:
            if key[:1] == b"E":
                self.entities.restore(key[1:].decode(), value)

    def fold(self, records: Sequence[Record]) -> None:
        """Take the events in; what says nothing of purchases is passed over."""
        for record in records:
            try:
                event, at, _ = self._decode(record.value, record.headers, record.timestamp)
                if not isinstance(event, _TOLD):
                    continue
                key = event.subject
                known = self.entities.get(key)
                if known is None and self._home is not None and self._home(key.encode()) != self.partition:
                    self.outcomes["readdressed"] += 1  # the KPIs' fold sends it on
                    continue
                customer = Purchases() if known is None else known
                if take(customer, event, at, self._business):
                    self.entities.put(key, customer)
                    self.outcomes["applied"] += 1
                else:
                    self.outcomes["duplicate"] += 1
            except Refused as refused:
                self.outcomes[str(refused.reason)] += 1
            except Exception as error:  # a fault of ours must not stop the worker
                self.outcomes[str(Reason.INTERNAL)] += 1
                why = f"{STATES}: {self.faults.add(record, error)}"
                letter = dead_letter(record, Refused(Reason.INTERNAL, why), record.timestamp)
                self._outputs.append(Output("dead-letters", letter.id.encode(), letter.encode()))

    def tick(self, now: int) -> None:
        """Nothing here depends on the clock."""

    def changes(self) -> Changes:
        """Encode the customers that have changed since the last call."""
        rows, outputs = list[Row](), self._outputs
        self._outputs = []
        for key, value in self.entities.changes():
            rows.append(Row(b"E" + key.encode(), value))
            outputs.append(Output(STATES, key.encode(), value))
            if self._news is not None:
                self._news.add(key)
        return Changes(rows, outputs)

    def everything(self) -> Rows:
        """Return the rows of all customers, and from now on note which of them change."""
        self._news = set()
        return list(self.entities.rows)

    def news(self) -> Rows:
        """Return the rows of those that have changed since the last call of this, or of :meth:`everything`."""
        news, self._news = self._news or (), set()
        return [(key, self.entities.row(key)) for key in news]


class ShowCustomers:
    """One partition of ``customer-states`` as a process that does not fold reads it: a replayed fold.

    ``show`` is given it once it is whole.
    """

    def __init__(self, show: Callable[["ShowCustomers"], None]) -> None:
        self._show = show
        self._rows: dict[str, bytes] = {}
        self._news: set[str] | None = None

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """There are no rows: the topic itself is read."""

    def live(self) -> None:
        """What is known is whole: it may be shown."""
        self._show(self)

    def fold(self, records: Sequence[Record]) -> None:
        """Take the customers' rows."""
        for record in records:
            key = (record.key or b"").decode(errors="replace")
            if record.value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = record.value
            if self._news is not None:
                self._news.add(key)

    def tick(self, now: int) -> None:
        """Nothing here depends on the clock."""

    def changes(self) -> Changes:
        """Nothing is written."""
        return Changes([], [])

    def everything(self) -> Rows:
        """Return the rows of all customers, and from now on note which of them change."""
        self._news = set()
        return list(self._rows.items())

    def news(self) -> Rows:
        """Return the rows of those that have changed since the last call of this, or of :meth:`everything`."""
        news, self._news = self._news or (), set()
        return [(key, self._rows.get(key)) for key in news]
