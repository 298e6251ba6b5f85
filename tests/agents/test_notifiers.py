"""The contract of every notifier, and what each kind does beyond it."""

import asyncio
import base64
import hashlib
import hmac
import io
import json
import logging
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web

from agents.deliver_notifications import Deliverer
from agents.notifiers import BUILT_IN, Notifier, ReceiverError, build, kinds, type_of
from agents.notifiers.console import ConsoleNotifier
from agents.notifiers.google_chat import GoogleChatNotifier
from agents.notifiers.http import HttpNotifier, decode_secret, sign
from agents.notifiers.mattermost import MattermostNotifier
from agents.notifiers.pagerduty import PagerDutyNotifier
from agents.notifiers.post import Poster, decide, retry_after
from agents.notifiers.slack import SlackNotifier
from agents.notifiers.task import AsanaNotifier, MondayNotifier, TaskNotifier, TrelloNotifier
from agents.notifiers.teams import TeamsNotifier
from agents.notifiers.telegram import TelegramNotifier
from alert_rules.tell.deliver_notifications import DeliverNotifications
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent
from models.events.dead_letter import decode
from stream.metrics import Metrics
from tests.agents.doubles import ALERT, delivery, having, raw, receiver
from tests.alert_rules.readings import records

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
TOKEN = "t0psecret"
#: 2026-11-21T12:00:00Z
NOW = 1_795_262_400_000


def http(url: str, timeout: float = 60.0) -> HttpNotifier:
    """A notifier whose URL and secret must never be seen."""
    key = decode_secret(SECRET)
    assert key is not None
    return HttpNotifier("ops", f"{url}?token={TOKEN}", key, timeout=timeout, clock=lambda: NOW)


def slack(url: str, timeout: float = 60.0) -> SlackNotifier:
    return SlackNotifier("ops", f"{url}?token={TOKEN}", poster=Poster(timeout, lambda: NOW), pace=0)


def bot(url: str, timeout: float = 60.0) -> SlackNotifier:
    return SlackNotifier("ops", url + "/", TOKEN, "C1", poster=Poster(timeout, lambda: NOW), pace=0)


def pagerduty(url: str, timeout: float = 60.0) -> PagerDutyNotifier:
    return PagerDutyNotifier("ops", TOKEN, url, poster=Poster(timeout, lambda: NOW))


def task(kind: type[TaskNotifier]) -> Callable[[str, float], Notifier]:
    def make(url: str, timeout: float = 60.0) -> Notifier:
        poster = Poster(timeout, lambda: NOW)
        return kind("ops", TOKEN, "place1", "{title}", "{text}", url=url, key=SECRET, poster=poster)

    return make


def teams(url: str, timeout: float = 60.0) -> TeamsNotifier:
    return TeamsNotifier("ops", f"{url}?sig={TOKEN}", poster=Poster(timeout, lambda: NOW), pace=0)


def google_chat(url: str, timeout: float = 60.0) -> GoogleChatNotifier:
    return GoogleChatNotifier("ops", f"{url}?key=k&token={TOKEN}", poster=Poster(timeout, lambda: NOW), pace=0)


def telegram(url: str, timeout: float = 60.0) -> TelegramNotifier:
    return TelegramNotifier("ops", TOKEN, "-100123", url=url, poster=Poster(timeout, lambda: NOW), pace=0)


def mattermost(url: str, timeout: float = 60.0) -> MattermostNotifier:
    return MattermostNotifier("ops", f"{url}/hooks/{TOKEN}", poster=Poster(timeout, lambda: NOW), pace=0)


#: All that tell over HTTP, and what their receivers answer when all is well.
OVER_HTTP: dict[str, tuple[Callable[[str, float], Notifier], bytes]] = {
    "http": (http, b"whatever"),
    "slack": (slack, b"ok"),
    "slack bot": (bot, b'{"ok":true,"ts":"1.2"}'),
    "teams": (teams, b""),
    "google_chat": (google_chat, b'{"name":"spaces/A/messages/1"}'),
    "telegram": (telegram, b'{"ok":true,"result":{"message_id":1}}'),
    "mattermost": (mattermost, b"ok"),
    "pagerduty": (pagerduty, b'{"status":"success","dedup_key":"i1"}'),
    "trello": (task(TrelloNotifier), b'{"id":"5abbe4b7ddc1b351ef961414"}'),
    "asana": (task(AsanaNotifier), b'{"data":{"gid":"12345"}}'),
    "monday": (task(MondayNotifier), b'{"data":{"create_item":{"id":"77"},"create_update":{"id":"78"}}}'),
}


