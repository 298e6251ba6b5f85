"""Messages as people get them, for pictures: one alert, a group of 56, the morning's summary; as mails, and as Slack has them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import structs

from agents.notifiers.slack_blocks import render
from alert_rules.records.alerts import Transition
from alert_rules.records.message import MessageKind, Occasion
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.group_message import group_message
from alert_rules.tell.signed_links import LinkKey, Links
from alert_rules.tell.stages.dedup import Notice
from alert_rules.words.reader import Reader
from models.simulator.names import named
from tests.agents.doubles import about
from tests.agents.test_email import explained
from tests.alert_rules import corpus

LINKS = Links((LinkKey("pictures", b"k" * 32),), "https://vigie.example.com", 604_800_000)
#: The rule that comes with Vigie, in place of the tests' own.
SAID = {
    "rule_title": "Win rate low",
    "template": "Win rate from {source} is {value:.0%} ({numerator:d} of {denominator:closed deal|closed deals}), "
    "below {threshold:.0%}",
    "why_now": "",
    "runbook": "https://wiki.example.com/win-rate-drop",
}
OWNERS = ("Ann Petit", "Bruno Caron", "Chloé Martin", "Farid Haddad")
SOURCES = ("web", "ads", "partner")


def single() -> dict[str, Any]:
    """Return an alert on a KPI with all that can be in one."""
    alert = explained() | SAID
    alert["explanation"]["moved_by"][0] |= {"dimension": "campaign"}
    alert["explanation"]["moved_by"][0]["segments"][0]["segment"] = "spring-launch"
    return alert


def group(count: int = 56) -> dict[str, Any]:
    """Return the message about so many leads that nobody has answered, the last three of them new."""
    (first, *_) = (one for one in corpus.transitions() if (one["rule"], one["kind"]) == ("lead-unanswered", "fired"))
    alerts = [_waiting(first, number) for number in range(count)]
    news = {one.incident: "new" for one in alerts[-3:]}
    message = group_message(
        Notice(MessageKind.FIRED, Occasion(), news), alerts, frozenset(), thread="t", number=1, group={"rule": "lead-unanswered"},
        route="{}", now=1_767_290_400_000, receivers=["mail"],
    )  # fmt: skip
    found: dict[str, Any] = msgspec.to_builtins(message)
    return found


def _waiting(first: dict[str, Any], number: int) -> Transition:
    waited, id = 18_000.0 + 1_800 * number, f"L-{1042 + 7 * number}"
    owner = OWNERS[number % len(OWNERS)]
    person = named({"type": "lead.created", "subject": id, "data": {}})["data"]
    known = {"owner": owner, "source": SOURCES[number % len(SOURCES)], "name": f"{person['first_name']} {person['last_name']}"}
    entity = first["against"]["entity"] | known | {"waited": waited, "began": 1767261600.0 - 1_800 * number}
    found = msgspec.convert({**first, "against": {"entity": entity}, "segment": {"lead": id}, "value": waited}, Transition)
    behind = [{"id": id, "entity": "lead", "said": owner, "name": known["name"], "url": f"https://crm.example.com/lead/{id}"}]
    return structs.replace(found, incident=f"i{number:02}", id=f"t{number:02}", measured=waited, explanation={"behind": behind})


def morning() -> dict[str, Any]:
    """Return the morning's summary."""
    found = next(one for one in corpus.morning(corpus.transitions()) if one.get("digest"))
    found["digest"]["aims"][0]["name"] = "Nord 2026"  # a name that is the same to whoever reads it
    return found


def ended() -> dict[str, Any]:
    """Return the message that an alert has ended, as it comes in the thread of the first one."""
    found: dict[str, Any] = next(
        one for one in corpus.transitions() if (one["kind"], one["rule"]) == ("resolved", "win-rate-drop")
    )
    return found


def deliveries() -> Iterator[tuple[str, str, Delivery]]:
    """Yield (what, language, delivery) of each."""
    for what, alert in (("alert", single()), ("group", group()), ("digest", morning())):
        for language in ("en", "fr"):
            told = about(alert, LINKS.actions(about(alert)))
            yield what, language, replace(told, reader=Reader(language, ZoneInfo("Europe/Paris")))


_LOOK = (
    "body{margin:0;padding:16px;background:#fff;color:#1d1c1d;font:15px/1.46 Lato,Helvetica,Arial,sans-serif;max-width:600px}"
    "b.app{font-size:15px}.app span{background:#ddd;border-radius:3px;font-size:10px;padding:1px 4px;margin-left:4px}"
    ".context{color:#616061;font-size:13px}.context span{margin-right:12px}section{margin:8px 0;white-space:pre-wrap}"
    ".actions a{display:inline-block;border:1px solid #bbb;border-radius:4px;padding:5px 12px;margin:0 8px 8px 0;"
    "font-weight:700;color:#1d1c1d;text-decoration:none}a{color:#1264a3}"
)
_MARKS = {":red_circle:": "#d72b3f", ":large_yellow_circle:": "#f2c744", ":large_green_circle:": "#2eb67d"}


def slack(told: Delivery) -> str:
    """Return a page that looks as Slack shows the message's blocks."""
    shown = "".join(map(_block, render(told)["blocks"]))
    return f'<!doctype html><meta charset="utf-8"><style>{_LOOK}</style><b class="app">Vigie<span>APP</span></b>{shown}'


def _block(block: dict[str, Any]) -> str:
    match block["type"]:
        case "section":
            return f"<section>{_mrkdwn(block['text']['text'])}</section>"
        case "context":
            said = "".join(f"<span>{_mrkdwn(one['text'])}</span>" for one in block["elements"])
            return f'<p class="context">{said}</p>'
        case "actions":
            said = "".join(f"<a>{escape(one['text']['text'])}</a>" for one in block["elements"])
            return f'<p class="actions">{said}</p>'
        case other:
            raise ValueError(f"no picture of {other}")


def _mrkdwn(text: str) -> str:
    for name, colour in _MARKS.items():
        text = text.replace(name, f'<span style="color:{colour}">●</span>')
    text = re.sub(r"<(https?://[^|>]*)\|([^>]*)>", r'<a href="\1">\2</a>', text)
    text = re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", text)
    return re.sub(r"(?<!\w)_([^_\n]+)_(?!\w)", r"<i>\1</i>", text)
