"""Seeded worlds whose truth is known: histories of deals or leads, and of each the probability that it is won.

An entity's outcome is drawn from its true probability, and the days until then independently of it (exponential, so that at any
moment the same is still true of one that is open). What it says of itself beside what matters is noise. No setting of a model
is to be chosen on these worlds; which of them were looked at while the model was made is in docs/models.md.
"""

import math
import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from models.learners.evaluation import DealFact
from models.learners.features import DAY_MS

Draw = Callable[[random.Random, int], tuple[dict[str, Any], float]]


class One(NamedTuple):
    """The one attribute that says it all, and how the log-odds of its values are spread."""

    level: float
    name: str
    values: int
    spread: float
    seed: int


class World(NamedTuple):
    """How many entities, the mean days until they close, and what each says of itself with its log-odds of winning."""

    size: int
    days: float
    draw: Draw
    per_day: float = 10.0
    until: float | None = None  # days of history; what closes later is not seen
    one: "One | None" = None


class Lived(NamedTuple):
    """A world's history, sorted by time, and of each entity P(won)."""

    facts: list[DealFact]
    truth: Mapping[str, float]
    days: float


def _effects(seed: int, count: int, spread: float) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(0, spread) for _ in range(count)]


def _noise(rng: random.Random) -> dict[str, Any]:
    return {
        "owner": f"owner {rng.randrange(8)}",
        "team": f"team {rng.randrange(3)}",
        "product": f"product {rng.randrange(5)}",
        "region": f"region {rng.randrange(4)}",
        "segment": rng.choice(("small", "middle", "large")),
        "amount": int(math.exp(rng.gauss(9, 1)) * 10_000),
    }


def _of_one(
    size: int,
    days: float,
    level: float,
    name: str,
    values: int,
    spread: float,
    seed: int,
    per_day: float = 10.0,
    until: float | None = None,
) -> World:
    one = One(level, name, values, spread, seed)
    return World(size, days, _one(*one), per_day, until, one)


def _one(level: float, name: str, values: int, spread: float, seed: int) -> Draw:
    """One attribute says it all."""
    effects = _effects(seed, values, spread)

    def draw(rng: random.Random, number: int) -> tuple[dict[str, Any], float]:
        which = rng.randrange(values)
        return {**_noise(rng), "source": f"source {rng.randrange(6)}", name: f"{name} {which}"}, level + effects[which]

    return draw


def _many(level: float, values: int, spread: float, seed: int) -> Draw:
    """Several attributes of many values each say a little."""
    names = ("source", "campaign", "product", "owner", "region")
    effects = {name: _effects(seed + place, values, spread) for place, name in enumerate(names)}

    def draw(rng: random.Random, number: int) -> tuple[dict[str, Any], float]:
        which = {name: min(int(rng.expovariate(3 / values)), values - 1) for name in names}
        said = {**_noise(rng), **{name: f"{name} {value}" for name, value in which.items()}}
        return said, level + sum(effects[name][value] for name, value in which.items())

    return draw


def _half(seed: int) -> Draw:
    """One owner has half of the deals; the others differ."""
    effects = _effects(seed, 20, 1.0)

    def draw(rng: random.Random, number: int) -> tuple[dict[str, Any], float]:
        which = 0 if rng.random() < 0.5 else rng.randrange(1, 20)
        return {**_noise(rng), "owner": f"owner {which}"}, -0.5 + effects[which]

    return draw


def _bent(rng: random.Random, number: int) -> tuple[dict[str, Any], float]:
    """Middle amounts are won, small and large ones lost."""
    size = rng.gauss(9, 1.2)
    return {**_noise(rng), "amount": int(math.exp(size) * 10_000)}, 1.2 - 1.6 * (size - 9) ** 2 / 1.44


def _pairs(rng: random.Random, number: int) -> tuple[dict[str, Any], float]:
    """Product and region mean nothing alone."""
    said = _noise(rng)
    fits = (int(said["product"][-1]) + int(said["region"][-1])) % 2
    return said, -0.4 + (1.2 if fits else -1.2)


WORLDS: dict[str, World] = {
    "1 % won": _of_one(8_000, 20, -5.0, "source", 6, 1.0, 1, per_day=30),
    "10 % won, many small categories": World(4_000, 20, _many(-2.6, 30, 0.45, 2), 15),
    "60 % won": World(2_500, 20, _many(0.5, 8, 0.5, 3)),
    "one attribute carries most": _of_one(2_500, 20, -1.0, "campaign", 12, 1.4, 4),
    "one variant carries most": _of_one(2_500, 20, -1.0, "variant", 4, 1.4, 14),
    "5,000 categories": _of_one(5_000, 20, -1.0, "campaign", 5_000, 1.0, 5, per_day=20),
    "50 deals": _of_one(50, 20, 0.0, "source", 3, 1.0, 6, per_day=1),
    "one owner has half": World(2_500, 20, _half(7)),
    "90 % still open": _of_one(6_000, 400, -0.5, "source", 6, 1.2, 8, per_day=100, until=80),
    "an amount that is best in the middle": World(2_500, 20, _bent),
    "pairs": World(3_000, 20, _pairs),
    "nothing to know": World(2_500, 20, lambda rng, number: (_noise(rng), -1.0)),
}


