"""``vigie models``: what may a model know, how good is it, how good would it have been, and how does it get elsewhere?"""

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, cast

import orjson
import typer
from confluent_kafka import KafkaException
from rich.console import Console
from rich.table import Table

from models.events.catalogue import TOPIC_OF
from models.events.scalars import parse_time
from stream.sources.files import FORMATS, SourceFileError
from vigie import remote
from vigie.common import Config, console, no_broker, refuse, settings_of, wrapped
from vigie.lanes import engine_options
from vigie.model_history import Entity, History
from vigie.publish import lines, progress_bar, report

app = typer.Typer(help="The predictions: how good they are, and from what.", no_args_is_help=True)

_SECTIONS = (("second_half", "second half, in all"), ("at_events", "… asked at an event"), ("at_ages", "… asked at an age"))
#: What the table of `models evaluate` needs; where the terminal is narrower, lines say the same.
_WIDE = 130
_COLUMNS = ("answers", "auc", "ece", "log_loss", "mae_days", "bias_days", "coverage", "auc30", "brier30")


@app.command("evaluate")
def evaluate_command(
    events: Annotated[list[Path], typer.Option(help="Files of events (or the directory of the format crm).", exists=True)],
    entity: Annotated[str, typer.Option(help="Of what: deal or lead.")] = "deal",
    horizon: Annotated[str, typer.Option(help="Within how many days it is won (a lead: converts): such as 30d,90d.")] = "30d,90d",
    format: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}.")] = "jsonl",
    mapping: Annotated[Path | None, typer.Option(help="The mapping file of the format csv.", exists=True)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The measures as one JSON object on standard output.")] = False,
    config: Config = None,
) -> None:
    """Answer, then learn, over a history in the order of its events; measures of the second half, by horizon and over time."""
    if format not in FORMATS:
        refuse(f"--format: found {format!r}; accepted: {', '.join(FORMATS)}", 2)
    if entity not in ("deal", "lead"):
        refuse(f"--entity: found {entity!r}; accepted: deal, lead", 2)
    settings = settings_of(config)
    # River and numpy take a second to import, which no other command has to wait for.
    from models.learners.curve import EDGES
    from models.learners.evaluation import DealEvaluation
    from models.learners.live_kinds import KINDS

    horizons = _days(horizon, float(EDGES[-1]))
    began = time.monotonic()
    history = History(settings, events, format, mapping, cast(Entity, entity))
    kind, gap = KINDS[entity], settings.business.business().session_gap
    evaluation = DealEvaluation(kind.fresh_model(), past=kind.past, horizons=horizons, together=True, gap=gap)
    try:
        count = history.read()
    except SourceFileError as error:
        refuse(error)
    with progress_bar() as progress:
        task = progress.add_task("evaluating", total=count, rate="")
        for number, fact in enumerate(history, 1):
            evaluation.take(fact)
            if number % 1000 == 0:
                progress.update(task, completed=number, rate=f"{number / max(time.monotonic() - began, 1e-3):,.0f}/s")
    evaluation.settle()
    report(history.rejects, history.examples)
    if not evaluation.answers:
        refuse(f"{count:,} events of {entity}s in the history, and no {entity} that was open at one: nothing to evaluate")
    counts = {"entity": entity, "events": count, "skipped": history.skipped, "rejected": history.rejects.total()}
    found = {**counts, **evaluation.report()}
    console.print(f"{count:,} events in {time.monotonic() - began:.1f} s", highlight=False)
    if as_json:
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(found)


def _days(text: str, most: float) -> list[float]:
    """Return the horizons of ``30d,90d``, in days."""
    found = []
    for part in text.split(","):
        number = part.strip().removesuffix("d")
        if not number.isdigit() or not 0 < int(number) <= most:
            refuse(f"--horizon: found {part.strip()!r}; accepted: days from 1d to {most:.0f}d, such as 30d,90d", 2)
        found.append(float(number))
    return list(dict.fromkeys(found))


@app.command("features")
def features_command(
    model: Annotated[str, typer.Argument(help="deal or lead.")] = "deal",
) -> None:
    """Print what a model may know of a deal, or of a lead: the declared list, nothing else reaches it."""
    from models.learners.live_kinds import KINDS

    found = KINDS.get(model)
    if found is None:
        refuse(f"model: found {model!r}; accepted: {', '.join(KINDS)}", 2)
    for kind, features in (("category", found.categories), ("number", found.numbers)):
        for feature in features:
            print(f"{kind}\t{feature.name}\t{feature.words}")