def leaks(text: str) -> bool:
    return any(secret in text for secret in (TOKEN, SECRET, SECRET.removeprefix("whsec_"), "0123456789abcdef"))


async def attempt(notifier: Notifier, caplog: pytest.LogCaptureFixture) -> Outcome:
    caplog.set_level(logging.DEBUG)
    try:
        outcome = await notifier.send(delivery())
    finally:
        await notifier.close()
    for text in (repr(outcome), repr(notifier), caplog.text):
        assert not leaks(text), text
    return outcome


def answer(status: int, **headers: str) -> web.Response:
    return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


IN_90_S = format_datetime(datetime.fromtimestamp(NOW / 1000 + 90, UTC), usegmt=True)

#: What the receiver does → the outcome's kind, a part of its reason, and the wait that it asked for.
TABLE: list[tuple[str, web.Response | dict[str, Any] | bytes | None, type[Outcome], str, int | None]] = [
    ("200", answer(200), Sent, "", None),
    ("202", answer(202), Sent, "", None),
    ("204", answer(204), Sent, "", None),
    ("302", answer(302, Location="http://127.0.0.1:9/"), Rejected, "HTTP 302: a redirect", None),
    ("400", answer(400), Rejected, "HTTP 400", None),
    ("401", answer(401), Rejected, "HTTP 401", None),
    ("403", answer(403), Rejected, "HTTP 403", None),
    ("404", answer(404), Rejected, "HTTP 404", None),
    ("408", answer(408), Retry, "HTTP 408", None),
    ("410", answer(410), Rejected, "HTTP 410", None),
    ("429", answer(429), Retry, "HTTP 429", None),
    ("429 with seconds", answer(429, Retry_After="30"), Retry, "HTTP 429", 30_000),
    ("429 with a fraction", answer(429, Retry_After="1.5"), Retry, "HTTP 429", 1_500),
    ("429 with a date", answer(429, Retry_After=IN_90_S), Retry, "HTTP 429", 90_000),
    ("429 with nonsense", answer(429, Retry_After="soon"), Retry, "HTTP 429", None),
    ("500", answer(500), Retry, "HTTP 500", None),
    ("503 with seconds", answer(503, Retry_After="7"), Retry, "HTTP 503", 7_000),
    ("hang", {"hang": True}, Retry, "no answer within 0.3 s", None),
    ("a body without an end", {"endless": True}, Sent, "", None),
    ("reset", None, Retry, "no proper answer", None),
    ("garbage", b"\x00\xff\x13garbage\r\n\r\n", Retry, "no proper answer", None),
    ("an empty answer", b"", Retry, "no proper answer", None),
    ("not a status", b"HTTP/1.1 abc OK\r\n\r\n", Retry, "no proper answer", None),
]


