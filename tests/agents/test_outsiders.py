"""Outsiders write names of sources, owners and deals. Nothing of that is a line, a link, markup or a direction in what is told.

Each hostile value goes the whole way: a finding or reading of it, the evaluation, the message, every receiver.
"""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import orjson
import pytest

from agents.notifiers import google_chat, mattermost, teams, telegram
from agents.notifiers.console import ConsoleNotifier
from agents.notifiers.email import compose
from agents.notifiers.http import payload
from agents.notifiers.pagerduty import event
from agents.notifiers.slack_blocks import news, render
from agents.notifiers.task import AsanaNotifier, MondayNotifier, TrelloNotifier, fields
from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.finding import TOPIC as FINDINGS
from alert_rules.judge.watch_entities import WatchEntities
from alert_rules.tell.delivery import Delivery
from alert_rules.tell.dispatch_alerts import DispatchAlerts
from alert_rules.tell.plan import by_rule
from alert_rules.words.inert import inert
from models.calendar import HOUR_MS
from models.events.scalars import clean_text
from models.fold import Record
from stream.config.kpi_files import load_catalogue
from tests.agents.chat_apis import (
    FOUND,
    GOOGLE,
    MENTIONS,
    TELEGRAM,
    Markdown,
    Markup,
    attachment_complaints,
    card_complaints,
    chat_complaints,
)
from tests.agents.doubles import delivery
from tests.alert_rules.test_watch import NOW, lead
from vigie.rule_files import load_rules

HOSTILE = {
    "a link": "PAY NOW https://evil.example",
    "a line": "ann\nRunbook: https://evil.example/runbook",
    "a separator": "ann\u2028Runbook: https://evil.example",
    "markup of Slack": "<https://evil.example|Open> <!channel> *[RESOLVED]* :large_green_circle:",
    "markup of Markdown": "[Open](https://evil.example) ![x](//evil.example/i.png)",
    "markup of HTML": '<a href="https://evil.example">Open</a><img src=x onerror=alert(1)>',
    "right to left": "ann \u202egpj.exe\u202c",
    "zero width": "an\u200bn\ufeff w\u2060ww.evil.example",
    "markup of the terminal": "[/] [bold]ann[/bold]",
    "a terminal's command": "\x1b]0;owned\x07\x1b[2Jann\x9b31m",
    "a formula": "=cmd|' /C calc'!A0;=1+1",
}
UNSEEN = re.compile("[\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\x00-\x09\x0b-\x1f\x7f-\x9f]")


def messages(value: str) -> Iterator[dict[str, Any]]:
    """What is told of one lead with that name, owner and source, and of a group of two."""
    rules = [rule for rule in load_rules(load_catalogue()) if rule.id == "lead-unanswered"]
    for count in (1, 2):
        watch, alerts, dispatch = WatchEntities(rules), EvaluateAlerts(rules), DispatchAlerts(by_rule(["all"]))
        watch.tick(NOW)
        watch.fold([lead(f"{value}{n or ''}", owner=value, source=value, sender=value, name=value) for n in range(count)])
        for now in (NOW + 5 * HOUR_MS, NOW + 5 * HOUR_MS + 11_000):
            watch.tick(now)
            found = [o for o in watch.changes().outputs if o.topic == FINDINGS]
            alerts.fold([Record(FINDINGS, 0, n, now, o.key, o.value, ()) for n, o in enumerate(found)])
            dispatch.fold([Record("alerts", 0, n, now, o.key, o.value, ()) for n, o in enumerate(alerts.changes().outputs)])
            dispatch.tick(now)
            yield from (orjson.loads(o.value or b"") for o in dispatch.changes().outputs if o.topic == "outbox")


@functools.cache
def written(value: str) -> tuple[bytes, ...]:
    """The same as their bytes, found once: nothing that a test does to them reaches another."""
    return tuple(map(orjson.dumps, messages(value)))


@pytest.fixture(params=list(HOSTILE.values()), ids=list(HOSTILE))
def told(request: pytest.FixtureRequest) -> list[Delivery]:
    """The messages that a hostile value is in."""
    found = [replace(delivery(), alert=orjson.loads(message)) for message in written(request.param)]
    assert len(found) == 2 and all("waited" in one.alert["message"]["text"] for one in found)
    return found


def harmless(text: str) -> None:
    """Nothing that is not seen, and no address that a program would make a link of."""
    assert not UNSEEN.search(text), ascii(text)
    assert not re.search(r"https?://evil|\bwww\.evil", text), text
    assert not re.search(r"(?m)^Runbook: (?!docs/)", text), text


def test_the_words_themselves(told: list[Delivery]) -> None:
    for one in told:
        words = one.alert["message"]
        assert all("\n" not in words[name] for name in ("title", "about", "headline") if name in words)
        for word in words.values():
            harmless(word)
        for item in one.alert["alerts"]:
            harmless(f"{item['title']} {item['text']} {item['why']}")


