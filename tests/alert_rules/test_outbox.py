from typing import Any

import orjson
import pytest

from alert_rules.tell.deliver_notifications import DeliverNotifications, Delivery
from alert_rules.tell.outcome import LONGEST_WAIT, Rejected, Retry, Sent, backoff
from models.calendar import DAY_MS
from models.events.dead_letter import decode
from models.fold import Changes, Row
from tests.alert_rules.readings import BASE, records


def alert(id_: str = "t1", incident: str = "i1", kind: str = "fired", **more: Any) -> dict[str, Any]:
    return {"type": "transition", "id": id_, "incident": incident, "kind": kind, "message": {"title": "T", "text": "t"}} | more


def outbox(*alerts: dict[str, Any], receivers: tuple[str, ...] = ("a",), **more: Any) -> DeliverNotifications:
    """An outbox with intents that are durable."""
    fold = DeliverNotifications(receivers, **more)
    fold.fold(records("alerts", *alerts))
    fold.changes()
    fold.durable()
    return fold


def ids(deliveries: list[Delivery]) -> list[str]:
    return [delivery.alert["id"] for delivery in deliveries]


def told(changes: Changes) -> list[tuple[str, str, int]]:
    values = [orjson.loads(o.value or b"") for o in changes.outputs if o.topic == "alerts"]
    return [(value["receiver"], value["outcome"], value["attempts"]) for value in values]


def test_nothing_is_sent_before_its_intent_is_durable() -> None:
    heard: list[bool] = []
    fold = DeliverNotifications(("a",), on_news=lambda: heard.append(True))
    fold.fold(records("alerts", alert("t1")))
    assert (fold.take(BASE), fold.next_due()) == ([], None)
    assert [row.key[:6] for row in fold.changes().rows] == [b"a|msg_", b"#order"]
    fold.fold(records("alerts", alert("t2", "i2"), offset=1))  # comes while the checkpoint is being written
    assert fold.take(BASE) == []
    fold.durable()
    assert heard == [True]
    (first,) = fold.take(BASE)
    fold.done(first, Sent(), BASE)
    assert (first.alert["id"], fold.take(BASE), fold.depth) == ("t1", [], 1)


def test_sent_removes_the_row_and_says_so() -> None:
    fold = outbox(alert())
    (delivery,) = fold.take(BASE)
    fold.done(delivery, Sent(), BASE + 5)
    changes = fold.changes()
    assert [(row.key, row.value) for row in changes.rows] == [(delivery.row.encode(), None)]
    assert told(changes) == [("a", "sent", 1)]
    assert (fold.depth, fold.oldest(), fold.next_due()) == (0, None, None)
    assert fold.outcomes["a", "sent"] == 1


def test_every_receiver_gets_it_and_none_waits_for_another() -> None:
    fold = outbox(alert("t1"), alert("t2", "i2"), receivers=("a", "b"))
    first = fold.take(BASE)
    assert [(d.receiver, d.alert["id"]) for d in first] == [("a", "t1"), ("b", "t1")]
    assert len({d.id for d in first}) == 2
    fold.done(first[1], Sent(), BASE)
    assert [(d.receiver, d.alert["id"]) for d in fold.take(BASE)] == [("b", "t2")]  # `a` hangs, `b` goes on


def test_order_within_an_incident_and_no_waiting_between_incidents() -> None:
    fold = outbox(alert("t1", "i1"), alert("t2", "i1", "resolved"), alert("t3", "i2"))
    (one,) = fold.take(BASE)
    fold.done(one, Retry("busy"), BASE)
    (three,) = fold.take(BASE)
    assert (one.alert["id"], three.alert["id"]) == ("t1", "t3")
    fold.done(three, Sent(), BASE)
    assert fold.take(BASE) == []  # t2 waits for t1
    due = fold.next_due()
    assert due is not None and BASE + 500 <= due <= BASE + 1500
    (again,) = fold.take(due)
    assert (again.id, again.attempts) == (one.id, 1)
    fold.done(again, Sent(), due)
    assert ids(fold.take(due)) == ["t2"]


