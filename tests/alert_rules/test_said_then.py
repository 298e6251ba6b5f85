"""Does an alert say what holds when it is said? Its summary was written for while it stands."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alert_rules.words.letter import Letter, letter
from alert_rules.words.reader import Reader
from tests.agents.doubles import about
from tests.alert_rules import corpus

PARIS, TOKYO = ZoneInfo("Europe/Paris"), ZoneInfo("Asia/Tokyo")


def of(rule: str, kind: str) -> dict[str, Any]:
    return next(one for one in corpus.transitions() if (one["rule"], one["kind"]) == (rule, kind))


def read(tree: dict[str, Any], language: str = "en", zone: ZoneInfo = PARIS) -> Letter:
    return letter(about(tree).message, Reader(language, zone))


@pytest.mark.parametrize(
    ("rule", "kind", "english", "french"),
    [
        # 25 is not "below 20", there are leads again, and 5 h are not "more than 1 d".
        ("nps-low", "resolved", "Over after 5 h 30 min: 25 is at or above 25", "Terminé après 5 h 30 min : 25, à au moins 25"),
        ("leads-absent", "resolved", "Over after 5 h: there is something again: 2",
         "Terminé après 5 h : il y a de nouveau quelque chose : 2"),
        ("lead-response-slow", "resolved", "Over after 3 h 30 min: 5 h is at or below 20 h",
         "Terminé après 3 h 30 min : 5 h, à au plus 20 h"),
        # Between the threshold (20) and where it is clear (25) it stands, and is not beyond the threshold.
        ("nps-low", "downgraded", "22 is no longer below 20, not yet at 25",
         "22 : n'est plus au-dessous de 20, pas encore à 25"),
        # Where it is beyond, the summary.
        ("nps-low", "fired", "NPS is 18 over 62 answers in 90 days, below 20",
         "Le NPS est de 18 sur 62 réponses en 90 jours, au-dessous de 20"),
        ("win-rate-drop", "downgraded", "Win rate from web is 18% (8 of 44 closed deals), below 20%",
         "Le taux de réussite de web est de 18 % (8 sur 44 affaires closes), au-dessous de 20 %"),
        ("sender-silent", "resolved", "D-1: it sends again", "D-1 : envoie de nouveau"),
    ],
)  # fmt: skip
def test_the_first_sentence_holds(rule, kind, english, french):
    assert read(of(rule, kind)).lead == english
    assert read(of(rule, kind), "fr").lead.replace("\xa0", " ").replace("\u202f", " ") == french


def test_an_alert_that_was_about_to_fire_and_did_not_says_no_more_than_that():
    assert read(of("leads-absent", "cancelled")).lead.startswith("Over after ")


def test_of_a_sender_that_sends_again_nothing_says_that_it_is_silent():
    assert [line.label for line in read(of("sender-silent", "resolved"), "fr").facts if "Muet" in line.label] == []
    assert any(line.label.strip() == "Émetteur" for line in read(of("sender-silent", "fired"), "fr").facts)


def test_days_are_the_reader_s():
    fired = of("win-rate-drop", "fired")
    previous = {"value": 0.22, "from": "2025-12-17T15:00:00Z", "at": "2025-12-24T15:00:00Z"}  # midnights in Tokyo
    fired["explanation"] = {"previous": previous, "change": -0.12}
    (line,) = (line for line in read(fired, zone=TOKYO).facts if line.label == "Period before")
    assert line.text == "22 % (18 Dec 2025 to 25 Dec 2025), so −12 points"
    (line,) = (line for line in read(fired, "fr", TOKYO).facts if line.label.strip() == "Période précédente")
    assert "18 déc. 2025" in line.text and "25 déc. 2025" in line.text
    assert next(line.text for line in read(fired).facts if line.label == "Window").startswith("30 days, ")
    fired["explanation"]["previous"] = {"value": 0.22, "from": "2026-01-01T08:00:00Z", "at": "2026-01-01T09:00:00Z"}
    (line,) = (line for line in read(fired).facts if line.label == "Period before")
    assert line.text == "22 % (Thu 1 Jan 2026, 09:00 CET to Thu 1 Jan 2026, 10:00 CET), so −12 points"
