import pytest

from stream.web.health import judge

RUNNING = {"state": "running", "lanes": {"state": {"last_error": None}}}


@pytest.mark.parametrize(
    ("status", "view", "ready", "words"),
    [
        (RUNNING, "live", True, None),
        ({"state": "starting"}, "loading", False, "not connected"),
        ({"state": "starting", "last_error": "no broker answers at x:1"}, "loading", False, "no broker answers at x:1"),
        ({"state": "restoring"}, "loading", False, "restoring"),
        (RUNNING, "loading", False, "topic panes"),
        ({"state": "stopped-fenced"}, "live", False, "fenced"),
        ({"state": "stopped"}, "live", False, "stopped"),
        ({"state": "dreaming"}, "live", False, "dreaming"),
        ({}, "live", False, "unknown"),
        ({"state": "running", "lanes": {"state": {"last_error": "_ALL_BROKERS_DOWN"}}}, "live", False, "_ALL_BROKERS_DOWN"),
        ({**RUNNING, "broker": {"state": "away", "since": "then", "error": "refused"}}, "live", False, "refused"),
    ],
)
def test_ready_or_why_not(status, view, ready, words):
    health = judge(status, view=view)
    assert health.ready is ready
    assert health.json()["ready"] is ready
    assert (words is None) == (not health.reasons)
    if words:
        assert any(words in reason for reason in health.reasons)


def test_redis_away_degrades_only():
    health = judge(RUNNING, cache={"state": "away", "where": "h:1", "since": "then", "error": "refused"})
    assert health.ready
    assert "h:1 is away" in health.degraded[0]


def test_a_view_elsewhere_degrades_only():
    health = judge(RUNNING, view="elsewhere")
    assert health.ready
    assert "another worker" in health.degraded[0]
