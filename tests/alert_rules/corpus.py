"""Records of every kind that the alerts write, from the real producers: one small world that plays all shipped rules.

``python -m tests.alert_rules.corpus FILE`` keeps what the code of today writes, so that the code of tomorrow is tested on it.
"""

import gzip
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import orjson

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.rule import KpiRule, Rule
from alert_rules.parse.plan_file import everything_to, parse_alerting
from alert_rules.tell.deliver_notifications import DeliverNotifications
from alert_rules.tell.dispatch_alerts import DispatchAlerts
from alert_rules.tell.outcome import Rejected, Sent
from alert_rules.tell.plan import Alerting, Digest, by_rule
from alert_rules.tell.receiver_health import ReceiverHealth
from alert_rules.tell.send_digest import SendDigest
from alert_rules.trial import entity_test_run as entity_timeline
from alert_rules.trial.rule_test_run import _reading
from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, iso
from models.fold import Output, Record
from models.kpis.reading import Reading
from stream.config.kpi_files import load_catalogue
from tests.alert_rules.readings import BASE, reading, rule
from vigie.rule_files import load_rules

FOLDER = Path(__file__).parent / "golden"
END = BEGIN = BASE + 40 * DAY_MS


def link(kind: str, id_: str, sender: str) -> str:
    """The page of a deal or lead."""
    return f"https://crm.example.com/{kind}/{id_}?a=1&b=2"


class Kept(EvaluateAlerts):
    """Keeps all that it has written."""

    written: ClassVar[list[Output]] = []

    def __init__(self, rules: Iterable[Rule]) -> None:
        super().__init__(rules, link)

    def changes(self) -> Any:
        """As its parent's."""
        found = super().changes()
        self.written.extend(found.outputs)
        return found


BECAUSE = {
    "previous": {"value": 0.22, "from": "2025-12-18T00:00:00Z", "at": "2025-12-25T00:00:00Z"},
    "change": -0.12,
    "parts": {"numerator": -4.0, "denominator": 3.0},
    "moved_by": [
        {
            "dimension": "owner",
            "segments": [
                {"segment": "Q1: launch", "effect": -0.091, "rate": -0.07, "mix": -0.021},
                {"segment": "ads", "effect": -0.03, "rate": -0.03},
                {"others": 4, "effect": 0.01},
            ],
        }
    ],
    "total": {"value": 0.2, "previous": 0.21},
    "behind": [
        {"id": "D-1", "name": "Acme: renewal, phase 2", "entity": "deal", "what": "lost", "sender": "/crm", "owner": "ann"},
        {"id": "D-2", "entity": "deal", "what": "lost", "said": "12,400 EUR", "sender": "/crm"},
    ],
}


def transitions(without: Collection[str] = ()) -> list[dict[str, Any]]:
    """What the evaluation writes while each shipped rule goes through its own tests, and a campaign with a colon in its name."""
    Kept.written.clear()
    for shipped in load_rules(load_catalogue()):
        for test in () if shipped.id in without else shipped.tests:
            if not isinstance(shipped, KpiRule):
                with patch.object(entity_timeline, "EvaluateAlerts", Kept):
                    list(entity_timeline.play(shipped, test, BASE))
            else:
                play(shipped, [_reading(shipped, moment).as_json() for moment in test.moments])
    named = rule(by="source", title="Campaign win rate", **{"for": 0})
    sure = rule(id="sure", title="Sure", sure=0.9, keep_firing_for="10m", **{"for": 0})
    for watched in (named, sure):
        low = [reading(0, 0.18, low=0.1, high=0.3), reading(1, 0.1), reading(2, 0.16), reading(3, 0.19), reading(9, 0.21)]
        trees = [one.as_json() | {"segment": {"source": "Q1: launch"}} for one in [*low, reading(20, 0.4), reading(40, 0.4)]]
        play(watched, [tree | {"because": BECAUSE} for tree in trees])
    gone = Kept([named])
    gone.fold([record("readings", reading(0, 0.1).as_json() | {"segment": {"source": "Q1: launch"}}, BASE)])
    gone.use([])
    gone.tick(BASE + HOUR_MS)
    gone.changes()
    stays = rule(title="Campaign win rate", labels={"team": "sales: west"}, **{"for": 0})
    places = [f"Q{n}: launch" for n in range(1, 9)]
    play(stays, [reading(60 + n, 0.19 - n / 100).as_json() | {"segment": {"source": place}} for n, place in enumerate(places)])
    return [orjson.loads(output.value or b"") for output in Kept.written if output.topic == "alerts"]


def play(watched: Rule, readings: Iterable[dict[str, Any]]) -> None:
    """Let one rule judge some readings."""
    fold = Kept([watched])
    for tree in readings:
        fold.fold([record("readings", tree, BASE)])
        fold.changes()


def record(topic: str, value: Any, at: int) -> Record:
    """A record of a topic."""
    return Record(topic, 0, 0, at, b"k", value if isinstance(value, bytes) else orjson.dumps(value), ())


PLAN = """
route:
  receiver: chat
  group_by: [rule]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 1h
  escalation: up
  routes: [{matchers: [rule=~.*stalled], receiver: mail, group_by: [team]}]
escalations: {up: {steps: [{after: 30m, receivers: [boss]}]}}
"""


def plans() -> Iterator[Alerting]:
    """Each incident by itself, what a rule says together, and groups that repeat."""
    yield everything_to(("chat",))
    yield by_rule(("chat", "mail"))
    import yaml

    found, problems = parse_alerting(yaml.safe_load(PLAN), ("chat", "mail", "boss"))
    assert found is not None, problems
    yield found


