"""The fold that keeps forecasts: what goes on record when, once, what came of it, what rules are told."""

from datetime import UTC, datetime

import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, epoch_ms
from models.deal_outlook import TOPIC, DealOutlook, encode
from models.fold import Record
from models.foresight import kept, scores
from models.foresight.foresee import Asked, Foresee
from models.foresight.kept import Said, Slice
from models.foresight.scenario import Scenario
from models.kpis.reading import Reading
from models.targets import Target, Targets
from tests.models.foresight.deals import UNIT, company, curve

BUSINESS = Business(timezone="Europe/Paris")
START = epoch_ms(datetime(2026, 8, 29, tzinfo=UTC))
END = epoch_ms(datetime(2026, 10, 3, tzinfo=UTC))
HISTORY = company(END, 260, 11, lambda day: 2.0)
TARGETS = Targets([Target("revenue", "month", "total", 40_000.0), Target("revenue", "month", "owner=owner1", 10_000.0)])
WANTED = [("forecast_p50", "month", None), ("target_probability", "month", None), ("target_probability", "month", "owner")]


class Company:
    """A fold with its topics; ``crash`` puts another in its place that reads them from the beginning."""

    def __init__(self) -> None:
        self.log: dict[str, list[tuple[str, bytes | None]]] = {TOPIC: [], kept.TOPIC: []}
        self.readings: list[Reading] = []
        self.written = 0
        self.fold = self._fresh()

    def _fresh(self) -> Foresee:
        fold = Foresee(BUSINESS, TARGETS, WANTED, alone=True)
        for topic, records in self.log.items():
            for key, value in records:
                fold.fold([Record(topic, 0, 0, 0, key.encode(), value, ())])
        fold.live()
        return fold

    def crash(self) -> None:
        self.fold = self._fresh()

    def tell(self, number: int, deal: DealOutlook | None) -> None:
        key, value = f"D{number}", None if deal is None else encode(deal)
        self.log[TOPIC].append((key, value))
        self.fold.fold([Record(TOPIC, 0, 0, 0, key.encode(), value, ())])

    def pass_to(self, now: int, *, lost: bool = False) -> None:
        """Let time pass; ``lost``: the transaction was never committed."""
        self.fold.tick(now)
        for output in self.fold.changes().outputs:
            if lost:
                continue
            if output.topic == "readings":
                self.readings.append(Reading.decode(output.value or b""))
            else:
                assert output.topic == kept.TOPIC
                self.written += 1
                self.log[kept.TOPIC].append((output.key.decode(), output.value))
                self.fold.fold([Record(kept.TOPIC, 0, 0, 0, output.key, output.value, ())])

    def records(self) -> dict[str, bytes]:
        found = dict(self.log[kept.TOPIC])
        return {key: value for key, value in found.items() if value is not None}


def played(*, crashes: bool = False) -> Company:
    found = Company()
    told: dict[int, str] = {}
    for number, now in enumerate(range(START, END, DAY_MS)):
        for place, deal in enumerate(HISTORY):
            status = "" if deal.created >= now else deal.status if 0 < deal.closed < now else "open"
            if not status or (status != "open" and told.get(place) == status):
                continue
            told[place] = status
            known = deal if status != "open" else DealOutlook(
                "open", deal.created, 0, deal.amount, deal.values, deal.stages, now, curve(0.4, 20), (0.988, 0.998)
            )  # fmt: skip
            found.tell(place, known)
        if crashes and number % 15 == 7:
            found.pass_to(now, lost=True)
            found.crash()
        found.pass_to(now + HOUR_MS)
        if crashes and number % 15 == 11:
            found.crash()
    return found


@pytest.fixture(scope="module")
def whole() -> Company:
    return played()


def test_every_day_s_forecast_is_on_record_once_whoever_crashes(whole: Company) -> None:
    days = (END - START) // DAY_MS
    totals = [kept.decode(value) for key, value in whole.records().items() if key.split("|")[3] == kept.TOTAL]
    assert sorted({one.period for one in totals}) == ["month", "quarter", "year"]
    for period in kept.PERIODS:
        mine = [one for one in totals if one.period == period]
        assert len(mine) == len({one.day for one in mine}) == days + (1 if (END - START) % DAY_MS else 0)
    assert played(crashes=True).records() == whole.records()


def test_segments_are_on_record_at_the_quarters_of_a_period(whole: Company) -> None:
    owners = [
        one for one in map(kept.decode, whole.records().values()) if one.by == "owner" and one.period == "month" and one.value
    ]
    september = [one for one in owners if one.start == epoch_ms(datetime(2026, 8, 31, 22, tzinfo=UTC))]
    assert {one.value for one in september} == {"owner0", "owner1", "owner2"}
    assert len({one.day for one in september}) == 4


