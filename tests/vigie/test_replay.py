"""vigie replay: what moves its clock, at which instants it reads, and what it says at the end."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.progress import Progress
from typer.testing import CliRunner

from models.calendar import calendar, iso
from stream.config.settings import Settings
from vigie.__main__ import app
from vigie.player import Player
from vigie.replay import replaying
from vigie.stops import ReadingRequest, Stops

JANUARY, FEBRUARY, MARCH, APRIL = 1_735_689_600_000, 1_738_368_000_000, 1_740_787_200_000, 1_743_465_600_000  # 2025
DAY = 86_400_000


def won(number: int, at: int, **more: Any) -> dict[str, Any]:
    envelope = {"specversion": "1.0", "id": f"e{number}", "source": "/test", "type": "deal.won", "subject": f"D{number}"}
    return {**envelope, "time": iso(at), "data": {"amount": "100.00", "currency": "EUR"}, **more}


async def played(events: list[dict[str, Any]], **more: Any) -> Player:
    """Replay on the embedded broker, and return the player at rest."""
    request = ReadingRequest(every="month", kpis=["sales"], windows=["month"], **more)
    async with replaying(Settings(), request) as player:
        lines = ((number, orjson.dumps(event), "") for number, event in enumerate(events, start=1))
        progress = Progress(disable=True)
        await player.play(lines, progress, progress.add_task("replaying"))
    return player


def sales(player: Player) -> list[tuple[int, Any]]:
    return [(reading.at, reading.value) for reading in player.readings]


async def test_a_reading_counts_what_happened_before_it() -> None:
    player = await played([won(1, JANUARY + DAY), won(2, FEBRUARY - 1), won(3, FEBRUARY), won(4, MARCH + DAY)])

    assert sales(player) == [(FEBRUARY, 2), (MARCH, 1), (APRIL, 1)]


async def test_what_comes_late_shows_in_later_readings_or_restated_in_all() -> None:
    events = [won(1, JANUARY + DAY), won(2, FEBRUARY + DAY), won(3, JANUARY + DAY)]

    assert sales(await played(events)) == [(FEBRUARY, 1), (MARCH, 1)]
    assert sales(await played(events, restated=True)) == [(FEBRUARY, 2), (MARCH, 1)]


async def test_a_refused_time_does_not_move_the_clock_and_dead_letters_are_told() -> None:
    future = won(2, JANUARY, time="2100-01-01T00:00:00Z")
    past = won(3, JANUARY, time="1970-01-01T00:00:00Z")

    player = await played([won(1, JANUARY + DAY), future, past, won(4, JANUARY + 2 * DAY)])

    assert sales(player) == [(FEBRUARY, 2)]
    assert "2 dead letters" in player.summary()
    assert player.lost == 0


async def test_bad_names_are_told_before_anything_is_replayed() -> None:
    async with replaying(Settings(), ReadingRequest(kpis=["sails"])) as player:
        with pytest.raises(ValueError, match='did you mean "sales"'):
            player.calendar_check()


async def test_rules_on_single_deals_and_leads_follow_event_time_through_the_real_pipeline() -> None:
    thursday = 1_767_227_400_000  # 2026-01-01T00:30:00Z
    hour = DAY // 24

    def event(number: int, kind: str, subject: str, at: int, **data: Any) -> dict[str, Any]:
        envelope = {"specversion": "1.0", "id": f"e{number}", "source": "/test", "type": kind, "subject": subject}
        return {**envelope, "time": iso(at), "data": data}

    player = await played(
        [
            event(1, "deal.created", "D-1", thursday + 10 * hour, amount="150000", currency="EUR", stage="demo", owner="ann"),
            event(2, "lead.created", "L-1", thursday + 10 * hour, source="web"),
            event(3, "deal.won", "D-1", thursday + 13 * hour),
            event(4, "lead.contacted", "L-1", thursday + 32 * hour),
            event(5, "deal.created", "D-2", thursday + 33 * hour),
        ],
        tick="1h",
    )
    told = [orjson.loads(value) for value in player.transitions]
    found = [
        (t["rule"], t["kind"], t["at"][8:13], t["segment"]) for t in told if "deal" in t["segment"] or "lead" in t["segment"]
    ]
    # What is heard between two ticks is dated by the one before; what time alone brings, by the one after.
    assert found == [
        ("deal-large", "fired", "01T11", {"deal": "D-1"}),
        ("deal-large", "resolved", "01T13", {"deal": "D-1"}),
        ("lead-unanswered", "fired", "01T15", {"lead": "L-1"}),
        ("lead-unanswered", "resolved", "02T08", {"lead": "L-1"}),
    ]


def test_the_period_of_the_last_event_is_closed() -> None:
    stops = Stops(ReadingRequest(at=[MARCH + DAY, JANUARY + DAY], every="month"), calendar("UTC"))

    assert stops.passed(JANUARY) == []
    assert stops.passed(FEBRUARY) == [(JANUARY + DAY, True), (FEBRUARY, True)]
    assert stops.passed(FEBRUARY + DAY) == []
    assert stops.closing(FEBRUARY + DAY) == [(MARCH, True), (MARCH + DAY, True)]
    assert stops.read == [JANUARY + DAY, FEBRUARY, MARCH, MARCH + DAY]


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (b'{"specversion":"1.0","id":"2","source":"/t","type":"deal.won","time":"2025-01-03T00:00:00Z","subject":"B"}', 0),
        (b"{broken", 1),
        (b'{"specversion":"1.0","id":"2","source":"/t","type":"deal.won","time":"1970-01-03T00:00:00Z","subject":"B"}', 1),
    ],
    ids=["all of it used", "a line rejected", "an event refused"],
)
def test_readings_of_a_part_end_with_1(second: bytes, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file, out = tmp_path / "events.jsonl", tmp_path / "readings.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + orjson.dumps(won(1, JANUARY + DAY)) + b"\r\n" + second + b"\r\n")
    asked = ["replay", str(file), "--every", "month", "--kpi", "sales", "--window", "month", "--kpis-out", str(out)]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == code, result.output
    assert orjson.loads(out.read_bytes().splitlines()[0])["value"] == (1 if code else 2), "the readings are written all the same"
