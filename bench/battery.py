"""``python -m bench.battery``: how near do predictions come to what can be known, in worlds whose truth is known?

AUC and ECE of "won, of those that close" and "won within 90 days", beside those of an oracle that says the true probabilities;
over the answers given after 200 to 1,000 and after 1,000 labels. Name parts of worlds, ``--entity lead``, ``--count`` for fewer.

An oracle knows what no history shows yet: of a campaign that is seen for the first time, whether it will be won. Where one
attribute says it all a third AUC is that of who knows which one, and the spread of its values, and has learnt each value from
the labels so far: no model can be expected to do better.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.worlds import WORLDS, Lived, World, live
from bench.written import into
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
    found = DealEvaluation(kind.fresh_model(), past=kind.past, horizons=(_HORIZON,), together=True).run(lived.facts)
    spent = time.process_time() - began
    closes = np.sort([deal.closed for deal in found.deals.values() if deal.status in ("won", "lost")])
    labels = np.searchsorted(closes, [answer.at for answer in found.answers])
    became = found.outcomes(found.answers)
    truth = np.array([lived.truth[answer.deal] for answer in found.answers])
    win = np.array([answer.win for answer in found.answers])
    within = np.frombuffer(found.within, float).reshape(len(win), -1)[:, 0]
    soon = truth * (1 - math.exp(-_HORIZON / world.days))
    could = from_the_past(world, lived, found)
    lines = []
    for first, end in _STRETCHES:
        during = (labels >= first) & (labels < end)
        closed, watched = during & ~np.isnan(became[:, 0]), during & (became[:, 2] >= _HORIZON)
        won = ((became[:, 0] == 1) & (became[:, 1] <= _HORIZON)).astype(float)
        best = quality.auc(could[closed], became[closed, 0]) if could is not None and closed.any() else None
        cells = [
            _cell(quality.auc, win, truth, became[:, 0], closed) + ("" if best is None else f" / {best:.3f}"),
            _cell(quality.ece, win, truth, became[:, 0], closed),
        ]
        cells += [_cell(quality.auc, within, soon, won, watched), _cell(quality.ece, within, soon, won, watched)]
        lines.append(f"| {name} | {entity} | {first}+ | {int(during.sum())} | {' | '.join(cells)} | {spent:.1f} |")
    return lines


def from_the_past(world: World, lived: Lived, found: DealEvaluation) -> quality.Array | None:
    """Return P(won) of each answer as the labels before it tell, to one who knows which attribute says it all."""
    if world.one is None:
        return None
    effects = np.linspace(-5, 5, 201) * world.one.spread
    prior = np.exp(-((effects / world.one.spread) ** 2) / 2)
    chances = 1 / (1 + np.exp(-(effects + world.one.level)))
    which = {fact.deal: str(fact.data[world.one.name]) for fact in lived.facts if world.one.name in fact.data}
    closes = sorted((deal.closed, name, deal.status == "won") for name, deal in found.deals.items() if deal.status != "open")
    learnt: dict[str, quality.Array] = {}
    said, place = np.zeros(len(found.answers)), 0
    for number, answer in enumerate(found.answers):
        while place < len(closes) and closes[place][0] < answer.at:
            _, name, won = closes[place]
            place += 1
            learnt[which[name]] = learnt.get(which[name], prior) * (chances if won else 1 - chances)
        weights = learnt.get(which[answer.deal], prior)
        said[number] = (weights @ chances) / weights.sum()
    return said


def _cell(measure: object, said: quality.Array, truth: quality.Array, happened: quality.Array, mask: Any) -> str:
    ours, oracle = (measure(one[mask], happened[mask]) if mask.any() else None for one in (said, truth))  # type: ignore[operator]
    return "–" if ours is None or oracle is None else f"{ours:.3f} / {oracle:.3f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("worlds", nargs="*", default=[""], help="parts of the names of worlds")
    parser.add_argument("--entity", choices=list(KINDS), action="append")
    parser.add_argument("--count", type=int, help="entities, at most")
    parser.add_argument("--write", type=Path, help="also write the table into this folder (docs)")
    options = parser.parse_args()
    head = ("world", "of", "labels", "answers", "AUC won / oracle / from the past", "ECE won / oracle")
    table = [f"| {' | '.join((*head, 'AUC 90 d / oracle', 'ECE 90 d / oracle', 'CPU s'))} |", "|" + "---|" * 9]
    print("\n".join(table))
    for name in WORLDS:
        if any(part in name for part in options.worlds):
            for entity in options.entity or ["deal"]:
                lines = told(name, entity, options.count)
                print("\n".join(lines), flush=True)
                table += lines
    if options.write:
        at_most = f" of at most {options.count:,} entities" if options.count else ""
        into(options.write / "models.md", "battery", [f"Worlds{at_most}, `python -m bench.battery`:", "", *table])


if __name__ == "__main__":
    main()
