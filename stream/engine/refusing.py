"""How are late events of people who were erased kept out of a Kafka's folds?

Others write to its topics as they like: such an event stays there until an erasure looks again, or retention takes it. The folds
get a record without it, and refuse that as one of somebody who was erased.
"""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException

from models.events.refused import ERASED_MARK
from models.fold import Record
from models.privacy.refusals import Refusals
from models.privacy.subject import Cell
from stream.engine.backend import Screen
from stream.engine.options import EngineOptions
from stream.engine.remembered import remembered

_NONE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC)


def refusals_of(options: EngineOptions) -> Refusals | None:
    """Return who was erased, None where nobody was. Raises ``KafkaException`` where the Kafka does not answer."""
    try:
        found = remembered(options).refusals()
    except KafkaException as error:
        if error.args[0].code() not in _NONE:  # an engine with topics of its own
            raise
        return None
    return found if len(found) else None


def screen(options: EngineOptions) -> Screen | None:
    """Return what keeps them out as of now; None where nobody was erased."""
    refusals = refusals_of(options)
    if refusals is None:
        return None

    def screened(records: Sequence[Record]) -> Sequence[Record]:
        return [_screened(refusals, record) for record in records]

    return screened


def _screened(refusals: Refusals, record: Record) -> Record:
    cell = Cell(record.topic, record.partition, record.offset, record.key or b"", record.value, record.headers)
    found = refusals.screen(cell)
    if found.refused:
        return record._replace(key=None, value=b"", headers=(ERASED_MARK,))
    return record if found.value is record.value else record._replace(value=found.value)
