"""``python -m bench.constants``: what do halved and doubled constants do, and what would have been chosen without each data set?

Each constant of the deal model that was chosen by people is halved and doubled, on every set alone: worlds of ``bench.worlds``,
one in which a source halves (``bench.drift``), and with ``--data`` the public sets of VIGIE_DATA. A table says what becomes of
the log loss of P(won) and of the Brier score of "closes within 30 days" over the second half. Then each set is left out in turn:
of halved, as it is, and doubled, the one is taken with which the other sets fare best, and it is said what the left-out set gets.
Nothing is set by this: it says what the constants are worth.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench import drift
from bench.worlds import WORLDS, acquainted, live
from bench.written import into
from models.learners import bank, calibration, deal_model, experts, mixture
from models.learners.deal_model import DealModel
from models.learners.evaluation import DealEvaluation, DealFact
from models.learners.live_kinds import DEALS
from stream.config.settings import load
from vigie.model_history import History

FACTORS = (0.5, 1.0, 2.0)
WORLD_SETS = ("10 % won, many small categories", "60 % won", "one attribute carries most", "one owner has half", "pairs")
Set = Callable[[DealModel, float], None]


def _hazard(name: str) -> Set:
    def change(model: DealModel, factor: float) -> None:
        setattr(model.hazard, name, getattr(model.hazard, name) * factor)

    return change


def _start(model: DealModel, factor: float) -> None:
    model.hazard._listen *= factor


def _calibration(model: DealModel, factor: float) -> None:
    model.win.rate *= factor
    model.within.rate *= factor


#: What is changed in a model, by name.
OF_A_MODEL: dict[str, Set] = {
    "hazard: shrink": _hazard("shrink"),
    "hazard: rate": _hazard("rate"),
    "hazard: start": _start,
    "corrections: rate": _calibration,
}
#: What is changed in a module: where, and the names.
OF_A_MODULE: dict[str, tuple[Any, tuple[str, ...]]] = {
    "scores: first variance": (bank, ("_ALL",)),
    "scores: its weight": (bank, ("_FIRST_WEIGHT",)),
    "scores: share of what is beside": (bank, ("_BESIDE",)),
    "scores: short memory": (experts, ("_FORGETS",)),  # 1 / deals: doubled, half as many
    "mixture: least share": (mixture, ("SHARE",)),
    "questions: share drawn": (deal_model, ("DRAWN",)),
    "days: farthest lean": (calibration, ("_LEAN",)),
}


@contextmanager
def changed(name: str, factor: float) -> Iterator[DealModel]:
    """Yield a fresh model with one constant changed, which it is as long as the context lasts."""
    module, names = OF_A_MODULE.get(name, (None, ()))
    before = {one: getattr(module, one) for one in names}
    try:
        for one, value in before.items():
            setattr(module, one, value * factor)
        model = DEALS.fresh_model()
        if name in OF_A_MODEL:
            OF_A_MODEL[name](model, factor)
        yield model
    finally:
        for one, value in before.items():
            setattr(module, one, value)


def losses(facts: Sequence[DealFact], name: str, factor: float) -> tuple[float, float]:
    """Return the log loss of P(won) and the Brier score of "within 30 days" over the second half of a set."""
    with changed(name, factor) as model:
        found = DealEvaluation(model, together=True).run(facts).report()["second_half"]
    return float(found["log_loss"]), float(found["brier30"])


def first(facts: Sequence[DealFact], count: int) -> list[DealFact]:
    """Return what is said of the deals that are heard of first, until the last of these is: then the others would crowd in."""
    names: dict[str, None] = {}
    for fact in facts:
        if fact.deal not in names and len(names) == count:
            break
        names[fact.deal] = None
    return [fact for fact in facts if fact.deal in names]


def sets(count: int, data: Path | None, public: int) -> dict[str, list[DealFact]]:
    """Return the data sets, each as facts in the order of their time; of a public one at most so many deals."""
    found = {name: live(WORLDS[name]._replace(size=count)).facts for name in WORLD_SETS}
    found["visits and leads matter"] = acquainted(count, 0, "deal", matters=True).facts
    found["visits and leads are noise"] = acquainted(count, 0, "deal", matters=False).facts
    found["a source halves"] = drift.world(count, 0, count // 2)
    for name, file in (("crm", "crm"), ("bpic12", "bpic12/bpic2012.csv.gz")):
        if data is not None and (data / file).exists():
            found[name] = first(History(load(None), [data / file], name, None).facts(), public)
    return found


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="deals of each world")
    parser.add_argument("--data", action="store_true", help="also the public data sets")
    parser.add_argument("--public", type=int, default=10**9, help="deals of each of those, at most: the first")
    parser.add_argument("--only", action="append", help="a part of a constant's name")
    parser.add_argument("--write", type=Path, help="also write the tables into this folder (docs)")
    options = parser.parse_args()
    data = Path(os.environ.get("VIGIE_DATA", "../shared/data")) if options.data else None
    known = sets(options.count, data, options.public)
    now = {name: losses(facts, "", 1.0) for name, facts in known.items()}
    table = [f"| constant | factor | {' | '.join(known)} |", f"|---|---|{'---|' * len(known)}"]
    print("\n".join(table), flush=True)
    left_out = [f"| chosen without it | {' | '.join(known)} |", f"|---|{'---|' * len(known)}"]
    for constant in (*OF_A_MODEL, *OF_A_MODULE):
        if options.only and not any(part in constant for part in options.only):
            continue
        moved: dict[float, dict[str, tuple[float, float]]] = {1.0: dict.fromkeys(known, (0.0, 0.0))}
        for factor in (0.5, 2.0):
            moved[factor] = {}
            for name, facts in known.items():
                won, soon = losses(facts, constant, factor)
                moved[factor][name] = won / now[name][0] - 1, soon / now[name][1] - 1
            cells = [f"{won:+.1%}, {soon:+.1%}" for won, soon in moved[factor].values()]
            table.append(f"| {constant} | × {factor:g} | {' | '.join(cells)} |")
            print(table[-1], flush=True)
        cells = []
        for name in known:
            rest = {factor: np.mean([sum(one) for of, one in by.items() if of != name]) for factor, by in moved.items()}
            best = min(FACTORS, key=rest.__getitem__)
            won, soon = moved[best][name]
            cells.append("as it is" if best == 1.0 else f"× {best:g}: {won:+.1%}, {soon:+.1%}")
        left_out.append(f"| {constant} | {' | '.join(cells)} |")
    print("\n" + "\n".join(left_out))
    if options.write:
        sizes = ", ".join(f"{name} {len({fact.deal for fact in facts}):,}" for name, facts in known.items())
        into(options.write / "models.md", "constants", [f"Deals: {sizes}.", "", *table, "", *left_out])


if __name__ == "__main__":
    main()
