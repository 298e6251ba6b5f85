"""Records of alerts: those of before are read and sent as they were, and words are made of facts at the end."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import msgspec
import orjson
import pytest

from agents.notifiers.email import html, subject
from alert_rules.records import alerts as alert_records
from alert_rules.records.facts import Severity, gravity
from alert_rules.records.message import read_message
from alert_rules.records.schemas import json_schemas
from alert_rules.words.durations import short_day
from alert_rules.words.letter import letter
from alert_rules.words.reader import Reader
from tests.agents.doubles import about
from tests.alert_rules import corpus

#: What the producers wrote before their records had facts, and what was sent of it.
OLD = corpus.read(corpus.FOLDER / "prose.jsonl.gz")
#: Rules that came after those records.
LATER = ("experiment-decided", "experiment-guard", "objective-behind", "challenge-annulled", "customer-quiet")
NEW = corpus.world(LATER)
#: A rule that says since then between which bounds a day usually lies: its words are others.
ANEW = b"sessions-unusual"
#: Of what is over, or on its way there, the summary is no longer told, which was of while it stood.
SINCE = re.compile(rb"Over after |is no longer (?:below|above) ")
#: So many alerts of a group were told in full then.
FEW = 5


def of_now(tree: Any) -> Any:
    """Return it in the words of now: a sender's usual hours are busy ones, "90 days" for ``90d``, and days as people say them."""
    said = orjson.dumps(tree).replace(b"usual hour", b"busy hour")
    said = re.sub(rb"(\bin|\bof|\bthe|,) (7|30|90)d\b", rb"\1 \2 days", said)
    said = re.sub(rb"\b(\d+)([dh]), (?=[A-Z][a-z][a-z] \d)", _stretch, said)
    # What was not known ("by None"), and a silence that is over, said nothing.
    said = re.sub(rb"Target: [\d,]+ by None, [\d,]+ due by now\\n|Silent for: 0 ms\\n", b"", said)
    said = re.sub(rb"<tr><td[^>]*>(?:Target|Silent for)</td><td[^>]*>(?:[^<]* by None[^<]*|0 ms)</td></tr>", b"", said)
    return orjson.loads(re.sub(rb"(\(|\bto )(20\d\d-\d\d-\d\d)(?=\)| to )", _day, said))


def _stretch(found: re.Match[bytes]) -> bytes:
    return b"%s %s%s, " % (found[1], {b"d": b"day", b"h": b"hour"}[found[2]], b"" if found[1] == b"1" else b"s")


def _day(found: re.Match[bytes]) -> bytes:
    return found[1] + short_day(datetime.fromisoformat(found[2].decode())).encode()


