"""``python -m bench.model_cost``: what do an answer, its reasons and a lesson cost, one by one and together?

Microseconds of one core, the best of many turns (in turn, so that what else the machine does hits none alone), of a deal model
that has learnt a seeded world; beside River's logistic regression with its own pipeline from the same features. Then events a
second of an evaluation, with lessons one by one and together.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from river import compose, linear_model, preprocessing

from bench.worlds import WORLDS, live
from models.learners import snapshot
from models.learners.deal_model import DealModel, Snapshot
from models.learners.evaluation import DealEvaluation
from models.learners.features import DAY_MS, Features
from models.learners.live_kinds import DEALS

WORLD = "10 % won, many small categories"
#: So many at once.
TOGETHER = (1, 6, 16, 64)
Act = Callable[[Sequence[Any]], object]


def _asked(model: DealModel, x: list[Features]) -> list[Snapshot]:
    return [model.snapshot_one(0, row, said) for row, said in zip(x, model.predict_many(x), strict=True)]


def _pipeline() -> Any:
    return (
        (compose.SelectType(str) | preprocessing.OneHotEncoder()) + (compose.SelectType(float) | preprocessing.StandardScaler())
    ) | linear_model.LogisticRegression()


def _each(act: Callable[[Any], object]) -> Act:
    return lambda rows: [act(row) for row in rows]


def _learning(document: bytes, act: Callable[[DealModel, Snapshot], object], together: bool) -> Act:
    model = snapshot.load(document)
    assert isinstance(model, DealModel)
    model.together = together

    def learn(rows: Sequence[Snapshot]) -> None:
        for row in rows:
            act(model, row)
        model.settle()

    return learn


def _open(model: DealModel, one: Snapshot) -> None:
    model.survive_one(one)


def _closed(model: DealModel, one: Snapshot) -> None:
    model.learn_one(one, 5 * DAY_MS, "won")


def costs(evaluation: DealEvaluation, count: int = 1_024) -> dict[str, float]:
    """Return the least cost of each act, in µs a question."""
    model, x = evaluation.model, [one.x for one in (evaluation.asked or [])[-count:]]
    clean = [{name: value for name, value in row.items() if value == value} for row in x]
    document, river = snapshot.dump(model), _pipeline()
    for number, row in enumerate(clean):
        river.learn_one(row, number % 3 == 0)
    said = model.predict_many(x)
    acts: dict[str, tuple[Act, list[Any]]] = {f"answer, {n} at once": (model.predict_many, x) for n in TOGETHER}
    acts["reasons"] = (_each(lambda pair: model.terms(*pair)), list(zip(x, said, strict=True)))
    for name, learns in (("open", _open), ("closed", _closed)):
        for together in (False, True):
            acts[f"lesson {name}, {'16 at once' if together else 'one by one'}"] = (
                _learning(document, learns, together),
                _asked(model, x),
            )
    acts["River pipeline, answer"] = (_each(river.predict_proba_one), clean)
    acts["River pipeline, lesson"] = (_each(lambda row: river.learn_one(row, True)), clean)
    sizes = {f"answer, {n} at once": n for n in TOGETHER} | {name: 16 for name in acts if name.startswith("lesson")}
    found = dict.fromkeys(acts, float("inf"))
    for start in range(0, len(x) - max(TOGETHER) + 1, max(TOGETHER)):
        for name, (act, rows) in acts.items():
            for first in range(start, start + max(TOGETHER), size := sizes.get(name, 8)):
                began = time.process_time()
                act(rows[first : first + size])
                found[name] = min(found[name], (time.process_time() - began) / size * 1e6)
    return {name: round(cost, 1) for name, cost in found.items()}


def main() -> None:
    """Print the costs as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deals", type=int, default=900)
    size = parser.parse_args().deals
    facts = live(WORLDS[WORLD]._replace(size=size)).facts
    speed: dict[str, int] = {}
    evaluation = None
    for together in (True, False):
        began = time.process_time()
        evaluation = DealEvaluation(DEALS.fresh_model(), keep_features=True, together=together).run(facts)
        speed["together" if together else "one by one"] = round(len(facts) / (time.process_time() - began))
    assert evaluation is not None
    print(json.dumps({"us": costs(evaluation), "evaluated_events_per_cpu_second": speed}, indent=2))


if __name__ == "__main__":
    main()