@app.command("warm")
def warm_command(
    events: Annotated[list[Path], typer.Option(help="Files of events (or the directory of the format crm).", exists=True)],
    out: Annotated[Path, typer.Option(help="The directory into which deal-model.json and lead-model.json are written.")] = Path(
        "."
    ),
    format: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}.")] = "jsonl",
    mapping: Annotated[Path | None, typer.Option(help="The mapping file of the format csv.", exists=True)] = None,
    config: Config = None,
) -> None:
    """Learn from a history before going live; then name the files in `models.start`, or `vigie models import` them."""
    if format not in FORMATS:
        refuse(f"--format: found {format!r}; accepted: {', '.join(FORMATS)}", 2)
    settings = settings_of(config)
    from models.learners.warming import TEACHING, Warming

    found: list[tuple[int, str, str, bytes]] = []
    rejected: Counter[str] = Counter()
    examples: dict[str, int] = {}
    try:
        for line, value, why in lines(events, format, mapping, settings.business.timezone):
            if not why:
                try:
                    event = orjson.loads(value)
                    topic = TOPIC_OF.get(event["type"], "")
                    if topic in TEACHING:
                        found.append((parse_time(event["time"]), str(event["id"]), topic, value))
                    continue
                except (ValueError, KeyError, TypeError):
                    why = "not a CloudEvent in JSON"
            rejected[why] += 1
            examples.setdefault(why, line)
    except SourceFileError as error:
        refuse(error)
    found.sort(key=lambda item: item[:2])
    warming = Warming(settings.business.business())
    with progress_bar() as progress:
        began, task = time.monotonic(), progress.add_task("learning", total=len(found), rate="")
        for number, (at, _, topic, value) in enumerate(found, 1):
            warming.take(topic, value, at)
            if number % 500 == 0:
                progress.update(task, completed=number, rate=f"{number / max(time.monotonic() - began, 1e-3):,.0f}/s")
    report(rejected + Counter(warming.refused()), examples)
    out.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, status in warming.status().items():
        if status["lessons"]:
            path = out / f"{name}-model.json"
            path.write_bytes(warming.document(name))
            written[name] = {"file": str(path), **{key: status[key] for key in ("lessons", "labels", "measures")}}
    if not written:
        refuse(f"{len(found):,} events of deals and leads in the history, and nothing to learn from them")
    print(orjson.dumps(written, option=orjson.OPT_INDENT_2).decode())


Url = Annotated[str | None, typer.Option(help="Where the instance listens (default: from the settings).")]


@app.command("show")
def show_command(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False, url: Url = None, config: Config = None
) -> None:
    """Show what the models of a running instance have learnt, and how good their answers were."""
    found = orjson.loads(_get(config, url, "/api/models"))
    if as_json:
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    lines: dict[str, list[str]] = {name: [] for name in ("", "answers", "proven", "lessons", "labels", "drifts", *_COLUMNS)}
    for status in found:
        for speaker, name in (("model", status["model"]), ("floor", f"{status['model']}-floor")):
            measures = status["measures"][speaker]
            told = {column: _shown(measures.get(column)) for column in _COLUMNS} | {
                "": name,
                "answers": "yes" if status["champion"] == speaker else "",
                "proven": ("yes" if status.get("proven") else "not yet") if speaker == "model" else "",
                "lessons": f"{status['lessons']:,}",
                "labels": f"{status['labels']:,}",
                "drifts": str(status["alarms"]),
            }
            for column, cells in lines.items():
                cells.append(told[column])
    for column, cells in lines.items():
        print(f"{column:<10}{''.join(f'{cell:>14}' for cell in cells)}".rstrip())
    for status in found:
        _print_giveaways(status, f"{status['model']}: ")


