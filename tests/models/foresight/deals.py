"""Deals of a company for forecasts: so many come and are won a day, with their outlooks."""

from collections.abc import Callable, Sequence

import numpy as np

from models.calendar import DAY_MS, Calendar
from models.deal_outlook import KNOTS, DealOutlook, encode
from models.foresight.book import Book
from models.foresight.deals_at import ForecastSpan
from models.panes.windows import Window

UNIT = 10_000


def curve(win: float, days: float) -> tuple[float, ...]:
    """P(won) by the knots, of a deal that is won with ``win`` and closes after ``days`` on average."""
    return tuple(round(float(win * (1 - np.exp(-knot / days))), 5) for knot in KNOTS)


def opened(now: int, amount: float | None, win: float = 0.3, values: Sequence[str | None] = (), age: int = 5) -> DealOutlook:
    """An open deal, asked about now."""
    closes = (round(float(1 - np.exp(-KNOTS[-2] / 20)), 5), round(float(1 - np.exp(-KNOTS[-1] / 20)), 5))
    money = None if amount is None else round(amount * UNIT)
    return DealOutlook("open", now - age * DAY_MS, 0, money, tuple(values), ("demo",), now, curve(win, 20), closes)


def closed(at: int, amount: float | None, status: str = "won", values: Sequence[str | None] = (), age: int = 20) -> DealOutlook:
    """A deal that closed."""
    money = None if amount is None else round(amount * UNIT)
    return DealOutlook(status, at - age * DAY_MS, at, money, tuple(values), ("demo",))  # type: ignore[arg-type]


def book_of(*deals: DealOutlook) -> Book:
    """A book of these deals."""
    found = Book()
    for number, deal in enumerate(deals):
        found.put(f"D{number}", encode(deal))
    return found


def span_of(period: str, now: int, calendar: Calendar) -> ForecastSpan:
    """The period that it is."""
    return ForecastSpan(*Window.parse(period).period(now + 1, calendar), now)


def company(
    now: int, days: int, seed: int, rate: Callable[[int], float] = lambda day: 3.0, share: float = 0.4, owners: int = 3
) -> list[DealOutlook]:
    """A history: Poisson arrivals a day, each closing after some twenty days, won with ``share``."""
    random = np.random.default_rng(seed)
    found = []
    for back in range(days, 0, -1):
        for _ in range(random.poisson(rate(back))):
            created = now - back * DAY_MS + int(random.integers(0, DAY_MS))
            ends = created + int(random.exponential(20) * DAY_MS)
            values = ("north", f"owner{random.integers(0, owners)}", "plan", None, None)
            amount = round(float(random.lognormal(7, 0.6)) * UNIT)
            if created >= now:
                continue
            if ends >= now:
                found.append(
                    DealOutlook(
                        "open", created, 0, amount, values, ("demo",), now, curve(share, 20),
                        (round(1 - float(np.exp(-KNOTS[-2] / 20)), 5), round(1 - float(np.exp(-KNOTS[-1] / 20)), 5)),
                    )
                )  # fmt: skip
            else:
                won = random.random() < share
                found.append(DealOutlook("won" if won else "lost", created, ends, amount, values, ("demo",)))
    return found
