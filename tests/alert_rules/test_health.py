"""Vigie's own failure to notify: who hears of it, when, and that it cannot go in a circle."""

from typing import Any

import orjson

from alert_rules.tell.deliver_notifications import DeliverNotifications
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent
from alert_rules.tell.receiver_health import RULE, ReceiverHealth
from models.fold import Record
from tests.alert_rules.readings import BASE, records
from tests.alert_rules.test_outbox import alert

MINUTE = 60_000


class Post:
    """An outbox whose receivers work or do not, on a simulated clock; what it puts on its own topic comes back."""

    def __init__(self, *receivers: str, fallback: tuple[str, ...] = (), **outcomes: Outcome) -> None:
        self.receivers, self.fallback = receivers, fallback
        self.outcomes: dict[str, Outcome] = outcomes
        self.rows: dict[bytes, bytes] = {}
        self.said: list[tuple[int, str, str, list[str]]] = []  # minute, kind, about which receiver, to whom
        self.sent: list[tuple[str, str]] = []
        self.now = BASE
        self.start()

    def start(self) -> None:
        health = ReceiverHealth(self.receivers, lambda now: self.fallback, 5 * MINUTE)
        self.fold = DeliverNotifications(self.receivers, health=health)
        self.fold.restore(sorted(self.rows.items()))

    def tell(self, id_: str, *receivers: str) -> None:
        message = alert(id_, f"i-{id_}") | {"type": "message", "receivers": list(receivers)}
        self.fold.fold(records("outbox", message, timestamp=self.now))
        self.commit()

    def commit(self) -> None:
        changes = self.fold.changes()
        for row in changes.rows:
            if row.value is None:
                self.rows.pop(row.key, None)
            else:
                self.rows[row.key] = row.value
        self.fold.durable()
        for output in changes.outputs:
            if output.topic == "outbox":
                tree = orjson.loads(output.value or b"")
                about = tree["segment"]["receiver"]
                self.said.append(((self.now - BASE) // MINUTE, tree["kind"], about, tree["receivers"]))
                self.fold.fold([Record("outbox", 0, 0, self.now, output.key, output.value, ())])
                self.commit()

    def run(self, minutes: float) -> None:
        end = self.now + round(minutes * MINUTE)
        while self.now < end:
            self.now += 10_000
            for delivery in self.fold.take(self.now):
                outcome = self.outcomes.get(delivery.receiver, Sent())
                if isinstance(outcome, Sent):
                    self.sent.append((delivery.receiver, str(delivery.alert.get("rule") or delivery.alert["id"])))
                self.fold.done(delivery, outcome, self.now)
            self.fold.tick(self.now)
            self.commit()


def test_the_other_channel_hears_of_a_receiver_that_fails_and_that_it_works_again() -> None:
    post = Post("chat", "mail", "boss", fallback=("mail",), chat=Retry("answered HTTP 503"))
    post.tell("t1", "chat")
    post.run(20)
    assert post.said == [(5, "fired", "chat", ["mail"])]
    post.outcomes = {}
    post.run(20)
    assert post.said[1:] == [(post.said[1][0], "resolved", "chat", ["mail"])]
    assert [one for one in post.sent if one[1] == RULE] == [("mail", RULE), ("mail", RULE)]
    assert post.fold.health.failing == {}
    assert [key for key in post.rows if key.startswith(b"#health")] == []


def test_a_hiccup_is_nobodys_business() -> None:
    post = Post("chat", "mail", chat=Retry("answered HTTP 503"))
    post.tell("t1", "chat")
    post.run(2)
    post.outcomes = {}
    post.run(30)
    assert post.said == []


def test_one_refused_message_is_enough_where_nothing_arrives_afterwards() -> None:
    post = Post("chat", "mail", chat=Rejected("answered HTTP 410"))
    post.tell("t1", "chat")
    post.run(10)
    assert post.said == [(5, "fired", "chat", ["mail"])]
    assert post.fold.health.failing["chat"].given_up == 1


def test_when_everything_fails_nothing_goes_in_a_circle_and_the_first_that_works_hears_of_all_others() -> None:
    post = Post("a", "b", "c", fallback=("a",), a=Retry("x"), b=Retry("x"), c=Retry("x"))
    for name in ("a", "b", "c"):
        post.tell(f"t-{name}", name)
    post.run(30)
    assert post.said == []
    post.outcomes = {"a": Retry("x"), "b": Retry("x")}
    post.run(15)
    assert [one[1:] for one in post.said] == [("fired", "a", ["c"]), ("fired", "b", ["c"])]
    post.run(600)
    assert len(post.said) == 2, "once an outage"


def test_the_fallback_itself_fails_the_others_hear_of_both() -> None:
    post = Post("a", "b", "c", fallback=("b",), a=Retry("x"), b=Retry("x"))
    post.tell("t1", "a")
    post.run(30)
    # `b` was thought healthy until it was told; then its own failing is told to who is left.
    assert [one[1:] for one in post.said] == [("fired", "a", ["b"]), ("fired", "b", ["c"])]


def test_a_restart_neither_forgets_an_outage_nor_tells_it_twice() -> None:
    def story(restarts: bool) -> list[Any]:
        post = Post("chat", "mail", chat=Retry("answered HTTP 503"))
        post.tell("t1", "chat")
        for _ in range(20):
            post.run(1)
            if restarts:
                post.start()
        post.outcomes = {}
        post.run(20)
        return [one[1:] for one in post.said]

    assert story(True) == story(False) == [("fired", "chat", ["mail"]), ("resolved", "chat", ["mail"])]
