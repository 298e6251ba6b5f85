"""Is what a receiver lays out around the words in its language, too?"""

import re
from dataclasses import replace
from zoneinfo import ZoneInfo

from agents.notifiers import readers_of
from agents.notifiers.email import compose, html
from agents.notifiers.outline import outline
from agents.notifiers.slack_blocks import news, render
from alert_rules.tell.signed_links import LinkKey, Links
from alert_rules.words.reader import Reader
from stream.config.settings import load
from tests.agents.doubles import about
from tests.alert_rules.corpus import world
from tests.alert_rules.test_languages import ENGLISH

LINKS = Links((LinkKey("k", b"k" * 32),), "https://vigie.example.com", 604_800_000)
#: Addresses, what only the corpus has, and a word that both languages have.
NOT_OURS = re.compile(r"https?:\S+|docs/\S+|Win rate from .*|nothing was sold|^Incident ")


def test_slack_mail_and_cards_have_no_english_in_them() -> None:
    for tree in [tree for tree in world() if tree["type"] == "message"]:
        plain = about(tree)
        told = replace(plain, actions=LINKS.actions(plain), reader=Reader("fr", ZoneInfo("Europe/Paris")))
        mail = compose(told, "Vigie <vigie@example.com>", ["boss@example.com"]).get_body(("plain",))
        assert mail is not None
        lines = [*re.findall(r">([^<>]+)<", html(told)), *mail.get_content().splitlines()]
        left = [line for line in lines if ENGLISH.search(NOT_OURS.sub("", line))]
        assert not left, (tree["kind"], left[:2])
        buttons = [button.text for button in outline(told).buttons]
        assert set(buttons) <= {"Prendre en charge", "Sourdine 1 h", "Ouvrir", "Que faire"}, buttons
        slack = [block for block in render(told)["blocks"] if block["type"] in ("actions", "context")]
        texts = [element["text"] for block in slack for element in block["elements"]]
        said = [text if isinstance(text, str) else text["text"] for text in texts]
        assert said and not [text for text in said if re.match(r"(why now|taken care|Acknowledge|Silence 1|Open|Runbook)", text)]
        assert not re.match(r"(Resolved|Still|Escalated|New|Taken)\b", news(told)["text"])


def test_a_receiver_s_own_language_goes_before_the_company_s() -> None:
    there = {"name": "there", "type": "console", "language": "en", "timezone": "Asia/Tokyo"}
    receivers = [{"name": "here", "type": "console"}, there]
    readers = readers_of(load(environ={}, business={"language": "fr"}, receivers=receivers))
    assert (readers["here"].language, readers["there"].language) == ("fr", "en")
    assert readers["here"].zone is None and str(readers["there"].zone) == "Asia/Tokyo"
