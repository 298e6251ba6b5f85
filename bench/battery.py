"""``python -m bench.battery``: how near do predictions come to what can be known, in worlds whose truth is known?

AUC and ECE of "won, of those that close" and "won within 90 days", beside those of an oracle that says the true probabilities;
over the answers given after 200 to 1,000 and after 1,000 labels. Name parts of worlds, ``--entity lead``, ``--count`` for fewer.
"""

import argparse
import math
import time
from typing import Any

import numpy as np

from bench.worlds import WORLDS, live
from models.learners import quality
from models.learners.evaluation import DealEvaluation
from models.learners.live_kinds import KINDS

_HORIZON = 90.0
_STRETCHES = ((200, 1_000), (1_000, 10**9))


def told(name: str, entity: str, count: int | None) -> list[str]:
    """Return the lines of one world's table."""
    world = WORLDS[name] if count is None else WORLDS[name]._replace(size=min(count, WORLDS[name].size))
    lived, kind = live(world, 0, entity), KINDS[entity]
    began = time.process_time()
    found = DealEvaluation(kind.fresh_model(), past=kind.past, horizons=(_HORIZON,)).run(lived.facts)
    spent = time.process_time() - began
    closes = np.sort([deal.closed for deal in found.deals.values() if deal.status in ("won", "lost")])
    labels = np.searchsorted(closes, [answer.at for answer in found.answers])
    became = found.outcomes(found.answers)
    truth = np.array([lived.truth[answer.deal] for answer in found.answers])
    win = np.array([answer.win for answer in found.answers])
    within = np.frombuffer(found.within, float).reshape(len(win), -1)[:, 0]
    soon = truth * (1 - math.exp(-_HORIZON / world.days))
    lines = []
    for first, end in _STRETCHES:
        during = (labels >= first) & (labels < end)
        closed, watched = during & ~np.isnan(became[:, 0]), during & (became[:, 2] >= _HORIZON)
        won = ((became[:, 0] == 1) & (became[:, 1] <= _HORIZON)).astype(float)
        cells = [_cell(quality.auc, win, truth, became[:, 0], closed), _cell(quality.ece, win, truth, became[:, 0], closed)]
        cells += [_cell(quality.auc, within, soon, won, watched), _cell(quality.ece, within, soon, won, watched)]
        lines.append(f"| {name} | {entity} | {first}+ | {int(during.sum())} | {' | '.join(cells)} | {spent:.1f} |")
    return lines


def _cell(measure: object, said: quality.Array, truth: quality.Array, happened: quality.Array, mask: Any) -> str:
    ours, oracle = (measure(one[mask], happened[mask]) if mask.any() else None for one in (said, truth))  # type: ignore[operator]
    return "–" if ours is None or oracle is None else f"{ours:.3f} / {oracle:.3f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("worlds", nargs="*", default=[""], help="parts of the names of worlds")
    parser.add_argument("--entity", choices=list(KINDS), action="append")
    parser.add_argument("--count", type=int, help="entities, at most")
    options = parser.parse_args()
    print(
        "| world | of | labels | answers | AUC won / oracle | ECE won / oracle | AUC 90 d / oracle | ECE 90 d / oracle | CPU s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in WORLDS:
        if any(part in name for part in options.worlds):
            for entity in options.entity or ["deal"]:
                for line in told(name, entity, options.count):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
