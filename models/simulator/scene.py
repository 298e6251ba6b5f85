"""What do all simulated lives share: chance, the diary, the people, the pace of time and names for things?"""

from random import Random
from typing import Any

from models.simulator.cast import PRODUCTS, SEGMENTS, SOURCES, CastSegment, LeadSource, Product, Rep, make_reps
from models.simulator.diary import Diary
from models.simulator.rhythm import DAY, office


class Scene:
    """The common ground of one simulated world; lives are functions that take it and an instant (epoch ms)."""

    def __init__(self, seed: int, start: int, diary: Diary, currency: str, *, details: bool = True) -> None:
        self.random = Random(f"vigie world {seed}")
        self.diary = diary
        self.start = start
        self.currency = currency
        self.details = details
        """Whether to tell what few senders do. It is drawn from nothing: the world is the same without."""
        self.everyone = make_reps(self.random)
        self.reps: tuple[Rep, ...] = tuple(rep for rep in self.everyone if rep.hired_day == 0)
        self.haste = 1.0
        """By how much the life of leads, deals and customers is faster than real time."""
        self._counts: dict[str, int] = {}
        self._seed = seed
        self._web = [source for source in SOURCES if source.on_the_web]
        self._web_weights = [source.weight for source in self._web]
        self._offline = [source for source in SOURCES if not source.on_the_web]
        self._offline_weights = [source.weight for source in self._offline]
        self._product_weights = [product.weight for product in PRODUCTS]
        self._segment_weights = [segment.weight for segment in SEGMENTS]

    def new_id(self, letter: str) -> str:
        """The next id of a kind of thing, unique to this seed."""
        number = self._counts[letter] = self._counts.get(letter, 0) + 1
        return f"{letter}{self._seed}-{number:06d}"

    def later(self, at: int, days: float) -> int:
        """The instant so many days of business later."""
        return at + int(days * DAY / self.haste)

    def at_work(self, at: int) -> int:
        """The instant at which somebody at the office would do what is due at ``at``; at once where time is hurried."""
        return office(at, self.random) if self.haste == 1.0 else at

    def spread(self, median: float, sigma: float = 0.6) -> float:
        """A positive number around its median (log-normal)."""
        return median * self.random.lognormvariate(0.0, sigma)

    def money(self, amount: float) -> str:
        """An amount as a decimal string."""
        return f"{amount:.2f}"

    def web_source(self) -> LeadSource:
        """Where a visitor comes from."""
        return self.random.choices(self._web, self._web_weights)[0]

    def offline_source(self) -> LeadSource:
        """Where a lead comes from that was never on the site."""
        return self.random.choices(self._offline, self._offline_weights)[0]

    def product(self) -> Product:
        """What somebody is interested in."""
        return self.random.choices(PRODUCTS, self._product_weights)[0]

    def segment(self) -> CastSegment:
        """What kind of company it is."""
        return self.random.choices(SEGMENTS, self._segment_weights)[0]

    def rep(self) -> Rep:
        """Whose turn it is."""
        return self.random.choice(self.reps)

    def put(self, at: int, kind: str, subject: str, data: dict[str, Any]) -> None:
        """Write an event into the diary."""
        self.diary.put(at, kind, subject, data)
