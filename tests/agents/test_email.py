"""Mails, through a real SMTP server."""

import asyncio
import base64
import email
import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.notifiers import ReceiverError, build
from agents.notifiers.email import _PICTURE, EmailNotifier, compose, html, subject
from agents.notifiers.picture import png
from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.tell.delivery import Action, Delivery
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent
from alert_rules.tell.signed_links import LinkKey, Links
from alert_rules.words.course import bars
from alert_rules.words.reader import Reader
from tests.agents.doubles import ALERT, about, delivery, having
from tests.alert_rules.readings import reading, records, rule
from tests.browser import browser
from tests.tools import program

PASSWORD = "t0psecret-mail"
SENDER = "Vigie <vigie@example.com>"


@dataclass
class Post:
    """What a real mail server took, and how it is to behave."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    rcpt: dict[str, str] = field(default_factory=dict)
    data: str = "250 OK"
    hang: bool = False

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        answer = self.rcpt.get(address, "250 OK")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.hang:
            await asyncio.sleep(60)
        assert isinstance(envelope.content, bytes)
        if self.data.startswith("2"):
            self.bodies.append(envelope.content)
            self.mails.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return self.data


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@asynccontextmanager
async def post(auth: bool = False, **behaviour: Any) -> AsyncIterator[Post]:
    handler = Post(**behaviour)
    more: dict[str, Any] = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False} if auth else {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, hostname="mail.example.com", loop=loop, **more), "127.0.0.1", 0)
    handler.port = server.sockets[0].getsockname()[1]
    try:
        yield handler
    finally:
        server.close()
        await asyncio.sleep(0)


def mailer(port: int, **more: Any) -> EmailNotifier:
    more = {"tls": "none", "timeout": 5.0, **more}
    return EmailNotifier("boss", "127.0.0.1", SENDER, ["Ann <ann@example.com>", "bob@example.com"], port=port, **more)


def first(**changes: Any) -> Delivery:
    one = delivery("boss")
    return replace(one, created=1_795_262_400_000, alert=ALERT | {"why_now": "first notification"} | changes)


async def test_a_thread_of_mails() -> None:
    async with post() as server:
        notifier = mailer(server.port)
        resolved = replace(
            first(kind="resolved", message={"title": "[RESOLVED] Win rate · source=web: 40 %", "text": "up"}), id="msg_2"
        )
        for one in (first(), first(), resolved):
            assert await notifier.send(one) == Sent()
    mail, again, end = server.mails
    assert server.bodies[0] == server.bodies[1]
    assert mail["Message-ID"] == again["Message-ID"] == "<msg_1@example.com>" != end["Message-ID"]
    assert mail["References"] == mail["In-Reply-To"] == end["References"] == "<i1.boss@example.com>"
    assert mail["Subject"] == end["Subject"] == "Win rate · source=web"
    assert (mail["Auto-Submitted"], mail["X-Auto-Response-Suppress"]) == ("auto-generated", "All")
    assert mail["From"] == SENDER and mail["To"] == "Ann <ann@example.com>, bob@example.com"
    assert (mail["Importance"], end["Importance"]) == ("high", None)
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None and page is not None
    assert "Win rate from web is 10%" in text.get_content()
    assert "[CRITICAL] Win rate" in page.get_content()


REFUSALS: list[tuple[str, dict[str, Any], type[Outcome], str]] = [
    ("the mailbox is full", {"data": f"552 5.2.2 quota {PASSWORD}"}, Rejected, "SMTP 552"),
    ("one mailbox is full", {"rcpt": {"ann@example.com": "552 5.2.2 full"}}, Sent, ""),
    (
        "greylisted at the address",
        {"rcpt": {"ann@example.com": "451 4.7.1 later", "bob@example.com": "451 4.7.1 later"}},
        Retry,
        "SMTP 451",
    ),
    ("the account was revoked", {"data": "530 5.7.0 no"}, Rejected, "SMTP 530"),
    ("the service is closing", {"data": "421 4.3.2 closing"}, Retry, "SMTP 421"),
    ("mailbox full for now", {"data": "452 4.2.2 full"}, Retry, "SMTP 452"),
    ("greylisted", {"data": "451 later"}, Retry, "SMTP 451"),
    ("refused for ever", {"data": f"554 5.7.1 no {PASSWORD}"}, Rejected, "SMTP 554"),
    ("all unknown", {"rcpt": {"ann@example.com": "550 no", "bob@example.com": "550 no"}}, Rejected, "all of the 2 addresses"),
    ("one of all later", {"rcpt": {"ann@example.com": "450 no", "bob@example.com": "550 no"}}, Retry, "all of the 2 addresses"),
    ("one unknown", {"rcpt": {"ann@example.com": "550 no"}}, Sent, ""),
    ("hang", {"hang": True}, Retry, "no answer within 0.3 s"),
]


@pytest.mark.parametrize(("behaviour", "kind", "reason"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
async def test_refusals(behaviour: dict[str, Any], kind: type[Outcome], reason: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with post(**behaviour) as server:
        outcome = await mailer(server.port, timeout=0.3 if "hang" in behaviour else 60.0).send(first())
    assert type(outcome) is kind and reason in getattr(outcome, "reason", "")
    assert PASSWORD not in repr(outcome) + caplog.text


# aiosmtpd warns of a login without TLS (there is no certificate here), and of a name of its own.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("password", "kind"), [(PASSWORD, Sent), ("wrong", Rejected)])
async def test_login(password: str, kind: type[Outcome], caplog: pytest.LogCaptureFixture) -> None:
    async with post(auth=True) as server:
        notifier = mailer(server.port, username="vigie", password=password)
        outcome = await notifier.send(first())
    assert type(outcome) is kind, outcome
    assert password not in repr(outcome) + repr(notifier) + caplog.text


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(None, Retry), (b"", Retry), (b"\x00\xffgarbage\r\n", Retry), (b"554 go away\r\n", Rejected), (b"421 busy\r\n", Retry)],
)
async def test_what_is_no_mail_server(answer: bytes | None, kind: type[Outcome]) -> None:
    async with raw_smtp(answer) as port:
        assert type(await mailer(port, timeout=60.0).send(first())) is kind


@asynccontextmanager
async def raw_smtp(greeting: bytes | None) -> AsyncIterator[int]:
    """A socket that greets with these bytes, or resets the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if greeting is None:
            writer.transport.abort()
            return
        writer.write(greeting)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def test_without_the_tls_that_was_asked_for_nothing_is_sent() -> None:
    async with post() as server:
        outcome = await mailer(server.port, tls="starttls").send(first())
    assert isinstance(outcome, Rejected) and "TLS" in outcome.reason
    assert server.mails == []


