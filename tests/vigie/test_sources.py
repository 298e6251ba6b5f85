"""``vigie sources``, the redriving of webhook requests, and whether what docs/connect says can be set."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from models.events.dead_letter import decode as read_letter
from models.kpis.catalogue import Catalogue
from stream.config.settings import load
from stream.ingest.door import DoorSource, letter
from stream.sources.crm import ADAPTERS, SourceProblem, adapter_of, parse_settings, receive
from tests.stream.sources.crm import senders as s
from tests.stream.sources.crm.senders import NOW, SECRET, SENDERS
from tests.stream.sources.crm.vectors import FOLDER
from vigie import redrive
from vigie.sources import app

RUN = CliRunner()
CONNECT = Path(__file__).parents[2] / "docs/connect"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No vigie.yaml of the developer's is read."""
    monkeypatch.chdir(tmp_path)


def attempt(name: str, *vectors: Any, options: tuple[str, ...] = ()) -> tuple[int, list[dict[str, Any]]]:
    text = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in vectors)
    Path("R.jsonl").write_text(text)
    found = RUN.invoke(app, ["try", name, "--request", "R.jsonl", *options])
    return found.exit_code, [json.loads(line) for line in found.stdout.splitlines()]


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_try_with_each_adapter(name: str) -> None:
    sender = SENDERS[name]
    code, answers = attempt(name, sender.sign(sender.body), sender.sign(sender.body, secret="another"))
    assert (code, [answer["accepted"] for answer in answers]) == (0, [True, False])
    assert [answer["status"] for answer in answers] == [200, 401]
    assert tuple(event["type"] for event in answers[0]["events"]) == sender.types
    assert answers[1]["events"] == [] and answers[1]["reason"]


def test_try_takes_thousands_of_lines_in_one_go() -> None:
    sender = SENDERS["hubspot"]
    code, answers = attempt("hubspot", *[sender.sign(sender.body)] * 3000)
    assert code == 0 and len(answers) == 3000 and all(answer["accepted"] for answer in answers)


def test_try_with_the_settings_of_the_source_and_a_time_of_its_own() -> None:
    Path("vigie.yaml").write_text(
        yaml.safe_dump({"sources": {"eu": {"adapter": "hubspot", "client_secret": SECRET, "source": "crm/eu"}}})
    )
    vector = SENDERS["hubspot"].sign(SENDERS["hubspot"].body)
    del vector["settings"], vector["received_at"]
    code, (answer,) = attempt("eu", vector, options=("--now", "2026-09-21T14:13:22Z"))
    assert code == 0 and {event["source"] for event in answer["events"]} == {"crm/eu"}
    assert attempt("eu", vector, options=("--now", str(NOW + 400_000)))[1][0]["reason"] == "stale"
    # The line's secret takes the place of the source's own, whatever either is called.
    assert attempt("eu", vector | {"received_at": NOW, "settings": {"secrets": ["x"]}})[1][0]["reason"] == "bad_signature"


def test_try_says_which_lines_are_none() -> None:
    bad = ["{", "[]", {"headers": 1}, {"body_base64": "%"}, {"received_at": "soon"}, {"settings": 1}, {"url": 1}]
    code, answers = attempt("hubspot", *bad, {"settings": {"timezone": "Mars"}}, {"settings": {"colour": 1}})
    assert code == 1
    assert [answer["reason"] for answer in answers] == ["bad_line"] * 7 + ["bad_settings", "not_configured"]
    assert RUN.invoke(app, ["try", "zoho", "--request", "R.jsonl"]).exit_code == 2
    assert RUN.invoke(app, ["try", "hubspot", "--request", "nowhere"]).exit_code == 2


def test_list_names_the_addresses() -> None:
    Path("vigie.yaml").write_text("web: {public_url: 'https://v.example.com'}\nsources: {hubspot: {secrets: [a]}}\n")
    found = RUN.invoke(app, ["list"])
    assert found.exit_code == 0 and "POST https://v.example.com/webhooks/hubspot (hubspot)" in found.stdout
    assert "hubspot: is set" in found.stdout and "close: needs secrets" in found.stdout
    Path("vigie.yaml").write_text("sources: {own: {adapter: hubspot}}\n")
    found = RUN.invoke(app, ["list"])
    assert "hubspot: needs secrets" in found.stdout and "(hubspot; without secrets all its requests are refused)" in found.stdout
    Path("vigie.yaml").write_text("sources: {zoho: {}}\n")
    assert RUN.invoke(app, ["list"]).exit_code == 1


def test_conformance(tmp_path: Path) -> None:
    assert RUN.invoke(app, ["conformance", "--vectors", str(FOLDER)]).exit_code == 0
    vector = json.loads((FOLDER / "close.jsonl").read_text().splitlines()[0])
    vector["expect"]["status"] = 500
    (tmp_path / "close.jsonl").write_text(json.dumps(vector))
    found = RUN.invoke(app, ["conformance", "--vectors", str(tmp_path)])
    assert found.exit_code == 1 and "close.jsonl:1: valid: status: found 200, expected 500" in found.stdout
    assert RUN.invoke(app, ["conformance", "--vectors", str(tmp_path), "--adapter", "attio"]).exit_code == 2


