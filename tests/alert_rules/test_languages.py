"""Is everything that people read in each language, and is another language one file?"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from alert_rules.records.message import read_message
from alert_rules.words import language as language_of
from alert_rules.words.language import SOURCE, Language, languages
from alert_rules.words.letter import letter
from alert_rules.words.quantities import Quantity, fill
from alert_rules.words.reader import LANGUAGES, Reader
from alert_rules.words.words import Words
from stream.config.kpi_files import load_catalogue
from tests.alert_rules.corpus import world
from vigie.rule_files import load_rules

OTHERS = [code for code in languages() if code != SOURCE]
PARIS = ZoneInfo("Europe/Paris")
#: Words that are English and nothing else: where one stands in a message of another language, something was forgotten.
ENGLISH = re.compile(
    r"\b(the|is|are|was|were|of|and|with|from|since|has|have|been|not|now|before|above|below|after|more|others?|stands?|"
    r"WARN|CRITICAL|RESOLVED|deals|working|hours?|days?|Acknowledge|Silence|Open|Incident|sent by)\b"
)
_HOLE = re.compile(r"\{[^{}]*\}")


def leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts of a catalogue by their dotted keys; the plurals of one are one."""
    for name, found in tree.items():
        if isinstance(found, Mapping) and "other" in found and set(found) <= {"zero", "one", "two", "few", "many", "other"}:
            yield f"{path}{name}", " ".join(found.values())
        elif isinstance(found, Mapping):
            yield from leaves(found, f"{path}{name}.")
        else:
            yield f"{path}{name}", str(found)


@pytest.mark.parametrize("code", OTHERS)
def test_no_word_is_missing(code: str) -> None:
    ours, theirs = (dict(leaves({k: v for k, v in languages()[c].tree.items() if k != "sentences"})) for c in (SOURCE, code))
    known = {key for key in theirs if key.startswith(("messages.dimensions.", "messages.labels."))}
    assert set(ours) - set(theirs) == set() == set(theirs) - set(ours) - known
    for key, text in ours.items():
        if key.startswith(("units.", "page.")) or "{n}" in text:
            assert set(_HOLE.findall(theirs[key])) == set(_HOLE.findall(text)), key
        else:
            assert sorted(_HOLE.findall(theirs[key])) == sorted(_HOLE.findall(text)), key


@pytest.mark.parametrize("code", OTHERS)
def test_every_rule_that_is_shipped_is_told(code: str) -> None:
    known = languages()[code].tree["sentences"]
    for rule in load_rules(load_catalogue()):
        assert {rule.title, rule.summary} <= set(known), rule.id
        fields = [set(re.findall(r"\{(\w+)", text)) for text in (rule.summary, known[rule.summary])]
        assert fields[0] == fields[1], rule.id


@pytest.mark.parametrize("code", OTHERS)
def test_why_there_is_no_value_is_told(code: str) -> None:
    known = languages()[code].tree["sentences"]
    reasons = {kpi.empty for kpi in load_catalogue().kpis.values() if kpi.empty}
    assert len(reasons) > 10 and reasons - set(known) == set()
    dimensions = set(load_catalogue().dimensions)
    assert dimensions <= set(languages()[code].tree["messages"]["dimensions"])
    assert dimensions <= set(languages()[code].tree["page"]["dimensions"])


@pytest.mark.parametrize("code", OTHERS)
def test_no_english_is_left_in_any_message(code: str) -> None:
    told = 0
    for tree in world():
        if tree.get("type") != "message":
            continue
        found = letter(read_message(tree), Reader(code, PARIS))
        text = "\n".join((found.title, found.subject, found.text, found.why_now))
        # Rules that only the corpus has, and the runbooks' addresses, are not ours to translate.
        text = re.sub(r"docs/\S+|https?://\S+|Win rate from .*|nothing was sold", "", text)
        left = [line for line in text.splitlines() if ENGLISH.search(line)]
        assert not left, (left[:3], tree["kind"])
        told += 1
    assert told > 30


def test_french_is_french() -> None:
    words = LANGUAGES["fr"]
    at = 1_782_900_000_000
    assert words.number(0.234, "ratio") == "23,4\u00a0%" == words.number(0.234, "ratio")
    assert words.number(12_400, "money", "EUR") == "12\u202f400\u00a0€"
    assert words.number(-0.344, "change") == "−34,4\u00a0%"
    assert words.human(2 * 86_400_000 + 3 * 3_600_000) == "2\u202fj 3\u202fh"
    assert words.moment(at, PARIS) == "mer. 1 juil. 2026, 12:00 (Paris)"
    assert words.moment(at, ZoneInfo("UTC")).endswith("10:00 (UTC)")
    assert (words.number(0, "points"), words.number(0.02, "points")) == ("0 point", "2 points")
    assert words.sentence("12,000 EUR, since 2026-06-30, Ann") == "12\u202f000\u00a0€, depuis le 30 juin 2026, Ann"


@pytest.mark.parametrize(("count", "said"), [(0, "0 prospect"), (1, "1 prospect"), (1.5, "1,5 prospect"), (2, "2 prospects")])
def test_plurals_are_the_language_s(count: float, said: str) -> None:
    told = LANGUAGES["fr"].numbers
    assert fill("{value:prospect|prospects}", {"value": Quantity(count, "count", None, told)}) == said
    assert fill("{value:prospect|prospects}", {"value": Quantity(None, "count", None, told)}) == "aucun prospects"


def test_a_language_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(language_of.__file__).parent / "languages"
    (tmp_path / "languages").mkdir()
    for one in folder.glob("*.yaml"):
        (tmp_path / "languages" / one.name).write_bytes(one.read_bytes())
    polish = yaml.safe_load((folder / "en.yaml").read_text("utf-8"))
    polish["messages"]["stand"] = {"one": "{n} alert", "few": "{n} alerty", "many": "{n} alertów", "other": "{n} alertu"}
    (tmp_path / "languages" / "pl.yaml").write_text(yaml.safe_dump(polish), "utf-8")
    monkeypatch.setattr(language_of, "files", lambda package: tmp_path)
    found = languages.__wrapped__()
    assert list(found) == [SOURCE, *sorted([*OTHERS, "pl"])]
    words = Words(found["pl"])
    assert [words._counted("stand", count) for count in (1, 3, 5)] == ["1 alert", "3 alerty", "5 alertów"]
    assert words.number(1234.5, "money", "EUR") == "1\u00a0234\u00a0€"


def test_what_nobody_knows_stays_as_it_is() -> None:
    french = languages()["fr"]
    assert french.sentence("Our very own rule") == "Our very own rule"
    assert Language("xx", {"messages": {"alert": "A"}}).sentence("it was won") == "it was won"
    with pytest.raises(KeyError, match="xx: behind"):
        Language("xx", {"messages": {}}).say("behind")


@pytest.mark.parametrize("code", languages())
def test_every_key_is_a_text(code: str) -> None:
    def keys(tree: Any) -> Iterator[Any]:
        if isinstance(tree, Mapping):
            for name, found in tree.items():
                yield name
                yield from keys(found)

    assert [name for name in keys(languages()[code].tree) if not isinstance(name, str)] == []  # `no` and `off` are none, in YAML
