"""What would a year of events of a believable sales company look like?"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from models.simulator.cast import OLD_HANDS, ONBOARDING, SOURCES, TEAMS
from models.simulator.customers import live_customer
from models.simulator.deals import live_deal
from models.simulator.diary import Diary, Event, iso_day
from models.simulator.leads import live_lead
from models.simulator.rhythm import DAY, HOUR, OFFICE, WEB, WEEKDAYS_OFFICE, WEEKDAYS_WEB, busy, poisson
from models.simulator.scene import Scene
from models.simulator.visits import Audience, live_ads, live_session, live_spend

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DailyRates:
    """How much begins on an ordinary day at scale 1; all else follows from it. About 2,000 events a day in all."""

    sessions: float = 420
    leads: float = 16
    """Leads that were never on the site; the site's own come on top."""
    expansions: float = 2.5
    """Deals with companies that are customers already."""
    ads: float = 130
    """Reports of impressions, each of one campaign."""
    form: float = 0.085
    """Share of the sessions that make a lead."""
    customers: int = 350
    """Customers there were before the simulation began."""


class World:
    """A seeded sales company. The same arguments give the same events, on any machine.

    Args:
        seed: what chance depends on; ids contain it, so that two worlds do not meet.
        start: the first day, aware; the world begins at its 00:00 UTC.
        days: how long it is told; what would happen later is left out.
        scale: multiplies everything that begins; 1 gives about 2,000 events a day.
        currency: of all amounts, an ISO 4217 code.
        rates: how much begins on a day.
        details: tell also what few senders do: list amounts, kinds of sale, forms begun, attempts, machines that open e-mails.

    Raises:
        ValueError: if ``start`` is naive, or ``days`` or ``scale`` is not positive.
    """

    def __init__(
        self,
        seed: int,
        start: datetime,
        days: int,
        *,
        scale: float = 1.0,
        currency: str = "EUR",
        rates: DailyRates | None = None,
        details: bool = True,
    ) -> None:
        if start.tzinfo is None:
            raise ValueError(f"start: found the naive time {start.isoformat()}; a time with an offset is needed")
        if days <= 0 or scale <= 0:
            raise ValueError(f"days and scale: found {days} and {scale}; numbers above 0 are needed")
        self.start = (start - _EPOCH) // timedelta(days=1) * DAY
        self.days = days
        self.scale = scale
        self.rates = rates or DailyRates()
        self.end = self.start + days * DAY
        self.scene = Scene(seed, self.start, Diary(f"sim{seed}", self.end), currency, details=details)
        self.audience = Audience()
        self.customers: list[str] = []

    def events(self) -> Iterator[Event]:
        """All events in time order, drawn day by day as they are asked for. Can be called once."""
        self.found()
        for day in range(self.days):
            self.begin_day(self.start + day * DAY)
            yield from self.scene.diary.until(self.start + (day + 1) * DAY)

    def found(self) -> None:
        """Draw who was there before the first day: the customers."""
        scene = self.scene
        for _ in range(poisson(scene.random, self.rates.customers * self.scale)):
            account, product = scene.new_id("A"), scene.product()
            amount = scene.spread(product.price, 0.5)
            live_customer(scene, self.start, account=account, product=product, amount=amount, deal=None)
            self.customers.append(account)

    def begin_day(self, day: int) -> None:
        """Draw all that begins on the day at 00:00 UTC ``day`` (epoch ms)."""
        scene, random, rates = self.scene, self.scene.random, self.rates
        self._people(day)
        web, work = busy(day, WEEKDAYS_WEB) * self.scale, busy(day, WEEKDAYS_OFFICE) * self.scale
        for _ in range(poisson(random, rates.sessions * web)):
            live_session(scene, self.audience, day + WEB.draw(random), rates.form)
        for _ in range(poisson(random, rates.leads * work)):
            self.offline_lead(day + OFFICE.draw(random))
        for _ in range(poisson(random, rates.expansions * work)):
            self.expansion(day + OFFICE.draw(random))
        # Ad networks report by the hour, whatever the company's size: larger numbers, not more of them.
        reports = poisson(random, rates.ads * busy(day, WEEKDAYS_WEB) * min(self.scale, 4.0))
        for _ in range(reports):
            live_ads(scene, day + WEB.draw(random), max(self.scale / 4.0, 1.0))
        live_spend(scene, day + DAY - HOUR, iso_day(day), self.scale)
        if scene.details:
            self._meter(day)

    def offline_lead(self, at: int) -> None:
        """A lead from a partner, a customer, a call or a fair."""
        source = self.scene.offline_source()
        live_lead(self.scene, at, source, self.scene.random.choice(source.campaigns))

    def expansion(self, at: int) -> None:
        """A further deal with a customer."""
        scene, random = self.scene, self.scene.random
        if not self.customers:
            return
        live_deal(
            scene,
            at,
            deal=scene.new_id("D"),
            account=random.choice(self.customers),
            product=scene.product(),
            segment=scene.segment(),
            rep=scene.rep(),
            source=SOURCES[4],
            campaign=SOURCES[4].campaigns[0],
            lead=None,
            variant=random.choice("AB"),
            warmth=0.3,
        )

    def _meter(self, day: int) -> None:
        """Read the electricity meters of the offices: a metric of the company's own. The weekend needs half."""
        number = day // DAY
        for place, (_, region) in enumerate(TEAMS):
            used = (30 + 9 * place + (7 * number + 5 * place) % 11) * (0.5 if number % 7 in (2, 3) else 1)
            reading = {"name": "electricity", "value": f"{used:.1f}", "unit": "kWh", "dimensions": {"region": region}}
            self.scene.put(day + 18 * HOUR, "metric.recorded", region, reading)

    def _people(self, day: int) -> None:
        """Hire who begins today, and train: newcomers in their first weeks, everybody now and then."""
        scene, number = self.scene, (day - self.start) // DAY
        for rep in scene.everyone[OLD_HANDS:]:
            if rep.hired_day == number:
                scene.reps = (*scene.reps, rep)
                steps = {"steps": len(ONBOARDING)} if scene.details else {}
                scene.put(day + 9 * HOUR, "rep.hired", rep.name, {"owner": rep.name, **steps})
                for step, later in ONBOARDING.items() if scene.details else ():
                    done = {"owner": rep.name, "step": step}
                    scene.put(day + later * DAY + 16 * HOUR, "rep.onboarded", rep.name, done)
                for week in range(3):
                    training = {"owner": rep.name, "hours": 7 - 2 * week}
                    scene.put(day + (1 + 7 * week) * DAY + 10 * HOUR, "rep.trained", rep.name, training)
        for rep in scene.reps:
            if scene.random.random() < 1 / 60:
                hours = scene.random.choice((1.5, 2, 4))
                scene.put(day + 14 * HOUR, "rep.trained", rep.name, {"owner": rep.name, "hours": hours})
