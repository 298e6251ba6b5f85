"""``vigie models``: how well would the predictions have done on a history, and what may a model know?"""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from msgspec import UNSET
from rich.table import Table

from models.events.catalogue import TOPIC_OF
from models.events.decode import decoder
from models.events.refused import Refused
from stream.settings import Settings
from stream.sources.files import FORMATS, SourceFileError
from vigie.common import Config, console, refuse, settings_of
from vigie.publish import lines, progress_bar, report

if TYPE_CHECKING:
    from models.learners.evaluation import DealFact

app = typer.Typer(help="The predictions: how good they are, and from what.", no_args_is_help=True)

_SECTIONS = (("second_half", "second half, in all"), ("at_events", "… asked at an event"), ("at_ages", "… asked at an age"))
_COLUMNS = ("answers", "auc", "ece", "log_loss", "mae_days", "bias_days", "coverage", "auc30", "brier30")


@app.command("evaluate")
def evaluate_command(
    events: Annotated[list[Path], typer.Option(help="Files of events (or the directory of the format crm).", exists=True)],
    format: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}.")] = "jsonl",
    mapping: Annotated[Path | None, typer.Option(help="The mapping file of the format csv.", exists=True)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The measures as one JSON object on standard output.")] = False,
    config: Config = None,
) -> None:
    """Answer, then learn, over a history of deals in the order of its events; measures of the second half, and over time."""
    if format not in FORMATS:
        refuse(f"--format: found {format!r}; accepted: {', '.join(FORMATS)}", 2)
    settings = settings_of(config)
    # River and numpy take a second to import, which no other command has to wait for.
    from models.learners.evaluation import DealEvaluation

    began = time.monotonic()
    history = History(settings, events, format, mapping)
    evaluation = DealEvaluation()
    with progress_bar() as progress:
        try:
            facts = history.facts()
        except SourceFileError as error:
            refuse(error)
        task = progress.add_task("evaluating", total=len(facts), rate="")
        for number, fact in enumerate(facts, 1):
            evaluation.take(fact)
            if number % 1000 == 0:
                progress.update(task, completed=number, rate=f"{number / max(time.monotonic() - began, 1e-3):,.0f}/s")
    report(history.rejects, history.examples)
    if not evaluation.answers:
        refuse(f"{len(facts):,} events of deals in the history, and no deal that was open at one: nothing to evaluate")
    found = {"events": len(facts), "skipped": history.skipped, "rejected": history.rejects.total(), **evaluation.report()}
    console.print(f"{len(facts):,} events in {time.monotonic() - began:.1f} s", highlight=False)
    if as_json:
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(found)


@app.command("features")
def features_command() -> None:
    """Print what a model may know of a deal: the declared list, nothing else reaches it."""
    from models.learners.features import CATEGORIES, NUMBERS

    for kind, features in (("category", CATEGORIES), ("number", NUMBERS)):
        for feature in features:
            print(f"{kind}\t{feature.name}\t{feature.words}")


class History:
    """The deal events of files, sorted by time and id, each once; counts what is something else."""

    def __init__(self, settings: Settings, files: list[Path], format: str, mapping: Path | None) -> None:
        self._source = files, format, mapping, settings.business.timezone
        self._stage_kinds = settings.business.business().stage_kinds
        self.skipped = 0  # events of other entities, and repeated ones
        self.rejects: Counter[str] = Counter()
        self.examples: dict[str, int] = {}

    def facts(self) -> "list[DealFact]":
        """Read and sort; memory grows with the number of deal events."""
        found: dict[str, tuple[int, DealFact]] = {}
        for at, identity, fact in self._read():
            if identity in found:
                self.skipped += 1
            else:
                found[identity] = at, fact
        return [fact for _, (_, fact) in sorted(found.items(), key=lambda item: (item[1][0], item[0]))]

    def _read(self) -> "Iterator[tuple[int, str, DealFact]]":
        from models.learners.evaluation import DealFact

        decode = decoder("deals")
        arrival = int(time.time() * 1000)
        for line, value, why in lines(*self._source):
            if not why:
                try:
                    kind = orjson.loads(value).get("type")
                    if TOPIC_OF.get(kind, "deals") != "deals":
                        self.skipped += 1
                        continue
                    event, at, _ = decode(value, (), arrival)
                    data: Any = event.data
                    said = {name: found for name in data.__struct_fields__ if (found := getattr(data, name)) is not UNSET}
                    # A stage that stands for an outcome closes the deal, as it does for the KPIs.
                    means = self._stage_kinds.get(str(said.get("stage")), "open")
                    told = kind.removeprefix("deal.") if means == "open" else means
                    yield at, event.id, DealFact(at, event.subject, told, said)
                    continue
                except Refused as refused:
                    why = str(refused)
                except (orjson.JSONDecodeError, AttributeError, TypeError):
                    why = "not a CloudEvent in JSON"
            self.rejects[why] += 1
            self.examples.setdefault(why, line)


def _print(found: dict[str, Any]) -> None:
    table = Table(*("", *_COLUMNS), title=f"{found['deals']:,} deals, {found['answers']:,} answers, {found['lessons']:,} lessons")
    for name, words in _SECTIONS:
        if found[name]["answers"]:
            table.add_row(words, *(_shown(found[name].get(column)) for column in _COLUMNS))
    for number, part in enumerate(found["over_time"], 1):
        table.add_row(f"part {number} of {len(found['over_time'])}", *(_shown(part.get(column)) for column in _COLUMNS))
    from rich.console import Console

    Console(width=130).print(table)


def _shown(value: float | int | None) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
