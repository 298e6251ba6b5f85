import orjson
import pytest

from models.fold import Record
from stream.web.alert_board import AlertBoard


def record(incident: str, after: str, severity: str = "warn", since: str = "2026-11-19T12:00:00Z", **more) -> Record:
    body = {
        "type": "transition",
        "incident": incident,
        "rule": "win-rate-drop",
        "segment": {"source": "web"},
        "severity": severity,
        "state": {"before": "inactive", "after": after},
        "since": since,
        "message": {"title": "[WARN] Win rate", "text": "Win rate is 14 %\n\nWhy: below"},
        **more,
    }
    return Record("alerts", 0, 0, 0, incident.encode(), orjson.dumps(body), ())


def test_the_last_transition_counts_and_an_ended_incident_goes():
    board = AlertBoard()
    board.fold([record("a", "pending"), record("a", "firing", "critical"), record("b", "firing"), record("b", "inactive")])
    (alert,) = board.current()
    assert (alert["id"], alert["state"], alert["severity"]) == ("a", "firing", "critical")
    assert alert["summary"] == "Win rate is 14 %"
    assert board.counts() == {
        ("win-rate-drop", "warn", "pending"): 0,
        ("win-rate-drop", "critical", "firing"): 1,
        ("win-rate-drop", "warn", "firing"): 0,
    }


def test_gravest_then_oldest_first():
    board = AlertBoard()
    board.fold(
        [
            record("pending", "pending"),
            record("young", "firing", since="2026-11-19T13:00:00Z"),
            record("old", "firing"),
            record("grave", "firing", "critical", since="2026-11-19T14:00:00Z"),
        ]
    )
    assert [alert["id"] for alert in board.current()] == ["grave", "old", "young", "pending"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"null", b'{"type":"outcome"}', b'{"type":"transition"}', b'{"type":"transition","state":7}']
)
def test_what_is_no_transition_is_passed_over(body):
    board = AlertBoard()
    board.fold([record("a", "firing"), Record("alerts", 0, 1, 0, None, body, ())])
    assert len(board.current()) == 1
    assert board.changes() == ([], [])


def test_a_new_assignment_begins_anew():
    board = AlertBoard()
    board.fold([record("a", "firing")])
    fold = board.spec().make(0)
    assert board.current() == []
    fold.fold([record("b", "firing")])
    assert [alert["id"] for alert in board.current()] == ["b"]