def test_a_request_is_read_again_with_the_settings_of_now() -> None:
    vector = SENDERS["hubspot"].sign(s.compact([s.hubspot_note("deal.propertyChange")]))
    request = s_request(vector)
    adapter, settings = ADAPTERS["hubspot"], parse_settings("hubspot", {"client_secret": SECRET})
    verdict = receive(adapter, request, settings)
    assert verdict.unusable
    kept = read_letter(letter(DoorSource("eu", adapter, settings), request, verdict, NOW).value)
    Path("vigie.yaml").write_text("sources: {eu: {adapter: hubspot}}\n")
    events, (still,) = redrive._webhook(kept, load())
    assert (events, still.reason, still.detail) == ([], kept.reason, kept.detail)
    mended = SENDERS["hubspot"].sign(SENDERS["hubspot"].body)
    whole = read_letter(letter(DoorSource("eu", adapter, settings), s_request(mended), verdict, NOW).value)
    events, unusable = redrive._webhook(whole, load())
    assert not unusable and tuple(event["type"] for event in events) == SENDERS["hubspot"].types
    first = receive(adapter, s_request(mended), settings)
    assert [event["id"] for event in events] == [event["id"] for event in first.events]
    Path("vigie.yaml").write_text("{}\n")
    with pytest.raises(SourceProblem, match="accepted: hubspot"):
        redrive._webhook(whole, load())


def s_request(vector: s.Vector) -> Any:
    from stream.sources.crm.trial import of

    return of(vector, 0).request


@pytest.mark.parametrize("page", sorted(CONNECT.glob("*.md")), ids=lambda page: page.stem)
def test_what_the_pages_set_can_be_set(page: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
        found = yaml.safe_load(block)
        if page.stem == "tracker":  # settings of sites, or a file of KPIs
            if block.startswith("# web-kpis.yaml"):
                assert set(Catalogue.load(("web-kpis.yaml", found)).kpis) == set(found)
            else:
                assert load(environ={}, **found).collect.sites
            continue
        assert found.keys() & {"sources", "owners"}
        assert load(environ={}, **{"owners": found["owners"]} if "owners" in found else {}).people is not None
        for name, tree in found.get("sources", {}).items():
            assert adapter_of(name, tree)
            parse_settings(name, tree)


def test_every_adapter_has_its_page() -> None:
    assert {page.stem for page in CONNECT.glob("*.md")} == {*ADAPTERS, "README", "tracker", "zoho", "nomadia"}


@pytest.mark.parametrize(
    ("public_url", "origin", "do"),
    [
        ("https://vigie.example.com", "https://www.example.com", ""),
        ("http://localhost:8080", "http://localhost:8000", ""),
        ("", "https://www.example.com", "web.public_url"),
        ("", "https://*.example.com", "web.public_url"),
        ("http://vigie.example.com", "https://www.example.com", "TLS"),
        ("http://vigie.example.com", "http://www.example.com", "HTTPS"),
    ],
)
def test_the_doctor_says_what_keeps_a_tracker_from_working(public_url: str, origin: str, do: str) -> None:
    from vigie.doctor import sites
    from vigie.findings import Level

    site = {"key": "shop-4f7a2c91", "origins": [origin]}
    (found,) = sites(load(environ={}, web__public_url=public_url, collect={"sites": {"shop": site}}))
    assert found.level == (Level.WARN if do else Level.OK) and do in found.do


def test_the_list_says_what_the_pages_of_a_site_need(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = {"sites": {"shop": {"key": "shop-4f7a2c91", "origins": ["https://www.example.com"]}}}
    environment = {"VIGIE_COLLECT": json.dumps(tree), "VIGIE_WEB__PUBLIC_URL": "https://vigie.example.com/"}
    result = RUN.invoke(app, ["list"], env=environment)
    tag = '<script defer src="https://vigie.example.com/vigie.js" data-site="shop-4f7a2c91"></script>'
    assert tag in " ".join(result.stdout.split()), "where a line is broken HTML does not mind"


def test_the_doctor_says_what_is_missing() -> None:
    from vigie.doctor import sources
    from vigie.findings import Level

    tree = {
        "hubspot": {"secrets": [SECRET]},
        "pipedrive": {},
        "close": {"secrets": [SECRET]},
    }
    found = list(sources(load(environ={}, sources=tree)))
    assert [finding.level for finding in found] == [Level.WARN, Level.WARN, Level.OK]
    assert "web.public_url" in found[0].do and "username and password" in found[1].do
    assert [f.level for f in sources(load(environ={}, sources={"zoho": {}}))] == [Level.FAIL]
    assert SECRET not in repr(load(environ={}, sources=tree))