NASTY = st.text(alphabet=st.sampled_from(list('ab: \r\n\t\x00\x0b\x0c\x1c\x85\u2028,;<>@"é日')), max_size=60)


@settings(max_examples=40, deadline=None)
@given(NASTY, NASTY, NASTY)
def test_nothing_that_people_wrote_becomes_a_header(title: str, incident: str, id_: str) -> None:
    alert = ALERT | {
        "message": {"title": f"{title}\r\nBcc: evil@example.com", "text": f"{title}\r\n.\r\nRCPT TO: x"},
        "rule": title,
    }
    mail = compose(replace(first(), id=id_, incident=incident, alert=alert), SENDER, ["ann@example.com"])
    parsed = email.message_from_bytes(mail.as_bytes(), policy=policy.default)
    assert sorted(parsed.keys()) == sorted(
        ["From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "X-Auto-Response-Suppress",
         "Importance", "MIME-Version", "Content-Type"]
    )  # fmt: skip
    assert parsed["To"] == "ann@example.com"


LABEL = st.text("abcdefghij0123456789-", min_size=1, max_size=60).filter(lambda label: label[0] != "-" != label[-1])
DOMAIN = st.lists(LABEL, min_size=1, max_size=4).map(".".join).filter(lambda domain: len(domain) < 250)
PERSON = st.text(alphabet=st.sampled_from(list("abcé日😀 =?_(),;:<>@\"\\.'")), max_size=80)


