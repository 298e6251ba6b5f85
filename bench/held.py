"""What do ten thousand alerts at once cost the loop that folds: to take, to group and tell, to keep, to list?

Times are of the processor, in milliseconds, the worst of each kind: so long nothing else is folded. Alerts come in chunks of
500, as a busy topic gives them; ticks are a second apart. ``python -m bench.held [--alerts 10000]``
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import orjson

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from models.fold import Record
from tests.alert_rules.readings import BASE, reading, rule
from tests.alert_rules.timeline import Line, transition

CHUNK = 500
PLANS = {
    "50 groups": "[team]",
    "each by itself": "['...']",
    "all in one group": "[]",
}
_PLAN = "route: {receiver: chat, group_wait: 30s, group_interval: 5m, repeat_interval: 4h, group_by: %s}"


def cost(call: Callable[..., Any], *arguments: Any) -> float:
    """Return the processor's milliseconds."""
    began = time.process_time()
    call(*arguments)
    return (time.process_time() - began) * 1000


def dispatch(group_by: str, count: int) -> dict[str, float]:
    """Return the worst of each kind for one plan."""
    line = Line(_PLAN % group_by)
    worst = {"take 500": 0.0, "checkpoint of 500": 0.0, "tick while all are told": 0.0, "tick when all are looked at again": 0.0}

    def note(kind: str, milliseconds: float) -> None:
        worst[kind] = max(worst[kind], milliseconds)

    for first in range(0, count, CHUNK):
        trees = [transition(f"i{n}", "fired", "warn", {"team": str(n % 50)}, line.now) for n in range(first, first + CHUNK)]
        records = [Record("alerts", 0, n, line.now, b"k", orjson.dumps(tree), ()) for n, tree in enumerate(trees)]
        note("take 500", cost(line.fold.fold, records))
        note("checkpoint of 500", cost(line.fold.changes))
    for second in range(400):
        line.now += 1000
        kind = "tick while all are told" if second < 120 else "tick when all are looked at again"
        note(kind, cost(line.fold.tick, line.now) + cost(line.fold.changes))
    return worst | {"show who was told of all": cost(lambda: [line.fold.standing(f"i{n}") for n in range(count)])}


def listing(count: int) -> dict[str, float]:
    """Return what the evaluation's list costs, of as many rules as it takes (each is bounded)."""
    rules = [rule(**{"id": f"rule-{n}", "for": 0}) for n in range(max(1, count // 200))]
    fold = EvaluateAlerts(rules)
    readings = [reading(0, 0.1, segment={"source": f"s{n}"}) for n in range(200)]
    fold.fold([Record("readings", 0, n, BASE, r.key.encode(), r.encode(), ()) for n, r in enumerate(readings)])
    held = len(fold.incidents())
    return {f"list the gravest 500 of {held:,}": cost(fold.current), f"count all {held:,}": cost(fold.counts)}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=10_000)
    count = parser.parse_args().alerts
    found = {name: dispatch(group_by, count) for name, group_by in PLANS.items()}
    print(f"| {count:,} alerts, worst, ms | {' | '.join(found)} |")
    print("|---|" + "---:|" * len(found))
    for kind in next(iter(found.values())):
        print(f"| {kind} | {' | '.join(f'{costs[kind]:.0f}' for costs in found.values())} |")
    for kind, milliseconds in listing(count).items():
        print(f"| {kind} | {milliseconds:.0f} |" + " |" * (len(found) - 1))


if __name__ == "__main__":
    main()
