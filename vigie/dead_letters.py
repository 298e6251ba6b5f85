"""``vigie dead-letters``: see what could not be used, and send it again."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import confluent_kafka
import orjson
import typer

from models.calendar import iso
from models.events.dead_letter import DeadLetter, NotRedrivable, decode
from models.events.refused import Reason
from stream.options import EngineOptions
from stream.publisher import Publisher
from stream.quiet import client_logger
from stream.sources.crm import Request, SourceProblem, adapter_of, parse_settings
from stream.sources.crm import read as read_webhook
from stream.sources.tracker import read as read_tracker
from stream.web.collect import LETTERS as TRACKER_LETTERS
from stream.web.door import LETTERS
from vigie.common import Config, console, no_broker, refuse, settings_of
from vigie.instance import engine_options

app = typer.Typer(no_args_is_help=True, help="See what could not be used, and send it again.")

Reasons = Annotated[list[str] | None, typer.Option("--reason", help=f"Only these reasons: {', '.join(Reason)}.")]


def read(options: EngineOptions) -> Iterator[DeadLetter]:
    """Yield every dead letter there is at the call, oldest first; raise ``KafkaException`` where the broker does not answer.

    Those that are written meanwhile are left out: what is sent again and refused again must not be met twice.
    """
    consumer = confluent_kafka.Consumer(
        options.client(
            group_id=f"{options.group}-dead-letters",
            enable_auto_commit=False,
            isolation_level="read_committed",
            enable_partition_eof=True,
        ),
        logger=client_logger(),
    )
    topic = options.physical("dead-letters")
    try:
        wrong = consumer.list_topics(topic, timeout=5).topics[topic].error
        if wrong is not None:
            raise confluent_kafka.KafkaException(wrong)
        _, end = consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, 0), timeout=5)
        consumer.assign([confluent_kafka.TopicPartition(topic, 0, confluent_kafka.OFFSET_BEGINNING)])
        while True:
            for message in consumer.consume(1000, 5):
                error = message.error()
                if error is not None:
                    if error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                        return
                    if not error.retriable():
                        raise confluent_kafka.KafkaException(error)
                elif message.offset() >= end:
                    return
                elif message.value() is not None:
                    try:
                        yield decode(message.value())
                    except ValueError as problem:  # somebody else has written it
                        console.print(f"{topic}, offset {message.offset()}: {problem}", style="yellow", markup=False)
    finally:
        consumer.close()


def _options(config: Any) -> EngineOptions:
    settings = settings_of(config)
    if settings.kafka.embedded:
        refuse("kafka.brokers: found 'embedded', which keeps nothing; accepted: a Kafka's address, such as kafka:9092", 2)
    return engine_options(settings, settings.kafka.brokers)


def _chosen(options: EngineOptions, reasons: list[str] | None) -> Iterator[DeadLetter]:
    for reason in reasons or ():
        if reason not in list(Reason):
            refuse(f"--reason: found {reason!r}; accepted: {', '.join(Reason)}", 2)
    try:
        for letter in read(options):
            if not reasons or letter.reason in reasons:
                yield letter
    except confluent_kafka.KafkaException as error:
        refuse(no_broker(options.brokers, error))


@app.command("list")
def list_command(
    reason: Reasons = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: Config = None,
) -> None:
    """List the dead letters, oldest first: id, when it was refused, reason, detail. One a line, with tabs between."""
    count = 0
    for letter in _chosen(_options(config), reason):
        count += 1
        if as_json:
            print(json.dumps(_told(letter), ensure_ascii=False))
        else:
            again = f" (sent again {letter.redrives}×)" if letter.redrives else ""
            print(letter.id, iso(letter.first_seen), letter.reason, _one_line(letter.detail) + again, sep="\t")
    if not as_json:
        console.print(f"{count:,} dead letters" if count else "no dead letters")


@app.command("show")
def show(id: Annotated[str, typer.Argument(help="The id, as listed: topic-partition-offset.")], config: Config = None) -> None:
    """Show one dead letter with the original record."""
    for letter in _chosen(_options(config), None):
        if letter.id == id:
            told = _told(letter)
            told["key"] = _text(letter.key)
            told["value"] = _text(letter.value)
            told["headers"] = [[name, _text(body)] for name, body in letter.headers]
            print(json.dumps(told, indent=2, ensure_ascii=False))
            return
    refuse(f"no dead letter {id!r} (see: vigie dead-letters list)")


@app.command("redrive")
def redrive(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids, as listed.")] = None,
    reason: Reasons = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    config: Config = None,
) -> None:
    """Send dead letters to their topics again (after what was wrong has been put right)."""
    if not (ids or reason or everything):
        refuse("redrive: say which: ids, --reason or --all", 2)
    options = _options(config)
    publisher = Publisher(options, message_timeout_ms=60_000)
    refused = 0
    wanted = set(ids or ())
    for letter in _chosen(options, reason):
        if wanted and letter.id not in wanted:
            continue
        wanted.discard(letter.id)
        read_again = (
            _webhook if letter.topic.startswith(LETTERS) else _tracker if letter.topic.startswith(TRACKER_LETTERS) else None
        )
        if read_again is not None and not letter.cut:
            left_out = read_again(letter, config, publisher)
            if left_out:
                refused += 1
                console.print(f"{letter.id}: {left_out}", style="yellow", markup=False, highlight=False)
            continue
        try:
            again = letter.redrive()
        except NotRedrivable as error:
            refused += 1
            console.print(str(error), style="yellow", markup=False)
            continue
        publisher.send(again.topic, again.key or b"", again.value, again.headers)
    left = publisher.flush()
    for missing in sorted(wanted):
        console.print(f"no dead letter {missing!r}", style="red", markup=False)
    console.print(f"{publisher.acknowledged:,} sent again, {refused + publisher.failed + left:,} not")
    if refused or publisher.failed or left or wanted:
        raise typer.Exit(1)


def _webhook(letter: DeadLetter, config: Any, publisher: Publisher) -> str:
    """Let the adapter read a webhook request again, with the settings of now; return what is still unusable, if anything."""
    settings = settings_of(config)
    name = letter.topic.removeprefix(LETTERS)
    tree = settings.sources.get(name, {})
    headers = {key: (value or b"").decode("utf-8", "replace") for key, value in letter.headers}
    request = Request(headers.pop("method", "POST"), "", headers, letter.value or b"", letter.timestamp)
    try:
        source = parse_settings(name, {"timezone": settings.business.timezone, **tree})
        events, unusable, _ = read_webhook(adapter_of(name, tree), request, source, settings.business.business().rates.currencies)
    except SourceProblem as error:
        return str(error)
    for event in events:
        publisher.publish(orjson.dumps(event))
    return f"still {unusable[0].reason}: {unusable[0].detail}" if unusable else ""


def _tracker(letter: DeadLetter, config: Any, publisher: Publisher) -> str:
    """Read what a tracker sent again, with the settings of now; return what is still unusable, if anything."""
    name = letter.topic.removeprefix(TRACKER_LETTERS)
    site = settings_of(config).collect.sites.get(name)
    if site is None:
        return f"collect.sites: there is no site {name!r} any more"
    told = read_tracker(name, site, letter.value or b"", letter.timestamp)
    for event in told.events:
        publisher.publish(orjson.dumps(event))
    return f"still {told.unusable[0].reason}: {told.unusable[0].detail}" if told.unusable else ""


#: Who reads again what a door could not use, by how the topics of its letters begin.
_DOORS = {LETTERS: _webhook, TRACKER_LETTERS: _tracker}


def _told(letter: DeadLetter) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(letter.encode())
    for bulky in ("value", "key", "headers"):
        told.pop(bulky, None)
    return {"id": letter.id, **told}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _text(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "backslashreplace")
