"""The chats (Teams, Google Chat, Telegram, Mattermost): what each is sent is what it takes, its answers are understood."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.notifiers import Notifier, ReceiverError, build, google_chat, mattermost, readers_of, receivers_of, teams, telegram
from agents.notifiers.google_chat import GoogleChatNotifier
from agents.notifiers.mattermost import MattermostNotifier
from agents.notifiers.outline import outline
from agents.notifiers.teams import TeamsNotifier
from agents.notifiers.telegram import TelegramNotifier
from alert_rules.tell.delivery import Action, Delivery
from alert_rules.tell.outcome import Rejected, Retry, Sent
from alert_rules.tell.receiver_health import ReceiverHealth
from alert_rules.tell.signed_links import LinkKey, Links
from tests.agents.chat_apis import (
    FOUND,
    MENTIONS,
    TELEGRAM,
    Double,
    GoogleChat,
    Markdown,
    Markup,
    Mattermost,
    Teams,
    Telegram,
    attachment_complaints,
    card_complaints,
    chat_complaints,
    props_length,
    running,
)
from tests.agents.doubles import ALERT, about, delivery, having
from tests.agents.test_email import explained
from tests.alert_rules.test_morning import Mornings, at

LINKS = Links((LinkKey("k1", b"k" * 32),), "https://vigie.example.com", 3_600_000)
SIGNED = (Action("ack", "Acknowledge", "https://vigie.example.com/act/t0ken", "t0ken"),)
TOKEN = Telegram.TOKEN


def told(kind: str = "fired", **more: Any) -> Delivery:
    words = {"title": f"[{kind.upper()}] Win rate · source web: 10 %", "text": "Fewer won\n\nWhy: it is\nWindow: 7d"}
    alert = ALERT | {"kind": kind, "message": words, "why_now": "for this reason"} | more
    return replace(delivery(), id=f"msg_{kind}", alert=alert, actions=SIGNED)


KINDS: list[tuple[type[Double], Callable[[Any], Notifier]]] = [
    (Teams, lambda double: TeamsNotifier("ops", double.url, pace=0)),
    (GoogleChat, lambda double: GoogleChatNotifier("ops", double.url, pace=0)),
    (Telegram, lambda double: TelegramNotifier("ops", TOKEN, "-100123", url=double.url, pace=0)),
    (Mattermost, lambda double: MattermostNotifier("ops", double.url, pace=0)),
]
EACH = pytest.mark.parametrize(("double", "make"), KINDS, ids=[kind.__name__ for kind, _ in KINDS])


# -- what is sent ----------------------------------------------------------------------------------------------------------

ANY = st.text(max_size=9000)


@settings(max_examples=60, deadline=None)
@given(ANY, ANY, st.sampled_from(("fired", "upgraded", "resolved", "repeated", "acknowledged", "digest")), st.integers(0, 30))
def test_whatever_is_told_is_within_the_limits(title: str, text: str, kind: str, count: int) -> None:
    item = {"title": text[:300], "text": title[:900], "why": title[:300], "severity": "warn", "url": "https://crm.example.com/1"}
    behind = [{"id": title[:50], "entity": "deal", "what": "lost", "url": "https://crm.example.com/d/1"}] * (count % 6)
    alert = ALERT | {"kind": kind, "message": {"title": title, "text": text}, "why_now": text, "acknowledged": {"by": title}}
    alert |= {"alerts": [item] * count, "more": 0, "explanation": {"behind": behind}}
    for memo in (None, "7"):
        one = replace(delivery(), alert=alert, actions=SIGNED, memo=memo)
        body = teams.render(one)
        assert len(body) <= teams.SIZE and card_complaints(json.loads(body)["attachments"][0]["content"]) == []
        body = google_chat.render(one)
        assert len(body) <= google_chat.SIZE and chat_complaints(json.loads(body)) == []
        shown = Markup(telegram.render(one, answer=memo is not None)["text"], TELEGRAM)
        assert shown.complaints == [] and shown.entities <= 100
        assert 0 < len(shown.plain.encode("utf-16-le", "surrogatepass")) // 2 <= 4096
        assert FOUND.findall(shown.plain) == []
        assert all(link.startswith("https://crm.example.com/") for link in shown.links)
        post = mattermost.render(one)
        assert attachment_complaints(post) == [] and props_length(post) <= 7_600
        for part in post["attachments"]:
            for marked in map(Markdown, (part["text"], *(field["value"] for field in part.get("fields", [])))):
                assert MENTIONS.search(marked.plain) is None
                assert all(link.startswith(("https://crm.example.com/", "https://vigie.example.com/")) for link in marked.links)


@EACH
@pytest.mark.parametrize("kind", ["fired", "resolved", "digest", "acknowledged", "escalated", "updated"])
async def test_each_kind_is_taken_and_says_what_it_must(double: type[Double], make: Any, kind: str) -> None:
    async with running(double()) as service:
        notifier = make(service)
        outcome = await notifier.send(told(kind))
        await notifier.close()
    assert isinstance(outcome, Sent) and service.complaints == []
    (body,) = service.bodies
    shown = json.dumps(body, ensure_ascii=False)
    for text in ("Win rate · source web: 10\u00a0%", "Fewer won", "7d", "https://vigie.example.com/act/t0ken", "for this reason"):
        assert text in shown, text


def real() -> dict[str, dict[str, Any]]:
    """Records as their producers write them: an alert with all that can be in one, a receiver that fails, a summary."""
    health = ReceiverHealth(["chat", "mail"], lambda now: ["mail"], 60_000)
    health.failed("chat", "answered HTTP 503", 1_767_225_600_000)
    (failing, *_) = [json.loads(one.value or b"") for one in health.tick(1_767_225_700_000) if one.topic == "outbox"]
    mornings = Mornings(at(5, 3))
    mornings.run(at(5, 12))
    return {"alert": explained(), "failing": failing, "digest": mornings.said[0]}


@EACH
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("alert", ("Moved by owner", "Acme Industries", "7 more cases", "https://crm.example.com/contacts/1/deal/9876543210")),
        ("failing", ("Vigie cannot notify chat", "answered HTTP 503", "Attempts")),
        ("digest", ("Monday, 5 January 2026", "Revenue", "No alert stands", "08:00")),
    ],
)
async def test_what_the_producers_write_is_told_whole(double: type[Double], make: Any, name: str, says: tuple[str, ...]) -> None:
    async with running(double()) as service:
        notifier = make(service)
        assert isinstance(await notifier.send(about(real()[name], SIGNED)), Sent)
        await notifier.close()
    assert service.complaints == []
    shown = json.dumps(service.bodies[0], ensure_ascii=False)
    assert [text for text in says if text not in shown] == []


@EACH
async def test_a_group_says_each_of_its_alerts_once(double: type[Double], make: Any) -> None:
    items = [
        {"title": f"[WARN] ads {n}: {n} %", "text": f"Low {n}", "why": f"below {n}", "severity": "warn", "state": "firing",
         "url": f"https://crm.example.com/d/{n}?a=1&b=2", "news": "new" if n == 0 else None}
        for n in range(3)
    ]  # fmt: skip
    words = {"title": "[3 WARN] Win rate", "text": "3 alerts stand: 1 new.\n\n• …\nand 2 more: x, y"}
    one = told(alerts=items, more=2, message=words)
    async with running(double()) as service:
        notifier = make(service)
        assert isinstance(await notifier.send(one), Sent)
        assert isinstance(await notifier.send(replace(one, id="msg_2", memo="1")), Sent)
        await notifier.close()
    first, second = (json.dumps(body, ensure_ascii=False).replace("&amp;", "&") for body in service.bodies)
    for n in range(3):
        assert first.count(f"Low {n}") == 1 and first.count(f"https://crm.example.com/d/{n}?a=1&b=2") == 1
    assert "3 alerts stand: 1 new." in first and "and 2 more: x, y" in first
    if double not in (Teams, Mattermost):  # an answer in the thread says what is news
        assert "Low 0" in second and "Low 1" not in second and "New: for this reason" in second


def test_nothing_of_what_outsiders_write_is_found_by_telegram() -> None:
    hostile = "@admin /start evil.example t.me/x mailto: a@b.co tg://resolve?domain=x 1.5 % e.g. D-1.2"
    assert FOUND.findall(hostile)
    shown = Markup(telegram.words(hostile), TELEGRAM).plain
    assert FOUND.findall(shown) == [] and "1.5\u00a0%" in shown and "e.g. D-1.2" in shown


def test_nothing_of_what_people_write_is_markup_for_mattermost() -> None:
    hostile = (
        "# a\n- b\n1. c\n    d\n===\n*e* _f_ ~~g~~ `h` [i](https://evil.example) <!channel> <https://x|y>\n"
        "@all ~town #tag :k: $1 $2\n\n| l |\n| - |\n| m |"
    )
    assert len(MENTIONS.findall(hostile)) == 7
    assert {"heading", "bullet_list", "em", "s", "code_inline", "link", "Slack's", "table"} <= Markdown(hostile).kinds
    found = Markdown(mattermost.escape(hostile))
    assert found.kinds <= {"paragraph", "inline", "text", "softbreak"} and MENTIONS.search(found.plain) is None
    words = "- 12.5\u00a0% of 3 deals (40\u00a0%) & <5 · a_b: 10:30, $5 1. x\n2) é"
    assert Markdown(mattermost.escape(words)).plain == words + "\n"


def test_a_runbook_is_a_button_and_not_a_second_line() -> None:
    url = "https://wiki.example.com/win-rate.html"
    words = {"title": "t", "text": f"Fewer won\n\nWhy: it is\nRunbook: {url}\nSee: https://other.example.com/x"}
    found = outline(told(runbook=url, message=words))
    assert [label for label, _ in found.facts] == ["Why", "See"] and found.buttons[-1] == ("Runbook", url)
    assert 'See: <a href="https://other.example.com/x">' in telegram.render(told(runbook=url, message=words))["text"]


def test_a_url_that_telegram_would_refuse_is_no_button() -> None:
    one = replace(told(), actions=(Action("ack", "Acknowledge", "http://localhost:8080/act/x"), *SIGNED))
    (row,) = telegram.render(one)["reply_markup"]["inline_keyboard"]
    assert row[0]["url"] == SIGNED[0].url


def test_the_doubles_are_strict() -> None:
    run = {"type": "TextRun", "text": ""}
    wrong: dict[str, Any] = {"type": "AdaptiveCard", "version": "2.0", "body": [{"type": "TextBlock", "text": "x"},
             {"type": "RichTextBlock",
             "inlines": [run | {"colour": "red"}]}], "actions": [{"type": "Action.OpenUrl", "url": "x"}]}  # fmt: skip
    assert len(card_complaints(wrong)) == 5
    card = {"header": {"subtitle": "x"}, "sections": [{"widgets": [{"textParagraph": {"text": "<b>x"}}, {"image": {}}]}]}
    assert len(chat_complaints({"cardsV2": [{"card": card}], "title": "x"})) == 4
    assert len(Markup("<b>x<script>y & z", TELEGRAM).complaints) == 4
    one = {"text": "# x", "title": "y", "color": "red", "fields": [{"title": "a", "value": "`b`"}]}
    assert len(attachment_complaints({"attachments": [one], "username": "x"})) == 7


# -- threads ---------------------------------------------------------------------------------------------------------------


async def test_google_chat_has_one_thread_an_incident_and_one_message_however_often_it_is_sent() -> None:
    async with running(GoogleChat()) as service:
        notifier = GoogleChatNotifier("ops", service.url, pace=0)
        first = await notifier.send(told())
        assert await notifier.send(told()) == first, "the answer was lost: Google knows the request"
        assert isinstance(first, Sent)
        assert await notifier.send(replace(told("resolved"), memo=first.memo)) == first
        await notifier.send(replace(told("escalated"), incident="i2"))
        await notifier.close()
    assert {key: len(messages) for key, messages in service.threads.items()} == {"i1": 2, "i2": 1}
    answer = service.bodies[1]["cardsV2"][0]["card"]
    assert "header" not in answer and "Resolved: for this reason" in json.dumps(answer)
    assert "7d" not in json.dumps(answer), "the facts are in the message that it answers"


async def test_telegram_answers_the_incidents_first_message_also_where_it_was_deleted() -> None:
    async with running(Telegram()) as service:
        notifier = TelegramNotifier("ops", TOKEN, "-100123", topic=4, url=service.url, pace=0)
        assert await notifier.send(told()) == Sent("1")
        assert await notifier.send(replace(told("resolved"), memo="1")) == Sent("1")
        assert await notifier.send(replace(told("repeated"), memo="77")) == Sent("77")
        assert await notifier.send(replace(told(), memo="../x")) == Sent("4")
        await notifier.close()
    assert [body.get("reply_parameters", {}).get("message_id") for body in service.bodies] == [None, 1, 77, None]
    assert {body["message_thread_id"] for body in service.bodies} == {4}


# -- what is answered ------------------------------------------------------------------------------------------------------


@EACH
async def test_the_rate_is_kept_and_a_limit_is_obeyed(double: type[Double], make: Any) -> None:
    now = 0.0
    async with running(double(seconds=0.3, clock=lambda: now)) as service:
        notifier = make(service)
        assert isinstance(await notifier.send(told()), Sent)
        limited = await notifier.send(replace(told(), id="msg_2"))
        assert isinstance(limited, Retry) and "HTTP 429" in limited.reason
        if double is not GoogleChat:  # whose answer names no time
            assert limited.after is not None and 0 < limited.after <= 1000
        now += 0.35
        assert isinstance(await notifier.send(replace(told(), id="msg_2")), Sent)
        await notifier.close()


#: What a service answers → the outcome.
ANSWERS: list[tuple[type[Double], int, Any, Any]] = [
    (Teams, 413, {"error": {"code": "RequestEntityTooLarge"}}, Rejected("the message is too large: HTTP 413")),
    (Teams, 401, {"error": {"code": "DirectApiAuthorizationRequired"}}, Rejected("answered HTTP 401")),
    (Teams, 404, {"error": {"code": "WorkflowNotFound"}}, Rejected("answered HTTP 404")),
    (Teams, 200, {"ok": True}, Retry("answered HTTP 200, but not as a workflow does (202)")),
    (Teams, 502, {"error": {"code": "NoResponse"}}, Retry("answered HTTP 502")),
    (GoogleChat, 403, {"error": {"status": "PERMISSION_DENIED"}},
     Rejected("answered HTTP 403: Google Chat says PERMISSION_DENIED")),
    (GoogleChat, 404, {"error": {"status": "NOT_FOUND"}}, Rejected("answered HTTP 404: Google Chat says NOT_FOUND")),
    (GoogleChat, 503, {"error": {"status": "UNAVAILABLE"}}, Retry("answered HTTP 503: Google Chat says UNAVAILABLE")),
    (GoogleChat, 409, {"error": {"status": "ABORTED"}}, Retry("answered HTTP 409: Google Chat says ABORTED")),
    (GoogleChat, 400, {"error": {"status": "token=s3cret"}}, Rejected("answered HTTP 400")),
    (GoogleChat, 200, {"name": "users/1"}, Retry("answered HTTP 200, but not as Google Chat does")),
    (Telegram, 401, {"ok": False, "description": "Unauthorized"}, Rejected("answered HTTP 401: Telegram says Unauthorized")),
    (Telegram, 403, {"ok": False, "description": "Forbidden: bot was kicked from the group chat"},
     Rejected("answered HTTP 403: Telegram says bot was kicked")),
    (Telegram, 400, {"ok": False, "description": f"Bad Request: {TOKEN}"}, Rejected("answered HTTP 400")),
    (Telegram, 429, {"ok": False, "description": "x", "parameters": {"retry_after": 8}}, Retry("answered HTTP 429", 8_000)),
    (Telegram, 429, {"ok": False, "description": "x", "parameters": {"retry_after": 99_999}},
     Retry("answered HTTP 429", 3_600_000)),
    (Telegram, 429, {"ok": False, "description": "x"}, Retry("answered HTTP 429")),
    (Telegram, 500, {"ok": False, "description": "Internal Server Error"}, Retry("answered HTTP 500")),
    (Telegram, 200, {"ok": True}, Retry("answered HTTP 200, but not as Telegram does")),
    (Mattermost, 400, {"id": "web.incoming_webhook.invalid.app_error", "message": "s3cret"},
     Rejected("answered HTTP 400: Mattermost says there is no such webhook")),
    (Mattermost, 403, {"id": "web.incoming_webhook.channel_locked.app_error"},
     Rejected("answered HTTP 403: Mattermost says the webhook is locked to a channel of its own")),
    (Mattermost, 501, {"id": "web.incoming_webhook.disabled.app_error"},
     Retry("answered HTTP 501: Mattermost says incoming webhooks are switched off")),
    (Mattermost, 400, {"id": "s3cret"}, Rejected("answered HTTP 400")),
    (Mattermost, 400, {"id": ["s3cret"]}, Rejected("answered HTTP 400")),
    (Mattermost, 500, [], Retry("answered HTTP 500")),
    (Mattermost, 200, {"status": "ok"}, Retry("answered HTTP 200, but not as Mattermost does")),
]  # fmt: skip


@pytest.mark.parametrize(("double", "status", "tree", "outcome"), ANSWERS)
async def test_what_the_service_says(double: type[Double], status: int, tree: Any, outcome: Any) -> None:
    async with running(double(refuse=[(status, tree)])) as service:
        notifier = dict(KINDS)[double](service)
        assert await notifier.send(told()) == outcome
        await notifier.close()


async def test_a_group_that_became_a_supergroup_is_followed() -> None:
    moved = (400, {"ok": False, "description": "Bad Request: upgraded", "parameters": {"migrate_to_chat_id": -100456}})
    async with running(Telegram(chat="-100456", refuse=[moved])) as service:
        notifier = TelegramNotifier("ops", TOKEN, "-99", url=service.url, pace=0)
        assert await notifier.send(told()) == Retry("the group is a supergroup now: put its new id into chat: -100456")
        assert await notifier.send(told()) == Sent("1")
        await notifier.close()


# -- settings --------------------------------------------------------------------------------------------------------------

CHAT_URL = "https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"type": "teams", "url": "logic.azure.com/s3cret"}, "url: not a URL"),
    ({"type": "google_chat", "url": "https://chat.googleapis.com/v1/spaces/A/messages?key=s3cret"},
     "url: not the address of a webhook"),
    ({"type": "telegram", "token": "s3cret", "chat": "-1"}, "token: not a bot's token"),
    ({"type": "telegram", "token": TOKEN, "chat": "Sales s3cret"}, "chat: "),
    ({"type": "telegram", "token": TOKEN, "chat": 5, "topic": 0}, "topic: "),
    ({"type": "telegram", "token": TOKEN}, "chat: type telegram needs it"),
    ({"type": "mattermost", "url": "https://chat.example.com/s3cret"}, "url: not the address of a webhook"),
    ({"type": "mattermost", "url": "https://chat.example.com/hooks/s3cret", "channel": "Town Square"}, "channel: "),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "says"), WRONG)
def test_what_cannot_be_used(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ReceiverError) as error:
        build(having({"name": "x"} | wrong))
    assert says in str(error.value) and "s3cret" not in str(error.value) and TOKEN not in str(error.value)


async def test_what_can_be_used(caplog: pytest.LogCaptureFixture) -> None:
    known = having(
        {"name": "t", "type": "teams", "url": "https://x.webhook.office.com/webhookb2/s3cret"},
        {"name": "g", "type": "google_chat", "url": CHAT_URL},
        {"name": "b", "type": "telegram", "token": TOKEN, "chat": -1001234567890, "topic": 3},
        {"name": "m", "type": "mattermost", "url": "https://chat.example.com/sub/hooks/s3cret", "channel": "@ann"},
    )
    found = build(known)
    assert set(found) == {"t", "g", "b", "m"} and TOKEN not in repr(found) + repr(receivers_of(known)) + repr(known)
    assert ["connector" in doubt.found for one in receivers_of(known) for doubt in one.doubts()] == [True]
    for notifier in found.values():
        await notifier.close()


async def test_times_are_on_the_receivers_clock() -> None:
    """The same message, for one who sits elsewhere: through the settings, the delivery and the real words."""
    known = having(
        {"name": "here", "type": "telegram", "token": TOKEN, "chat": "1"},
        {"name": "there", "type": "telegram", "token": TOKEN, "chat": "2", "timezone": "Asia/Tokyo"},
    )
    found = readers_of(known)
    alert = explained()
    for name, says in (("here", "Thu 1 Jan 2026, 00:00 UTC"), ("there", "Thu 1 Jan 2026, 09:00 JST")):
        one = replace(about(alert), reader=found[name])
        for body in (teams.render(one).decode(), google_chat.render(one).decode(), telegram.render(one)["text"]):
            assert says in body
    with pytest.raises(ReceiverError, match=r'timezone: unknown time zone \(did you mean "Asia/Tokyo"'):
        build(having({"name": "x", "type": "console", "timezone": "Asia/Tokio"}))


def test_links_are_signed_and_open_the_incident() -> None:
    one = replace(told(), actions=LINKS.actions(told()))
    urls = [button.url for button in outline(one).buttons]
    assert len(urls) >= 2 and all(url.startswith("https://vigie.example.com/") for url in urls)
    for body in (teams.render(one), google_chat.render(one), json.dumps(telegram.render(one)).encode()):
        assert all(url.encode() in body for url in urls)