def live(world: World, seed: int = 0, entity: str = "deal") -> Lived:
    """Return a world's history as deals or as leads."""
    rng = random.Random(f"{seed}:{world.size}:{world.days}")
    facts: list[DealFact] = []
    truth: dict[str, float] = {}
    won, lost = ("won", "lost") if entity == "deal" else ("converted", "disqualified")
    for number in range(world.size):
        name, at = f"E{number}", int((number + rng.random()) / world.per_day * DAY_MS)
        said, odds = world.draw(rng, number)
        truth[name] = chance = 1 / (1 + math.exp(-odds))
        if entity == "lead":
            said = {key: value for key, value in said.items() if key != "amount"} | {"score": rng.randrange(100)}
        facts.append(DealFact(at, name, "created", {**said, "stage": "new"} if entity == "deal" else said))
        ends = at + int(max(rng.expovariate(1 / world.days), 0.001) * DAY_MS)
        moment = at
        for step in ("offer", "talks"):
            moment += int(rng.expovariate(1 / 6) * DAY_MS)
            if moment < ends:
                told = ("stage_changed", {"stage": step}) if entity == "deal" else ("contacted", {"channel": "call"})
                facts.append(DealFact(moment, name, *told))
        facts.append(DealFact(ends, name, won if rng.random() < chance else lost, {}))
    facts.sort(key=lambda fact: fact.at)
    if world.until is not None:
        facts = [fact for fact in facts if fact.at <= world.until * DAY_MS]
    return Lived(facts, truth, world.days)


def acquainted(size: int, seed: int, entity: str, *, matters: bool) -> Lived:
    """Return a world in which what people did on the site and with e-mails, and the lead behind a deal, says who is won.

    Or, where it does not ``matter``, one in which all of that is noise and the source says it. Visits go on after the entity has
    closed, more of them where it was won: whoever looks ahead sees that.
    """
    rng = random.Random(f"acquainted:{seed}")
    facts: list[DealFact] = []
    truth: dict[str, float] = {}
    effects = _effects(seed, 6, 1.0)
    won, lost = ("won", "lost") if entity == "deal" else ("converted", "disqualified")
    for number in range(size):
        name, lead, visitor = f"E{number}", f"L{number}" if entity == "deal" else f"E{number}", f"V{number}"
        at = 30 * DAY_MS + int((number + rng.random()) / 10 * DAY_MS)
        source, sessions, score = rng.randrange(6), int(rng.expovariate(0.5)), rng.randrange(100)
        demo, read, answered = rng.random() < 0.3, rng.randrange(4), rng.expovariate(1 / 2)

        def visit(moment: int, visitor: str = visitor, lead: str = lead, number: int = number) -> None:
            said = {"session_id": f"{number}:{moment}", "lead_id": lead}
            for page in range(1 + rng.randrange(3)):
                facts.append(DealFact(moment + page * 30_000, visitor, "web.page_viewed", {**said, "duration_seconds": 30.0}))

        for _ in range(sessions):
            visit(at - int(rng.uniform(0.2, 20) * DAY_MS))
        if demo:
            facts.append(DealFact(at - DAY_MS // 8, visitor, "web.demo_requested", {"lead_id": lead}))
        for mail in range(4):
            facts.append(DealFact(at - DAY_MS + mail, lead, "email.sent", {"lead_id": lead}))
            if mail < read:
                facts.append(DealFact(at - DAY_MS // 2 + mail, lead, "email.opened", {"lead_id": lead}))
        odds = -0.8 + effects[source]
        if matters:
            odds = -1.6 + 1.3 * (math.log1p(sessions) - 1) + 1.6 * demo + 0.5 * (read - 1.5)
            odds += (0.025 * (score - 50) - 0.3 * (answered - 2)) if entity == "deal" else 0.0
        truth[name] = chance = 1 / (1 + math.exp(-odds))
        said = {"source": f"source {source}", "region": f"region {rng.randrange(4)}", "owner": f"owner {rng.randrange(8)}"}
        if entity == "deal":
            came = at - int(8 * DAY_MS)
            facts.append(DealFact(came, lead, "lead.created", {"source": f"source {source}", "score": score}))
            facts.append(DealFact(came + int(min(answered, 7) * DAY_MS), lead, "lead.contacted", {"channel": "call"}))
            said |= {"lead_id": lead, "stage": "new"}
        facts.append(DealFact(at, name, "created", said))
        ends = at + int(max(rng.expovariate(1 / 20), 0.001) * DAY_MS)
        is_won = rng.random() < chance
        facts.append(DealFact(ends, name, won if is_won else lost, {}))
        for _ in range(4 * is_won):
            visit(ends + int(rng.uniform(0.1, 30) * DAY_MS))
    facts.sort(key=lambda fact: fact.at)
    return Lived(facts, truth, 20)


def alone(lived: Lived) -> Lived:
    """Return the same world as one sees it who looks at the entities' own events only."""
    return lived._replace(facts=[fact for fact in lived.facts if "." not in fact.kind])
