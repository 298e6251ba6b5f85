from typing import Any

import orjson
import pytest

from models.fold import Record
from stream.web.alert_board import AlertBoard


def record(incident: str, after: str, severity: str = "warn", since: str = "2026-11-19T12:00:00Z", **more: Any) -> Record:
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


def shown(*records: Record) -> AlertBoard:
    """Return a board that has read these."""
    board = AlertBoard()
    fold: Any = board.spec().make(0)
    fold.fold(records)
    fold.live()
    return board


def standing(board: AlertBoard) -> list[dict[str, Any]]:
    """The alerts of a board that has all of them."""
    alerts = board.current()
    assert alerts is not None
    return alerts


def test_the_last_transition_counts_and_an_ended_incident_goes():
    board = shown(record("a", "pending"), record("a", "firing", "critical"), record("b", "firing"), record("b", "inactive"))
    (alert,) = standing(board)
    assert (alert["id"], alert["state"], alert["severity"]) == ("a", "firing", "critical")
    assert alert["summary"] == "Win rate is 14 %"
    assert board.incidents() == {"a"}


def test_gravest_then_oldest_first():
    board = shown(
        record("pending", "pending"),
        record("young", "firing", since="2026-11-19T13:00:00Z"),
        record("old", "firing"),
        record("grave", "firing", "critical", since="2026-11-19T14:00:00Z"),
    )
    assert [alert["id"] for alert in standing(board)] == ["grave", "old", "young", "pending"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"null", b'{"type":"outcome"}', b'{"type":"transition"}', b'{"type":"transition","state":7}']
)
def test_what_is_no_transition_is_passed_over(body):
    board = shown(record("a", "firing"), Record("alerts", 0, 1, 0, None, body, ()))
    assert len(standing(board)) == 1


def act(incident: str, what: str, by: str = "ada") -> Record:
    body = {"type": "act", "act": what, "incident": incident, "by": by, "at": "2026-11-19T12:05:00Z"}
    return Record("alerts", 0, 0, 0, incident.encode(), orjson.dumps(body), ())


def test_who_takes_care_of_it_is_shown_until_it_is_taken_back_or_becomes_critical():
    taken = {"by": "ada", "at": "2026-11-19T12:05:00Z"}
    for records, expected in (
        ([], None),
        ([act("a", "ack"), act("other", "ack")], taken),
        ([act("a", "ack"), record("a", "recovering")], taken),
        ([act("a", "ack"), act("a", "unack")], None),
        ([act("a", "ack"), record("a", "firing", "critical")], None),
    ):
        (alert,) = standing(shown(record("a", "firing"), *records))
        assert alert["acknowledged"] == expected


def test_an_assignment_is_read_aside_and_shown_once_it_is_whole():
    board = AlertBoard()
    assert board.current() is None and board.incidents() is None
    first: Any = board.spec().make(0)
    first.fold([record("a", "firing")])
    assert board.current() is None  # not the first of many
    first.live()
    assert board.incidents() == {"a"}
    second: Any = board.spec().make(0)
    second.fold([record("b", "firing")])
    assert board.incidents() == {"a"}
    second.live()
    assert board.incidents() == {"b"}
    assert second.changes() == ([], [])
