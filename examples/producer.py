"""Publish sales events straight to Kafka, as any system of yours could: one JSON object a line on standard input.

    pip install confluent-kafka
    KAFKA_BROKERS=127.0.0.1:9092 python examples/producer.py < events.jsonl
    … python examples/producer.py --binary < events.jsonl

Exit code 0: the broker has every event. Otherwise send the same file again: ids tell what is a repeat.
"""

import json
import os
import sys

from confluent_kafka import KafkaError, Message, Producer

#: The topic of an event, by the first word of its type.
TOPICS = {
    "deal": "deals",
    "lead": "leads",
    "web": "engagement",
    "email": "engagement",
    "ad": "engagement",
    "social": "engagement",
    "customer": "customers",
    "spend": "spend",
    "rep": "spend",
}
#: What every event has beside its data. Time is when it happened, with an offset; subject is the deal, lead, visitor, account.
CONTEXT = ("specversion", "id", "source", "type", "time", "subject")


def settings() -> dict[str, str | int | bool]:
    """Return the producer's settings; KAFKA_SECURITY_…, _SASL_… and _SSL_… add: KAFKA_SASL_USERNAME is sasl.username."""
    found: dict[str, str | int | bool] = {
        "bootstrap.servers": os.environ.get("KAFKA_BROKERS", "127.0.0.1:9092"),
        "enable.idempotence": True,  # and so acks=all: nothing is lost, and a retry of the client's is written once
        "partitioner": "murmur2_random",  # Java's: all of an entity's events have to be in one partition
        "linger.ms": 5,
        "compression.type": "lz4",
    }
    for name, value in os.environ.items():
        if name.startswith(("KAFKA_SECURITY_", "KAFKA_SASL_", "KAFKA_SSL_")):
            found[name.removeprefix("KAFKA_").lower().replace("_", ".")] = value
    return found


def record(event: dict[str, object], binary: bool) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return value and headers: the whole event as JSON, or only its data, with the rest in headers (binary mode)."""
    if not binary:
        headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]
        return json.dumps(event).encode(), headers
    headers = [(f"ce_{name}", str(event[name]).encode()) for name in CONTEXT]
    headers.append(("content-type", b"application/json"))
    return json.dumps(event.get("data", {})).encode(), headers


def main() -> int:
    """Publish what comes in, and wait until all of it is acknowledged."""
    binary, prefix = "--binary" in sys.argv[1:], os.environ.get("TOPIC_PREFIX", "")
    producer = Producer(settings())
    failures: list[str] = []
    sent = 0

    def told(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(f"{message.topic()}: {error}")

    for number, line in enumerate(sys.stdin, 1):
        event = json.loads(line)
        missing = [name for name in CONTEXT if not event.get(name)]
        topic = TOPICS.get(str(event.get("type")).partition(".")[0])
        if missing or topic is None:
            failures.append(f"line {number}: missing {missing}, or no topic for the type {event.get('type')!r}")
            continue
        value, headers = record(event, binary)
        key = event["subject"].encode()
        while True:
            try:
                producer.produce(prefix + topic, value, key, headers=headers, on_delivery=told)
                break
            except BufferError:  # the local queue is full: let acknowledgements come in
                producer.poll(0.1)
        sent += 1
        producer.poll(0)
    left = producer.flush(30)
    for failure in failures[:20]:
        print(failure, file=sys.stderr)
    print(f"{sent} sent, {len(failures) + left} not")
    return 1 if failures or left else 0


if __name__ == "__main__":
    sys.exit(main())