@settings(max_examples=300, deadline=None)
@given(st.text("abc-_ é/.", min_size=1, max_size=120), DOMAIN, PERSON, st.text(max_size=260))
def test_a_thread_holds_whatever_the_names_and_a_subject_arrives_as_it_left(
    name: str, domain: str, person: str, told: str
) -> None:
    alert = ALERT | {"message": {"title": "t", "about": told, "text": "x"}}
    one = replace(first(), receiver=name, alert=alert)
    person = " ".join(person.split())
    quoted = person.replace("\\", "\\\\").replace('"', '\\"')
    raw = compose(one, f'"{quoted}" <vigie@{domain}>', ["ann@example.com", f'"{quoted}" <bob@example.com>']).as_bytes()
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii")
    assert all(0 < len(line) <= 998 and line.strip() for line in head.split("\r\n"))
    assert "=?utf-8?q??=" not in head and "=?utf-8?b??=" not in head
    values = dict(line.split(": ", 1) for line in re.sub(r"\r\n(?=[ \t])", "", head).split("\r\n"))
    for header in ("Message-ID", "In-Reply-To", "References"):
        assert re.fullmatch(r"<[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+>", values[header]), header
    assert str(make_header(decode_header(values["Subject"]))) == subject(one.letter)
    parsed = email.message_from_bytes(raw, policy=policy.default)
    assert parsed["Subject"] == subject(one.letter)
    assert [one.addr_spec for one in parsed["To"].addresses] == ["ann@example.com", "bob@example.com"]
    assert parsed["From"].addresses[0].addr_spec == f"vigie@{domain}"


