"""Objectives in the morning's summary, and what is said of a challenge: each once, over restarts, in two languages."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from alert_rules.records.message import read_message
from alert_rules.tell.plan import Digest, Recipient
from alert_rules.tell.send_digest import SendDigest
from alert_rules.words.letter import letter
from alert_rules.words.reader import Reader
from models.calendar import epoch_ms, iso
from models.fold import Record

DIGEST = Digest(("mail",), kpis=("revenue",))


def at(day: int, hour: int = 12) -> int:
    return epoch_ms(datetime(2026, 3, day, hour, tzinfo=UTC))


def challenge(*reached: str, **changed: Any) -> dict[str, Any]:
    moments = {"begin": at(2, 0), "half": at(8, 0), "last_day": at(13, 0), "end": at(14, 0)}
    labels = {"en": "Revenue", "fr": "Chiffre d'affaires"}
    return {
        "name": "Sprint", "kpi": "revenue", "label": labels, "unit": "money", "currency": "EUR",
        "until": "2026-03-13", "state": "running", "dry_run": False, "annulled": None, "of": 6,
        "milestones": [{"kind": kind, "at": iso(moment), "reached": kind in reached} for kind, moment in moments.items()],
        "places": [{"rank": 1, "name": "Ann Petit", "value": 4800.0, "score": 1.2, "quota": 4000.0}],
        **changed,
    }  # fmt: skip


class Morning:
    """The fold, with its rows."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self.begin()

    def begin(self) -> None:
        self.fold = SendDigest(DIGEST, {}, lambda names, now: [Recipient(name, "") for name in names])
        self.fold.restore((key, value) for key, value in self.rows.items() if value is not None)

    def hear(self, key: str, standing: Any) -> None:
        value = None if standing is None else orjson.dumps(standing)
        self.fold.fold([Record("standings", 0, 0, 0, key.encode(), value, ())])

    def said(self, now: int) -> list[Any]:
        self.fold.tick(now)
        changes = self.fold.changes()
        self.rows |= {row.key: row.value for row in changes.rows}
        return [read_message(orjson.loads(o.value or b"")) for o in changes.outputs if o.topic == "outbox"]


def test_a_challenge_is_told_at_its_milestones_once_each() -> None:
    morning = Morning()
    morning.hear("challenge|sprint", challenge("begin"))
    (message,) = morning.said(at(2, 1))
    assert letter(message).title == "Sprint begins" and "By Revenue, until 2026-03-13." in letter(message).text
    morning.hear("challenge|sprint", challenge("begin", "half"))
    morning.begin()
    assert morning.said(at(8, 0)) == [], "the restart has lost what was heard last, and hears it again"
    morning.hear("challenge|sprint", challenge("begin", "half"))
    (message,) = morning.said(at(8, 1))
    assert "1: Ann Petit: 4,800 EUR (120 % of the own quota)" in letter(message).text and "5 more" in letter(message).text
    french = letter(message, Reader("fr", ZoneInfo("Europe/Paris")))
    assert french.title == "Sprint est à mi-parcours" and "de son propre quota" in french.text
    assert morning.said(at(8, 2)) == []
    morning.hear("challenge|sprint", challenge("begin", "half", "last_day", "end", state="ended"))
    assert [letter(one).title for one in morning.said(at(14, 1))] == ["Sprint is over"], "its last day was yesterday"


def test_an_annulled_one_is_told_with_its_reason_and_nothing_afterwards() -> None:
    morning = Morning()
    morning.hear("challenge|sprint", challenge("begin"))
    morning.said(at(2, 1))
    annulled = {"on": "2026-03-05", "label": {"en": "Discount rate"}, "unit": "ratio", "value": 0.188, "limit": 0.12, "kpi": "x"}
    morning.hear("challenge|sprint", challenge("begin", annulled=annulled, state="annulled", places=[]))
    (message,) = morning.said(at(6, 1))
    assert letter(message).title == "Sprint is annulled"
    assert "Discount rate is 18.8 %, beyond 12 %. It has no winner." in letter(message).text
    morning.hear("challenge|sprint", challenge("begin", "half", annulled=annulled, state="annulled"))
    assert morning.said(at(8, 1)) == []
    morning.hear("challenge|sprint", challenge("begin", "half"))
    assert morning.said(at(8, 2)) == [], "corrected: whoever asks sees it"


@pytest.mark.parametrize(
    "standing", [challenge("begin", dry_run=True), challenge("begin", "half", "last_day", "end", state="ended")]
)
def test_a_dry_run_and_what_is_old_is_not_said(standing: dict[str, Any]) -> None:
    morning = Morning()
    morning.hear("challenge|sprint", standing)
    assert morning.said(at(2, 1) if standing["dry_run"] else at(20)) == []


def test_objectives_of_teams_are_in_the_summary() -> None:
    morning = Morning()
    morning.said(at(2, 9))
    aim = {"name": "North", "of": {"team": "north"}, "state": "behind", "main": {"progress": 0.4}}
    morning.hear("objective|north", aim)
    morning.hear("objective|ann", aim | {"name": "Ann", "of": {"owner": "ann"}})
    morning.hear("objective|text", aim | {"name": "Learn", "of": {}, "state": "unknown", "main": {"progress": None}})
    morning.hear("experiment|x", {"name": "x"})
    (message,) = morning.said(at(3, 9))
    text = letter(message).text
    assert "North: 40 %, behind" in text and "Learn: not known yet" in text and "Ann" not in text
    morning.hear("objective|north", None)
    (message,) = morning.said(at(4, 9))
    assert "North" not in letter(message).text