def same(old: Any, new: Any) -> bool:
    """Whether all that was said is still said; more may be."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(name in new and same(value, new[name]) for name, value in old.items())
    if isinstance(old, list):
        return isinstance(new, list) and len(old) == len(new) and all(map(same, old, new))
    return bool(old == new)


def test_records_of_before_are_sent_as_they_were() -> None:
    told = [line for line in OLD if line["sent"]]
    assert len(told) > 60
    for line in told:
        assert corpus.rendered(line["record"]) == line["sent"]


def test_the_producers_say_all_that_they_said_and_it_is_sent_the_same() -> None:
    assert len(OLD) == len(NEW)
    for line, tree in zip(OLD, NEW, strict=True):
        before = of_now(line["record"])
        if ANEW in orjson.dumps(before):
            assert [before.get(name) for name in ("id", "type", "kind", "due")] == [
                tree.get(name) for name in ("id", "type", "kind", "due")
            ]
            continue
        if SINCE.search(orjson.dumps(tree)):  # it says that it is over: ``test_said_then.py``
            parts = ("message", "alerts", "several", "against")
            assert same({name: before[name] for name in before if name not in parts}, tree)
            continue
        if tree.get("kind") == "digest":  # it says for how long an alert has stood, where it said since when
            assert same({name: before[name] for name in before if name != "message"}, tree)
            continue
        if len(tree.get("alerts") or ()) > FEW:  # ten of them are told in full now: its text is longer
            assert same({name: before[name] for name in before if name not in ("message", "several")}, tree)
            continue
        assert same(before, tree), (before, tree)
        if line["sent"]:
            made, sent = corpus.rendered(tree), of_now(line["sent"])
            assert {**made, "http": None} == {**sent, "http": None}
            assert same(sent["http"], made["http"])


def test_every_record_is_what_its_type_says() -> None:
    for tree in [line["record"] for line in OLD] + NEW:
        if tree["type"] == "message":
            assert msgspec.to_builtins(read_message(tree))["id"] == tree["id"]
        else:
            found = alert_records.decode(msgspec.json.encode(tree))
            assert found is not None and same(tree, msgspec.json.decode(alert_records.encode(found)))
    assert alert_records.decode(b'{"type": "of-tomorrow", "x": 1}') is None
    with pytest.raises(ValueError, match="incident"):
        alert_records.decode(b'{"type": "transition", "kind": "fired"}')


def test_every_record_is_of_the_form_that_is_told_to_programs() -> None:
    schemas = json_schemas()
    for schema in schemas.values():
        jsonschema.Draft7Validator.check_schema(schema)
    valid = {name: jsonschema.Draft7Validator(schema) for name, schema in schemas.items()}
    for tree in [line["record"] for line in OLD] + NEW:
        valid["outbox-message" if tree["type"] == "message" else "alert-record"].validate(tree)
    assert not valid["alert-record"].is_valid({"type": "decision"})


LAUNCH = {
    "type": "transition", "id": "t", "incident": "i", "rule": "leads-fall", "rule_title": "Leads", "severity": "warn",
    "segment": {"campaign": "Q1: launch"},
}  # fmt: skip


@pytest.mark.parametrize("parts", [True, False], ids=["with its parts", "as one title"])
def test_mails_about_a_campaign_with_a_colon_in_its_name_are_one_thread(parts: bool) -> None:
    named = "Leads · campaign Q1: launch"
    more = {"about": named, "headline": "9"} if parts else {}
    fired = LAUNCH | {"kind": "fired", "message": {"title": f"[WARN] {named}: 9", "text": "Few"} | more}
    gone = LAUNCH | {"kind": "resolved", "message": {"title": f"[RESOLVED] {named}", "text": "Gone"} | more}
    assert {subject(about(tree).letter) for tree in (fired, gone)} == {named}


def test_a_colon_in_a_name_makes_no_label_of_it() -> None:
    digest = next(tree for tree in NEW if tree["type"] == "message" and tree["kind"] == "digest")
    title = "[WARN] NPS · source Q1: launch: 3"
    digest["digest"]["alerts"] = [{"title": title, "severity": "warn", "since": "2026-01-01T00:00:00Z"}]
    page = html(about(digest))
    assert f"{title}, for" in page and 'white-space:nowrap">[WARN]' not in page
    deal = {"id": "D-1", "name": "Acme: renewal", "entity": "deal", "what": "lost"}
    alert = next(tree for tree in NEW if tree["type"] == "transition" and tree["kind"] == "fired")
    assert ">1. Acme: renewal (D-1), lost<" in html(about(alert | {"explanation": {"behind": [deal]}}))


def test_everybody_reads_it_on_their_own_clock() -> None:
    alert = read_message(next(tree for tree in NEW if tree["type"] == "message" and "Since: " in tree["message"]["text"]))
    here, there = letter(alert), letter(alert, Reader(zone=ZoneInfo("America/New_York")))
    assert " UTC" in here.facts_text and " UTC" not in there.facts_text and " EST" in there.facts_text
    assert (here.title, here.subject) == (there.title, there.subject)


def test_gravity_is_declared_once() -> None:
    assert [gravity(severity) for severity in Severity] == [0, 1] == [severity.rank for severity in Severity]
    assert gravity("unheard of") == gravity(None) == 0
    rooms = Path(__file__).parents[2]
    paths = [path for room in ("alert_rules", "agents", "stream", "vigie") for path in (rooms / room).rglob("*.py")]
    ranks = re.compile(r'"(?:warn|critical)": -?\d, "(?:warn|critical)": -?\d')
    assert [path.name for path in paths if ranks.search(path.read_text("utf-8"))] == []
