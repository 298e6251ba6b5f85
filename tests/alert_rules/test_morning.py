"""The morning's summary: at its time, once a day, whoever dies; with what stands and what the figures were before."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
import yaml

from alert_rules.parse.plan_file import parse_alerting
from alert_rules.records.message import read_message
from alert_rules.tell.plan import Alerting, Digest
from alert_rules.tell.send_digest import SendDigest, latest
from alert_rules.words.letter import letter
from alert_rules.words.reader import Reader
from models.calendar import DAY_MS, HOUR_MS, epoch_ms
from models.fold import Record
from models.kpis.reading import Reading
from tests.alert_rules import corpus
from tests.alert_rules.test_alerting import problems
from tests.alert_rules.timeline import RECEIVERS, transition

MINUTE = 60_000
PLAN = """
route: {receiver: chat}
digest: {receivers: ["on_call:sales", mail], at: "08:00", weekdays: ["monday:friday"], timezone: Europe/Paris,
         kpis: [revenue, win_rate, leads], window: 7d}
on_call: {sales: {start: 2026-01-05, members: [{name: ann, receivers: [ann]}, {name: bob, receivers: [bob]}]}}
"""


def at(day: int, hour: int, minute: int = 0, month: int = 1) -> int:
    """So much o'clock UTC; Paris is an hour ahead in January."""
    return epoch_ms(datetime(2026, month, day, hour, minute, tzinfo=UTC))


class Mornings:
    """One worker after another, ticking each minute."""

    def __init__(self, start: int, text: str = PLAN) -> None:
        found, wrong = parse_alerting(yaml.safe_load(text), RECEIVERS)
        assert found is not None, wrong
        self.plan: Alerting = found
        self.now = start
        self.rows: dict[bytes, bytes] = {}
        self.said: list[dict[str, Any]] = []
        self.decisions: list[dict[str, Any]] = []
        self.restart()

    def restart(self) -> None:
        assert self.plan.digest is not None
        labels = {"revenue": {"en": "Revenue"}, "win_rate": {"en": "Win rate"}}
        self.fold = SendDigest(self.plan.digest, labels, self.plan.resolve, began=self.now)
        self.fold.restore(sorted(self.rows.items()))

    def commit(self) -> None:
        changes = self.fold.changes()
        for row in changes.rows:
            if row.value is None:
                self.rows.pop(row.key, None)
            else:
                self.rows[row.key] = row.value
        for output in changes.outputs:
            (self.said if output.topic == "outbox" else self.decisions).append(orjson.loads(output.value or b""))

    def read(self, kpi: str, value: float | None, unit: str = "money", **more: Any) -> None:
        reading = Reading(kpi, "7d", {}, self.now - 7 * DAY_MS, self.now, value, value, None, None, None, unit, **more)
        self.put("readings", reading.key.encode(), reading.encode())

    def put(self, topic: str, key: bytes, value: Any) -> None:
        body = value if isinstance(value, bytes) or value is None else orjson.dumps(value)
        self.fold.fold([Record(topic, 0, 0, self.now, key, body, ())])
        self.commit()

    def run(self, until: int, restarts: bool = False) -> None:
        while self.now < until:
            self.now += MINUTE
            if restarts and self.now % (3 * MINUTE) == 0:
                self.restart()
            self.fold.tick(self.now)
            self.commit()

    @property
    def times(self) -> list[str]:
        return [one["at"][5:16] for one in self.said]


@pytest.mark.parametrize("restarts", [False, True])
def test_once_a_day_on_its_days_however_often_the_worker_restarts(restarts: bool) -> None:
    m = Mornings(at(8, 9))  # a Thursday, after eight: the first one comes tomorrow
    m.run(at(13, 12), restarts)
    days = ["01-09T07:0", "01-12T07:0", "01-13T07:0"]  # Friday, Monday, Tuesday
    assert [time[:10] for time in m.times] == days
    assert m.times[0] == "01-09T07:00" or restarts, "restarted at eight, it waits for readings first"
    assert len({one["id"] for one in m.said}) == 3 and len({one["incident"] for one in m.said}) == 3
    assert m.said[0]["receivers"] == ["ann", "mail"] and m.said[2]["receivers"] == ["bob", "mail"]
    assert [(d["outcome"], d["stage"], d["kind"]) for d in m.decisions] == [("notified", "digest", "digest")] * 3


def test_what_it_says() -> None:
    m = Mornings(at(7, 9))
    m.read("revenue", 10_000.0, currency="EUR")
    m.read("win_rate", 0.25, "ratio")
    m.put("alerts", b"a", transition("a", "fired", "warn", {}, m.now))
    m.put("alerts", b"b", transition("b", "fired", "critical", {}, m.now + 1))
    m.put("alerts", b"c", transition("c", "fired", "critical", {}, m.now))
    m.put("alerts", b"c", transition("c", "resolved", "critical", {}, m.now))
    m.run(at(8, 7))
    m.restart()
    m.read("revenue", 12_500.0, currency="EUR")
    m.read("win_rate", None, "ratio", why="no deal closed")
    for name in "ab":
        m.put("alerts", name.encode(), transition(name, "resolved", "warn", {}, m.now))
    m.run(at(9, 7))
    first, second = (one["message"] for one in m.said)
    assert first["title"] == "Sales on Thursday, 8 January 2026"
    assert first["text"].splitlines() == [
        "2 alerts stand, 1 critical.", "",
        "Revenue, 7 days: 10,000 EUR", "Win rate, 7 days: 25 %", "leads, 7 days: no reading",
        "[CRITICAL] b, for 22 h", "[WARN] a, for 22 h",
    ]  # fmt: skip
    assert second["text"].splitlines() == [
        "No alert stands.", "", "Revenue, 7 days: 12,500 EUR (at the last summary 10,000 EUR, +25%)",
        "Win rate, 7 days: no value (no deal closed)", "leads, 7 days: no reading",
    ]  # fmt: skip