def test_when_the_period_is_over_what_came_is_on_record_and_scored(whole: Company) -> None:
    start, end = epoch_ms(datetime(2026, 8, 31, 22, tzinfo=UTC)), epoch_ms(datetime(2026, 9, 30, 22, tzinfo=UTC))
    came = sum(one.amount or 0 for one in HISTORY if one.status == "won" and start <= one.closed < end)
    september = [
        one
        for one in kept.series(list(whole.fold.records.values()), kept.TOTAL, "")
        if one.period == "month" and one.start == start
    ]
    assert len(september) == 30 and {one.actual for one in september} == {came}
    ranked = scores.scored(one for one in whole.fold.records.values() if one.period == "month" and one.by == kept.TOTAL)
    summary = scores.summary(ranked)
    assert {"forecast", "last_period", "stage_weighted"} <= set(summary)
    assert 0.5 <= summary["forecast"].coverage <= 1 and abs(summary["forecast"].bias) < 0.3
    assert summary["forecast"].crps < summary["stage_weighted"].crps
    found = scores.best_lately(ranked)
    assert found is not None and found[1] >= 1 and found[2]["forecast"] > 0
    assert all(one.actual is None for one in whole.fold.records.values() if one.end > END)
    due = kept.past(whole.fold.records.values(), Slice("month"))
    assert len({one.period for one in due}) == 2 and all(one.actual >= 0 for one in due)


def test_a_late_sale_changes_what_came(whole: Company) -> None:
    found = Company()
    found.log = {topic: list(records) for topic, records in whole.log.items()}
    found.crash()
    records = [one for one in found.fold.records.values() if one.by == kept.TOTAL and one.period == "month"]
    september = max((one for one in records if one.actual is not None), key=lambda one: (one.start, one.day))
    before = found.written
    found.tell(90_000, DealOutlook("won", september.start - DAY_MS, september.start + DAY_MS, 777 * UNIT))
    found.pass_to(END + 24 * HOUR_MS)
    assert found.fold.records[september.key].actual == (september.actual or 0) + 777 * UNIT
    assert found.written > before


def test_rules_are_told_of_what_they_wait_for_and_again_a_heartbeat_later(whole: Company) -> None:
    last = [one for one in whole.readings if one.at == whole.readings[-1].at]
    assert {one.key for one in last} == {
        "forecast_p50|month|total", "target_probability|month|total",
        "target_probability|month|owner=owner0", "target_probability|month|owner=owner1", "target_probability|month|owner=owner2",
    }  # fmt: skip
    by = {one.key: one for one in last}
    assert by["forecast_p50|month|total"].currency == "EUR" and by["forecast_p50|month|total"].value > 0  # type: ignore[operator]
    assert 0 <= by["target_probability|month|owner=owner1"].value <= 1  # type: ignore[operator]
    none = by["target_probability|month|owner=owner0"]
    assert none.value is None and none.why == "no target of revenue is set for owner=owner0 for this month"


def test_who_asks_is_answered_of_what_is_known_and_others_are_left_as_they_are() -> None:
    fold = Foresee(BUSINESS)
    fold.fold([Record(TOPIC, 0, 0, 0, b"D%d" % n, encode(deal), ()) for n, deal in enumerate(HISTORY[:200])])
    fold.live()
    fold.tick(END)
    asked = Asked(Slice("month", "owner"), Scenario(1.1))
    assert fold.ask(asked, END) is None and fold.behind(asked, END)
    job = fold.job(END)
    assert job is not None
    made = job.run()
    assert not made.records  # a history that is still coming in is not put on record
    fold.take(made)
    assert fold.ask(asked, END) is not None and not fold.behind(asked, END)
    assert fold.job(END) is None
    fold.fold([Record(TOPIC, 0, 0, 0, b"D0", None, ())])
    assert fold.behind(asked, END) and fold.job(END) is not None


def test_what_is_damaged_is_a_dead_letter_and_stops_nothing() -> None:
    fold = Foresee(BUSINESS)
    fold.fold([Record(TOPIC, 0, 7, 1, b"D1", b"[1,2]", ()), Record(kept.TOPIC, 0, 8, 1, b"x", b"{", ())])
    outputs = fold.changes().outputs
    assert [one.topic for one in outputs] == ["dead-letters"] * 2 and fold.refused == 2
    assert "deal-outlooks" in orjson.loads(outputs[0].value or b"")["detail"] or outputs[0].value


def test_a_record_of_fewer_fields_is_still_read() -> None:
    row = ["month", 1, 2, "total", "", 3, 1, [1] * 21, 5, 0, 0.5, 0.5, 0.5, 100, [None]]
    found = kept.decode(orjson.dumps(row))
    assert isinstance(found, Said) and found.actual is None and found.target is None
