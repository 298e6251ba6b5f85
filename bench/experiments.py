"""How often do tests of variants that are alike find a better one, and how soon those of variants that are not?

``python -m bench.experiments alike | power | speed | laws [--streams 1000]``. One process, seeded; figures as lines.
"""

import argparse
from collections.abc import Callable, Iterator
from itertools import count

import numpy as np

from models.experiments.cohorts import Deals, judged
from models.experiments.coin import USUAL, BetLaw, Coin, Flags, Numbers
from models.experiments.running import NONE, Experiment

EVERY, LONGEST = 50, 6_000
SPEEDS = {"B": 15.0, "A": 45.0}  # days to close, mean or median
DAYS, A_DAY, LOOKS = 480, 10, 28  # a stream of deals: its length, deals a day, days between looks


def drawn(seed: int, rates: tuple[float, float], length: int = LONGEST) -> tuple[Flags, Flags]:
    """Whether each case is won, and whether B had it."""
    draw = np.random.default_rng(seed)
    to_b = draw.random(length) < 0.5
    return draw.random(length) < np.where(to_b, rates[1], rates[0]), to_b


def decided(won: Flags, to_b: Flags) -> tuple[float, str, bool]:
    """After how many cases a test that is looked at every 50 is decided (infinite: never), how, and whether the ratio is off."""
    test = Experiment()
    for begin in range(0, len(won), EVERY):
        for one, b in zip(won[begin : begin + EVERY].tolist(), to_b[begin : begin + EVERY].tolist(), strict=True):
            test.outcome("B" if b else "A", one)
        look = test.look()
        if look.decision != NONE or look.srm:
            return (begin + EVERY if look.decision != NONE else np.inf), look.decision, look.srm
    return np.inf, NONE, False


def with_law(won: Flags, to_b: Flags, law: BetLaw, level: float) -> float:
    """After how many cases the bets of a law decide."""
    coin = Coin(law=law)
    for begin in range(0, len(won), EVERY):
        coin.add(won[begin : begin + EVERY], to_b[begin : begin + EVERY])
        if coin.evidence().total >= -np.log(level):
            return begin + EVERY
    return np.inf


def peeked(won: Flags, to_b: Flags) -> bool:
    """Whether the usual test of two shares at 5 % says so at any look."""
    at = np.arange(EVERY - 1, len(won), EVERY)
    n, k = (np.array([np.cumsum(arm)[at], np.cumsum(arm & won)[at]]) for arm in (to_b, ~to_b))
    pooled = (n[1] + k[1]) / (n[0] + k[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (n[1] / n[0] - k[1] / k[0]) / np.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / k[0]))
    return bool((np.abs(z) > 1.96).any())


def alike(streams: int) -> Iterator[str]:
    yield f"{streams} tests of variants that are alike, {LONGEST} cases, looked at every {EVERY}: decided, ratio off; z-test"
    for rate in (0.05, 0.2, 0.4):
        found = [drawn(seed, (rate, rate)) for seed in range(streams)]
        said = [decided(*one) for one in found]
        wrong, off = (np.mean([bool(part) for part in parts]) for parts in ([s[1] != NONE for s in said], [s[2] for s in said]))
        yield f"{rate:.2f}  {wrong:6.1%}  {off:6.1%}  {np.mean([peeked(*one) for one in found]):6.1%}"


def power(streams: int) -> Iterator[str]:
    yield f"{streams} tests, at most {2 * LONGEST} cases, looked at every {EVERY}: median cases of both, decided, wrongly"
    for rates in ((0.20, 0.26), (0.05, 0.075), (0.10, 0.13), (0.20, 0.23), (0.20, 0.30), (0.30, 0.36), (0.40, 0.34)):
        said = [decided(*drawn(seed, rates, 2 * LONGEST)) for seed in range(streams)]
        better = "B" if rates[1] > rates[0] else "A"
        wrong = np.mean([name not in (NONE, better) for _, name, _ in said])
        yield (
            f"{rates[0]:.3f} → {rates[1]:.3f}  {np.median([cases for cases, _, _ in said]):6,.0f}"
            f"  {np.mean([name != NONE for _, name, _ in said]):6.1%}  {wrong:6.1%}"
        )


