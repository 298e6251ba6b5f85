"""What an operator reads of Kafka: nothing on a good day, one line while a broker is away, all else as it was said."""

import logging
from collections.abc import Iterator

import pytest

from stream.engine.client_logs import client_logger, limit_client_logs

#: Seen at the first start on a fresh broker, word by word.
GOOD_DAY = (
    (
        "aiokafka.consumer.group_coordinator",
        logging.ERROR,
        "Group Coordinator Request failed: [Error 15] GroupCoordinatorNotAvailableError",
    ),
    (
        "stream.kafka",
        logging.WARNING,
        "GETPID [rdkafka#producer-2] [thrd:main]: Failed to acquire transactional PID from broker TxnCoordinator/1: "
        "Broker: Coordinator load in progress: retrying",
    ),
)
#: Seen while a broker was away.
AWAY = (
    ("aiokafka", "Unable connect to node with id 1: [Errno 111] Connect call failed ('127.0.0.1', 16073)"),
    ("aiokafka", "Unable to update metadata from [1]"),
    (
        "aiokafka.consumer.fetcher",
        "Failed fetch messages from 1: NodeNotReadyError: Attempt to send a request to node which is not ready",
    ),
    ("aiokafka.consumer.group_coordinator", "Heartbeat session expired - marking coordinator dead"),
    (
        "stream.kafka",
        "FAIL [rdkafka#producer-6] [thrd:Txn]: Txn: Connect to ipv4#127.0.0.1:16073 failed: Connection refused (after 0ms)",
    ),
)


@pytest.fixture(autouse=True)
def limited() -> Iterator[None]:
    """Filters of other tests, with what they have seen, are put aside."""
    ours = client_logger().name
    names = [name for name in logging.root.manager.loggerDict if name.startswith(("aiokafka", "faust", ours))]
    before = {name: logging.getLogger(name).filters[:] for name in names}
    for name in before:
        logging.getLogger(name).filters.clear()
    limit_client_logs()
    yield
    for name, filters in before.items():
        logging.getLogger(name).filters[:] = filters


def test_a_first_start_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    for name, level, text in GOOD_DAY:
        logging.getLogger(name).log(level, text)
    assert caplog.records == []


def test_a_broker_that_is_away_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    for name, text in AWAY * 3:
        logging.getLogger(name).error(text)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("WARNING", AWAY[0][1])]


def test_what_is_wrong_with_us_stays_an_error(caplog: pytest.LogCaptureFixture) -> None:
    text = "SASL authentication failed: wrong password"
    client_logger().error(text)
    logging.getLogger("aiokafka.consumer.fetcher").error("Unexpected error in fetcher routine")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", text),
        ("ERROR", "Unexpected error in fetcher routine"),
    ]
