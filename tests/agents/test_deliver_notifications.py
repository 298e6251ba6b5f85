"""The shell between outbox and receivers, without an engine."""

import asyncio
import logging
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from agents.deliver_notifications import Deliverer
from agents.notifiers.base import Notifier
from alert_rules.tell.deliver_notifications import DeliverNotifications, Delivery
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent
from alert_rules.words.reader import ANYBODY, Reader
from tests.agents.doubles import ALERT
from tests.alert_rules.readings import records


class Scripted:
    """Answers as told; the last answer for ever. ``None`` hangs until cancelled."""

    follows = True

    def __init__(self, *answers: Outcome | Exception | None) -> None:
        self.answers = list(answers)
        self.sent: list[str] = []
        self.readers: list[Reader] = []
        self.closed = False

    async def send(self, delivery: Delivery) -> Outcome:
        self.sent.append(delivery.id)
        self.readers.append(delivery.reader)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return answer

    async def close(self) -> None:
        self.closed = True


def start(*alerts: dict[str, Any], **notifiers: Notifier) -> tuple[Deliverer, DeliverNotifications, asyncio.Queue[None]]:
    written: asyncio.Queue[None] = asyncio.Queue()
    deliverer = Deliverer(notifiers, wrote=lambda: written.put_nowait(None))
    fold = deliverer.spec().make(0)
    assert isinstance(fold, DeliverNotifications)
    tell(fold, *(alerts or (ALERT,)))
    return deliverer, fold, written


def tell(fold: DeliverNotifications, *alerts: dict[str, Any]) -> None:
    fold.fold(records("alerts", *alerts))
    fold.changes()
    fold.durable()


async def test_sent_and_the_result_asks_to_be_written() -> None:
    ops = Scripted(Sent())
    deliverer, fold, written = start(ops=ops)
    await deliverer.deliver(0, fold)
    assert (len(ops.sent), written.qsize(), fold.depth) == (1, 1, 0)
    assert orjson.loads(fold.changes().outputs[0].value or b"")["outcome"] == "sent"
    await deliverer.close()
    assert ops.closed


async def test_a_retry_comes_back_by_itself_under_the_same_id(caplog: pytest.LogCaptureFixture) -> None:
    ops = Scripted(Retry("answered HTTP 503", after=20), Sent())
    deliverer, fold, _ = start(ops=ops)
    async with asyncio.timeout(120):
        await deliverer.deliver(0, fold)
    assert len(ops.sent) == 2 and len(set(ops.sent)) == 1
    assert "receiver ops: not told yet: answered HTTP 503" in caplog.text


async def test_a_receiver_that_hangs_holds_up_nobody_and_news_is_taken_meanwhile() -> None:
    stuck, quick = Scripted(None), Scripted(Sent())
    deliverer, fold, written = start(stuck=stuck, quick=quick)
    task = asyncio.create_task(deliverer.deliver(0, fold))
    async with asyncio.timeout(120):
        await written.get()
        tell(fold, ALERT | {"id": "t2", "incident": "i2"})
        await written.get()
    assert (len(stuck.sent), len(quick.sent), fold.depth) == (1, 2, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_notifiers_bug_is_a_retry_and_tells_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bad, good = Scripted(RuntimeError("https://hooks.example.com/s3cret"), Rejected("answered HTTP 410")), Scripted(Sent())
    deliverer, fold, _ = start(bad=bad, good=good)
    async with asyncio.timeout(120):
        await deliverer.deliver(0, fold)
    assert (len(bad.sent), len(good.sent)) == (2, 1)
    assert "RuntimeError" in caplog.text and "s3cret" not in caplog.text
    assert dict(deliverer.outcomes) == {
        ("bad", "sent"): 0, ("bad", "retried"): 1, ("bad", "rejected"): 1, ("bad", "expired"): 0,
        ("good", "sent"): 1, ("good", "retried"): 0, ("good", "rejected"): 0, ("good", "expired"): 0,
    }  # fmt: skip


async def test_each_receiver_is_given_how_it_reads() -> None:
    tokyo = Reader(zone=ZoneInfo("Asia/Tokyo"))
    here, there = Scripted(Sent()), Scripted(Sent())
    deliverer = Deliverer({"here": here, "there": there}, readers={"there": tokyo})
    fold = deliverer.spec().make(0)
    assert isinstance(fold, DeliverNotifications)
    tell(fold, ALERT)
    await deliverer.deliver(0, fold)
    assert (here.readers, there.readers) == ([ANYBODY], [tokyo])
