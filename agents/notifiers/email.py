"""How is an alert told by e-mail? Text and HTML over SMTP, one thread an incident.

``Message-ID`` is the idempotency key, so that a mail sent twice is recognised as one; ``In-Reply-To`` and ``References`` name
the incident's root, and the subject stays the same while the incident lasts: that is what mail programs make threads of.
RFC 3834: ``Auto-Submitted`` tells other machines not to answer. What people wrote cannot become a header: line breaks and
other control characters become blanks.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from html import escape
from typing import Any

import aiosmtplib

from agents.notifiers import mail_headers as headers
from agents.notifiers.base import ReceiverError
from agents.notifiers.post import TIMEOUT
from alert_rules.delivery import Action, Delivery
from alert_rules.note import TOLD, is_many, item_title
from alert_rules.outcome import Outcome, Rejected, Retry, Sent
from stream.config.settings import ReceiverSettings

log = logging.getLogger(__name__)

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_STAMP = re.compile(r"^(?:STILL |ESCALATED |ACKNOWLEDGED |NO LONGER ACKNOWLEDGED )?\[[^\]]*\] ")
_VALUE = re.compile(r": [^:]*$")
#: A deal or lead behind the alert: its place, what it is, and where it is found.
_NUMBERED = re.compile(r"(\d+\. )(.+): (https?://\S+)")
_COLOURS = {"critical": "#b3261e", "warn": "#9a6700", "resolved": "#1a7f37"}
_SUBJECT = 200


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

    @classmethod
    def from_settings(cls, settings: ReceiverSettings) -> "EmailNotifier":
        """Return the notifier of a receiver of type ``email``; raise :class:`ReceiverError` with all addresses that are none."""
        problems = [
            f"receivers: {settings.name}: {field}: not an address: {text!r} (accepted: such as Vigie <vigie@example.com>)"
            for field, texts in (("sender", [settings.sender]), ("to", settings.to))
            for text in texts
            if _CONTROL.search(text) or not _ADDRESS.fullmatch(parseaddr(text)[1])
        ]
        if problems:
            raise ReceiverError(problems)
        return cls(
            settings.name,
            settings.host,
            settings.sender,
            settings.to,
            port=settings.port,
            tls=settings.tls,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password is not None else "",
        )

    def __repr__(self) -> str:
        return f"EmailNotifier({self.name!r})"

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one attempt. A mail that some of the addresses were refused for is sent: the others have it, the log says so."""
        mail = compose(delivery, self._sender, self._to)
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
    alert = delivery.alert
    domain = parseaddr(sender)[1].partition("@")[2] or "vigie.invalid"
    root = f"<{_token(delivery.incident)}.{_token(delivery.receiver)}@{domain}>"
    mail = EmailMessage(policy=headers.POLICY)
    mail["From"] = headers.addresses([_named(sender)], "From")
    mail["To"] = headers.addresses([_named(text) for text in to], "To")
    mail["Subject"] = headers.text(subject(alert), "Subject")
    mail["Date"] = format_datetime(_moment(alert, delivery.created))
    mail["Message-ID"] = f"<{_token(delivery.id)}@{domain}>"
    mail["In-Reply-To"] = root
    mail["References"] = root
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    if alert.get("severity") == "critical" and alert.get("kind") != "resolved":
        mail["Importance"] = "high"
    words = alert.get("message") or {}
    title, text = str(words.get("title") or alert.get("rule")), str(words.get("text") or "")
    links = "".join(f"{action.text}: {action.url}\n" for action in delivery.actions)
    mail.set_content(f"{title}\n\n{text}\n\n{links}{_footer(alert)}\n")
    mail.add_alternative(html(alert, delivery.actions), subtype="html")
    boundary = f"=_{_token(delivery.id)}"
    mail.set_boundary(boundary)
    return mail


def _named(text: str) -> tuple[str, str]:
    name, address = parseaddr(text)
    return clean(name), address


def _token(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)[:100] or "none"


def _moment(alert: Mapping[str, Any], created: int) -> datetime:
    return datetime.fromtimestamp(created / 1000, UTC)


def clean(text: str, limit: int = _SUBJECT) -> str:
    """Return a text that is safe in a header: one line, no control characters, at most ``limit`` characters."""
    one = " ".join(_CONTROL.sub(" ", text).split())
    return one if len(one) <= limit else one[: limit - 1] + "…"


def subject(alert: Mapping[str, Any]) -> str:
    """Return the subject: what it is about, without what changes during the incident, so that its mails stay one thread."""
    group, words = alert.get("group") or {}, alert.get("message") or {}
    if alert.get("kind") == "digest":
        return clean(str(words.get("title") or "Summary"))
    if words.get("about"):
        return clean(str(words["about"]))
    # Of a message that was written before its parts were.
    if alert.get("more") or len(alert.get("alerts") or ()) > 1 or (group and set(group) != {"incident"}):
        place = ", ".join(f"{name} {value}" for name, value in group.items() if value)
        return clean(f"Alerts: {place}" if place else "Alerts")
    title = str(words.get("title") or alert.get("rule"))
    return clean(_VALUE.sub("", _STAMP.sub("", title)) or "Alert")


