"""What does a closed deal count for, where and when it was closed, and where it was created?"""

from fractions import Fraction
from typing import Any, Protocol

from models.calendar import DAY_MS, MINUTE_MS
from models.measures import DEALS, rough
from models.money import UNIT
from models.panes.store import TOTAL, Booking, Cells

_SLOT = {m.name: slot for slot, m in enumerate(DEALS)}
_WON_SIZES, _LENGTHS = _SLOT["won_sizes"], _SLOT["deal_lengths"]
_LOST: Cells = ((_SLOT["losses"], 1),)
_CANCELLED: Cells = ((_SLOT["deals_cancelled"], 1),)
_BELOW, _LISTED = (_SLOT["won_below_list"], 1), (_SLOT["won_listed"], 1)
_AHEAD, _AHEAD_LISTED, _AHEAD_BELOW = _SLOT["won_ahead"], _SLOT["won_ahead_listed"], _SLOT["won_ahead_below"]
#: A win that does not last so long (ms) was none.
LASTS = 90 * DAY_MS
#: What kind of sale a deal is, where that is told, and the measure of each that has one.
SALES = {"new": None, "cross_sell": _SLOT["won_cross_sold"], "upsell": _SLOT["won_upsold"], "renewal": None}


class Closed(Protocol):
    """What is known of a deal that was closed (:class:`models.folds.deals.Deal`)."""

    attributes: dict[str, Any]
    created: int | None
    status: str
    closed: int
    close: Booking | None
    lapse: Booking | None


def closing(deal: Closed, value: int | None, listed: int | None, cost: int | None = None) -> tuple[Cells, Cells]:
    """Return the numbers and single values of a deal at its close.

    ``value``, ``listed`` and ``cost`` are its amount, list amount and cost in the business currency, at the rate of the close.
    """
    status, won = deal.status, deal.status == "won"
    cells: list[tuple[int, int]] = [(_SLOT[f"deals_{status}"], 1)]
    values: Cells = ()
    if value is not None:
        cells += [(_SLOT[f"{status}_amount"], value), (_SLOT[f"{status}_sized"], 1)]
        if won:
            values = ((_WON_SIZES, value),)
            if cost is not None:
                cells += [(_SLOT["won_cost"], cost), (_SLOT["won_costed"], value)]
    if deal.created is not None and deal.created <= deal.closed:
        cycle = deal.closed - deal.created
        cells += [(_SLOT["close_millis"], cycle), (_SLOT["close_known"], 1)]
        if won:
            cells += [(_SLOT["cycle_millis"], cycle), (_SLOT["cycle_won"], 1)]
    if won:
        cells += _sale(deal, value, listed)
    return tuple(cells), values


def _sale(deal: Closed, value: int | None, listed: int | None) -> Cells:
    """Return what is told of some sales only."""
    cells: Cells = ()
    begun = deal.attributes.get("lead_created_at")
    if begun is not None and begun <= deal.closed:
        cells = ((_SLOT["lead_cycle_millis"], deal.closed - begun), (_SLOT["lead_cycle_won"], 1))
    sale = deal.attributes.get("sale")
    if sale in SALES:
        slot = SALES[sale]
        cells = (*cells, (_SLOT["won_told"], 1), *(() if slot is None else ((slot, 1),)))
    if value is not None and value >= 0 and listed:  # sold for less than nothing: no discount, but a credit note
        below = (_SLOT["won_below_list"], 1 if value < listed else 0)
        sums = (_SLOT["won_list_amount"], listed), (_SLOT["won_listed_amount"], value)
        cells = (*cells, *sums, (_SLOT["won_listed"], 1), below)
    return cells


def list_amount(deal: Closed) -> int | None:
    """Return the list amount in 1/10,000 of the deal's currency: as told, or what the told discount makes of the amount."""
    told: int | None = deal.attributes.get("list_amount")
    if told is not None:
        return told
    amount, discount = deal.attributes.get("amount"), deal.attributes.get("discount")
    if amount is None or discount is None:
        return None
    paid = UNIT - round(discount * UNIT)
    return round(Fraction(amount * UNIT, paid)) if paid > 0 else None  # where nothing was paid nobody knows of what


def length(deal: Closed, names: tuple[str, ...]) -> Booking | None:
    """Return how long a closed deal took, at its creation."""
    if deal.created is None or deal.created > deal.closed:
        return None
    return deal.created // MINUTE_MS, names, (), ((_LENGTHS, rough(deal.closed - deal.created)),)


def loss(deal: Closed, value: int | None, reason: str | None) -> Booking | None:
    """Return what a lost deal counts for under its reason, of which ``reason`` is the segment."""
    if deal.status != "lost":
        return None
    cells = _LOST if value is None else (*_LOST, (_SLOT["loss_amount"], value))
    return deal.closed // MINUTE_MS, (TOTAL,) if reason is None else (TOTAL, reason), cells, ()


def lapse(deal: Closed, at: int) -> Booking | None:
    """Return what a deal that is won no longer counts for as cancelled, where its (first) win did not last."""
    if deal.lapse is None and deal.status == "won" and deal.close is not None and 0 <= at - deal.closed <= LASTS:
        return deal.close[0], deal.close[1], _CANCELLED, ()
    return deal.lapse


def ahead(close: Booking, days: int, names: tuple[str, ...]) -> Booking | None:
    """Return what a won deal counts for that was closed so many days before it was first expected to."""
    if days <= 0:
        return None
    days = rough(days, 10)
    listed = ((_AHEAD_LISTED, days),) if _LISTED in close[2] else ()
    below = ((_AHEAD_BELOW, days),) if _BELOW in close[2] else ()
    return close[0], names, (), ((_AHEAD, days), *listed, *below)
