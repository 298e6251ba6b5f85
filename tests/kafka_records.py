"""What is on a Kafka topic? All committed records of its partitions, whatever the broker does meanwhile."""

import time
from collections.abc import Iterator

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition


def records(bootstrap: str, *topics: str, partitions: int = 1, patience: float = 30) -> Iterator[confluent_kafka.Message]:
    """Yield the records of all these topics, of so many partitions each; raise ``TimeoutError`` after so many silent seconds.

    The end of a partition may be told twice, when its leader is asked anew: ends are counted by partition. An error is no end.
    """
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"{topics[0]}-records",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    waiting = {(topic, partition) for topic in topics for partition in range(partitions)}
    try:
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in waiting])
        heard = time.monotonic()
        while waiting:
            message = consumer.poll(1)
            if message is None:
                if time.monotonic() - heard > patience:
                    raise TimeoutError(f"nothing came of {sorted(waiting)} for {patience:.0f} s")
                continue
            error = message.error()
            if error is None:
                heard = time.monotonic()
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                waiting.discard((str(message.topic()), int(message.partition() or 0)))
            elif not error.retriable() and error.code() not in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
                raise KafkaException(error)
    finally:
        consumer.close()
