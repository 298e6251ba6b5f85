"""What Slack is sent: within Block Kit's limits, with nothing in it that pings anybody, in one thread an incident."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.notifiers import ReceiverError, build
from agents.notifiers.pagerduty import event
from agents.notifiers.slack import SlackNotifier
from agents.notifiers.slack_blocks import escape, news, render
from alert_rules.tell.deliver_notifications import DeliverNotifications
from alert_rules.tell.delivery import Action
from alert_rules.tell.outcome import Rejected, Retry, Sent
from alert_rules.tell.signed_links import LinkKey, Links
from tests.agents.doubles import ALERT, about, delivery, having, receiver
from tests.agents.slack_api import Slack, complaints, slack_api, texts
from tests.agents.test_email import explained
from tests.alert_rules.readings import records

KINDS = ("fired", "upgraded", "resolved", "repeated", "acknowledged", "unacknowledged", "digest")


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=8000), st.text(max_size=8000), st.sampled_from(KINDS), st.text(max_size=100),
    st.integers(0, 4000), st.booleans(),
)  # fmt: skip
def test_whatever_is_told_is_within_the_limits_and_pings_nobody(
    title: str, text: str, kind: str, by: str, length: int, pressed: bool
) -> None:
    alert = ALERT | {"kind": kind, "message": {"title": title, "text": text}, "why_now": text, "acknowledged": {"by": by}}
    alert["runbook"] = "https://wiki.example.com/" + "r" * length
    actions = tuple(
        Action(name, "A" * (length + 1), f"https://v/act/{'t' * length}", "t" * length) for name in ("ack", "silence")
    )
    for body in (render(about(alert, actions), pressed=pressed), news(about(alert, actions))):
        assert complaints(body) == []
        assert not any("<" in one or ">" in one for one in texts(body))


def test_a_deal_named_channel() -> None:
    words = {"title": "[WARN] <!channel> & co", "text": "<@U1> <https://evil.example|click>\n\nWhy: a > b"}
    body = render(about(ALERT | {"message": words}))
    assert body["text"] == "[WARN] &lt;!channel&gt; &amp; co"
    assert not any("<" in one for one in texts(body))


@given(st.text(alphabet="a&<>é", max_size=200), st.integers(6, 60))
def test_no_half_escapes(text: str, limit: int) -> None:
    found = escape(text, limit)
    assert len(found) <= limit
    assert found.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").count("&") == 0


#: The words of an alert on a figure whose course is known.
_MOVING = {
    name: value
    for name, value in explained().items()
    if name in ("zone", "kpi", "unit", "threshold", "threshold_unit", "window", "start", "rule_title", "value")
} | {"explanation": {"course": explained()["explanation"]["course"]}}

LINKS = Links((LinkKey("k1", b"k" * 32),), "https://vigie.example.com", 3_600_000)


class Bot:
    """A bot behind its outbox, which is made anew from its rows before every attempt: as many restarts as attempts."""

    def __init__(self, slack: Slack, *, channel: str = "#sales", pace: float = 0.0, buttons: bool = False) -> None:
        self.slack, self.channel, self.pace, self.buttons = slack, channel, pace, buttons
        self.rows: dict[bytes, bytes] = {}
        self.now = 1_000_000

    def fold(self) -> DeliverNotifications:
        fold = DeliverNotifications(("bot",), follows=("bot",))
        fold.restore(list(self.rows.items()))
        return fold

    def commit(self, fold: DeliverNotifications) -> list[Any]:
        changes = fold.changes()
        for row in changes.rows:
            if row.value is None:
                self.rows.pop(row.key, None)
            else:
                self.rows[row.key] = row.value
        return [json.loads(output.value or b"") for output in changes.outputs if output.topic == "alerts"]

    def tell(self, id_: str, kind: str, incident: str = "i1", **more: Any) -> None:
        fold = self.fold()
        words = {"title": f"[{kind.upper()}] Win rate", "text": f"{kind} it is\n\nWhy: because"}
        message = ALERT | {"type": "message", "id": id_, "kind": kind, "incident": incident, "message": words, "why_now": kind}
        fold.fold(records("outbox", message | {"receivers": ["bot"], "group": {"incident": incident}} | more, timestamp=self.now))
        self.commit(fold)

    async def attempt(self) -> list[Any]:
        """Restart, make the attempts that are due, and commit; return the notifications that have ended."""
        fold = self.fold()
        notifier = SlackNotifier("bot", self.slack.url, self.slack.token, self.channel, pace=self.pace, buttons=self.buttons)
        try:
            for one in fold.take(self.now):
                fold.done(one, await notifier.send(replace(one, actions=LINKS.actions(one))), self.now)
        finally:
            await notifier.close()
        return self.commit(fold)


async def test_one_message_and_one_thread_an_incident_however_often_the_worker_restarts() -> None:
    async with slack_api() as slack:
        bot = Bot(slack)
        bot.tell("m1", "fired")
        bot.tell("m2", "fired", "i2")
        bot.tell("m3", "acknowledged", acknowledged={"by": "ann"})
        bot.tell("m4", "upgraded")
        bot.tell("m5", "resolved")
        ends = [end for _ in range(6) for end in await bot.attempt()]
    assert [end["outcome"] for end in ends] == ["sent"] * 5 and slack.complaints == []
    one, other = slack.roots
    assert (one.changes, other.changes) == (3, 0)
    assert one.body["text"] == "[RESOLVED] Win rate", "the message shows how the incident stands"
    replies = slack.thread(one.ts)
    assert [reply.body["text"] for reply in replies] == [
        "Taken care of: [ACKNOWLEDGED] Win rate", "Has grown worse: [UPGRADED] Win rate", "Resolved: [RESOLVED] Win rate",
    ]  # fmt: skip
    assert [reply.body.get("reply_broadcast") for reply in replies] == [None, True, None]
    assert slack.thread(other.ts) == []


async def test_the_message_says_who_takes_care_and_offers_what_can_be_done() -> None:
    async with slack_api() as slack:
        bot = Bot(slack, buttons=True)
        bot.tell("m1", "fired")
        await bot.attempt()
        (root,) = slack.roots
        buttons = {
            one["action_id"]: one for block in root.body["blocks"] if block["type"] == "actions" for one in block["elements"]
        }
        assert set(buttons) == {"vigie_ack", "vigie_silence", "vigie_open"}
        link = LINKS.read(buttons["vigie_ack"]["value"], 1_000_000)
        assert (link.act, link.incident, link.receiver) == ("ack", "i1", "bot") and "url" not in buttons["vigie_ack"]
        bot.tell("m2", "acknowledged", acknowledged={"by": "ann <!channel>"})
        await bot.attempt()
    shown = " ".join(texts(root.body))
    assert "taken care of by: ann &lt;!channel&gt;" in shown
    ids = [one["action_id"] for block in root.body["blocks"] if block["type"] == "actions" for one in block["elements"]]
    assert ids == ["vigie_silence", "vigie_open"] and slack.complaints == []


async def test_without_interactivity_buttons_are_links() -> None:
    async with slack_api() as slack:
        bot = Bot(slack)
        bot.tell("m1", "fired")
        await bot.attempt()
        notifier = SlackNotifier("hook", slack.hook, pace=0)
        one = delivery()
        assert await notifier.send(replace(one, actions=LINKS.actions(one))) == Sent()
        await notifier.close()
    for body in (slack.roots[0].body, slack.posted[0]):
        urls = [one.get("url") for block in body["blocks"] if block["type"] == "actions" for one in block["elements"]]
        assert len(urls) == 3 and all(url.startswith("https://vigie.example.com/") for url in urls)


async def test_a_message_that_is_gone_is_made_anew() -> None:
    async with slack_api() as slack:
        bot = Bot(slack)
        bot.tell("m1", "fired")
        await bot.attempt()
        slack.messages.clear()  # somebody has deleted it
        bot.tell("m2", "upgraded")
        bot.tell("m3", "resolved")
        await bot.attempt()
        await bot.attempt()
    (root,) = slack.roots
    assert (root.body["text"], root.changes, len(slack.thread(root.ts))) == ("[RESOLVED] Win rate", 1, 1)


async def test_how_the_figure_came_there_is_drawn_in_the_thread() -> None:
    async with slack_api() as slack:
        bot = Bot(slack)
        bot.tell("m1", "fired", **_MOVING)
        bot.tell("m2", "acknowledged", acknowledged={"by": "ann"}, **_MOVING)
        bot.tell("m3", "resolved", **_MOVING)
        bot.tell("m4", "fired", "i2")  # of a deal: nothing to draw
        ends = [end for _ in range(5) for end in await bot.attempt()]
    assert [end["outcome"] for end in ends] == ["sent"] * 4 and slack.complaints == []
    one, _ = slack.roots
    fired, resolved = slack.files.values()
    assert fired.shared == resolved.shared == ("C1", one.ts), "the channel by its id, and the message's own thread"
    assert fired.title == fired.alt != "" and fired.content != resolved.content, "in the colour of each"
    assert (slack.calls["upload"], slack.calls["files.completeUploadExternal"]) == (2, 2)


@pytest.mark.parametrize(("refused", "calls"), [("missing_scope", 1), ("internal_error", 2)])
async def test_an_alert_is_told_whatever_becomes_of_its_picture(
    refused: str, calls: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with slack_api(scopes=frozenset({"chat:write"}) if refused == "missing_scope" else Slack.scopes) as slack:
        notifier = SlackNotifier("bot", slack.url, slack.token, "#sales", pace=0)
        for number in range(2):
            slack.refuse = [] if refused == "missing_scope" else [refused]
            slack.spare = 1  # the words pass; what is refused is the picture
            assert isinstance(await notifier.send(about(ALERT | _MOVING | {"id": f"m{number}"})), Sent)
        await notifier.close()
    assert len(slack.roots) == 2 and slack.files == {}
    assert slack.calls["files.getUploadURLExternal"] == calls, "what is not for this bot is asked for once"
    assert f"told without its picture: Slack says {refused}" in caplog.text
    assert ("files:write" in caplog.text) is (refused == "missing_scope") and "xoxb" not in caplog.text


async def test_a_webhook_takes_no_files() -> None:
    async with slack_api() as slack:
        notifier = SlackNotifier("hook", slack.hook, pace=0)
        assert await notifier.send(about(ALERT | _MOVING)) == Sent()
        await notifier.close()
    assert slack.calls == {"webhook": 1} and slack.files == {}


async def test_what_is_sent_twice_carries_the_same_key() -> None:
    async with slack_api() as slack:
        bot = Bot(slack)
        bot.tell("m1", "fired")
        before = dict(bot.rows)
        await bot.attempt()
        bot.rows = before  # the worker died before the result was durable
        await bot.attempt()
    first, second = slack.roots
    assert first.key == second.key != "" and first.ts != second.ts


@pytest.mark.parametrize("refused", ["ratelimited", "internal_error"])
async def test_a_change_that_was_not_taken_is_tried_again_before_anything_is_answered(refused: str) -> None:
    async with slack_api() as slack:
        bot = Bot(slack)
        bot.tell("m1", "fired")
        await bot.attempt()
        bot.tell("m2", "resolved")
        slack.refuse = [refused]
        assert await bot.attempt() == []
        assert slack.calls == {"chat.postMessage": 1, "chat.update": 1}
        bot.now += 60_000
        assert [end["outcome"] for end in await bot.attempt()] == ["sent"]
    (root,) = slack.roots
    assert (root.changes, len(slack.thread(root.ts))) == (1, 1)


@pytest.mark.parametrize("asks", [
    lambda wait: str(max(1, round(wait))), lambda wait: f"{wait:.3f}",
    lambda wait: format_datetime(datetime.now(UTC) + timedelta(seconds=wait + 60), usegmt=True),
], ids=["seconds", "a fraction", "a date"])  # fmt: skip
async def test_slacks_rate_limit_is_obeyed_as_it_asks(asks: Any) -> None:
    now = 0.0
    async with slack_api(seconds=0.4, asks=asks, clock=lambda: now) as slack:
        notifier = SlackNotifier("hook", slack.hook, pace=0)
        assert await notifier.send(delivery()) == Sent()
        limited = await notifier.send(delivery())
        assert isinstance(limited, Retry) and limited.after is not None and 0 < limited.after <= 61_000
        now += limited.after / 1000
        assert await notifier.send(delivery()) == Sent()
        await notifier.close()
    assert (slack.limited, len(slack.posted)) == (1, 2)


async def test_the_pace_keeps_within_slacks_rate() -> None:
    async with slack_api() as slack:
        bot = SlackNotifier("bot", slack.url, slack.token, "C1", pace=0.1)
        began = time.monotonic()
        first = await bot.send(delivery())
        assert isinstance(first, Sent)
        for n in range(3):
            outcome = await bot.send(replace(delivery(), id=f"msg_{n}", memo=first.memo))
            assert isinstance(outcome, Sent), outcome
        await bot.close()
    assert slack.calls == {"chat.postMessage": 4, "chat.update": 3}
    assert time.monotonic() - began >= 0.6, "each call has its turn"


async def test_a_webhook_that_was_revoked() -> None:
    async with slack_api(refuse=["no_service"]) as slack:
        notifier = SlackNotifier("hook", slack.hook, pace=0)
        assert await notifier.send(delivery()) == Rejected("answered HTTP 404")
        await notifier.close()


async def test_the_double_is_strict() -> None:
    long = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    button = {
        "type": "button",
        "text": {"type": "plain_text", "text": "x" * 76},
        "action_id": "a",
        "url": "u" * 3001,
        "value": "v" * 2001,
    }
    blocks = [long, {"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}, {"type": "context", "elements": []},
              {"type": "actions", "elements": [button, button]}, {"type": "header", "text": {"type": "mrkdwn", "text": "x"}},
              {"type": "table"}]  # fmt: skip
    assert len(complaints({"text": "t" * 4001, "blocks": blocks})) == 13
    assert len(complaints({"text": "t", "blocks": [{"type": "divider"}] * 51})) == 1


@pytest.mark.parametrize(("error", "kind"), [("ratelimited", Retry), ("internal_error", Retry), ("channel_not_found", Rejected),
                                            ("token_revoked", Rejected), ("invalid_auth", Rejected)])  # fmt: skip
async def test_what_slack_says(error: str, kind: type[Any]) -> None:
    async with receiver(body=json.dumps({"ok": False, "error": error}).encode()) as server:
        notifier = SlackNotifier("chat", server.url, "xoxb-1", "C1", pace=0)
        outcome = await notifier.send(delivery())
        await notifier.close()
    assert outcome == kind(f"Slack says {error}")


async def test_at_most_one_message_in_a_while() -> None:
    async with receiver(web.Response(), body=b"ok") as server:
        notifier = SlackNotifier("chat", server.url, pace=0.1)
        began = time.monotonic()
        for _ in range(3):
            assert await notifier.send(delivery()) == Sent()
        await notifier.close()
    assert time.monotonic() - began >= 0.2


def test_what_cannot_be_used() -> None:
    with pytest.raises(ReceiverError) as error:
        build(having({"name": "s", "type": "slack", "token": "a\nb", "channel": "C1"},
                     {"name": "t", "type": "slack", "url": "hooks.slack.com"}))  # fmt: skip
    assert len(error.value.problems) == 2 and "a\nb" not in str(error.value) and "hooks" not in str(error.value)


def test_pagerduty_events() -> None:
    fired = event(about(ALERT | {"message": {"title": "x" * 2000, "text": "t"}, "runbook": "https://wiki.example.com/r"}))
    assert (fired["event_action"], fired["dedup_key"], fired["payload"]["severity"]) == ("trigger", "i1", "critical")
    assert len(fired["payload"]["summary"]) == 1024 and fired["links"][0]["href"] == "https://wiki.example.com/r"
    assert event(about(ALERT | {"kind": "resolved"})) == {"event_action": "resolve", "dedup_key": "i1"}


def test_what_is_behind_an_alert_is_linked_and_told_once() -> None:
    behind = [
        {
            "id": "<!channel>",
            "entity": "deal",
            "what": "lost",
            "said": "12,000 EUR, on 2026-01-03",
            "url": "https://crm/d/1?a=1&b=2",
        },
        {"id": "D|2", "entity": "deal", "what": "lost", "url": "https://crm/d/2"},
        {"id": "D3", "entity": "deal", "what": "lost"},
    ]
    words = {
        "title": "[WARN] Win rate",
        "text": "Fewer won\n\nWhy: it is\n\nBehind it:\n1. <!channel>, lost: https://crm/d/1?a=1&b=2",
    }
    body = render(about(ALERT | {"message": words, "explanation": {"behind": behind}}))

    assert complaints(body) == []
    told = [block["text"]["text"] for block in body["blocks"] if block["type"] == "section"]
    assert told[2] == "Why: it is"
    assert told[3].splitlines() == [
        "*Behind it:*",
        "<https://crm/d/1?a=1&amp;b=2|1. &lt;!channel&gt;, lost, 12,000 EUR, on 2026-01-03>",
        "<https://crm/d/2|2. D¦2, lost>",
        "3. D3, lost",
    ]
    assert len(told) == 4
