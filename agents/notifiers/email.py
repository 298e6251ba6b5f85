"""How is an alert told by e-mail? Text and HTML over SMTP, one thread an incident.

``Message-ID`` is the idempotency key, so that a mail sent twice is recognised as one; ``In-Reply-To`` and ``References`` name
the incident's root, and the subject stays the same while the incident lasts: that is what mail programs make threads of.
RFC 3834: ``Auto-Submitted`` tells other machines not to answer. What people wrote cannot become a header: line breaks and
other control characters become blanks.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from html import escape
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from agents.notifiers import mail_headers as headers
from agents.notifiers.base import ReceiverSettings
from agents.notifiers.picture import COLOURS, GREY, colour_of, png
from agents.notifiers.post import TIMEOUT
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.outcome import Outcome, Rejected, Retry, Sent
from alert_rules.words.course import BARS
from alert_rules.words.parts import Letter, LetterItem, Line

log = logging.getLogger(__name__)

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SUBJECT = 200
#: How the HTML part calls the picture that comes with it.
_PICTURE = "course@vigie.invalid"
#: Alerts of a group up to so many are told with all that is said of them, more as a table.
_SPACIOUS = 5
#: What a fact is of has a column of its own up to this length.
_LABEL = 30


def _address(text: str) -> str:
    if _CONTROL.search(text) or not _ADDRESS.fullmatch(parseaddr(text)[1]):
        raise ValueError("not an address (accepted: such as Vigie <vigie@example.com>)")
    return text


Address = Annotated[str, AfterValidator(_address)]


class EmailSettings(ReceiverSettings):
    """Mail over an SMTP server of yours, one thread an incident."""

    type: Literal["email"]
    host: str = Field(min_length=1)
    """the SMTP server"""
    sender: Address
    """whom it is from"""
    to: list[Address] = Field(min_length=1)
    """whom it goes to"""
    port: int | None = Field(None, ge=1, le=65535)
    """587 with starttls, 465 with tls, 25 without"""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """how it is encrypted"""
    username: str = ""
    """where the server asks for a login"""
    password: SecretStr | None = None
    """the login's"""

    EXAMPLE: ClassVar = (
        '{name: manager, type: email, host: smtp.example.com, sender: "Vigie <vigie@example.com>", to: [boss@example.com], '
        "username: vigie, password: …}"
    )

    @model_validator(mode="after")
    def _encrypted(self) -> "EmailSettings":
        if self.password and self.tls == "none" and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("a password is not sent without TLS (accepted: tls: starttls or tls)")
        return self

    def notifier(self) -> "EmailNotifier":
        """Return what sends the mails."""
        password = "" if self.password is None else self.password.get_secret_value()
        return EmailNotifier(
            self.name, self.host, self.sender, self.to, port=self.port, tls=self.tls, username=self.username, password=password
        )


