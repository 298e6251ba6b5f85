"""What do an account's invoices, renewals and its leaving say together: is it a customer still, and what does it pay?

An account keeps its *moves*. What they count for together is booked, and booked anew when another one comes, late or not:

* its first invoice, with whether it was invoiced again, and has recommended us, since;
* each *term* (an invoice or renewal with a ``term_end``) at its beginning: amount and length;
* each term again on the day it comes *due*, some days of grace after its end (``business.renewal_grace``): whether it was renewed
  by then (a renewal of the same product, or of one that is not named), whether the account stayed (that, or an invoice from the
  term's last day on) and has not left since, and what it stayed for: the amount of the renewal, else of that invoice.

A term that ends before it is billed is none.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from models.calendar import MINUTE_MS, Calendar
from models.measures import CUSTOMERS
from models.panes.segments import Segments
from models.panes.store import TOTAL, Booking, Panes

_C = {m.name: slot for slot, m in enumerate(CUSTOMERS)}
#: So many moves of an account are remembered one by one: the latest.
KEPT = 64

INVOICED, RENEWED, LEFT, RECOMMENDED = "i", "r", "c", "m"


class Move(NamedTuple):
    """What an account did: when (ms), what, and the amount in the business currency.

    Of a term its last day, and the day it comes due (ordinals, 0 for none), as the grace was when it came.
    """

    at: int
    kind: str
    amount: int = 0
    ends: int = 0
    due: int = 0
    product: str = ""


class Accounts:
    """Books what accounts' moves count for together."""

    __slots__ = ("_calendar", "_panes", "_segments")

    def __init__(self, calendar: Calendar, panes: Panes, segments: Segments) -> None:
        self._calendar, self._panes, self._segments = calendar, panes, segments

    def rebook(self, before: tuple[list[Move], int | None], after: tuple[list[Move], int | None]) -> None:
        """Replace what moves, and the time of the first invoice, counted for by what they count for now."""
        gone, come = list(self._bookings(*before)), list(self._bookings(*after))
        for booking in gone:
            if booking in come:
                come.remove(booking)
            else:
                self._panes.book(booking, -1)
        for booking in come:
            self._panes.book(booking, 1)

    def _bookings(self, moves: list[Move], first: int | None) -> Iterator[Booking]:
        if first is not None:
            cells = []
            invoices = [move.at for move in moves if move.kind == INVOICED]
            if any(at > first for at in invoices) or invoices.count(first) > 1:
                cells.append((_C["customers_repeated"], 1))
            if any(move.kind == RECOMMENDED for move in moves):
                cells.append((_C["customers_recommending"], 1))
            if cells:
                yield first // MINUTE_MS, (TOTAL,), tuple(cells), ()
        for place, move in enumerate(moves):
            if move.ends:
                names = self._segments.of([("product", move.product)])
                length = self._calendar.day_start(move.ends + 1) - move.at
                begun = ((_C["term_amount"], move.amount), (_C["term_millis"], length))
                yield move.at // MINUTE_MS, names, begun, ()
                yield self._due(move, moves[place + 1 :], names)

    def _due(self, term: Move, later: list[Move], names: tuple[str, ...]) -> Booking:
        due = self._calendar.day_start(term.due)
        by_then = [move for move in later if move.at < due]
        renewal = next((move for move in by_then if move.kind == RENEWED and _alike(move, term)), None)
        last_day = self._calendar.day_start(term.ends)
        bought = (move for move in by_then if move.kind in (INVOICED, RENEWED) and move.at >= last_day)
        stays = renewal or next(bought, None)
        left = max((move.at for move in by_then if move.kind == LEFT), default=None)
        bought_last = max((move.at for move in by_then if move.kind in (INVOICED, RENEWED)), default=term.at)
        cells = [(_C["terms_due"], 1), (_C["terms_due_amount"], term.amount)]
        if renewal is not None:
            cells.append((_C["terms_renewed"], 1))
        if stays is not None and (left is None or left < bought_last):
            cells += [(_C["terms_retained"], 1), (_C["terms_kept_amount"], stays.amount)]
        return self._calendar.day_start(term.due - 1) // MINUTE_MS, names, tuple(cells), ()


def with_move(moves: Iterable[Move], move: Move) -> list[Move]:
    """Return the moves and one more, in order, the latest ``KEPT`` of them."""
    return sorted((*moves, move))[-KEPT:]


def _alike(one: Move, other: Move) -> bool:
    return one.product == other.product or not one.product or not other.product
