"""The live demonstration: six weeks of history, then numbers that move."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from models.simulator import LiveCompany
from models.simulator.live import HISTORY_DAYS
from models.simulator.mischief import when

SUNDAY_NIGHT = int(datetime(2025, 6, 8, 23, 17, tzinfo=UTC).timestamp() * 1000)
TUESDAY_NOON = int(datetime(2025, 6, 10, 12, 0, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize("now", [SUNDAY_NIGHT, TUESDAY_NOON])
def test_history_fills_the_windows_up_to_now(now: int) -> None:
    history = list(LiveCompany(1, now).history())
    assert [when(event) for event in history] == sorted(map(when, history))
    contracts, sales = ([event for event in history if event["subject"].startswith(letter)] for letter in "KP")
    times = [when(event) for event in history if event["subject"][0] not in "KP" and event["type"] != "rep.hired"]
    assert len(contracts) > 300 and when(contracts[-1]) < now
    won = [event for event in sales if event["type"] == "deal.won"]
    assert len(won) > 500 and now - when(won[0]) > 400 * timedelta(days=1).total_seconds() * 1000
    bought = Counter(event["subject"] for event in history if event["type"] == "customer.invoiced")
    assert sum(times > 1 for times in bought.values()) > 50
    begin = now - HISTORY_DAYS * timedelta(days=1).total_seconds() * 1000
    assert abs(times[0] - begin) < timedelta(days=1).total_seconds() * 1000
    assert now - 3_600_000 < times[-1] < now
    assert 30_000 < len(history) <= 60_000


@pytest.mark.parametrize("now", [SUNDAY_NIGHT, TUESDAY_NOON])
def test_ten_minutes_bring_ten_to_twenty_events_a_second_and_wins_and_losses(now: int) -> None:
    live = LiveCompany(1, now)
    seen = {event["id"] for event in live.history()}
    created = len(seen)
    kinds: Counter[str] = Counter()
    for _ in range(6_000):
        for event in live.step(now + 100):
            assert now <= when(event) < now + 100
            kinds[event["type"]] += 1
            seen.add(event["id"])
        now += 100
    assert len(seen) == created + kinds.total()
    assert 8 < kinds.total() / 600 < 20
    assert kinds["web.page_viewed"] / 600 > 3
    assert 12 < kinds["deal.won"] + kinds["deal.lost"] < 150
    assert kinds["deal.won"] > 3 and kinds["deal.lost"] > 3
    assert sum(count for kind, count in kinds.items() if kind.startswith("deal.")) > 150
    assert kinds["spend.recorded"] >= 7 * 9


def test_the_same_seed_and_clock_give_the_same_demonstration() -> None:
    def story() -> list[str]:
        live = LiveCompany(3, TUESDAY_NOON)
        history = [event["id"] for event in live.history()]
        return history + [event["id"] for second in range(20) for event in live.step(TUESDAY_NOON + 1_000 * second)]

    assert story() == story()


def test_a_clock_that_stands_still_or_goes_back_brings_nothing() -> None:
    live = LiveCompany(1, TUESDAY_NOON)
    list(live.history())
    assert live.step(TUESDAY_NOON) == []
    assert live.step(TUESDAY_NOON - 60_000) == []
    assert live.step(TUESDAY_NOON + 5_000)


def test_a_long_sleep_is_not_made_up_for() -> None:
    live = LiveCompany(1, TUESDAY_NOON)
    list(live.history())
    # Only new visits are not made up for: deals that were due in the meantime come all at once.
    events = live.step(TUESDAY_NOON + 1_800_000)
    visits = [event for event in events if event["type"] == "web.page_viewed" and when(event) > TUESDAY_NOON + 600_000]
    assert len(visits) < 100