class EmailNotifier:
    """Sends mails over one SMTP server; each attempt is a connection of its own. ``timeout`` in seconds."""

    follows = False

    def __init__(
        self,
        name: str,
        host: str,
        sender: str,
        to: Sequence[str],
        *,
        port: int | None = None,
        tls: str = "starttls",
        username: str = "",
        password: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        self.name = name
        self._host = host
        self._port = port or _PORTS[tls]
        self._tls = tls
        self._username = username
        self._password = password
        self._sender = sender
        self._to = tuple(to)
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"EmailNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt. A mail that some of the addresses were refused for is sent: the others have it, the log says so."""
        import aiosmtplib  # with the first attempt: every command reads the receivers' settings, and few tell anybody

        mail = await asyncio.to_thread(compose, delivery, self._sender, self._to)  # a picture takes some 20 ms
        try:
            refused, _ = await aiosmtplib.send(
                mail.as_bytes(),
                sender=parseaddr(self._sender)[1],
                recipients=[parseaddr(text)[1] for text in self._to],
                hostname=self._host,
                port=self._port,
                username=self._username or None,
                password=self._password or None,
                use_tls=self._tls == "tls",
                start_tls=self._tls == "starttls",
                timeout=self._timeout,
            )
        # A server's words may hold what it was sent, and what it was sent are secrets: only its code is told.
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [one.code for one in error.recipients]
            return _coded(min(codes), f"all of the {len(codes)} addresses were refused")
        except aiosmtplib.SMTPResponseException as error:
            return _coded(error.code, "refused")
        except (aiosmtplib.SMTPTimeoutError, TimeoutError):
            return Retry(f"no answer within {self._timeout:g} s")
        except aiosmtplib.SMTPNotSupported:
            return Rejected("the server does not offer what the settings ask for (TLS, a login)")
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            if type(error) is aiosmtplib.SMTPException and "STARTTLS" in str(error):
                return Rejected("the server does not offer STARTTLS")
            return Retry(f"no proper answer ({type(error).__name__})")
        if refused:
            log.warning("receiver %s: %d of %d addresses were refused", self.name, len(refused), len(self._to))
        return Sent()

    async def close(self) -> None:
        """Hold nothing, let go of nothing."""


def _coded(code: int, what: str) -> Outcome:
    return Rejected(f"{what}: SMTP {code}") if 500 <= code < 600 else Retry(f"{what}: SMTP {code}")


def compose(delivery: Delivery, sender: str, to: Sequence[str]) -> EmailMessage:
    """Return the mail: the same bytes at every attempt."""
    message, letter = delivery.message, delivery.letter
    domain = parseaddr(sender)[1].partition("@")[2] or "vigie.invalid"
    root = f"<{_token(delivery.incident)}.{_token(delivery.receiver)}@{domain}>"
    mail = EmailMessage(policy=headers.POLICY)
    mail["From"] = headers.addresses([_named(sender)], "From")
    mail["To"] = headers.addresses([_named(text) for text in to], "To")
    mail["Subject"] = headers.text(subject(letter), "Subject")
    mail["Date"] = format_datetime(datetime.fromtimestamp(delivery.created / 1000, UTC))
    mail["Message-ID"] = f"<{_token(delivery.id)}@{domain}>"
    mail["In-Reply-To"] = root
    mail["References"] = root
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    if message.severity == "critical" and message.kind != "resolved":
        mail["Importance"] = "high"
    words = delivery.reader.words
    links = "".join(f"{words.button(action.name)}: {action.url}\n" for action in delivery.actions)
    mail.set_content(f"{letter.title}\n\n{letter.text}\n\n{links}{_footer(delivery)}\n")
    mail.add_alternative(html(delivery), subtype="html")
    boundary = f"=_{_token(delivery.id)}"
    if letter.course is not None:
        shown = list(mail.iter_parts())[1]
        assert isinstance(shown, EmailMessage)
        shown.add_related(png(letter.course, colour_of(message)), "image", "png", cid=f"<{_PICTURE}>", disposition="inline")
        shown.set_boundary(f"{boundary}-related")
    mail.set_boundary(boundary)
    return mail


def _named(text: str) -> tuple[str, str]:
    name, address = parseaddr(text)
    return clean(name), address


def _token(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)[:100] or "none"


def clean(text: str, limit: int = _SUBJECT) -> str:
    """Return a text that is safe in a header: one line, no control characters, at most ``limit`` characters."""
    one = " ".join(_CONTROL.sub(" ", text).split())
    return one if len(one) <= limit else one[: limit - 1] + "…"


def subject(letter: Letter) -> str:
    """Return the subject: what it is about, without what changes during the incident, so that its mails stay one thread."""
    return clean(letter.subject) or "Alert"


def _drawn(line: Line) -> bool:
    """Whether a line is the course as a row of bars, for those who see no picture."""
    return bool(line.text) and set(line.text) <= set(BARS + " ")


def _footer(delivery: Delivery) -> str:
    why_now = delivery.letter.why_now or delivery.message.why_now or ""
    return delivery.reader.words.footer(str(delivery.message.incident), why_now)


def html(delivery: Delivery) -> str:
    """Return the HTML part: no script, nothing from elsewhere, one picture at most, which comes with it.

    It fits 320 pixels and is not wider than 600.
    """
    message, letter = delivery.message, delivery.letter
    colour = colour_of(message)
    picture = ""
    if letter.course is not None:
        said = escape(letter.course_words)
        picture = (
            f'<tr><td style="padding:4px 20px"><img src="cid:{_PICTURE}" width="560" alt="{said}" '
            'style="display:block;width:100%;height:auto;border:0">'
            f'<span style="font-size:12px;color:{GREY}">{said}</span></td></tr>'
        )
    if letter.many:
        rows = "".join(map(_item if len(letter.items) <= _SPACIOUS else _entry, letter.items)) + _rest(delivery)
    else:
        facts = [line for line in letter.facts if letter.course is None or not _drawn(line)]
        rows = "".join(map(_row, facts)) + _line(letter.behind_heading) + "".join(map(_numbered, letter.behind))
    title = letter.title
    lead = escape(letter.lead).replace("\n", "<br>")
    page = (
        f'<!doctype html><html lang="{delivery.reader.words.language.code}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(clean(title))}</title></head>"
        '<body style="margin:0;padding:0;background:#f6f8fa;color:#1f2328;'
        'font:16px/1.45 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center" style="padding:16px">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
        f'style="max-width:600px;background:#ffffff;border:1px solid #d0d7de;border-top:6px solid {colour};text-align:left">'
        f'<tr><td style="padding:20px 20px 4px"><h1 style="margin:0;font-size:19px;line-height:1.3;color:{colour};'
        f'overflow-wrap:anywhere">{escape(title)}</h1></td></tr>'
        f'<tr><td style="padding:8px 20px;overflow-wrap:anywhere">{lead}</td></tr>{picture}'
        '<tr><td style="padding:4px 20px 16px"><table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
        f'style="font-size:14px">{rows}</table></td></tr>{_buttons(delivery, colour)}'
        '<tr><td style="padding:12px 20px;border-top:1px solid #d0d7de;color:#57606a;font-size:12px;overflow-wrap:anywhere">'
        f"{escape(_footer(delivery))}</td></tr></table></td></tr></table></body></html>\n"
    )
    return page.replace(" %", "\u00a0%")  # a line never begins with the sign


def _item(item: LetterItem) -> str:
    """Return the row of one alert of a group: its title, a link to its page where the settings know it, what it says and why."""
    colour, shown = COLOURS.get(item.level, GREY), escape(item.title)
    if item.url.startswith(("http://", "https://")):
        shown = f'<a href="{escape(item.url)}" style="color:{colour}">{shown}</a>'
    grey = f'<br><span style="color:{GREY}">{escape(item.why)}</span>' if item.why else ""
    return (
        f'<tr><td colspan="2" style="padding:8px 0 8px 10px;border-left:3px solid {colour};'
        f'overflow-wrap:anywhere"><strong style="color:{colour}">{shown}</strong><br>{escape(item.text)}{grey}</td></tr>'
        '<tr><td colspan="2" style="height:8px;line-height:8px">&nbsp;</td></tr>'
    )


def _entry(item: LetterItem) -> str:
    """Return one alert of a group of many as a row of a table: its title, and what it says beside it."""
    colour, shown = COLOURS.get(item.level, GREY), escape(item.title)
    if item.url.startswith(("http://", "https://")):
        shown = f'<a href="{escape(item.url)}" style="color:{colour}">{shown}</a>'
    cell = "padding:7px 0 7px 10px;border-bottom:1px solid #d0d7de;vertical-align:top;overflow-wrap:anywhere"
    return (
        f'<tr><td style="{cell};border-left:3px solid {colour};width:42%"><strong style="color:{colour}">{shown}</strong></td>'
        f'<td style="{cell}">{escape(item.text)}</td></tr>'
    )


def _rest(delivery: Delivery) -> str:
    """Return what is said of those that are not told: a link to the page that has them all, where one is known."""
    said = delivery.letter.rest
    url = next((action.url for action in delivery.actions if action.name == "open"), "")
    return _wide(_link(url, said)) if said and url else _line(said)


def _line(text: str) -> str:
    return _wide(escape(text)) if text else ""


def _wide(shown: str) -> str:
    return f'<tr><td colspan="2" style="padding:6px 0;overflow-wrap:anywhere">{shown}</td></tr>'


def _link(url: str, text: str) -> str:
    return f'<a href="{escape(url)}" style="color:#0969da">{escape(text)}</a>'


def _numbered(line: Line) -> str:
    """Return a deal or lead behind the alert: its place, and what it is, a link to its page where the settings know it."""
    if not line.url.startswith(("http://", "https://")):
        return _line(line.text)
    place, blank, text = line.text.partition(" ")
    return _wide(f"{escape(place + blank)}{_link(line.url, text)}")


def _row(line: Line) -> str:
    """Return a fact as a row: what it is of, and its words."""
    if not line.label or len(line.label) >= _LABEL:
        return _line(line.plain)
    shown = _link(line.url, line.text) if line.url else escape(line.text)
    return (
        f'<tr><td style="padding:6px 12px 6px 0;color:{GREY};vertical-align:top;white-space:nowrap">'
        f'{escape(line.label)}</td><td style="padding:6px 0;vertical-align:top;overflow-wrap:anywhere">{shown}</td></tr>'
    )


def _buttons(delivery: Delivery, colour: str) -> str:
    """Return the row of what the reader may do: links that look like buttons, one below the other where it is narrow."""
    words, actions = delivery.reader.words, delivery.actions
    if not actions:
        return ""
    shown = "".join(
        f'<a href="{escape(action.url)}" style="display:inline-block;margin:0 8px 8px 0;padding:10px 16px;'
        f"border:1px solid {colour};border-radius:6px;text-decoration:none;font-weight:600;"
        f'{f"background:{colour};color:#ffffff" if n == 0 else f"background:#ffffff;color:{colour}"}">'
        f"{escape(words.button(action.name))}</a>"
        for n, action in enumerate(actions)
    )
    return f'<tr><td style="padding:4px 20px 12px;font-size:15px">{shown}</td></tr>'
