"""``python -m bench.drift``: is a source whose win rate halves noticed and learnt anew, and is nothing alarmed without a change?

Deals of two sources (fairs win 80 %, the web 30 %), one every two hours, closed after four days on average. At ``changed`` the
fairs' rate halves. Labels are counted from then on.
"""

import argparse
import random
import sys
from pathlib import Path

import numpy as np

from bench.written import into
from models.learners import quality
from models.learners.evaluation import DealEvaluation, DealFact
from models.learners.features import DAY_MS

EVERY = DAY_MS // 12


def rate_of(number: int, fair: bool, changed: int | None) -> float:
    """Return P(won) of a deal."""
    return (0.8 if fair else 0.3) / (2 if fair and changed is not None and number >= changed else 1)


def world(deals: int, seed: int, changed: int | None = None) -> list[DealFact]:
    """Return the events of so many deals, sorted by time; from deal number ``changed`` on fairs win half as often."""
    rng, facts = random.Random(seed), []
    for number in range(deals):
        at, fair = number * EVERY, rng.random() < 0.5
        rate = rate_of(number, fair, changed)
        said = {
            "source": "fair" if fair else "web",
            "stage": "new",
            "amount": rng.randrange(10**9),
            "owner": rng.choice("abcd"),
        }
        facts.append(DealFact(at, f"D{number}", "created", said))
        days = rng.expovariate(1 / 4)
        if days > 1:
            facts.append(DealFact(at + DAY_MS, f"D{number}", "stage_changed", {"stage": "offer"}))
        facts.append(DealFact(at + int(days * DAY_MS), f"D{number}", "won" if rng.random() < rate else "lost", {}))
    return sorted(facts, key=lambda fact: fact.at)


def changed(deals: int, seed: int, at: int) -> tuple[list[int], float, float]:
    """Return after how many labels since the change there were alarms (negative: before it), and the ECE from label 500 on.

    Beside it the ECE of an oracle, who says of the same deals what is true: how low it can be with so many.
    """
    facts = world(deals, seed, at)
    fairs = {fact.deal for fact in facts if fact.data.get("source") == "fair"}
    evaluation = DealEvaluation(together=True).run(facts)
    closes = sorted(deal.closed for deal in evaluation.deals.values() if deal.status != "open")
    before = sum(close < at * EVERY for close in closes)
    alarms = [sum(close <= drift for close in closes) - before for drift in evaluation.drifts]
    late = [answer for answer in evaluation.answers if answer.at >= closes[before + 500]]
    won = evaluation.outcomes(late)[:, 0]
    known = ~np.isnan(won)
    said = np.array([answer.win for answer in late])
    true = np.array([rate_of(int(answer.deal[1:]), answer.deal in fairs, at) for answer in late])
    ours, oracle = (quality.ece(one[known], won[known]) or 0.0 for one in (said, true))
    return alarms, ours, oracle


def alarms(deals: int, seed: int) -> int:
    """Return how many alarms there are in a world that does not change."""
    return DealEvaluation(together=True).run(world(deals, seed)).model.watch.alarms


def main() -> int:
    """Run worlds that change, late and early, and some that do not; exit code 1 where one is not noticed, or falsely."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="worlds that change, of each kind")
    parser.add_argument("--steady", type=int, default=100, help="worlds that do not")
    parser.add_argument("--write", type=Path, help="also write the table into this folder (docs)")
    options = parser.parse_args()
    head = ("change at deal", "noticed within 500 labels", "after so many", "ECE from label 500 on", "below .05", "an oracle's")
    table = [f"| {' | '.join((*head, 'alarms before'))} |", "|" + "---|" * 7]
    good = True
    for deals, at in ((4_000, 2_500), (3_300, 2_000)):
        found = [changed(deals, seed, at) for seed in range(options.seeds)]
        first = [min((count for count in heard if count > 0), default=None) for heard, _, _ in found]
        noticed = sum(count is not None and count <= 500 for count in first)
        early = sum(count <= 0 for heard, _, _ in found for count in heard)
        errors = [error for _, error, _ in found]
        oracles = [error for _, _, error in found]
        low = sum(error < 0.05 for error in errors)
        cells = (
            f"{at:,} of {deals:,}", f"{noticed} of {len(found)}", ", ".join(map(str, first)),
            ", ".join(f"{error:.3f}" for error in errors), f"{low} of {len(found)}",
            ", ".join(f"{error:.3f}" for error in oracles), early,
        )  # fmt: skip
        table.append(f"| {' | '.join(map(str, cells))} |")
        good &= noticed == low == len(found) and not early
        print("\n".join(table if len(table) == 3 else table[-1:]), flush=True)
    false = [alarms(2_000, seed) for seed in range(100, 100 + options.steady)]
    told = f"{len(false)} worlds of 2,000 deals without a change: {sum(map(bool, false))} with an alarm."
    print(told)
    if options.write:
        into(options.write / "models.md", "drift", [*table, "", told])
    return 0 if good and not any(false) else 1


if __name__ == "__main__":
    sys.exit(main())
