"""State that was kept before records had types is taken back, and is kept the same."""

import gzip
from typing import Any

import orjson
import pytest

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.tell.deliver_notifications import DeliverNotifications
from alert_rules.tell.dispatch_alerts import DispatchAlerts
from alert_rules.tell.outcome import Sent
from alert_rules.tell.plan import Digest, by_rule, everything_to
from alert_rules.tell.receiver_health import Failing, ReceiverHealth
from alert_rules.tell.send_digest import SendDigest
from models.calendar import DAY_MS, HOUR_MS
from tests.alert_rules.corpus import FOLDER
from tests.alert_rules.readings import BASE, reading, records, rule
from tests.alert_rules.test_records import same

KEPT: dict[str, dict[str, Any]] = orjson.loads(gzip.open(FOLDER / "rows.json.gz").read())


def rows(fold: str) -> list[tuple[bytes, bytes]]:
    return [(key.encode(), orjson.dumps(tree)) for key, tree in KEPT[fold].items()]


def written(fold: Any) -> dict[str, Any]:
    return {row.key.decode(): None if row.value is None else orjson.loads(row.value) for row in fold.changes().rows}


def test_who_was_notified_of_what_is_known_still() -> None:
    fold = DispatchAlerts(by_rule(["chat", "mail"]))
    fold.restore(rows("dispatch"))
    assert {kind for kind, _, _ in (key.partition("|") for key in KEPT["dispatch"])} == {
        "alert",
        "group",
        "member",
        "silence",
        "link",
    }
    for key, tree in KEPT["dispatch"].items():
        assert same(tree, orjson.loads(fold._kept.value(key) or b"null")), key
    standing = next(key.partition("|")[2] for key, tree in KEPT["dispatch"].items() if key.startswith("alert|") and tree["ack"])
    shown = fold.standing(standing)
    assert shown is not None and shown["acknowledged"]["by"] == "ann" and shown["told"] == ["chat", "mail"]
    fold.tick(BASE + DAY_MS)
    assert [output for output in fold.changes().outputs if output.topic == "outbox"] == [], "all of it was said before"


def test_what_waits_for_a_receiver_and_who_fails_is_known_still() -> None:
    health = ReceiverHealth(("chat", "mail"), lambda now: ("mail",), 300_000)
    fold = DeliverNotifications(("chat", "mail"), health=health)
    fold.restore(rows("deliver"))
    failing = health.failing["chat"]
    assert failing.recipients == ["mail"] and failing.notified is not None
    assert failing.encode() == KEPT["deliver"]["#health|chat"] and Failing.decode(failing.encode()) == failing
    waiting = {key for key in KEPT["deliver"] if not key.startswith("#")}
    sent = set()
    while taken := fold.take(BASE + DAY_MS):
        for one in taken:
            assert one.letter.title and one.letter.text == one.alert["message"]["text"]
            sent.add(one.row)
            fold.done(one, Sent(), BASE + DAY_MS)
    assert sent == waiting and len(sent) > 2
    assert any(key.startswith("#memo|mail|") for key in KEPT["deliver"])


def test_what_stands_in_the_morning_is_known_still() -> None:
    fold = SendDigest(Digest(("chat",)), {}, everything_to(("chat",)).resolve, began=BASE)
    fold.restore(rows("digest"))
    fold.tick(BASE + DAY_MS + 9 * HOUR_MS)
    (said,) = [orjson.loads(output.value or b"") for output in fold.changes().outputs if output.topic == "outbox"]
    assert said["digest"]["standing"] == sum(key.startswith("alert|") for key in KEPT["digest"]) > 3


@pytest.mark.parametrize("value", [0.1, 0.4])
def test_the_alerts_that_stand_are_known_still(value: float) -> None:
    fold = EvaluateAlerts([rule(**{"for": 0})])
    fold.restore(rows("evaluate"))
    fold.fold(records("readings", reading(5, value).as_json()))
    said = [orjson.loads(output.value or b"")["kind"] for output in fold.changes().outputs]
    assert said == ([] if value < 0.2 else ["resolved"])
