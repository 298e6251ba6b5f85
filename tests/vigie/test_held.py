"""Is all that is held of somebody found on a Kafka, and nothing of anybody else?"""

import confluent_kafka
import orjson

from agents.worker import entity_folds
from models.events.dead_letter import dead_letter
from models.events.refused import Reason, Refused
from models.fold import Record
from models.privacy.audit import Chain, encode
from models.privacy.subject import Subject
from stream.engine.embedded import EmbeddedBroker
from stream.engine.options import EngineOptions
from stream.engine.topics import declared
from tests.models.test_partition import BUSINESS
from vigie.held import of_kafka


def event(kind: str, subject: str, **data: object) -> bytes:
    tree = {"id": f"{subject}-1", "source": "s", "type": kind, "time": "2026-03-12T00:00:00Z", "subject": subject, "data": data}
    return orjson.dumps({"specversion": "1.0", **tree})


def test_records_state_and_dead_letters_of_all_ids_are_told_in_words() -> None:
    refused = event("lead.created", "lead-one-a", score="much")
    letter = dead_letter(Record("leads", 0, 7, 1, b"lead-one-a", refused, ()), Refused(Reason.INVALID_DATA, "score"), 1)
    other = dead_letter(Record("leads", 0, 8, 1, b"lead-two-b", b"{", ()), Refused(Reason.BAD_JSON, "no"), 1)
    chain = Chain.begin("2026-03-12T00:00:00.000Z", "w1")
    looks = [chain.next("2026-03-12T01:00:00.000Z", "ann", "GET /api/entities/lead/{id}", of=chain.of("lead", "lead-one-a"))]
    looks += [chain.next("2026-03-12T02:00:00.000Z", "bob", "GET /api/entities/lead/{id}", of=chain.of("lead", "lead-two-b"))]
    with EmbeddedBroker() as broker:
        options = EngineOptions(brokers=broker.bootstrap, partitions=2, embedded=True, topic_prefix="p-")
        specs = entity_folds(BUSINESS, 2)
        broker.create(declared(options, specs))
        producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap})
        for topic, partition, key, value in (
            ("p-leads", 0, b"lead-one-a", event("lead.created", "lead-one-a", name="Jo Wu")),
            ("p-leads", 1, b"lead-one-b", event("lead.merged", "lead-one-b", into="lead-one-a")),
            ("p-leads", 1, b"lead-two-b", event("lead.created", "lead-two-b", name="Li Wu")),
            ("p-deals", 0, b"deal-1", event("deal.created", "deal-1", lead_id="lead-one-b", amount="1", currency="EUR")),
            (options.changelog("fold-leads"), 1, b"Elead-one-b", b'[[[1,"e","merged",{"into":"lead-one-a"}]]]'),
            ("p-dead-letters", 0, b"k", letter.encode()),
            ("p-dead-letters", 0, b"k", other.encode()),
            *(("p-audit", 0, b"w1", encode(one)) for one in (chain.last, *looks)),
        ):
            producer.produce(topic, value, key, partition)
        assert producer.flush(120) == 0
        found = of_kafka(options, Subject("lead", "lead-one-b"))
    assert found["known_as"] == [{"kind": "lead", "id": "lead-one-a"}, {"kind": "lead", "id": "lead-one-b"}]
    told = [(one["where"], one["key"]) for one in found["held"]]
    assert told == [
        ("dead-letters", "k"),
        ("deals", "deal-1"),
        ("fold-leads", "Elead-one-b"),
        ("leads", "lead-one-a"),
        ("leads", "lead-one-b"),
    ]
    assert found["held"][0]["value"]["value"] == refused.decode()
    assert [(one["id"], one["by"]) for one in found["looked_at_by"]] == [("lead-one-a", "ann")], "and who looked at nobody else"
    assert "/metrics" in found["not_here"] and not any(place.startswith(("topic", "state")) for place in found["not_here"])