def test_what_a_receiver_asks_for_holds_for_all_of_its_messages() -> None:
    fold = outbox(alert("t1", "i1"), alert("t2", "i2"))
    (one,) = fold.take(BASE)
    fold.done(one, Retry("HTTP 429", after=30_000), BASE)
    assert (fold.take(BASE + 29_999), fold.next_due()) == ([], BASE + 30_000)
    assert ids(fold.take(BASE + 30_000)) == ["t2"]


def test_rejected_is_a_dead_letter_that_can_be_redriven_to_its_receiver_only() -> None:
    fold = outbox(alert(), receivers=("a", "b"))
    for delivery in fold.take(BASE):
        fold.done(delivery, Sent() if delivery.receiver == "b" else Rejected("answered HTTP 410"), BASE)
    changes = fold.changes()
    assert sorted(told(changes)) == [("a", "dead_lettered", 1), ("b", "sent", 1)]
    (dead,) = [decode(o.value or b"") for o in changes.outputs if o.topic == "dead-letters"]
    assert (dead.reason, dead.detail, dead.topic) == ("undeliverable", "receiver 'a': answered HTTP 410", "outbox")
    again = dead.redrive()
    assert again.value is not None
    fold.fold(records("outbox", again.value))
    fold.changes()
    fold.durable()
    assert [(d.receiver, d.alert["id"]) for d in fold.take(BASE)] == [("a", "t1")]


def test_patience_ends() -> None:
    fold = outbox(alert(), patience=10_000)
    now, tries = BASE, 0
    while (due := fold.next_due()) is not None:
        now = max(now, due)
        (delivery,) = fold.take(now)
        tries += 1
        fold.done(delivery, Retry("answered HTTP 503"), now)
    changes = fold.changes()
    (dead,) = [decode(o.value or b"") for o in changes.outputs if o.topic == "dead-letters"]
    assert f"given up after {tries} attempts in" in dead.detail and dead.detail.endswith("answered HTTP 503")
    assert told(changes) == [("a", "dead_lettered", tries)]
    assert tries > 3 and fold.outcomes["a", "expired"] == 1 and now - BASE <= 10_000


@pytest.mark.parametrize("sent_before_the_crash", [False, True])
def test_a_restart_between_intent_and_result_sends_again_under_the_same_id(sent_before_the_crash: bool) -> None:
    fold = DeliverNotifications(("a",))
    fold.fold(records("alerts", alert("t1"), alert("t2", kind="resolved")))
    rows = [(row.key, row.value) for row in fold.changes().rows if row.value is not None]
    fold.durable()
    (before,) = fold.take(BASE)
    if sent_before_the_crash:
        fold.done(before, Sent(), BASE)  # and the result never becomes durable
    after = DeliverNotifications(("a",))
    after.restore(rows)
    (again,) = after.take(BASE)
    assert again == before
    after.done(again, Sent(), BASE)
    assert ids(after.take(BASE)) == ["t2"]


def test_numbers_are_never_used_twice() -> None:
    fold = outbox(alert("t1"))
    (delivery,) = fold.take(BASE)
    fold.done(delivery, Sent(), BASE)
    fold.fold(records("alerts", alert("t2")))
    rows = [(row.key, row.value) for row in fold.changes().rows if row.value is not None]
    after = DeliverNotifications(("a",))
    after.restore(rows)
    assert [d.order for d in after._open.values()] == [1]
    after.fold(records("alerts", alert("t3")))
    assert [d.order for d in after._open.values()] == [1, 2]


def test_a_receiver_that_is_no_longer_configured() -> None:
    fold = outbox(alert(), receivers=("a", "old"))
    (delivery,) = [d for d in fold._open.values() if d.receiver == "old"]
    fold.done(next(d for d in fold.take(BASE) if d.receiver == "old"), Retry("x"), BASE)
    rows = [(row.key, row.value) for row in fold.changes().rows if row.value is not None]
    after = DeliverNotifications(("a",))
    after.restore(rows)
    after.tick(BASE)
    changes = after.changes()
    assert told(changes) == [("old", "dead_lettered", 1)]
    assert (delivery.row.encode(), None) in [(row.key, row.value) for row in changes.rows]


def test_what_is_told_and_what_is_not() -> None:
    quiet = [alert(f"q{n}", kind=kind) for n, kind in enumerate(("pending", "cancelled", "recovering", "relapsed"))]
    fold = outbox(*quiet, {"type": "notification", "id": "n"}, alert("t1"), alert("t1"))
    assert fold.depth == 1