@pytest.mark.parametrize("length", [20, 60, 120])
def test_long_names_make_plain_message_ids(length: int) -> None:
    one = replace(first(), receiver="sales-managers-" * (length // 15))
    raw = compose(one, "Vigie <vigie@alerts.eu-west.example-holding.co.uk>", ["ann@example.com"]).as_bytes().decode()
    for header in ("Message-ID", "In-Reply-To", "References"):
        assert re.search(rf"(?m)^{header}: <[^<>\s=?]+@[^<>\s]+>\r$", raw), header


def test_what_can_be_done_is_in_both_parts_and_a_link_is_no_markup() -> None:
    actions = (
        Action("ack", "Acknowledge", 'https://v.example/act/k1.x"><script>', "t"),
        Action("open", "Open", "https://v.example/"),
    )
    mail = compose(replace(first(), actions=actions), SENDER, ["ann@example.com"])
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None and page is not None
    assert "Acknowledge: https://v.example/act/k1.x" in text.get_content() and "Open: https://v.example/" in text.get_content()
    shown = page.get_content()
    assert shown.count("<a href=") == 2 and "<script" not in shown and ">Acknowledge</a>" in shown


def test_what_is_behind_an_alert_is_a_link_with_its_name() -> None:
    nasty = '1. D"1, <b>lost</b>: https://crm.example.com/deal/1?a=1&b="x'
    page = html(about(ALERT | {"message": {"title": "t", "text": f"x\n\nBehind it:\n{nasty}\n2. D2, lost: javascript:alert(1)"}}))
    assert (
        '1. <a href="https://crm.example.com/deal/1?a=1&amp;b=&quot;x"' in page
        and ">D&quot;1, &lt;b&gt;lost&lt;/b&gt;</a>" in page
    )
    assert page.count("<a ") == 1


def test_html_is_escaped_and_asks_for_nothing_from_elsewhere() -> None:
    page = html(
        about(ALERT | {"message": {"title": "<script>1</script>", "text": 'x <img src="http://e.example/">\n\nWhy: <b>'}})
    )
    assert "<script" not in page and "<img" not in page and "&lt;b&gt;" in page


def test_subjects_of_groups_stay_the_same() -> None:
    group = ALERT | {"group": {"team": "sales"}, "alerts": [{}, {}], "message": {"title": "[2 WARN] a, b", "text": ""}}
    assert subject(about(group).letter) == "Alerts: team sales"
    assert subject(about(ALERT | {"message": {"title": "STILL [WARN → CRITICAL] NPS: -3", "text": ""}}).letter) == "NPS"


def test_addresses_are_checked_before_the_night() -> None:
    sound: dict[str, Any] = {"name": "m", "type": "email", "host": "mail", "sender": SENDER, "to": ["ann@example.com"]}
    assert set(build(having(sound))) == {"m"}
    addresses: list[dict[str, Any]] = [{"sender": "vigie"}, {"to": ["a@b\r\nBcc: c@d"]}, {"to": ["a b@c"]}]
    for wrong in addresses:
        with pytest.raises(ReceiverError, match="not an address"):
            build(having(sound | wrong))
    for wrong, says in (
        ({"tls": "none", "password": "x"}, "without TLS"),
        ({"to": []}, r"receivers.0.to: "),
        (
            {"url": "http://x"},
            r"receivers.0.url: does not go with type email \(accepted: name, type, timezone, language, host, sender, to",
        ),
        ({"host": ""}, r"receivers.0.host: "),
    ):
        with pytest.raises(ReceiverError, match=says):
            build(having(sound | wrong))


def explained() -> dict[str, Any]:
    """A real alert with all that can be in one: segments that moved it, the deals behind it, what would resolve it."""
    deals = [("Acme Industries, yearly renewal and onboarding", "lost"), ("D-1042", "lost"), ("D-1077", "lost")]
    web = {"segment": "web", "effect": -0.091, "rate": -0.07, "mix": -0.021}
    moved = [web, {"segment": "ads", "effect": -0.03, "rate": -0.03}, {"others": 4, "effect": 0.01}]
    because = {
        "previous": {"value": 0.22, "from": "2025-12-18T00:00:00Z", "at": "2025-12-25T00:00:00Z"},
        "change": -0.12,
        "course": [[f"2025-12-{19 + day}T00:00:00Z", 0.22 - day * day / 1200] for day in range(13)],
        "moved_by": [{"dimension": "owner", "segments": moved}],
        "behind": [{"id": id_, "entity": "deal", "what": what, "sender": "/crm"} for id_, what in deals],
    }
    fold = EvaluateAlerts([rule(**{"for": 0})], lambda kind, id_, sender: "https://crm.example.com/contacts/1/deal/9876543210")
    fold.fold(records("readings", orjson.loads(reading(0, 0.10).encode()) | {"because": because}))
    tree = orjson.loads(fold.changes().outputs[-1].value or b"")
    return dict(tree | {"why_now": "first notification", "group": {"incident": tree["incident"]}})


def seen(delivery: Delivery) -> str:
    """Return the HTML part as a mail program shows it: with the picture that comes with it."""
    found = delivery.letter.course
    shown = "" if found is None else f"data:image/png;base64,{base64.b64encode(png(found, '#b3261e')).decode()}"
    return html(delivery).replace(f"cid:{_PICTURE}", shown)


@pytest.mark.parametrize(
    ("language", "named", "said"),
    [("en", "Course: ", "from 22\u00a0% to 10\u00a0%"), ("fr", "Évolution\u00a0: ", "de 22\u00a0% à 10\u00a0%")],
)
def test_the_course_of_a_figure_comes_as_a_picture_and_as_bars(language: str, named: str, said: str) -> None:
    one = replace(about(explained()), reader=Reader(language, ZoneInfo("Europe/Paris")))
    mail = compose(one, SENDER, ["ann@example.com"])
    assert mail.as_bytes() == compose(one, SENDER, ["ann@example.com"]).as_bytes()
    (picture,) = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert picture["Content-ID"] == f"<{_PICTURE}>" and picture.get_content()[:8] == b"\x89PNG\r\n\x1a\n"
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None and page is not None and one.letter.course is not None
    assert named + bars(one.letter.course) in text.get_content()
    assert said in page.get_content() and "▇" not in page.get_content()


@pytest.mark.browser
async def test_it_looks_right_in_narrow_and_wide_windows(tmp_path: Path) -> None:
    program("chromium", "chromium-browser")  # skipped loudly without it, failed in CI
    links = Links((LinkKey("2026-11", b"k" * 32),), "https://vigie.example.com", 604_800_000)
    alert = explained()
    assert "Behind it:" in alert["message"]["text"] and "Moved by owner:" in alert["message"]["text"]
    # A word that cannot be broken must not widen the mail.
    alert["runbook"] = f"https://wiki.example.com/{'sales-' * 12}playbook"
    # VIGIE_IMAGES=docs/images keeps the pictures.
    kept = Path(os.environ.get("VIGIE_IMAGES") or tmp_path)
    page = tmp_path / "mail.html"
    page.write_text(seen(about(alert, links.actions(first(**alert)))))
    async with browser() as tab:
        for width in (360, 1200):
            await tab.open(page.as_uri(), width=width, height=900)
            assert await tab.run("document.documentElement.scrollWidth") <= width
            assert await tab.run("document.querySelector('h1').getBoundingClientRect().width") <= 600
            buttons = await tab.run(
                "[...document.querySelectorAll('a')].filter(a => a.href.includes('/act/')).map(a => a.offsetHeight)"
            )
            assert len(buttons) == 2 and min(buttons) >= 40, "a thumb has to hit them"
            await tab.picture(kept / f"mail-{width}.png")
            assert (kept / f"mail-{width}.png").stat().st_size > 5_000
        assert [url for url in tab.requests if not url.startswith(("file:", "data:"))] == []
