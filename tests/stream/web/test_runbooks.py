"""The pages that say what to do: every rule's opens, from a message, without a token, and says in which language it is."""

from types import SimpleNamespace

import pytest
from fastapi import FastAPI

from alert_rules.words.letter import letter
from alert_rules.words.reader import Reader
from alert_rules.words.runbooks import address, pages
from stream.config.kpi_files import load_catalogue
from stream.config.settings import OperatorSettings, WebSettings
from stream.web import runbooks
from stream.web.access import Access, ReadGuard
from stream.web.operators import Operators
from tests.agents.doubles import about
from tests.agents.test_email import explained
from tests.stream.web.web import client
from vigie.rule_files import load_rules

HOME = "https://vigie.example.com/"


def test_the_page_of_every_rule_that_is_shipped_has_an_address() -> None:
    found = {rule.id: address(rule.runbook, HOME) for rule in load_rules(load_catalogue())}
    assert len(found) > 15 and set(found.values()) <= {f"{HOME}runbooks/{name}" for name in pages()}
    assert address("docs/runbooks/win-rate-drop.md") == "", "nobody has said where people reach it"
    assert address("docs/runbooks/../../etc.md", HOME) == address("docs/runbooks/ours.md", HOME) == address(None, HOME) == ""
    assert address("https://wiki.example.com/x", HOME) == "https://wiki.example.com/x"


@pytest.mark.parametrize(("language", "label"), [("en", "Runbook"), ("fr", "Que faire")])
def test_a_message_links_it(language: str, label: str) -> None:
    message = about(explained() | {"runbook": "docs/runbooks/win-rate-drop.md"}).message
    (line,) = (one for one in letter(message, Reader(language, home=HOME)).facts if one.label.strip() == label)
    assert line.url == line.text == f"{HOME}runbooks/win-rate-drop"


async def test_it_opens_without_a_token_and_nothing_else_does() -> None:
    app = FastAPI()
    app.include_router(runbooks.router)
    app.state.vigie = SimpleNamespace(business=SimpleNamespace(language="en"))
    operators = Operators([OperatorSettings(name="ada", token="operators-token-of-some-length")])
    app.add_middleware(ReadGuard, access=Access(WebSettings(host="0.0.0.0"), operators))
    async with client(app) as web:
        page = await web.get("/runbooks/win-rate-drop")
        french = await web.get("/runbooks/win-rate-drop", headers={"accept-language": "fr"})
        gone = await web.get("/runbooks/no-such-page", headers={"accept-language": "fr"})
        linked = await web.get("/runbooks/vigie")
        assert (await web.get("/api/kpis", headers={"host": "localhost"})).status_code == 401
    assert page.status_code == 200 and '<html lang="en">' in page.text and "script" not in page.text
    assert "<h1>Win rate has dropped</h1>" in page.text and "<h2>What it means</h2>" in page.text and "](" not in page.text
    assert '<p lang="fr">Cette page est en anglais.</p>' in french.text and "anglais" not in page.text
    assert gone.status_code == 404 and "Il n&#x27;y a pas ici de page de ce nom." in gone.text
    assert '<a href="time-ran-ahead">' in linked.text and "../" not in linked.text.replace('href="../', "")
