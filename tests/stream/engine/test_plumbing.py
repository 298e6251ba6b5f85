import logging
import ssl
from typing import Any

import confluent_kafka
import pytest
from faust.types.auth import AuthProtocol

from stream.engine.app import build_app
from stream.engine.client_logs import RateLimit, limit_client_logs
from stream.engine.kafka_security import faust_credentials
from stream.engine.options import EngineOptions, FoldSpec
from stream.engine.topic_list import TOPICS
from stream.engine.topics import declared, partition_for
from tests.stream.engine.counting import TOPICS as TEST_TOPICS
from tests.stream.engine.counting import Adder, adder, latest


def record(message: str, *args: Any, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("aiokafka.conn", level, "f", 1, message, args, None)


def test_the_same_message_passes_once_in_a_while_and_then_says_how_often_it_came() -> None:
    now = 0.0
    limit = RateLimit(10, clock=lambda: now)
    assert limit.filter(record("no %s", "broker 1"))
    for _ in range(7):
        now += 1
        assert not limit.filter(record("no %s", "broker 2"))
    assert limit.filter(record("another"))
    now = 11.0
    last = record("no %s", "broker 3")
    assert limit.filter(last)
    assert last.getMessage() == "no broker 3 (7 more like this in 11 s)"


def test_information_is_never_held_back() -> None:
    limit = RateLimit(10, clock=lambda: 0.0)
    assert all(limit.filter(record("x", level=logging.INFO)) for _ in range(3))


def test_limits_are_set_once() -> None:
    limit_client_logs()
    limit_client_logs()
    filters = logging.getLogger("aiokafka.conn").filters
    assert sum(isinstance(one, RateLimit) for one in filters) == 1


@pytest.mark.parametrize(("key", "partition"), [(b"deal-1", 0), (b"a", 4), (b"xyz" * 20, 4)], ids=["deal-1", "a", "long"])
def test_keys_go_where_javas_producers_put_them(key: bytes, partition: int) -> None:
    from aiokafka.partitioner import murmur2

    assert partition_for(key, 8) == partition == (murmur2(key) & 0x7FFFFFFF) % 8
    assert partition_for(key, 1) == 0
    assert confluent_kafka.murmur2(key, 8) == partition


def test_the_exact_set_of_topics_and_changelogs() -> None:
    options = EngineOptions(brokers="b:1", application="app", topic_prefix="x.", topics=TOPICS)
    folds = [FoldSpec(name="fold_deals", topics=("deals", "deal-merges"), make=Adder)]
    found = {topic.name: (topic.partitions, topic.config["cleanup.policy"]) for topic in declared(options, folds)}
    assert found == {
        "x.erasures": (1, "compact"),
        "x.erasure-requests": (1, "delete"),
        "x.standings": (1, "compact"),
        "x.objectives": (1, "compact"),
        "x.forecasts": (1, "compact"),
        "x.deal-outlooks": (1, "compact"),
        "x.customer-moves": (8, "delete"),
        "x.audit": (1, "delete"),
        "x.deals": (8, "delete"),
        "x.leads": (8, "delete"),
        "x.engagement": (8, "delete"),
        "x.customers": (8, "delete"),
        "x.spend": (8, "delete"),
        "x.deal-merges": (8, "delete"),
        "x.lead-merges": (8, "delete"),
        "x.deal-states": (8, "compact"),
        "x.lead-states": (8, "compact"),
        "x.acquaintances": (8, "delete"),
        "x.examples": (1, "delete"),
        "x.model-snapshots": (8, "compact"),
        "x.predictions": (8, "compact"),
        "x.customer-states": (8, "compact"),
        "x.lead-predictions": (8, "compact"),
        "x.limits": (8, "compact"),
        "x.beats": (1, "delete"),
        "x.findings": (1, "compact"),
        "x.panes": (1, "compact"),
        "x.highlights": (1, "compact"),
        "x.readings": (1, "compact"),
        "x.alerts": (1, "delete"),
        "x.alert-states": (1, "compact"),
        "x.outbox": (1, "delete"),
        "x.dead-letters": (1, "delete"),
        "x.app-fold_deals-changelog": (8, "compact"),
    }


def test_what_is_declared_twice_or_does_not_fit_is_refused() -> None:
    options = EngineOptions(brokers="b:1", topics=TEST_TOPICS)
    engine = build_app(options, [adder()])
    with pytest.raises(ValueError, match="'add' is used twice"):
        engine.agent(adder())
    with pytest.raises(ValueError, match="accepted: the same number of partitions"):
        engine.agent(FoldSpec(name="odd", topics=("numbers", "sums"), make=Adder))
    with pytest.raises(ValueError, match="topic 'nowhere' is not declared"):
        engine.agent(FoldSpec(name="lost", topics=("nowhere",), make=Adder))


@pytest.mark.parametrize("bad", ["", "a b", "x/y", "n" * 101])
def test_names_that_kafka_would_refuse_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="accepted: 1 to 100 of"):
        FoldSpec(name=bad, topics=("numbers",), make=Adder)
    with pytest.raises(ValueError, match="accepted: 1 to 100 of"):
        EngineOptions(brokers="b:1", instance=bad)


async def test_agents_and_tables_are_fausts_with_the_names_of_the_folds() -> None:
    engine = build_app(EngineOptions(brokers="b:1", application="app", topics=TEST_TOPICS), [adder("fold_numbers"), latest()])
    flow: Any = engine.flow
    assert set(flow.app.agents) == {"fold_numbers", "latest"}
    assert {name: table.changelog_topic.get_topic_name() for name, table in flow.app.tables.items()} == {
        "fold_numbers": "app-fold_numbers-changelog"
    }
    table = flow.app.tables["fold_numbers"]
    with pytest.raises(TypeError, match="outside of stream iteration"):  # a fold's checkpoint writes its rows, and nobody else
        table[b"k"] = b"v"
    assert not table


@pytest.mark.parametrize(
    ("security", "protocol"),
    [
        ({"security.protocol": "SSL"}, AuthProtocol.SSL),
        (
            {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "u", "sasl.password": "p"},
            AuthProtocol.SASL_PLAINTEXT,
        ),
        (
            {
                "security.protocol": "sasl_ssl",
                "sasl.mechanisms": "SCRAM-SHA-512",
                "sasl.username": "u",
                "sasl.password": "p",
            },
            AuthProtocol.SASL_SSL,
        ),
    ],
    ids=["TLS", "SASL", "both"],
)
def test_librdkafkas_words_for_security_hold_for_aiokafka_too(security: dict[str, str], protocol: AuthProtocol) -> None:
    credentials = faust_credentials(security)
    assert credentials.protocol == protocol
    if "sasl.username" in security:
        assert (credentials.username, credentials.password) == ("u", "p")
    if protocol is not AuthProtocol.SASL_PLAINTEXT:
        context = getattr(credentials, "ssl_context", None) or credentials.context
        assert context.verify_mode is ssl.CERT_REQUIRED


def test_no_security_is_none_and_unknown_security_is_refused() -> None:
    assert faust_credentials({}) is None
    with pytest.raises(ValueError, match=r"security\.protocol: found 'TLS'; accepted: PLAINTEXT"):
        faust_credentials({"security.protocol": "TLS"})
    with pytest.raises(ValueError, match=r"sasl\.mechanism: found 'MAGIC'"):
        faust_credentials({"security.protocol": "SASL_SSL", "sasl.mechanism": "MAGIC"})