def test_what_is_silenced_is_counted_and_not_listed() -> None:
    m = Mornings(at(7, 9))
    m.put("alerts", b"a", transition("a", "fired", "warn", {"team": "sales"}, m.now))
    m.put("alerts", b"b", transition("b", "fired", "critical", {}, m.now))
    silence = {"id": "s1", "matchers": ["team=sales"], "starts": at(7, 9), "ends": at(8, 12), "comment": "campaign paused"}
    m.put("alerts", b"s", {"type": "act", "act": "silence", "by": "ann", "silence": silence})
    m.restart()
    m.run(at(9, 8))
    first, second = (one["message"]["text"].splitlines() for one in m.said)
    assert first[0] == "1 alert stands, 1 critical; 1 more is silenced." and not any("[WARN] a" in line for line in first)
    assert second[0] == "2 alerts stand, 1 critical." and any("[WARN] a" in line for line in second)


def test_a_worker_that_was_away_sends_it_late_and_not_in_the_evening() -> None:
    m = Mornings(at(7, 9))
    m.run(at(7, 10))
    m.now = at(8, 9)  # down over the time
    m.restart()
    m.run(at(8, 10))
    assert m.times == ["01-08T09:01"]
    m.now = at(9, 15)
    m.restart()
    m.run(at(9, 16))
    assert len(m.said) == 1
    assert [(d["outcome"], d["reason"]) for d in m.decisions[1:]] == [
        ("suppressed", "8 h 1 min late: nobody was there to send it")
    ]


def test_summer_time_moves_nothing_on_the_clock_on_the_wall() -> None:
    digest = Digest(("mail",), 8 * 60, "Europe/Paris")
    for day, utc in ((28, 7), (29, 6)):
        assert latest(digest, at(day, utc, 0, 3)) == at(day, utc, 0, 3)
        assert latest(digest, at(day, utc, 0, 3) - 1) == at(day - 1, 7, 0, 3)
    night = Digest(("mail",), 2 * 60 + 30, "Europe/Paris")  # half past two does not come on the 29th
    assert latest(night, at(29, 12, 0, 3)) - at(29, 0, 0, 3) <= 2 * HOUR_MS


def test_what_is_no_digest() -> None:
    assert problems(
        "{route: {receiver: chat}, digest: {receivers: [male], at: '25:00', weekdays: [munday], window: 9x, kpi: [x]}}"
    ) == [
        'alerting.digest.kpi: unknown key "kpi" (did you mean "kpis"?)',
        "alerting.digest.receivers: undefined receiver 'male' (did you mean \"mail\"?)",
        "alerting.digest.at: not a time of day: '25:00' (accepted: 00:00 to 24:00)",
        "alerting.digest.weekdays[0]: not a weekday: 'munday' (did you mean \"sunday\"?)",
        next(text for text in problems("{route: {receiver: chat}, digest: {receivers: [mail], window: 9x}}")),
    ]


def test_what_cannot_be_read_is_passed_over() -> None:
    m = Mornings(at(7, 9))
    for topic in ("readings", "alerts"):
        for body in (b"{", b"[]", b"3", b'{"type":"transition"}', b"", None):
            m.put(topic, b"revenue|7d|total", body)
    m.run(at(8, 8))
    assert len(m.said) == 1


def test_the_morning_is_told_in_the_reader_s_language_numbers_and_dates_with_what_is_to_come() -> None:
    first = next(one for one in corpus.morning(corpus.transitions()) if one.get("digest"))
    message = read_message(first)
    told = letter(message, Reader("fr", ZoneInfo("Europe/Paris"))).text.replace("\u202f", " ").replace("\u00a0", " ")
    assert "Chiffre d'affaires, 7 jours : 12 400 €" in told
    assert "Prévision du mois : 208 112 €, entre 181 000 € et 237 000 € ; objectif atteint avec 37 % de chances" in told
    assert "Chiffre d'affaires du mois : 41 %, en retard" in told
    assert "[ATTENTION] Un client ne donne plus signe · D-1 : 15 000 €, depuis " in told
    assert not re.search(r"\d,\d{3}|\bdays\b|since", told), "no English number or word"
    assert "[WARN] A customer has gone quiet · D-1: 15,000 EUR, for 1 d 8 h" in letter(message).text


def test_a_forecast_of_days_ago_is_nobody_s_present() -> None:
    run = Mornings(at(5, 12))
    run.fold.tick(run.now)  # a first start waits for the morning
    for kpi, value in (("forecast_p10", 1.0), ("forecast_p50", 2.0), ("forecast_p90", 3.0)):
        reading = Reading(kpi, "month", {}, at(1, 0), at(5, 12), value, None, None, None, None, "money", currency="EUR")
        run.fold.fold([Record("readings", 0, 0, at(5, 12), reading.key.encode(), reading.encode(), ())])
    run.commit()
    run.restart()
    for moment in (at(6, 7, 2), at(7, 7, 2)):
        run.now = moment
        run.fold.tick(moment)
        run.commit()
    assert [(one["digest"].get("forecast") or {}).get("expected") for one in run.said] == [2.0, None]
