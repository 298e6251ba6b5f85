"""Is somebody counted once in any window, whenever they were there and in whatever order that is told?"""

from itertools import permutations

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Grain
from models.folds.presence import Past, Presence
from models.measures import Kind, Measure
from models.panes.store import Panes

NOON = 20_778 * DAY_MS + 12 * HOUR_MS  # of 2026-11-21, by UTC
DAY, HOUR = 719_163 + 20_778, 20_778 * 24 + 12


def test_each_time_counts_with_the_gap_to_the_one_before() -> None:
    """At noon, again in the same minute, an hour later, and the day after: in any order."""
    for order in permutations((NOON, NOON + 1, NOON + HOUR_MS, NOON + DAY_MS)):
        panes, past = Panes([Measure("active", Kind.DISTINCT, "")], Business(keep_minutes=3 * DAY_MS)), Past()
        for at in order:
            Presence(Business(keep_minutes=3 * DAY_MS), panes, 0).attend(past, at)
        panes.roll(NOON + DAY_MS)
        found = {(grain, pane): number for grain, pane, _, _, number in panes.cells(Grain)}
        minute = NOON // MINUTE_MS
        assert found == {
            (Grain.MINUTE, minute): {0: 1},
            (Grain.MINUTE, minute + 60): {60: 1},
            (Grain.MINUTE, minute + 1440): {0: 1},  # 1,380 minutes later is beyond what a window of minutes reaches
            (Grain.HOUR, HOUR): {0: 1},
            (Grain.HOUR, HOUR + 1): {1: 1},
            (Grain.HOUR, HOUR + 24): {23: 1},
            (Grain.DAY, DAY): {0: 1},
            (Grain.DAY, DAY + 1): {1: 1},
        }


def test_what_is_older_than_twice_the_time_that_panes_are_kept_is_forgotten() -> None:
    past = Past()
    presence = Presence(Business(), Panes([Measure("active", Kind.DISTINCT, "")], Business()), 0)
    presence.attend(past, NOON)
    presence.attend(past, NOON + 4 * HOUR_MS)  # minutes are kept for two hours
    minute = NOON // MINUTE_MS
    assert past[Grain.MINUTE] == [minute, minute + 240]
    presence.attend(past, NOON + 4 * HOUR_MS + MINUTE_MS)
    assert past[Grain.MINUTE] == [minute + 240, minute + 241]
    assert past[Grain.HOUR] == [HOUR, HOUR + 4] and past[Grain.DAY] == [DAY]