def laws(streams: int) -> Iterator[str]:
    yield f"{streams} tests: decided where alike at 0.20 (1/20), then median cases for each pair, by the law of the bets (1/20)"
    z = np.linspace(-2.5, 2.5, 9)
    grid = np.linspace(0.03, 2, 40)
    tried = {
        "the effect itself (0.20 → 0.26)": BetLaw.of(np.array([0.34]), np.ones(1)),
        "normal, 0.2": BetLaw.of(grid * 0.2 * 1.5, np.exp(-((grid * 1.5) ** 2) / 2)),
        "normal, 0.5": BetLaw.of(grid * 0.5 * 1.5, np.exp(-((grid * 1.5) ** 2) / 2)),
        "log-normal, 0.3, 0.5": BetLaw.of(0.3 * np.exp(0.5 * z), np.exp(-z * z / 2)),
        "log-normal, 0.35, 0.7": BetLaw.of(0.35 * np.exp(0.7 * z), np.exp(-z * z / 2)),
        "the usual": USUAL,
    }
    for name, law in tried.items():
        same = np.mean([with_law(*drawn(seed, (0.2, 0.2)), law, 0.05) < np.inf for seed in range(streams)])
        pairs = ((0.20, 0.26), (0.05, 0.075), (0.20, 0.23), (0.30, 0.50))
        medians = [np.median([with_law(*drawn(seed, pair), law, 0.05) for seed in range(streams)]) for pair in pairs]
        yield f"{name:32} {same:6.1%}  " + "  ".join(f"{value:6,.0f}" for value in medians)


def _worlds() -> dict[str, Callable[[np.random.Generator, Flags, Numbers], Numbers]]:
    """How long each deal takes to close, of whether it is won and of its variant's usual time; infinite: it is never closed."""
    return {
        "exponential": lambda draw, won, usual: draw.exponential(usual),
        "wins alone are faster": lambda draw, won, usual: np.where(won, draw.exponential(usual), draw.exponential(30, len(won))),
        "losses are slow": lambda draw, won, usual: np.where(won, draw.exponential(usual), draw.exponential(60, len(won))),
        "one in five never closed": lambda draw, won, usual: np.where(
            ~won & (draw.random(len(won)) < 0.2), np.inf, draw.exponential(usual)
        ),
        "only wins are told": lambda draw, won, usual: np.where(won, draw.exponential(usual), np.inf),
        "log-normal, a long tail": lambda draw, won, usual: usual * np.exp(draw.normal(size=len(won))),
        "all alike": lambda draw, won, usual: usual,
    }


def deals_of(seed: int, world: str, rates: tuple[float, float]) -> Deals:
    draw = np.random.default_rng(seed)
    number = draw.poisson(DAYS * A_DAY)
    entered = np.sort(draw.random(number) * DAYS)
    to_b = draw.random(number) < 0.5
    won = draw.random(number) < np.where(to_b, rates[1], rates[0])
    took = _worlds()[world](draw, won, np.where(to_b, SPEEDS["B"], SPEEDS["A"]))
    return Deals(entered, entered + took, won, to_b)


def looked_at(deals: Deals, how: str, every: int = LOOKS) -> tuple[float, int]:
    """On which day the deals decide (infinite: never), and how many were judged then, by the way of judging."""
    number = 0
    for now in range(every, DAYS + 1, every):
        coin, there = Coin(), deals.at(np.flatnonzero(deals.entered <= now))
        done = there.closed <= now
        if how == "closed":
            order = np.argsort(there.closed[done])
            coin.add(there.won[done][order], there.to_b[done][order])
        elif how == "won so far":
            coin.add(there.won & done, there.to_b)
        else:
            cases = judged(there, now, float(how) if how[0].isdigit() else None)
            coin.add(*cases)
        number = coin.cases
        if coin.evidence().decides:
            return now, number
    return np.inf, number


def speed(streams: int) -> Iterator[str]:
    yield f"{streams} streams of {DAYS} days, {A_DAY} deals a day, B in a third of the time, looked at every {LOOKS} days"
    yield "alike at 0.25, decided: learnt maturity, 210 days, closed, won so far; 0.20 → 0.30: median day, learnt and 210 days"
    for world in _worlds():
        row = []
        for how in ("learnt", "210", "closed", "won so far"):
            row.append(
                f"{np.mean([looked_at(deals_of(seed, world, (0.25, 0.25)), how)[0] < np.inf for seed in range(streams)]):6.1%}"
            )
        for how in ("learnt", "210"):
            median = np.median([looked_at(deals_of(seed, world, (0.2, 0.3)), how)[0] for seed in range(streams // 5)])
            row.append(f"{median:4.0f}")
        yield f"{world:26}" + "  ".join(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("alike", "power", "laws", "speed"))
    parser.add_argument("--streams", type=int, default=1000)
    asked = parser.parse_args()
    for line, number in zip({"alike": alike, "power": power, "laws": laws, "speed": speed}[asked.what](asked.streams), count()):
        print(line if number == 0 else f"  {line}", flush=True)


if __name__ == "__main__":
    main()