@app.command("export")
def export_command(
    model: Annotated[str, typer.Argument(help="deal or lead.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    url: Url = None,
    config: Config = None,
) -> None:
    """Write a model of a running instance to a file."""
    out.write_bytes(_get(config, url, f"/api/models/{model}/document"))
    console.print(f"{model}: {out.stat().st_size:,} bytes in {out}", highlight=False)


@app.command("import")
def import_command(
    model: Annotated[str, typer.Argument(help="deal or lead.")],
    file: Annotated[Path, typer.Argument(help="What `vigie models warm` or `export` wrote.", exists=True)],
    url: Url = None,
    token_file: remote.TokenFile = None,
    config: Config = None,
) -> None:
    """Let a model go on from a file; what it had learnt is replaced."""
    from vigie.model_commands import usable

    document = file.read_bytes()
    try:
        usable(model, document)
    except ValueError as error:
        refuse(f"{file}: {error}" if model in ("deal", "lead") else str(error), 1 if model in ("deal", "lead") else 2)
    _replace(config, url, token_file, model, f"imported from {file.name}", document)


@app.command("reset")
def reset_command(
    model: Annotated[str, typer.Argument(help="deal or lead.")],
    url: Url = None,
    token_file: remote.TokenFile = None,
    config: Config = None,
) -> None:
    """Let a model begin anew; deals and leads, and what was asked of them, are kept."""
    if model not in ("deal", "lead"):
        refuse(f"model: found {model!r}; accepted: deal, lead", 2)
    _replace(config, url, token_file, model, "reset by an operator", None)


def _replace(config: Path | None, url: str | None, token_file: Path | None, model: str, why: str, document: bytes | None) -> None:
    """Say it to a running instance where its address is given or it has no Kafka, else on the settings' Kafka."""
    from vigie.model_commands import replace

    settings = settings_of(config)
    if url is not None or settings.kafka.embedded:
        where = remote.running(settings, url)
        token = remote.token_of(token_file, where)
        method, path = "DELETE" if document is None else "PUT", f"/api/models/{model}/document"
        try:
            remote.ask(method, where + path, token=token, sent=document, timeout=30)
        except remote.RemoteRefused as error:
            refuse(f"{method} {path}: {error.status}: {error}" if error.status else f"{where}: {error}")
        console.print(f"{model}: {why}; it takes effect within seconds")
        return
    try:
        replace(engine_options(settings, settings.kafka.brokers), model, why, document)
    except OSError as error:
        refuse(error)
    except KafkaException as error:
        refuse(no_broker(settings.kafka.brokers, error))
    console.print(f"{model}: {why}; it takes effect as soon as a worker has read it")


def _get(config: Path | None, url: str | None, path: str) -> bytes:
    url = remote.address_of(url, config)
    try:
        status, body = remote.fetch("GET", url + path)
    except (OSError, ValueError) as error:
        refuse(f"{url}: no instance answers there: {error} (accepted: the address of a running `vigie up`, `worker` or `web`)")
    if status >= 300:
        refuse(f"{url}{path}: {remote.reason_of(body)}")
    return body


def _print(found: dict[str, Any]) -> None:
    title = f"{found['deals']:,} {found['entity']}s, {found['answers']:,} answers, {found['lessons']:,} lessons"
    lines = [(words, found[name]) for name, words in _SECTIONS if found[name]["answers"]]
    for days, parts in found.get("horizons", {}).items():
        for name, words in (("at_creation", "at creation"), ("at_all_questions", "at all questions")):
            part = parts[name]
            said = [f"{who} auc {_shown(m['auc'])}, ece {_shown(m['ece'])}" for who, m in _speakers(part)]
            print(wrapped(f"{found['entity']} won within {days}, {words} ({part['answers']:,}): {'; '.join(said)}"))
    _print_giveaways(found)
    parts = found["over_time"]
    lines += [(f"part {number} of {len(parts)}", part) for number, part in enumerate(parts, 1)]
    if 0 < shutil.get_terminal_size((0, 0)).columns < _WIDE:
        print(title)
        for words, measures in lines:
            told = ", ".join(f"{column} {_shown(measures[column])}" for column in _COLUMNS if measures.get(column) is not None)
            print(wrapped(f"{words}: {told}"))
        return
    table = Table(*("", *_COLUMNS), title=title)
    for words, measures in lines:
        table.add_row(words, *(_shown(measures.get(column)) for column in _COLUMNS))
    Console(width=_WIDE).print(table)


def _print_giveaways(found: dict[str, Any], whose: str = "") -> None:
    from models.learners.giveaways import giveaway_sentence

    for one in found.get("giveaways", ()):
        print(wrapped(whose + giveaway_sentence(one)))


def _speakers(part: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [("model", part), ("life table of the stage", part["floor"]), ("odds of the stage", part["stage_odds"])]


def _shown(value: float | int | None) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
