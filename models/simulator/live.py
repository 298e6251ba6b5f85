"""What would the simulated company send right now, for a demonstration that moves?

First a year of sales, told in short, and six weeks of everything, at its natural pace; from then on real time, with a story in
its first ten minutes (``story.py``). Visitors take the time that visitors take, but
the lives of leads, deals and customers are hastened, so that the deals which the history has left open are decided
within the hour and a win or a loss comes every quarter of a minute, on a working day and on Sunday night alike.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from models.simulator.cast import CHURN_REASONS, PRODUCTS
from models.simulator.customers import TERM
from models.simulator.diary import Event, iso_day
from models.simulator.names import named
from models.simulator.past import past
from models.simulator.rhythm import DAY, MINUTE, OFFICE_SHARE, office_time, poisson
from models.simulator.story import Launch
from models.simulator.visits import live_ads, live_session, live_spend
from models.simulator.world import World

HISTORY_DAYS = 45
HISTORY_SCALE = 0.55
"""45 days at this scale are about 45,000 events: a few seconds of folding. Leads come of age after 30: at any hour some have."""

CONTRACT_DAYS = 90
"""The days before now on which contracts ended: what became of them is counted thirty days later."""

HASTE = 600.0
"""A month of a deal's life takes 72 minutes."""

SESSIONS, LEADS, EXPANSIONS, ADS = 2.4, 0.05, 0.012, 0.35
"""What begins per second. With what follows from it, about 12 events a second."""

QUOTAS = {"month": 1_500_000, "quarter": 4_500_000, "year": 18_000_000}
"""The revenue that the company means to have by the end of each period; an hour of the demonstration nearly makes a month's."""

LONGEST_STEP = 5_000
"""Milliseconds that one step makes up for: a laptop that slept is not owed the night's events."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LiveCompany:
    """An endless demonstration: :meth:`history` once, then :meth:`step` again and again.

    Pure: the time is given. ``now`` is epoch milliseconds.
    """

    def __init__(self, seed: int, now: int, *, currency: str = "EUR") -> None:
        start = _EPOCH + timedelta(milliseconds=now - HISTORY_DAYS * DAY)
        self._world = World(seed, start, HISTORY_DAYS + 1, scale=HISTORY_SCALE, currency=currency)
        self._scene = self._world.scene
        self._scene.diary.end = None
        self._now = now
        self._minute = now // MINUTE
        self._seed = seed
        self._launch: Launch | None = None

    def history(self) -> Iterator[Event]:
        """The last weeks up to ``now``, in time order; first the sales and contracts of before, up to fifteen months earlier."""
        world, scene = self._world, self._scene
        world.found()
        self._contracts()
        world.customers += past(scene, self._seed, world.start, HISTORY_SCALE)
        yield from map(named, scene.diary.until(world.start))
        for day in range(world.start, self._now, DAY):
            world.begin_day(day)
            yield from map(named, scene.diary.until(min(day + DAY, self._now)))
        scene.haste = HASTE
        now, worked = self._now, office_time(self._now)

        def hastened(at: int) -> int:
            # What waits for Monday is brought forward too: nights and weekends keep a tenth of their length.
            busy = (office_time(at) - worked) / OFFICE_SHARE
            return now + int((0.9 * busy + 0.1 * (at - now)) / HASTE)

        scene.diary.retime(hastened)

    def _contracts(self) -> None:
        """Tell of the contracts that ended in the last three months, two a day; one of six was not renewed."""
        scene = self._scene
        for number in range(2 * CONTRACT_DAYS):
            account, product = scene.new_id("K"), PRODUCTS[number % len(PRODUCTS)]
            ended = self._now - CONTRACT_DAYS * DAY + number * DAY // 2
            bill = {"currency": scene.currency, "product": product.name}
            term = {"amount": scene.money(product.price), "term_end": iso_day(ended)}
            scene.put(ended - TERM * DAY, "customer.invoiced", account, {**bill, **term})
            if number % 6:
                term = {
                    "amount": scene.money(product.price * (0.96 + 0.03 * (number % 4))),
                    "term_end": iso_day(ended + TERM * DAY),
                }
                scene.put(ended, "customer.renewed", account, {**bill, **term})
            else:
                reason = {"reason": CHURN_REASONS[number // 6 % len(CHURN_REASONS)]}
                scene.put(ended, "customer.churned", account, reason)

    def step(self, now: int) -> list[Event]:
        """What has happened since the step before, up to ``now``; nothing where the clock has not moved forward."""
        begin = max(self._now, now - LONGEST_STEP)
        span = now - begin
        if span <= 0:
            return []
        world, scene, random = self._world, self._scene, self._scene.random
        seconds = span / 1000
        for _ in range(poisson(random, SESSIONS * seconds)):
            live_session(scene, world.audience, begin + random.randrange(span), world.rates.form)
        if self._launch is None:
            self._launch = Launch(self._seed, begin)
        self._launch.between(scene, begin, now, world.rates.form)
        for _ in range(poisson(random, LEADS * seconds)):
            world.offline_lead(begin + random.randrange(span))
        for _ in range(poisson(random, EXPANSIONS * seconds)):
            world.expansion(begin + random.randrange(span))
        for _ in range(poisson(random, ADS * seconds)):
            live_ads(scene, begin + random.randrange(span), 0.2)
        if now // MINUTE > self._minute:
            self._minute = now // MINUTE
            # Half a thousandth of a day's cost a minute: spend goes with the hastened customers, not with the clock.
            live_spend(scene, now - 1, iso_day(now), HISTORY_SCALE, HASTE / (DAY / MINUTE))
        self._now = now
        return [named(event) for event in scene.diary.until(now)]