def _footer(alert: Mapping[str, Any]) -> str:
    why = f" · {alert['why_now']}" if alert.get("why_now") else ""
    return f"Incident {alert.get('incident')}{why} · sent by Vigie"


def html(alert: Mapping[str, Any], actions: Sequence[Action] = ()) -> str:
    """Return the HTML part: no picture, no script, nothing from elsewhere; it fits 320 pixels and is not wider than 600."""
    words = alert.get("message") or {}
    title, text = str(words.get("title") or alert.get("rule")), str(words.get("text") or "")
    state = "resolved" if alert.get("kind") == "resolved" else str(alert.get("severity"))
    colour = _COLOURS.get(state, "#57606a")
    first, _, rest = text.partition("\n\n")
    items = (alert.get("alerts") or ())[:TOLD] if is_many(alert) else ()
    more = text.rpartition("\n")[2] if items else ""
    rows = "".join(map(_item, items)) + _line(more if more.startswith("and ") else "") if items else ""
    rows = rows or "".join(map(_row, filter(None, rest.splitlines())))
    lead = escape(first).replace("\n", "<br>")
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(clean(title))}</title></head>"
        '<body style="margin:0;padding:0;background:#f6f8fa;color:#1f2328;'
        'font:16px/1.45 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center" style="padding:16px">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
        f'style="max-width:600px;background:#ffffff;border:1px solid #d0d7de;border-top:6px solid {colour};text-align:left">'
        f'<tr><td style="padding:20px 20px 4px"><h1 style="margin:0;font-size:19px;line-height:1.3;color:{colour};'
        f'overflow-wrap:anywhere">{escape(title)}</h1></td></tr>'
        f'<tr><td style="padding:8px 20px;overflow-wrap:anywhere">{lead}</td></tr>'
        '<tr><td style="padding:4px 20px 16px"><table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
        f'style="font-size:14px">{rows}</table></td></tr>{_buttons(actions, colour)}'
        '<tr><td style="padding:12px 20px;border-top:1px solid #d0d7de;color:#57606a;font-size:12px;overflow-wrap:anywhere">'
        f"{escape(_footer(alert))}</td></tr></table></td></tr></table></body></html>\n"
    )
    return page.replace(" %", "\u00a0%")  # a line never begins with the sign


def _item(item: Mapping[str, Any]) -> str:
    """Return the row of one alert of a group: its title, a link to its page where the settings know it, what it says and why."""
    shown, colour, url = escape(item_title(item)), _COLOURS.get(_state(item), "#57606a"), str(item.get("url") or "")
    if url.startswith(("http://", "https://")):
        shown = f'<a href="{escape(url)}" style="color:{colour}">{shown}</a>'
    text = escape(str(item.get("text") or ""))
    grey = f'<br><span style="color:#57606a">Why: {escape(str(item["why"]))}</span>' if item.get("why") else ""
    return (
        f'<tr><td colspan="2" style="padding:8px 0 8px 10px;border-left:3px solid {colour};'
        f'overflow-wrap:anywhere"><strong style="color:{colour}">{shown}</strong><br>{text}{grey}</td></tr>'
        '<tr><td colspan="2" style="height:8px;line-height:8px">&nbsp;</td></tr>'
    )


def _state(item: Mapping[str, Any]) -> str:
    return "resolved" if item.get("state") == "resolved" else str(item.get("severity"))


def _line(line: str) -> str:
    return f'<tr><td colspan="2" style="padding:6px 0;overflow-wrap:anywhere">{escape(line)}</td></tr>' if line else ""


def _row(line: str) -> str:
    """Return a line of the text as a row: a label and what it says; what is behind the alert is a link with its name."""
    named = _NUMBERED.fullmatch(line)
    if named is not None:
        shown = f'{escape(named[1])}<a href="{escape(named[3])}" style="color:#0969da">{escape(named[2])}</a>'
        return f'<tr><td colspan="2" style="padding:6px 0;overflow-wrap:anywhere">{shown}</td></tr>'
    name, colon, value = line.partition(": ")
    if not colon or len(name) >= 30:
        return _line(line)
    link = value.startswith(("http://", "https://"))
    shown = f'<a href="{escape(value)}" style="color:#0969da">{escape(value)}</a>' if link else escape(value)
    return (
        '<tr><td style="padding:6px 12px 6px 0;color:#57606a;vertical-align:top;white-space:nowrap">'
        f'{escape(name)}</td><td style="padding:6px 0;vertical-align:top;overflow-wrap:anywhere">{shown}</td></tr>'
    )


def _buttons(actions: Sequence[Action], colour: str) -> str:
    """Return the row of what the reader may do: links that look like buttons, one below the other where it is narrow."""
    if not actions:
        return ""
    shown = "".join(
        f'<a href="{escape(action.url)}" style="display:inline-block;margin:0 8px 8px 0;padding:10px 16px;'
        f"border:1px solid {colour};border-radius:6px;text-decoration:none;font-weight:600;"
        f'{f"background:{colour};color:#ffffff" if n == 0 else f"background:#ffffff;color:{colour}"}">{escape(action.text)}</a>'
        for n, action in enumerate(actions)
    )
    return f'<tr><td style="padding:4px 20px 12px;font-size:15px">{shown}</td></tr>'
