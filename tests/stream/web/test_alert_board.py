import orjson
import pytest

from alert_rules.alert_states import TOPIC, AlertStates
from models.fold import Output, Record
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


def told(*records: Record, states: AlertStates | None = None) -> list[Record]:
    """Return what the topic of states has of these transitions, a checkpoint after each."""
    states = states or AlertStates()
    outputs: list[Output] = []
    for record in records:
        states.fold([record])
        outputs += states.changes().outputs
    return [Record(TOPIC, 0, offset, 0, one.key, one.value, ()) for offset, one in enumerate(outputs)]


def shown(*records: Record) -> AlertBoard:
    """Return a board that has read what stands after these."""
    board = AlertBoard()
    fold = board.spec().make(0)
    fold.fold(told(*records))
    fold.live()
    return board


def test_a_restart_reads_what_stands_and_nothing_of_what_has_ended():
    history = [record(f"old-{number}", after) for number in range(400) for after in ("firing", "inactive")]
    latest = {one.key: one.value for one in told(*history, record("a", "firing"), record("b", "pending"), act("b", "ack"))}
    assert {key for key, value in latest.items() if value is not None} == {b"a", b"b"}, "what compaction leaves in the end"


def test_what_began_and_ended_within_a_checkpoint_is_not_told():
    states = AlertStates()
    states.fold([record("a", "firing"), record("a", "inactive"), record("b", "firing")])
    assert [one.key for one in states.changes().outputs] == [b"b"]
    assert states.changes() == ([], [])


def test_a_worker_that_restarts_goes_on_where_it_was():
    first, rows = AlertStates(), {}
    for one in (record("a", "firing"), record("b", "firing"), act("a", "ack"), record("b", "inactive")):
        first.fold([one])
        rows |= dict(first.changes().rows)
    second = AlertStates()
    second.restore([(key, value) for key, value in rows.items() if value is not None])
    assert second.changes() == ([], [])
    (after,) = told(record("a", "recovering"), states=second)
    assert (after.key, orjson.loads(after.value)["acknowledged"]["by"]) == (b"a", "ada")
    (ended,) = told(record("a", "inactive"), states=second)
    assert (ended.key, ended.value) == (b"a", None)


def test_the_last_transition_counts_and_an_ended_incident_goes():
    board = shown(record("a", "pending"), record("a", "firing", "critical"), record("b", "firing"), record("b", "inactive"))
    (alert,) = board.current()
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
    assert [alert["id"] for alert in board.current()] == ["grave", "old", "young", "pending"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"null", b'{"type":"outcome"}', b'{"type":"transition"}', b'{"type":"transition","state":7}']
)
def test_what_is_no_transition_is_passed_over(body):
    board = shown(record("a", "firing"), Record("alerts", 0, 1, 0, None, body, ()))
    assert len(board.current()) == 1


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"id":"b"}', b'{"id":"c","state":"firing","severity":"warn","since":"x"}'])
def test_what_is_no_state_of_its_incident_is_passed_over(body):
    board = AlertBoard()
    fold = board.spec().make(0)
    fold.fold([*told(record("a", "firing")), Record(TOPIC, 0, 1, 0, b"b", body, ()), Record(TOPIC, 0, 2, 0, None, None, ())])
    fold.live()
    assert board.incidents() == {"a"}


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
        (alert,) = shown(record("a", "firing"), *records).current()
        assert alert["acknowledged"] == expected


def test_an_assignment_is_read_aside_and_shown_once_it_is_whole():
    board = AlertBoard()
    assert board.current() is None and board.incidents() is None
    first, second = board.spec().make(0), None
    first.fold(told(record("a", "firing")))
    assert board.current() is None  # not the first of many
    first.live()
    assert board.incidents() == {"a"}
    second = board.spec().make(0)
    second.fold(told(record("b", "firing")))
    assert board.incidents() == {"a"}
    second.live()
    assert board.incidents() == {"b"}
    assert second.changes() == ([], [])