def test_slack(told: list[Delivery]) -> None:
    for one in told:
        for shown in (render(one), news(one)):
            assert (shown["parse"], shown["link_names"], shown["unfurl_links"]) == ("none", False, False)
            texts = [block["text"] for block in shown["blocks"] if "text" in block]
            texts += [element for block in shown["blocks"] if block["type"] == "context" for element in block["elements"]]
            assert texts and all(text["verbatim"] for text in texts)
            for text in [text["text"] for text in texts] + [shown["text"]]:
                harmless(text)
                assert not re.search(r"<[^>]*\||<[!@#]|:large_green_circle:", text), text


def test_chats(told: list[Delivery]) -> None:
    """A card's runs know no markup; Google's and Telegram's texts are escaped HTML, in which Telegram finds nothing by itself."""
    for one in told:
        for memo in (None, "1"):
            found = replace(one, memo=memo)
            card = json.loads(teams.render(found))["attachments"][0]["content"]
            assert card_complaints(card) == [] and not re.search(r'"(TextBlock|FactSet|Fact|Image|Media)"', json.dumps(card))
            harmless("\n".join(shown(card)))
            message = json.loads(google_chat.render(found))
            assert chat_complaints(message) == []
            marked = [Markup(text, GOOGLE) for text in shown(message["cardsV2"])]
            body = telegram.render(found, answer=memo is not None)
            marked.append(Markup(body["text"], TELEGRAM))
            assert FOUND.findall(marked[-1].plain) == [] and "reply_markup" not in body
            for text in marked:
                harmless(text.plain)
                assert text.links == []


def test_mattermost(told: list[Delivery]) -> None:
    """Its texts and values are Markdown; what is no Markdown is looked through for mentions all the same."""
    for one in told:
        post = mattermost.render(one)
        assert attachment_complaints(post) == []
        (made,) = post["attachments"]
        marked = [Markdown(text) for text in (made["text"], *(field["value"] for field in made.get("fields", [])))]
        assert [text.links for text in marked if text.links] == []
        words = [
            made["fallback"],
            made["footer"],
            *(field["title"] for field in made.get("fields", [])),
            *(text.plain for text in marked),
        ]
        for text in words:
            harmless(text)
            assert not MENTIONS.search(text), text


def shown(tree: Any) -> Iterator[str]:
    """All texts of a card that are shown."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from (
                [value] if name in ("text", "title", "topLabel", "fallbackText") and isinstance(value, str) else shown(value)
            )
    elif isinstance(tree, list):
        for value in tree:
            yield from shown(value)


class Links(HTMLParser):
    """The elements and links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def test_a_mail(told: list[Delivery]) -> None:
    for one in told:
        mail: EmailMessage = compose(one, "Vigie <vigie@example.com>", ["ann@example.com"])
        text, page = mail.get_body(("plain",)), mail.get_body(("html",))
        assert text is not None and page is not None
        harmless(str(mail["Subject"]))
        harmless(text.get_content())
        found = Links(page.get_content())
        assert found.links == [] and not found.tags & {"img", "script", "a"}
        harmless(re.sub(r"<[^>]+>", "\n", page.get_content().replace("\u00a0", " ")))


def test_pagerduty(told: list[Delivery]) -> None:
    for one in told:
        body = event(one)
        harmless(body["payload"]["summary"])
        assert "\n" not in body["payload"]["summary"] and "links" not in body
        for text in (*body["payload"]["custom_details"]["segment"].values(), body["payload"]["custom_details"]["text"]):
            harmless(text)


@pytest.mark.parametrize("kind", [TrelloNotifier, AsanaNotifier, MondayNotifier])
def test_tasks(told: list[Delivery], kind: Any) -> None:
    notifier = kind("t", "t0ken", "place", "{title}", "{text} {segment}")
    for one in told:
        values = fields(one.message, one.letter)
        for value in values.values():
            harmless(value)
        made, comment = notifier.create(values["title"], values["text"], None).body, notifier.comment("1", values["text"]).body
        if kind is TrelloNotifier:  # Markdown
            assert not any(re.search(r"(?<!\\)[\[\]<`]", text) for text in (made["desc"], comment["text"]))
        if kind is MondayNotifier:  # HTML
            assert Links(comment["variables"]["body"]).tags <= {"br"}


def test_a_program_and_the_log_have_one_object_and_one_line(told: list[Delivery]) -> None:
    for one in told:
        body = orjson.loads(payload(one))
        harmless(body["data"]["message"]["text"])
        assert body["data"]["incident"] == one.alert["incident"]


@pytest.mark.asyncio
async def test_the_console(told: list[Delivery], capsys: pytest.CaptureFixture[str]) -> None:
    for one in told:
        await ConsoleNotifier("console").send(one)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(told) and all(json.loads(line)["event"] == "alert_fired" for line in lines)
    assert not any("\x1b" in line or "\x9b" in line for line in lines)


@pytest.mark.parametrize("text", ["Zoë Müller · 5 %", "日本支社", "a.b@c.de: 3/4", "علی\u200cرضا", "👩\u200d💻"])
def test_what_people_write_stays(text: str) -> None:
    assert clean_text(text) == text and inert(text) == text
