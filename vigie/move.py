"""``vigie move``: from one machine to a Kafka, and back."""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from confluent_kafka import KafkaException

from stream.config.settings import Settings
from stream.ledger.lock import LedgerTaken
from stream.ledger.moving import Moved, MoveFailed, MoveRefused, from_kafka, to_kafka
from stream.ledger.schema import LedgerRefused
from stream.ledger.store import Ledger
from vigie.common import Config, console, log_to_stderr, no_broker, plain, refuse, settings_of
from vigie.ledger import mark, place
from vigie.topics import plan


class MovePlace(StrEnum):
    """What it is moved to, or from."""

    KAFKA = "kafka"


def command(
    to: Annotated[MovePlace | None, typer.Option("--to", help="Where all that this machine keeps goes.")] = None,
    from_: Annotated[MovePlace | None, typer.Option("--from", help="From where a copy of everything comes.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Stay on this machine, after a move that is not complete.")] = False,
    config: Config = None,
) -> None:
    """Move all that this machine keeps to the Kafka in `kafka.brokers`, or bring a copy of it from there.

    Stop Vigie first. A move that was cut off goes on where it was; it is complete when all has been read back and is equal.
    """
    if (to is not None) + (from_ is not None) + undo != 1:
        refuse("found none or several of --to kafka, --from kafka, --undo; accepted: one", 2)
    settings = settings_of(config)
    log_to_stderr(settings.log_level, settings.logging)
    try:
        if undo:
            _undo(settings)
        elif to is not None:
            _to_kafka(settings)
        else:
            _from_kafka(settings)
    except (MoveRefused, LedgerRefused, LedgerTaken, ValueError) as error:
        refuse(error)
    except MoveFailed as error:
        refuse(f"{error}. Run it again: it goes on where it was")
    except KafkaException as error:
        refuse(no_broker(settings.kafka.brokers, error))


def _to_kafka(settings: Settings) -> None:
    options, folds = plan(settings)
    file = place(settings)
    if not file.exists():
        refuse(f"{file}: there is nothing to be moved (data_dir)")
    ledger = Ledger(file)
    began = not mark(settings).exists()
    try:
        _note(settings, f"is being moved to {options.brokers}: `vigie move --to kafka` goes on, `vigie move --undo` stays here")
        try:
            moved = to_kafka(ledger, options, folds, settings.kafka.replication, _say)
        except (MoveRefused, ValueError):
            if began:  # nothing was written
                mark(settings).unlink()
            raise
    finally:
        ledger.close()
    kept = file.with_name(f"{file.stem}.moved-{datetime.now(UTC):%Y%m%d-%H%M%S}{file.suffix}")
    _note(settings, f"was moved to {options.brokers}: name that in kafka.brokers. To begin anew here, remove {mark(settings)}")
    file.rename(kept)
    _report(moved, f"on {options.brokers}. Start `vigie worker` and `vigie web` there. What was here is kept: {kept}")


def _from_kafka(settings: Settings) -> None:
    options, folds = plan(settings)
    file = place(settings)
    if file.exists():
        refuse(f"{file}: is there; name another data_dir, or move it away")
    part = file.with_name(f"{file.stem}.part{file.suffix}")
    ledger = Ledger(part)  # what a copy that was cut off has brought is in it
    try:
        moved = from_kafka(ledger, options, folds, _say)
    except MoveFailed as error:
        raise MoveFailed(f"{error} (or what is here already is of another one: remove {part})") from error
    finally:
        ledger.close()
    part.rename(file)
    mark(settings).unlink(missing_ok=True)
    _report(moved, f"in {file}. {options.brokers} keeps what it has: let one of both run, or people are told twice")


def _undo(settings: Settings) -> None:
    if not mark(settings).exists() or not place(settings).exists():
        refuse("no move is under way here")
    mark(settings).unlink()
    console.print(
        f"{plain(place(settings))} stays in use. What has come onto the Kafka is not removed: use another prefix next time"
    )


def _note(settings: Settings, what: str) -> None:
    mark(settings).write_text(json.dumps({"found": what}))


def _say(what: str) -> None:
    console.print(what, markup=False, highlight=False)


def _report(moved: Moved, where: str) -> None:
    console.print(
        f"{moved.records:,} records and {moved.rows:,} rows of state, each compared, are {where}", markup=False, highlight=False
    )