def test_what_is_no_transition_is_a_dead_letter() -> None:
    fold = DeliverNotifications(("a",))
    fold.fold(
        records("alerts", b"{", b"[]", b"3", b"{}", {"type": "transition", "kind": "fired"}, {"type": "transition", "kind": []})
    )
    outputs = fold.changes().outputs
    assert [output.topic for output in outputs] == ["dead-letters"] * 6


def test_backoff_grows_spreads_and_ends() -> None:
    waits = [backoff("msg_1", n) for n in range(1, 40)]
    assert all(500 <= w <= 1500 * 2**n for n, w in enumerate(waits))
    assert max(waits) <= LONGEST_WAIT * 1.5
    assert len({backoff(f"msg_{n}", 5) for n in range(50)}) > 45
    assert backoff("msg_1", 3) == backoff("msg_1", 3)


def test_a_message_goes_to_its_receivers_only_and_can_be_redriven_to_the_one_that_refused_it() -> None:
    message = alert("m1", kind="repeated") | {"type": "message", "receivers": ["b"]}
    fold = outbox(message, receivers=("a", "b", "c"))
    (delivery,) = fold.take(BASE)
    assert (delivery.receiver, delivery.alert["kind"]) == ("b", "repeated")
    fold.done(delivery, Rejected("answered HTTP 410"), BASE)
    (dead,) = [decode(o.value or b"") for o in fold.changes().outputs if o.topic == "dead-letters"]
    again = dead.redrive()
    assert again.value is not None
    fold.fold(records("outbox", again.value))
    fold.changes()
    fold.durable()
    (redriven,) = fold.take(BASE)
    assert (redriven.id, redriven.receiver) == (delivery.id, "b")


def test_what_a_receiver_gave_back_comes_with_the_next_message_of_the_incident_across_a_restart() -> None:
    fold = outbox(alert("t1"), alert("t2", kind="resolved"), alert("t3", "i2"))
    (first,) = fold.take(BASE)
    fold.done(first, Sent("C1 1700.1"), BASE)
    rows = {row.key: row.value for row in fold.changes().rows}
    rows |= {d.row.encode(): orjson.dumps(d.encode()) for d in fold._open.values()}
    after = DeliverNotifications(("a",))
    after.restore([(key, value) for key, value in rows.items() if value is not None])
    (second,) = after.take(BASE)
    assert (first.memo, second.alert["id"], second.memo) == (None, "t2", "C1 1700.1")
    after.done(second, Sent(), BASE)
    (third,) = after.take(BASE)
    assert (third.alert["id"], third.memo) == ("t3", None)
    assert not any(row.key.startswith(b"#memo") for row in after.changes().rows)
    after.tick(BASE + 31 * DAY_MS)
    assert [row for row in after.changes().rows if row.key.startswith(b"#memo")] == [Row(b"#memo|a|i1", None)]


def test_memos_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alert_rules.tell.memos.MEMOS", 3)
    fold = outbox(*(alert(f"t{n}", f"i{n}") for n in range(5)))
    for n in range(5):
        (delivery,) = fold.take(BASE)
        fold.done(delivery, Sent(str(n)), BASE + n)
    kept = {row.key: row.value is not None for row in fold.changes().rows if row.key.startswith(b"#memo")}
    assert kept == {f"#memo|a|i{n}".encode(): n >= 2 for n in range(5)}


def test_acknowledgements_go_to_those_only_who_follow() -> None:
    fold = DeliverNotifications(("a", "bot"), follows=("bot",))
    fold.fold(records("outbox", alert("m1", kind="acknowledged") | {"type": "message", "receivers": ["a", "bot", "gone"]}))
    fold.changes()
    fold.durable()
    assert [d.receiver for d in fold.take(BASE)] == ["bot"] and fold.depth == 1


def test_what_waits_by_receiver() -> None:
    fold = outbox(alert("t1"), receivers=("a", "b"))
    fold.fold(records("outbox", alert("t2", "i2"), timestamp=BASE + 500))
    for delivery in fold.take(BASE):
        if delivery.receiver == "b":
            fold.done(delivery, Sent(), BASE)
    assert fold.waiting() == {"a": (2, BASE), "b": (1, BASE + 500)}
