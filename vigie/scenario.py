"""Do the rules say what they should about these events? Test files of ``vigie rules test``: events at times, states and messages.

The events go through the folds, the readings and the evaluation that run live, as in a backtest::

    rules: [win-rate-drop]                # left out: all
    start: 2026-01-05T00:00:00Z
    step: 1h                              # how often the rules are judged, beside the times that are expected something of
    events:
      - {at: 1h, type: deal.lost, subject: "D{n}", count: 30, data: {source: web, amount: 100, currency: EUR}}
    expect:
      - {at: 1h, rule: win-rate-drop, segment: source=web, state: pending}
      - {at: 2h, rule: win-rate-drop, segment: source=web, state: critical, says: "0% (0 of 30"}

``count`` makes so many events of one line, ``{n}`` in the subject is their number. ``state`` is one of the words of a rule's own
tests; ``says`` must be in a message of the rule since the line before.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from alert_rules.parse.rule_test_file import EXPECTED
from alert_rules.trial.rule_test_run import Failure
from models.calendar import epoch_ms, iso
from models.config import durations
from models.config.problem import FileProblem
from models.config.suggest import near
from stream.config.settings import Settings
from stream.config.yaml_file import open_yaml
from vigie.backtest import Backtest

_KEYS = {"rules", "start", "step", "events", "expect"}
_EVENT = {"at", "type", "subject", "count", "data"}
_LINE = {"at", "rule", "segment", "state", "says"}


class RuleScenarioError(ValueError):
    """The file cannot be used; the message says where, what was found and what is accepted."""


def play(settings: Settings, file: Path) -> tuple[int, list[Failure]]:
    """Play a file; return how many expectations it holds and those that were not met. Raise :class:`RuleScenarioError`."""
    tree = _read(file)
    start = _start(file, tree)
    step = _duration(file, "step", tree.get("step", "1h"))
    events = [event for n, one in enumerate(tree["events"]) for event in _events(file, n, one, start)]
    lines = [_line(file, n, one) for n, one in enumerate(tree["expect"])]
    try:
        bench = Backtest(settings, tree.get("rules") or ())
    except LookupError as error:
        raise RuleScenarioError(f"{file}: rules: {str(error).removeprefix('--rule: ')}") from error
    for n, line in enumerate(lines):
        if line["rule"] not in {rule.id for rule in bench.rules}:
            raise RuleScenarioError(f"{file}: expect[{n}].rule: found {line['rule']!r} (accepted: a rule of this test)")
    end = max(line["at"] for line in lines)
    moments = sorted({line["at"] for line in lines} | set(range(step, end + 1, step)))
    failures: list[Failure] = []
    arrival, said = int(time.time() * 1000), 0
    waiting = sorted(events, key=lambda event: event[0])
    for at in moments:
        while waiting and waiting[0][0] < at:
            bench.publish(waiting.pop(0)[1], arrival)
        bench.judge(start + at, arrival)
        here = [line for line in lines if line["at"] == at]
        for line in here:
            failures += _compare(bench, file, line, bench.transitions[said:])
        if here:
            said = len(bench.transitions)
    return len(lines), failures


def _compare(bench: Backtest, file: Path, line: Mapping[str, Any], since: list[bytes]) -> Iterator[Failure]:
    rule, segment = line["rule"], line.get("segment", "total")
    found = bench.state(rule, segment)
    if "state" in line and found != line["state"]:
        yield Failure(rule, file.name, line["at"], line["state"], found)
    if "says" in line:
        told = [tree for value in since if (tree := orjson.loads(value)).get("rule") == rule]
        texts = [tree["message"]["text"] for tree in told if _name(tree["segment"]) == segment]
        if not any(line["says"] in text for text in texts):
            yield Failure(rule, file.name, line["at"], f"{line['says']!r} in the message", repr("\n".join(texts) or "no message"))


def _name(segment: Mapping[str, str]) -> str:
    return next((f"{name}={value}" for name, value in segment.items()), "total")


def _read(file: Path) -> dict[str, Any]:
    problems: list[FileProblem] = []
    tree = open_yaml(file, problems).tree
    if problems:
        raise RuleScenarioError("\n".join(map(str, problems)))
    _check_keys(file, "", tree, _KEYS, {"events", "expect"})
    for name in ("events", "expect"):
        if not isinstance(tree[name], list) or not tree[name]:
            raise RuleScenarioError(f"{file}: {name}: found {tree[name]!r} (accepted: a list)")
    found: dict[str, Any] = tree
    return found


def _check_keys(file: Path, where: str, tree: Any, accepted: set[str], needed: set[str]) -> None:
    words = ", ".join(sorted(accepted))
    if not isinstance(tree, dict):
        raise RuleScenarioError(f"{file}: {where or 'file'}: found a {type(tree).__name__} (accepted: a mapping of {words})")
    for key in tree:
        if key not in accepted:
            raise RuleScenarioError(f'{file}: {where}: unknown key "{key}"{near(key, sorted(accepted))}')
    for key in sorted(needed - tree.keys()):
        raise RuleScenarioError(f"{file}: {where}: {key}: missing")


def _start(file: Path, tree: Mapping[str, Any]) -> int:
    found = tree.get("start", "2026-01-05T00:00:00Z")
    try:
        return epoch_ms(found if isinstance(found, datetime) else datetime.fromisoformat(str(found)))
    except ValueError as error:
        raise RuleScenarioError(f"{file}: start: found {found!r} (accepted: a time with offset)") from error


def _duration(file: Path, where: str, found: Any) -> int:
    try:
        length = durations.parse(found)
    except ValueError as error:
        raise RuleScenarioError(f"{file}: {where}: {error}") from error
    if where == "step" and length < 60_000:
        raise RuleScenarioError(f"{file}: step: found {found!r} (accepted: from 1m)")
    return length


def _events(file: Path, number: int, tree: Any, start: int) -> Iterator[tuple[int, bytes]]:
    where = f"events[{number}]"
    _check_keys(file, where, tree, _EVENT, {"at", "type", "subject"})
    at, count = _duration(file, f"{where}.at", tree["at"]), tree.get("count", 1)
    if type(count) is not int or not 1 <= count <= 100_000:
        raise RuleScenarioError(f"{file}: {where}.count: found {count!r} (accepted: a whole number from 1 to 100000)")
    for n in range(count):
        event = {
            "specversion": "1.0",
            "id": f"{number}-{n}",
            "source": "test",
            "type": tree["type"],
            "time": iso(start + at),
            "subject": str(tree["subject"]).replace("{n}", str(n)),
            "data": tree.get("data", {}),
        }
        yield at, orjson.dumps(event)


def _line(file: Path, number: int, tree: Any) -> dict[str, Any]:
    where = f"expect[{number}]"
    _check_keys(file, where, tree, _LINE, {"at", "rule"})
    if "state" in tree and tree["state"] not in EXPECTED:
        raise RuleScenarioError(f"{file}: {where}.state: found {tree['state']!r} (accepted: {', '.join(EXPECTED)})")
    return {**tree, "at": _duration(file, f"{where}.at", tree["at"])}
