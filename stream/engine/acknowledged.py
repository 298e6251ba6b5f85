"""Is a record on the broker? An acknowledgement says at which offset, or it is none.

librdkafka takes a batch for written whose place in the producer's sequence the broker has passed already. Where a partition has
no leader yet, or a new one that knows nothing of this producer, the first of several batches under way may be refused and the
next one be taken: then the first one is behind its place when it is sent again, is said to be written, and is nowhere. Seen with
librdkafka 2.16 on Kafka 4.1, on topics that had just been made: up to 5 of 307 records, each acknowledged. What such a record
lacks is its offset. (A transactional producer is safe from it on brokers that verify transactions, as they do by default since
Kafka 3.6; it is looked at all the same.)
"""

from typing import Any

from confluent_kafka import KafkaError


def unwritten(error: Any, message: Any) -> Any:
    """Return why a record, of which a delivery report has come, may not be written (a ``KafkaError``); None where it surely is.

    Who is told so writes it again: it may be there twice then, as after any lost acknowledgement.
    """
    if error is None and message.offset() is None:
        return KafkaError(KafkaError._STATE, "acknowledged without an offset: perhaps not written")
    return error