def dispatched(happened: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the dispatch writes of some transitions: messages, and decisions."""
    written: list[Output] = []
    for plan in plans():
        fold = DispatchAlerts(plan)
        fold.restore(())
        for n, tree in enumerate(happened):
            at = BEGIN + n * 5_000
            fold.fold([record("alerts", tree, at)])
            fold.tick(at + 1_000)
            written += fold.changes().outputs
        at = BEGIN + len(happened) * 5_000
        standing = [tree["incident"] for tree in happened if tree["state"]["after"] != "inactive"]
        for act in ("ack", "unack", "ack"):
            fold.fold([record("alerts", {"type": "act", "act": act, "by": "ann", "incident": standing[-1], "at": iso(at)}, at)])
            fold.fold([record("alerts", {"type": "act", "act": act, "by": "ann", "incident": "none", "at": iso(at)}, at)])
        for later in range(0, 3 * HOUR_MS, 5 * MINUTE_MS):
            fold.tick(at + later)
            written += fold.changes().outputs
    return [orjson.loads(output.value or b"") for output in written]


def failing() -> list[dict[str, Any]]:
    """What is said of a receiver that fails, and works again."""
    health = ReceiverHealth(("chat", "mail"), lambda now: ("mail",), 5 * MINUTE_MS)
    health.failed("chat", "HTTP 503: no: really", BASE, given_up=True)
    written = health.tick(BASE + 6 * MINUTE_MS) + health.worked("chat", BASE + 90 * MINUTE_MS)
    return [orjson.loads(output.value or b"") for output in written]


#: An objective as ``standings`` tells it.
AIM = {"name": "Chiffre d'affaires du mois", "state": "behind", "main": {"progress": 0.41}}


def morning(happened: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A summary with figures and what stands, and the next one."""
    plan = everything_to(("chat",))
    digest = Digest(("chat",), kpis=("revenue", "win_rate", "leads"), window="7d")
    catalogue = load_catalogue()
    fold = SendDigest(digest, {kpi: catalogue.get(kpi).label for kpi in digest.kpis}, plan.resolve, began=BASE)
    fold.tick(BASE)
    written: list[Output] = []
    for day, (win, revenue) in enumerate(((0.2, 12_400.0), (0.3, None)), start=1):
        figures = [
            Reading("win_rate", "7d", {}, BASE, BASE, win, None, None, None, None, "ratio"),
            Reading(
                "revenue", "7d", {}, BASE, BASE, revenue, None, None, None, None, "money", currency="EUR", why="nothing was sold"
            ),
        ]
        expected = {"forecast_p10": 181_000.0, "forecast_p50": 208_112.0, "forecast_p90": 237_000.0, "target_probability": 0.37}
        figures += [
            Reading(kpi, "month", {}, BASE, BASE + day * DAY_MS, value, None, None, None, None,
                    "ratio" if kpi == "target_probability" else "money", currency="EUR")
            for kpi, value in expected.items()
        ]  # fmt: skip
        fold.fold([replace_key(record("readings", one.encode(), BASE), one.key) for one in figures])
        fold.fold([replace_key(record("standings", orjson.dumps(AIM), BASE), "objective|o1")])
        fold.fold([record("alerts", tree, BASE) for tree in happened])
        fold.tick(BASE + day * DAY_MS + 9 * HOUR_MS)
        written += fold.changes().outputs
    return [orjson.loads(output.value or b"") for output in written]


def replace_key(one: Record, key: str) -> Record:
    """The record under another key."""
    return one._replace(key=key.encode())


def delivered(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the outbox writes of some messages: half arrive, half do not."""
    fold = DeliverNotifications(("chat", "mail", "boss"))
    written: list[Output] = []
    for n, tree in enumerate(messages):
        fold.fold([record("outbox", tree, BEGIN)])
        fold.changes()
        fold.durable()
        while taken := fold.take(BEGIN):
            for one in taken:
                fold.done(one, Sent() if n % 2 else Rejected("HTTP 410"), BEGIN)
        written += fold.changes().outputs
    return [orjson.loads(output.value or b"") for output in written if output.topic == "alerts"]


def world(without: Collection[str] = ()) -> list[dict[str, Any]]:
    """All of it, in order; ``without`` some shipped rules."""
    happened = transitions(without)
    told = dispatched(happened) + failing() + morning(happened)
    return happened + told + delivered([tree for tree in told if tree["type"] == "message"][:40])


def rendered(tree: dict[str, Any]) -> dict[str, Any]:
    """What each kind of receiver is sent of a message."""
    from agents.notifiers.email import compose, html, subject
    from agents.notifiers.http import payload
    from agents.notifiers.pagerduty import event
    from agents.notifiers.slack_blocks import news, render
    from agents.notifiers.task import fields
    from alert_rules.tell.delivery import Delivery

    one = Delivery("msg_1", "chat", str(tree["incident"]), 0, BEGIN, 0, BEGIN, None, tree)
    mail = compose(one, "Vigie <vigie@example.com>", ["ann@example.com"]).get_body(("plain",))
    assert mail is not None
    return {
        "mail": mail.get_content(), "html": html(one), "subject": subject(one.letter), "slack": render(one), "news": news(one),
        "pagerduty": event(one), "task": fields(one.message, one.letter), "http": orjson.loads(payload(one)),
    }  # fmt: skip


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    with gzip.open(path) as file:
        return [orjson.loads(line) for line in file]


def write(path: Path) -> None:
    """Keep what the code of today writes, and what is sent of it."""
    path.parent.mkdir(exist_ok=True)
    lines = [
        {"record": tree, "sent": rendered(tree) if tree["type"] == "message" and n % 2 else None}
        for n, tree in enumerate(world())
    ]
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as file:
        file.writelines(orjson.dumps(line) + b"\n" for line in lines)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