@pytest.mark.parametrize("notifier", OVER_HTTP)
@pytest.mark.parametrize(("behaviour", "kind", "reason", "after"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
async def test_http_contract(
    behaviour: web.Response | dict[str, Any] | bytes | None,
    kind: type[Outcome],
    reason: str,
    after: int | None,
    notifier: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make, well = OVER_HTTP[notifier]
    if behaviour == {"endless": True} and notifier != "http":
        kind, reason = Retry, "no answer within"  # here the body is part of the answer
    if isinstance(behaviour, web.Response) and behaviour.status == 204 and notifier != "http":
        kind, reason = Retry, " as "
    if isinstance(behaviour, web.Response) and behaviour.status == 200 and notifier == "teams":
        kind, reason = Retry, " as "  # a workflow answers 202
    async with AsyncExitStack() as stack:
        if isinstance(behaviour, bytes) or behaviour is None:
            url = await stack.enter_async_context(raw(behaviour))
        elif isinstance(behaviour, dict):
            url = (await stack.enter_async_context(receiver(**behaviour))).url
        else:
            url = (await stack.enter_async_context(receiver(behaviour, body=well))).url
        outcome = await attempt(make(url, 0.3 if kind is Retry and isinstance(behaviour, dict) else 60.0), caplog)
    assert type(outcome) is kind
    if isinstance(outcome, Retry | Rejected):
        assert reason in outcome.reason
    if isinstance(outcome, Retry):
        assert outcome.after == after


@pytest.mark.parametrize("notifier", [name for name in OVER_HTTP if name != "http"])
@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<html>Access denied</html>",
        b'{"id":"../x"}',
        b'{"data":{"gid":[1]}}',
        b'{"data":null}',
        b"[]",
        b"null",
        b'{"ok":"yes"}',
        b'{"ok":false,"error":"A b"}',
    ],
)
async def test_a_proxy_that_answers_200_has_told_nobody(notifier: str, page: bytes, caplog: pytest.LogCaptureFixture) -> None:
    make, _ = OVER_HTTP[notifier]
    async with receiver(answer(200), body=page) as server:
        outcome = await attempt(make(server.url, 60.0), caplog)
    assert isinstance(outcome, Retry) and " as " in outcome.reason


@pytest.mark.parametrize("notifier", OVER_HTTP)
@pytest.mark.parametrize("status", [302, 410, 503])
async def test_no_secret_in_dead_letters_records_metrics_or_logs(
    notifier: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The whole way: the outbox, the shell, and what both write and count; the receiver says our secrets back to us."""
    caplog.set_level(logging.DEBUG)
    make, _ = OVER_HTTP[notifier]
    said = f"{TOKEN} {SECRET}".encode()
    async with receiver(answer(status, Location=f"http://127.0.0.1:9/{TOKEN}", X_Echo=TOKEN), body=said) as server:
        deliverer = Deliverer({"ops": make(server.url, 60.0)})
        fold = deliverer.spec().make(0)
        assert isinstance(fold, DeliverNotifications)
        vars(deliverer)["owned"] = lambda: fold
        fold.patience = 0 if status == 503 else fold.patience
        fold.fold(records("outbox", ALERT | {"type": "message", "receivers": ["ops"]}))
        fold.changes()
        fold.durable()
        async with asyncio.timeout(120):
            await deliverer.deliver(0, fold)
        await deliverer.close()
    changes = fold.changes()
    topics = [output.topic for output in changes.outputs]
    assert sorted(topics) == ["alerts", "dead-letters"]
    metrics = Metrics()
    metrics.show_notifications(lambda: deliverer.outcomes)
    metrics.show_outbox(deliverer.waiting, deliverer.ages, deliverer.failing)
    page, _ = await metrics.scrape("")
    assert b'vigie_receiver_failing_seconds{receiver="ops"}' in page
    written = b"".join((output.value or b"") + output.key for output in changes.outputs)
    letter = decode(next(output.value or b"" for output in changes.outputs if output.topic == "dead-letters"))
    rows = b"".join(row.key + (row.value or b"") for row in changes.rows)
    for text in (written, letter.value or b"", letter.detail.encode(), rows, page, caplog.text.encode()):
        assert not leaks(text.decode()), text


@pytest.mark.parametrize("notifier", OVER_HTTP)
async def test_a_slow_body_ends_with_the_attempts_time(notifier: str, caplog: pytest.LogCaptureFixture) -> None:
    """A byte now and then: each comes in time, the answer never ends."""
    make, _ = OVER_HTTP[notifier]
    async with receiver(drips=0.05) as server:
        outcome = await attempt(make(server.url, 60.0 if notifier == "http" else 0.4), caplog)
    # Where the status is the answer, its body is not waited for.
    assert outcome == (Sent() if notifier == "http" else Retry("no answer within 0.4 s"))


async def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert isinstance(await attempt(http(f"http://127.0.0.1:{port}/"), caplog), Retry)


async def test_an_unknown_host(caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(await attempt(http(f"http://{TOKEN}.invalid/"), caplog), Retry)


async def test_what_is_posted() -> None:
    async with receiver(answer(503), answer(200)) as server:
        notifier = http(server.url)
        await notifier.send(delivery())
        await notifier.send(delivery())
        await notifier.close()
    first, second = server.received
    assert first.path == f"/hook?token={TOKEN}"
    assert first.headers["content-type"] == "application/json"
    assert first.headers["webhook-id"] == first.headers["idempotency-key"] == "msg_1"
    assert first.headers["webhook-timestamp"] == str(NOW // 1000)
    # Reckoned as the Standard Webhooks specification words it, not as our code does.
    signed = b"msg_1." + str(NOW // 1000).encode() + b"." + first.body
    expected = base64.b64encode(hmac.new(base64.b64decode(SECRET[6:]), signed, hashlib.sha256).digest()).decode()
    assert first.headers["webhook-signature"] == f"v1,{expected}"
    assert (second.headers["webhook-id"], second.body) == ("msg_1", first.body)
    body = json.loads(first.body)
    assert (body["type"], body["timestamp"]) == ("alert.fired", "2026-01-01T00:30:00Z")
    assert body["data"] == {name: value for name, value in ALERT.items() if name != "type"}


def test_the_signature_of_the_reference_implementations() -> None:
    # The vector that the Standard Webhooks libraries test themselves with.
    key = decode_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert key is not None
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_without_a_secret_nothing_is_signed() -> None:
    async with receiver() as server:
        notifier = HttpNotifier("ops", server.url)
        assert await notifier.send(delivery()) == Sent()
        await notifier.close()
    assert "webhook-signature" not in server.received[0].headers


async def test_a_redirect_is_not_followed() -> None:
    async with receiver() as elsewhere, receiver(answer(307, Location=elsewhere.url)) as server:
        notifier = http(server.url)
        assert isinstance(await notifier.send(delivery()), Rejected)
        await notifier.close()
    assert elsewhere.received == []


async def test_the_console_writes_one_json_line() -> None:
    out = io.StringIO()
    notifier = ConsoleNotifier("console", out)
    assert await notifier.send(delivery()) == Sent()
    assert out.getvalue().count("\n") == 1
    line = json.loads(out.getvalue())
    assert (line["event"], line["level"], line["id"]) == ("alert_fired", "error", "msg_1")
    assert line["title"] == "[CRITICAL] Win rate · source=web: 10 %"
    out.close()
    assert isinstance(await notifier.send(delivery()), Retry)


async def test_the_console_is_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert await build(having({"name": "c", "type": "console"}))["c"].send(delivery()) == Sent()
    captured = capsys.readouterr()
    assert captured.out == "" and "alert_fired" in captured.err


def test_every_kind_has_a_name_of_its_own_and_the_contract_of_those_over_http() -> None:
    assert len(kinds()) >= len(BUILT_IN) and "" not in kinds()
    assert {type_of(kind) for kind in BUILT_IN} == {name.partition(" ")[0] for name in OVER_HTTP} | {
        "console",
        "email",
        "apprise",
    }


def test_all_problems_of_the_receivers_at_once_and_no_secret() -> None:
    receivers: list[dict[str, Any]] = [
        {"name": "a", "type": "http", "url": f"ftp://{TOKEN}/"},
        {"name": "b", "type": "http", "url": "https://example.com/", "secret": TOKEN},
        {"name": "c", "type": "console"},
        {"name": "c", "type": "console"},
        {"name": "d", "type": "http", "url": f"http://[{TOKEN}/"},
        {"name": "e", "type": "htp", "url": TOKEN},
        {"name": "f", "type": "pagerduty", "routing_kye": TOKEN},
        {"name": "g", "type": "slack", "token": TOKEN},
    ]
    with pytest.raises(ReceiverError) as error:
        build(having(*receivers))
    assert [problem.split(" (")[0] for problem in error.value.problems] == [
        "receivers.0.url: not a URL",
        "receivers.1.secret: cannot be used",
        "receivers.3.name: is there twice",
        "receivers.4.url: not a URL",
        "receivers.5.type: there is no such type",
        "receivers.6.routing_key: type pagerduty needs it",
        "receivers.6.routing_kye: there is no such setting",
        "receivers.7: a bot's token needs channel",
    ]
    assert '(did you mean "http"?)' in str(error.value) and '(did you mean "routing_key"?)' in str(error.value)
    assert not leaks(str(error.value))


@pytest.mark.parametrize("text", ["", "abc", "whsec_", "whsec_!!", "whsec_" + base64.b64encode(b"short").decode(), SECRET[6:]])
def test_what_is_no_secret(text: str) -> None:
    assert decode_secret(text) is None


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(None, None), ("0", 0), ("-5", 0), ("1e9", 3_600_000), ("inf", 3_600_000), ("nan", None), ("", None),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("Wed, 99 Oct 2015 07:28:00 GMT", None)],
)  # fmt: skip
def test_retry_after(asked: str | None, wait: int | None) -> None:
    assert retry_after(asked, NOW) == wait


@pytest.mark.parametrize(
    ("status", "kind"), [(100, Rejected), (201, Sent), (299, Sent), (399, Rejected), (418, Rejected), (425, Retry), (599, Retry)]
)
def test_every_status_has_an_outcome(status: int, kind: type[Outcome]) -> None:
    assert type(decide(status, None, NOW)) is kind
