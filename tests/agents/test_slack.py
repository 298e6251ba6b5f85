"""What Slack is sent: within Block Kit's limits, with nothing in it that pings anybody, in one thread an incident."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from agents.notifiers import ReceiverError, build
from agents.notifiers.pagerduty import event
from agents.notifiers.slack import SlackNotifier, escape, render
from alert_rules.outcome import Rejected, Retry, Sent
from stream.settings import ReceiverSettings
from tests.agents.doubles import ALERT, delivery, receiver


def complaints(body: dict[str, Any]) -> list[str]:
    """What Slack's API would refuse of a message, by the limits of its documentation."""
    found = []
    blocks = body["blocks"]
    if not 1 <= len(blocks) <= 50:
        found.append("blocks")
    if len(body["text"]) > 4000:
        found.append("text")
    for block in blocks:
        match block["type"]:
            case "section":
                if not 1 <= len(block["text"]["text"]) <= 3000:
                    found.append("section")
            case "context":
                if not 1 <= len(block["elements"]) <= 10:
                    found.append("context")
            case "actions":
                if len(block["elements"]) > 25:
                    found.append("actions")
                for element in block["elements"]:
                    if len(element["text"]["text"]) > 75 or len(element["url"]) > 3000 or len(element["action_id"]) > 255:
                        found.append("button")
            case _:
                found.append(block["type"])
    return found


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, one in value.items() if key != "url" for text in texts(one)]
    return (
        [text for one in value for text in texts(one)] if isinstance(value, list) else [value] if isinstance(value, str) else []
    )


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=8000), st.text(max_size=8000), st.sampled_from(["fired", "resolved", "repeated"]))
def test_whatever_is_told_is_within_the_limits_and_pings_nobody(title: str, text: str, kind: str) -> None:
    body = render(ALERT | {"kind": kind, "message": {"title": title, "text": text}, "why_now": text})
    assert complaints(body) == []
    assert not any("<" in one or ">" in one for one in texts(body))


def test_a_deal_named_channel() -> None:
    body = render(
        ALERT | {"message": {"title": "[WARN] <!channel> & co", "text": "<@U1> <https://evil.example|click>\n\nWhy: a > b"}}
    )
    assert body["text"] == "[WARN] &lt;!channel&gt; &amp; co"
    assert not any("<" in one for one in texts(body))


@given(st.text(alphabet="a&<>é", max_size=200), st.integers(6, 60))
def test_no_half_escapes(text: str, limit: int) -> None:
    found = escape(text, limit)
    assert len(found) <= limit
    assert found.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").count("&") == 0


async def test_a_bot_keeps_one_thread_an_incident() -> None:
    async with receiver(body=b'{"ok":true,"ts":"1700.1"}') as server:
        notifier = SlackNotifier("chat", server.url, "xoxb-1", "C1", pace=0)
        first = delivery()
        upgraded = replace(first, id="msg_2", alert=ALERT | {"kind": "upgraded"})
        other = replace(first, id="msg_3", incident="i2")
        for one in (first, upgraded, other):
            assert await notifier.send(one) == Sent()
        await notifier.close()
    bodies = [json.loads(one.body) for one in server.received]
    assert [body.get("thread_ts") for body in bodies] == [None, "1700.1", None]
    assert [body.get("reply_broadcast") for body in bodies] == [None, True, None]
    assert {body["channel"] for body in bodies} == {"C1"}
    assert server.received[0].headers["authorization"] == "Bearer xoxb-1"
    assert all(complaints(body) == [] for body in bodies)


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
        build([ReceiverSettings(name="s", type="slack", token=SecretStr("a\nb"), channel="C1"),
               ReceiverSettings(name="t", type="slack", url=SecretStr("hooks.slack.com"))])  # fmt: skip
    assert len(error.value.problems) == 2 and "a\nb" not in str(error.value) and "hooks" not in str(error.value)


def test_pagerduty_events() -> None:
    fired = event("i1", ALERT | {"message": {"title": "x" * 2000, "text": "t"}, "runbook": "https://wiki.example.com/r"})
    assert (fired["event_action"], fired["dedup_key"], fired["payload"]["severity"]) == ("trigger", "i1", "critical")
    assert len(fired["payload"]["summary"]) == 1024 and fired["links"][0]["href"] == "https://wiki.example.com/r"
    assert event("i1", ALERT | {"kind": "resolved"}) == {"event_action": "resolve", "dedup_key": "i1"}
