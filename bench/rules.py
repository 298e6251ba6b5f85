"""How long does a tick of the rules take? 1,000 rules, and the groups that they tell apart.

``python -m bench.rules`` evaluates one reading of every group for every rule, as a tick does: all well, one group in a hundred
firing (and staying so), and the minute in which all of them begin to fire. The readings are encoded as they come from the topic.
"""

import argparse
import time

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.rule import Direction, KpiRule, LadderStep, Rule, Severity
from models.fold import Record
from models.kpis.reading import Reading

BASE = 1_767_225_600_000


def rules(count: int, per_reading: int) -> list[Rule]:
    """Return so many rules; so many of them watch the same readings."""
    return [
        KpiRule(
            id=f"rule-{n}", kpi="win_rate", window=f"{n // per_reading + 1}h", by="source", direction=Direction.BELOW,
            ladder=(LadderStep(Severity.WARN, 0.2, 0.22), LadderStep(Severity.CRITICAL, 0.15, 0.17)), wait=0, min_samples=20,
            labels={"team": "sales"}, summary="Win rate from {source} is {value:.0%}", runbook="docs/runbooks/win-rate-drop.md",
            tests=(), unit="ratio", title="Win rate", groups=1_000,
        )
        for n in range(count)
    ]  # fmt: skip


def readings(windows: int, groups: int, at: int, value: float, bad: int = 0) -> list[Record]:
    """Return a tick's readings; of every ``bad`` groups one is at 18 %."""
    found: list[Record] = []
    for window in range(windows):
        for group in range(groups):
            rate = 0.18 if bad and (group + window) % bad == 0 else value
            place, name = {"source": f"s{group}"}, f"{window + 1}h"
            reading = Reading("win_rate", name, place, at - 1000, at, rate, rate * 50, 50, 0.1, 0.4, "ratio", None, 50)
            found.append(Record("readings", 0, len(found), at, reading.key.encode(), reading.encode(), ()))
    return found


def measure(count: int, per_reading: int, groups: int, ticks: int = 3) -> dict[str, float]:
    """Return the milliseconds of a tick, by what happens in it (the best of some)."""
    fold, windows = EvaluateAlerts(rules(count, per_reading)), count // per_reading
    took: dict[str, list[float]] = {}
    at = BASE
    for what, value, bad in (("all well", 0.3, 0), ("1 in 100 fires", 0.3, 100), ("all begin to fire", 0.18, 0)):
        for n in range(ticks if what != "all begin to fire" else 1):
            at += 5_000
            records = readings(windows, groups, at, value, bad)
            if n == 0 and bad:
                fold.fold(records)  # they have begun
                fold.changes()
            began = time.process_time()
            fold.fold(records)
            fold.changes()
            took.setdefault(what, []).append((time.process_time() - began) * 1000)
    return {what: min(times) for what, times in took.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", type=int, default=1_000)
    options = parser.parse_args()
    print("| rules | on one reading | groups | evaluations | all well, ms | 1 in 100 fires, ms | all begin to fire, ms |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for per_reading, groups in ((1, 1), (1, 10), (10, 10), (50, 20)):
        found = measure(options.rules, per_reading, groups)
        cells = " | ".join(f"{found[what]:.1f}" for what in ("all well", "1 in 100 fires", "all begin to fire"))
        print(f"| {options.rules:,} | {per_reading} | {groups} | {options.rules * groups:,} | {cells} |")


if __name__ == "__main__":
    main()
