"""Who writes the audit of one process, and what a command writes down that acts without one that serves."""

import contextlib

from confluent_kafka import KafkaException

from models.privacy.audit import TOPIC
from models.privacy.subject import Subject
from stream.engine.options import EngineOptions
from stream.engine.topic_tail import TopicTail
from stream.ingest.intake import Intake
from stream.web.audit import Auditor


def auditor_of(options: EngineOptions, stack: contextlib.AsyncExitStack) -> Auditor:
    """Return who writes a chain of this process until the stack ends."""
    intake = Intake(options)
    stack.push_async_callback(intake.close)
    tail = TopicTail(options, TOPIC)

    def last() -> str:
        try:
            found, _ = tail.last(1, lambda tree: bool(tree.get("hash")))
        except KafkaException as error:
            raise OSError(error.args[0].str()) from error
        return str(found[0]["hash"]) if found else ""

    auditor = Auditor(intake, options.instance, last, clock=options.clock)
    stack.push_async_callback(auditor.close)
    return auditor


async def note(options: EngineOptions, by: str, what: str, subject: Subject | None) -> None:
    """Write down what a command has done, and to whom; where that fails, the log says so."""
    kind, id = (subject.kind, subject.id) if subject is not None else ("", "")
    async with contextlib.AsyncExitStack() as stack:
        await auditor_of(options, stack).write(by, what, kind, id, via="command line", status=0)
