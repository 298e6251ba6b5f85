"""``vigie audit``: who read what of persons, who acted, and whether that log is whole."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any

import orjson
import typer
from confluent_kafka import KafkaException
from rich.console import Console
from rich.table import Table

from alert_rules.words.durations import plural
from models.privacy.audit import TOPIC, about, verify
from stream.config.settings import Settings
from stream.engine.on_kafka import backend_of
from stream.ledger.copies import records
from stream.ledger.schema import LedgerRefused
from vigie.common import Config, cell, console, local_time, no_broker, plain, refuse, settings_of
from vigie.lanes import engine_options
from vigie.ledger import place

app = typer.Typer(no_args_is_help=True, help="Who read what of persons and who acted, in a log that shows if it was changed.")

_BLOCK = 2_000

Json = Annotated[bool, typer.Option("--json", help="JSON to standard output.")]


def _entries(settings: Settings) -> list[tuple[int, bytes | None]]:
    try:
        if settings.kafka.embedded:
            return list(records(place(settings), engine_options(settings, "").physical(TOPIC)))
        return list(_on_kafka(settings))
    except LedgerRefused as error:
        refuse(error)
    except (KafkaException, OSError) as error:
        refuse(no_broker(settings.kafka.brokers, error) if isinstance(error, KafkaException) else error)


def _on_kafka(settings: Settings) -> Iterator[tuple[int, bytes | None]]:
    options = engine_options(settings, settings.kafka.brokers)
    with contextlib.closing(backend_of(options).log(options, TOPIC)) as log:
        start, end = log.bounds()
        while start < end:
            yield from log.block(start, min(start + _BLOCK, end))
            start += _BLOCK


@app.command("verify")
def verify_command(
    head: Annotated[list[str] | None, typer.Option(help="A hash that was noted before: it must still be there.")] = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """Look whether an entry was changed, removed or put in between. Ends with 1 where one was.

    An end that was cut off cannot be seen from within: note the last hash elsewhere, and give it as --head the next time.
    """
    found = _entries(settings_of(config))
    chains = verify((value for _, value in found), whole=not found or found[0][0] == 0)
    hashes = {tree["hash"] for _, value in found if isinstance(tree := _tree(value), dict) and "hash" in tree}
    missing = [one for one in head or () if one not in hashes]
    wrong = missing or any(stand.wrong for stand in chains.values())
    if json:
        tree = {"chains": {name: stand._asdict() for name, stand in chains.items()}, "missing": missing, "whole": not wrong}
        print(orjson.dumps(tree, option=orjson.OPT_INDENT_2).decode())
    else:
        for name, stand in chains.items():
            for why in stand.wrong:
                print(plain(f"chain {name or '?'} of {stand.by or 'an earlier start'}: {why}"))
        for one in missing:
            print(plain(f"{one}: is not there"))
        if found and not wrong:
            entries = f"{sum(stand.entries for stand in chains.values()):,}"
            print(plain(f"whole: {plural(entries, 'entry', 'entries')} of {plural(len(chains), 'start')}"))
            print(plain(f"note this elsewhere: {(_tree(found[-1][1]) or {}).get('hash', '')}"))
        elif not found:
            print("nothing has been written yet")
    raise typer.Exit(1 if wrong else 0)


def _tree(value: bytes | None) -> Any:
    try:
        return orjson.loads(value or b"null")
    except ValueError:
        return None


@app.command("list")
def list_command(
    lead: Annotated[str | None, typer.Option(help="Only what was about this lead.")] = None,
    deal: Annotated[str | None, typer.Option(help="Only what was about this deal.")] = None,
    customer: Annotated[str | None, typer.Option(help="Only what was about this customer.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="So many, the newest last.")] = 100,
    json: Json = False,
    config: Config = None,
) -> None:
    """List who read what of persons, and who changed something."""
    given = [(kind, id) for kind, id in (("lead", lead), ("deal", deal), ("customer", customer)) if id is not None]
    if len(given) > 1:
        refuse("about whom: accepted is one of --lead, --deal, --customer", 2)
    kind, id = given[0] if given else ("", "")
    found = list(about((value for _, value in _entries(settings_of(config))), kind, id))[-most:]
    if json:
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    shown = Table(box=None, pad_edge=False)
    for title in ("at", "by", "what", "answer"):
        shown.add_column(title)
    for one in found:
        shown.add_row(
            cell(local_time(one["at"])), cell(one["by"] or one["via"] or "-"), cell(one["what"]), cell(one["status"] or "")
        )
    Console().print(shown)
    if not found:
        console.print("nothing has been written")
