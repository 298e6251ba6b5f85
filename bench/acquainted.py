"""``python -m bench.acquainted``: what do visits, e-mails and the lead behind a deal add, in two kinds of worlds?

AUC and log loss of P(won) over the answers after 200 labels: with all that is known, without what others than the entity have
done, and of an oracle that says the true probabilities. Seeded worlds (``bench.worlds.acquainted``).
"""

import argparse

import numpy as np

from bench.worlds import Lived, acquainted, alone
from models.learners import quality
from models.learners.evaluation import DealEvaluation
from models.learners.live_kinds import KINDS

_FROM = 200


def auc(lived: Lived, entity: str) -> tuple[float, float, float]:
    """Return AUC, the oracle's, and the log loss, of answers that were given after so many labels."""
    kind = KINDS[entity]
    found = DealEvaluation(kind.fresh_model(), past=kind.past, together=True).run(lived.facts)
    closes = np.sort([deal.closed for deal in found.deals.values() if deal.status in ("won", "lost")])
    became = found.outcomes(found.answers)[:, 0]
    labels = np.searchsorted(closes, [answer.at for answer in found.answers])
    which = (labels >= _FROM) & ~np.isnan(became)
    win = np.array([answer.win for answer in found.answers])[which]
    truth = np.array([lived.truth[answer.deal] for answer in found.answers])[which]
    measured = [quality.auc(one, became[which]) for one in (win, truth)]
    return float(measured[0] or 0), float(measured[1] or 0), float(quality.log_loss(win, became[which]) or 0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--entity", choices=list(KINDS), action="append")
    options = parser.parse_args()
    print("| world | of | seed | AUC with | without | oracle | log loss with | without |\n|---|---|---|---|---|---|---|---|")
    for matters in (True, False):
        for entity in options.entity or list(KINDS):
            for seed in range(options.seeds):
                lived = acquainted(options.count, seed, entity, matters=matters)
                (known, best, loss), (own, _, own_loss) = auc(lived, entity), auc(alone(lived), entity)
                name = "it matters" if matters else "it is noise"
                print(
                    f"| {name} | {entity} | {seed} | {known:.3f} | {own:.3f} | {best:.3f} | {loss:.4f} | {own_loss:.4f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
