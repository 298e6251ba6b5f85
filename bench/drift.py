"""``python -m bench.drift``: is a source whose win rate halves noticed and learnt anew, and is nothing alarmed without a change?

Deals of two sources (fairs win 80 %, the web 30 %), one every two hours, closed after four days on average. At ``changed`` the
fairs' rate halves. Labels are counted from then on.
"""

import random
import sys

import numpy as np

from models.learners import quality
from models.learners.evaluation import DealEvaluation, DealFact
from models.learners.features import DAY_MS

EVERY = DAY_MS // 12


def world(deals: int, seed: int, changed: int | None = None) -> list[DealFact]:
    """Return the events of so many deals, sorted by time; from deal number ``changed`` on fairs win half as often."""
    rng, facts = random.Random(seed), []
    for number in range(deals):
        at, fair = number * EVERY, rng.random() < 0.5
        rate = (0.8 if fair else 0.3) / (2 if fair and changed is not None and number >= changed else 1)
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


def changed(deals: int, seed: int, at: int) -> tuple[list[int], float]:
    """Return after how many labels since the change there were alarms (negative: before it), and the ECE from label 500 on."""
    evaluation = DealEvaluation().run(world(deals, seed, at))
    closes = sorted(deal.closed for deal in evaluation.deals.values() if deal.status != "open")
    before = sum(close < at * EVERY for close in closes)
    alarms = [sum(close <= drift for close in closes) - before for drift in evaluation.drifts]
    late = [answer for answer in evaluation.answers if answer.at >= closes[before + 500]]
    won = evaluation.outcomes(late)[:, 0]
    known = ~np.isnan(won)
    return alarms, quality.ece(np.array([answer.win for answer in late])[known], won[known]) or 0.0


def alarms(deals: int, seed: int) -> int:
    """Return how many alarms there are in a world that does not change."""
    return DealEvaluation().run(world(deals, seed)).model.watch.alarms


def main() -> int:
    """Run ten worlds that change and twenty that do not; exit code 1 where one is not noticed within 500 labels, or falsely."""
    good = True
    for seed in range(10):
        heard, error = changed(4_000, seed, 2_500)
        after = [count for count in heard if count > 0]
        good &= bool(after) and after[0] <= 500 and error < 0.05 and len(after) == len(heard)
        print(f"seed {seed}: alarms {heard} labels after the change; ECE from label 500 on {error:.3f}", flush=True)
    false = [alarms(2_000, seed) for seed in range(100, 120)]
    print(f"alarms in 20 worlds without a change: {false}")
    return 0 if good and not any(false) else 1


if __name__ == "__main__":
    sys.exit(main())
