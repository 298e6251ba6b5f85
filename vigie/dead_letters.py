"""``vigie dead-letters``: see what could not be used, and send it again.

Asked of the instance where its address is given or its broker is the one in its memory, else of Kafka itself.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import confluent_kafka
import typer

from alert_rules.words.inert import visible
from models.calendar import iso
from models.events.dead_letter import MOST_REDRIVES
from models.events.refused import Reason
from stream.config.settings import Settings
from stream.engine.options import EngineOptions
from vigie import remote
from vigie.common import Config, console, no_broker, plain, refuse, settings_of
from vigie.lanes import engine_options
from vigie.letters import AnotherRedrive
from vigie.redrive import RedriveReport, chosen, letter_entry, shown
from vigie.redrive import redrive as send_again

app = typer.Typer(no_args_is_help=True, help="See what could not be used, and send it again.")

_PLAIN: Any = {"style": "yellow", "markup": False, "highlight": False}
_PATIENCE = 300.0  # seconds; a redrive of many letters is one answer
Reasons = Annotated[list[str] | None, typer.Option("--reason", help=f"Only these reasons: {', '.join(Reason)}.")]


class _Kafka:
    """The dead letters as Kafka has them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._options = engine_options(settings, settings.kafka.brokers)

    def standing(self, reasons: list[str]) -> Iterator[dict[str, Any]]:
        with _refusing(self._options):
            yield from map(letter_entry, chosen(self._options, reasons, _damaged))

    def show(self, id: str) -> dict[str, Any] | None:
        with _refusing(self._options):
            return next((shown(letter) for letter in chosen(self._options, (), _damaged) if letter.id == id), None)

    def redrive(self, ids: list[str], reasons: list[str], force: bool) -> RedriveReport:
        with _refusing(self._options):
            return send_again(self._options, self._settings, set(ids), reasons, force=force, damaged=_damaged)


class _Instance:
    """The dead letters as a running instance tells of them."""

    def __init__(self, url: str, token: str) -> None:
        self._call: Callable[..., Any] = lambda method, path, body=None: remote.call(
            method, f"/api/dead-letters{path}", url=url, token=token, body=body, timeout=_PATIENCE
        )

    def standing(self, reasons: list[str]) -> Iterator[dict[str, Any]]:
        found = self._call("GET", f"?{urlencode({'reason': reasons}, doseq=True)}")
        for text in found["damaged"]:
            _damaged(text)
        yield from found["letters"]
        if found["left_out"]:
            console.print(f"{found['left_out']:,} more are not listed (send some again, or choose by --reason)", **_PLAIN)

    def show(self, id: str) -> dict[str, Any] | None:
        found: dict[str, Any] = self._call("GET", f"/{quote(id, safe='')}")
        return found

    def redrive(self, ids: list[str], reasons: list[str], force: bool) -> RedriveReport:
        return RedriveReport(**self._call("POST", "/redrive", {"ids": ids, "reasons": reasons, "force": force}))


def _letters(url: str | None, token_file: Path | None, config: Path | None) -> _Kafka | _Instance:
    settings = settings_of(config)
    if url is None and not settings.kafka.embedded:
        return _Kafka(settings)
    where = remote.running(settings, url)
    return _Instance(where, remote.token_of(token_file, where))


def _damaged(text: str) -> None:
    console.print(text, **_PLAIN)


@contextlib.contextmanager
def _refusing(options: EngineOptions) -> Iterator[None]:
    try:
        yield
    except confluent_kafka.KafkaException as error:
        refuse(no_broker(options.brokers, error))
    except AnotherRedrive as error:
        refuse(error)
    except ValueError as error:
        refuse(f"--{error}", 2)


@app.command("list")
def list_command(
    reason: Reasons = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    url: remote.Url = None,
    token_file: remote.TokenFile = None,
    config: Config = None,
) -> None:
    """List the dead letters, oldest first: id, when it was refused, reason, detail. One a line, with tabs between.

    Those that were sent again and have not come back are done with, and left out.
    """
    count = 0
    for letter in _letters(url, token_file, config).standing(reason or []):
        count += 1
        if as_json:
            print(visible(json.dumps(letter, ensure_ascii=False)))
        else:
            again = f" (sent again {letter['redrives']}×)" if letter["redrives"] else ""
            line = plain(" ".join(str(letter["detail"]).split())) + again
            print(plain(letter["id"]), iso(letter["first_seen"]), letter["reason"], line, sep="\t")
    if not as_json:
        console.print(f"{count:,} dead letters" if count else "no dead letters")


@app.command("show")
def show(
    id: Annotated[str, typer.Argument(help="The id, as listed: topic-partition-offset.")],
    url: remote.Url = None,
    token_file: remote.TokenFile = None,
    config: Config = None,
) -> None:
    """Show one dead letter with the original record."""
    letter = _letters(url, token_file, config).show(id)
    if letter is None:
        refuse(f"no dead letter {id!r} (see: vigie dead-letters list)")
    print(visible(json.dumps(letter, indent=2, ensure_ascii=False)))


@app.command("redrive")
def redrive(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids, as listed.")] = None,
    reason: Reasons = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    force: Annotated[bool, typer.Option("--force", help=f"Also what has come back {MOST_REDRIVES} times.")] = False,
    url: remote.Url = None,
    token_file: remote.TokenFile = None,
    config: Config = None,
) -> None:
    """Send dead letters to their topics again (after what was wrong has been put right), each once until it comes back."""
    if not (ids or reason or everything):
        refuse("redrive: say which: ids, --reason or --all", 2)
    report = _letters(url, token_file, config).redrive(ids or [], reason or [], force)
    for id, why in report.refused.items():
        console.print(f"{plain(id)}: {plain(why)}", **_PLAIN)
    for missing in report.missing:
        console.print(f"no dead letter {missing!r}", style="red", markup=False)
    console.print(f"{report.sent:,} sent again, {len(report.refused):,} not")
    if report.refused or report.missing:
        raise typer.Exit(1)
