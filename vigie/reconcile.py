"""``vigie kpis reconcile``: does a figure agree with what a CRM's export gives, and which deals differ, and why?"""

import csv as table
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import orjson
import typer

from models.business import Business
from models.calendar import epoch_ms
from models.events.catalogue import TOPIC_OF
from models.fold import Record
from models.folds.partition import EntityPartition
from models.kpis.asks import asks
from models.kpis.behind import EntitiesBehind, FigureQuestion, listed
from models.kpis.catalogue import Catalogue, NotInCatalogue
from models.kpis.entry import Kpi
from models.kpis.reading import Reading
from models.kpis.reconcile import Difference, compared, difference
from models.kpis.recount import row
from models.measures import LOGGED
from models.panes.view import View
from models.panes.windows import Window
from stream.config.kpi_files import load_catalogue
from stream.config.settings import Settings
from stream.engine.options import wall_clock
from stream.sources.backfill import EXPORTS, BackfillTally, FoundEvent, load, ordered
from stream.sources.files import FORMATS, SourceFileError
from stream.sources.files.times import ISO
from stream.web.api import cell
from vigie import explain, remote
from vigie.backfill import columns_of, options_of
from vigie.common import Config, console, plain, refuse, settings_of, wrapped
from vigie.kpi_lines import shown
from vigie.publish import lines

#: Differences of which what is known here is asked for, and so many in one request.
_LOOKED_AT, _AT_A_TIME = 1_000, 50
_CHUNK = 2_000
_SHOWN = 30


class Side(NamedTuple):
    """What the export gives: the reading, and each deal or lead of it, those that count with what they count for."""

    reading: Reading
    rows: dict[str, dict[str, Any]]
    events: int
    refused: Counter[str]


def command(
    export: Annotated[list[Path], typer.Option(help="A file of the CRM's export; may be repeated.", exists=True)],
    kpi: Annotated[str, typer.Option(help="The KPI to compare.")] = "revenue",
    window: Annotated[str, typer.Option(help="Such as month, quarter, 30d.")] = "month",
    segment: Annotated[str | None, typer.Option(help="Of this segment only: owner=o-17.")] = None,
    at: Annotated[str | None, typer.Option(help="At a time, or the end of a day, in place of now.")] = None,
    format: Annotated[str, typer.Option(help=f"One of {', '.join((*FORMATS, *EXPORTS))}.")] = "jsonl",
    mapping: Annotated[Path | None, typer.Option(help="The mapping file of the format csv.", exists=True)] = None,
    source: Annotated[str | None, typer.Option(help="Exports of CRMs: whose settings to use (sources.NAME).")] = None,
    map: Annotated[list[str] | None, typer.Option(help='Exports of CRMs: a column, as in amount="Deal value".')] = None,
    dates: Annotated[list[str] | None, typer.Option(help="Exports of CRMs: forms of times; default: iso.")] = None,
    names: Annotated[
        list[Path] | None, typer.Option(help="Exports of CRMs: its own lists of stages and people.", exists=True)
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write all differences to this file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON to standard output.")] = False,
    url: remote.Url = None,
    config: Config = None,
) -> None:
    """Compare a figure of a running instance with an export, deal by deal. Exit code 1 where they differ.

    The export is read as `vigie publish` or `vigie backfill` would, and counted with the same definitions; nothing is published.
    """
    settings = settings_of(config)
    catalogue = load_catalogue(settings.kpi_files, settings.business.pairs)
    entry = _kpi(catalogue, kpi)
    span, place = Window.parse(window), segment or "total"
    where = remote.checked(url) if url is not None else remote.of_settings(settings)
    asked = {name: text for name, text in (("window", window), ("segment", segment), ("at", at)) if text}
    why = explain.ask(where, kpi, "explain", asked)
    ours = why["reading"]
    moment = epoch_ms(datetime.fromisoformat(ours["at"]))
    asked["at"] = ours["at"]
    here = {one["id"]: one for one in explain.counted(where, kpi, asked)}
    try:
        told = _read(settings, export, format, mapping, source, map or [], tuple(dates or [ISO]), names or [])
        side = counted(settings.business.business(), catalogue, entry, span, place, moment, told)
    except SourceFileError as error:
        refuse(error)
    counting = {id: one for id, one in side.rows.items() if one["counts"]}
    ids = compared(here, counting)
    known = here | _known(where, kpi, asked, [id for id in ids[:_LOOKED_AT] if id not in here])
    found = [difference(id, known.get(id), side.rows.get(id)) for id in ids]
    answer = {
        "kpi": kpi,
        "window": window,
        "segment": ours["segment"],
        "from": ours["from"],
        "at": ours["at"],
        "here": {"value": ours["value"], "count": len(here)},
        "export": {"value": side.reading.value, "count": len(counting), "events": side.events, "refused": dict(side.refused)},
        "agree": len(here.keys() & counting.keys()) - sum(id in here and id in counting for id in ids),
        "differ": len(ids),
        "differences": [one.json() for one in found],
    }
    if csv is not None:
        _write(csv, found)
    if json:
        explain.as_json(answer)
    else:
        _show(answer, found, ours)
    raise typer.Exit(1 if ids else 0)


def _kpi(catalogue: Catalogue, kpi: str) -> Kpi:
    try:
        entry = catalogue.get(kpi)
    except NotInCatalogue as error:
        refuse(f"--kpi: {error}", 2)
    if not all(listed(ask) for ask in asks(entry, "total")):
        ids = [one.id for one in catalogue.kpis.values() if all(listed(ask) for ask in asks(one, "total"))]
        refuse(f"--kpi: {kpi} is not made of deals and leads alone (accepted: {', '.join(ids)})", 2)
    return entry


def _read(
    settings: Settings, files: list[Path], format: str, mapping: Path | None, source: str | None, map: list[str],
    dates: tuple[str, ...], names: list[Path],
) -> Iterator[bytes | str]:  # fmt: skip
    """Yield the export's events, and why parts of it give none."""
    if format in EXPORTS:
        adapter, read = EXPORTS[format]
        lists = load(names)
        zone = "UTC" if adapter == "salesforce" else None
        more: dict[str, Any] = {"encoding": None, "delimiter": None, "kind": None, "before": None, "decimal": None}
        options = options_of(
            settings, source or adapter, adapter, zone, None, columns=columns_of(map), dates=dates, lists=lists, **more
        )
        tally = BackfillTally()
        for one in ordered(read(files, options, tally), files, options, tally):
            yield orjson.dumps(one.event) if isinstance(one, FoundEvent) else one.reason
        return
    if format not in FORMATS:
        refuse(f"--format: found {format!r} (accepted: {', '.join((*FORMATS, *EXPORTS))})", 2)
    for _, value, why in lines(files, format, mapping, settings.business.timezone):
        yield why or value


def counted(
    business: Business, catalogue: Catalogue, kpi: Kpi, window: Window, segment: str, at: int, told: Iterator[bytes | str]
) -> Side:
    """Return what events alone come to, by the definitions of this installation."""
    folds = {name: EntityPartition(name, 0, business) for name in sorted(LOGGED)}
    view, refused, events = View(business), Counter[str](), 0
    waiting: dict[str, list[Record]] = {name: [] for name in folds}
    rows: dict[str, dict[bytes, bytes]] = {name: {} for name in folds}

    def settle(name: str) -> None:
        folds[name].fold(waiting[name])
        waiting[name].clear()
        changes = folds[name].changes()
        rows[name].update({change.key: change.value for change in changes.rows if change.value is not None})
        for output in changes.outputs:
            if output.topic == "panes":
                view.put(output.key, output.value)
            elif output.topic in ("deal-merges", "lead-merges"):  # what a merged one hands over
                waiting[name].append(Record(output.topic, 0, 0, now, output.key, output.value, ()))

    now = wall_clock()
    for item in told:
        if isinstance(item, str):
            refused[item] += 1
            continue
        fold = TOPIC_OF.get(str(orjson.loads(item).get("type")))
        if fold in folds:
            events += 1
            waiting[fold].append(Record(fold, 0, events, now, b"", item, ()))
            if len(waiting[fold]) >= _CHUNK:
                settle(fold)
    for name in folds:
        settle(name)
        while waiting[name]:
            settle(name)
        for (_, _, outcome), number in folds[name].outcomes.items():
            if outcome not in ("applied", "duplicate"):
                refused[outcome] += number
    view.advance(now)
    question = FigureQuestion(asks(kpi, segment), window, at)
    found: dict[str, dict[str, Any]] = {}
    for name in question.folds:
        behind = EntitiesBehind(name, business, question, rows[name])
        ids = {key[1:].decode() for key in rows[name] if key[:1] == b"E"}
        for one, gone in behind.known(ids):
            found[one.state.id] = {**row(one, kpi, question.asks), "gone": gone or None}
    return Side(catalogue.reading(kpi, view, window, segment, at), found, events, refused)


def _known(url: str, kpi: str, asked: dict[str, str], ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what is known here of those that do not count."""
    found: dict[str, dict[str, Any]] = {}
    for place in range(0, len(ids), _AT_A_TIME):
        query = urllib.parse.urlencode([*asked.items(), *(("id", id) for id in ids[place : place + _AT_A_TIME])])
        answer = remote.call("GET", f"/api/kpis/{urllib.parse.quote(kpi, safe='')}/deals?{query}", url=url, timeout=120)
        found |= {one["id"]: one for one in answer["deals"]}
    return found


def _write(file: Path, found: Sequence[Difference]) -> None:
    try:
        with file.open("w", newline="", encoding="utf-8") as out:
            writer = table.writer(out)
            writer.writerow(("id", "name", "measure", "here", "export", "why"))
            for one in found:
                for measure in sorted(one.here.keys() | one.export.keys()):
                    numbers = one.here.get(measure, 0), one.export.get(measure, 0)
                    writer.writerow([cell(text) for text in (one.id, one.name, measure, *numbers, "; ".join(one.why))])
    except OSError as error:
        refuse(f"--csv {file}: {error.strerror}")


def _show(answer: dict[str, Any], found: Sequence[Difference], ours: dict[str, Any]) -> None:
    unit, currency = ours["unit"], ours.get("currency", "")
    print(plain(f"{answer['kpi']}, {answer['window']}: {answer['from']} to {answer['at']}"))
    for side, told in (("here", answer["here"]), ("export", answer["export"])):
        print(plain(f"  {side:7} {shown(told['value'], unit, currency):>18}  {told['count']:,} counted"))
    if ours["value"] is not None and answer["export"]["value"] is not None:
        print(plain(f"  {'apart':7} {shown(ours['value'] - answer['export']['value'], unit, currency):>18}"))
    print(f"  {answer['agree']:,} agree, {answer['differ']:,} differ")
    for one in found[:_SHOWN]:
        numbers = "; ".join(
            f"{measure}: {one.here.get(measure, 0):,.10g} here, {one.export.get(measure, 0):,.10g} in the export"
            for measure in sorted(one.here.keys() | one.export.keys())
        )
        print(plain(wrapped(f"  {one.name or one.id}{f' ({one.id})' if one.name else ''}: {numbers}")))
        for why in one.why:
            print(plain(wrapped(f"      {why}", 8)))
    if len(found) > _SHOWN:
        console.print(f"{len(found) - _SHOWN:,} more: --json, or --csv FILE", markup=False)
    refused = answer["export"]["refused"]
    for reason, number in sorted(refused.items(), key=lambda item: -item[1])[:5]:
        console.print(f"not used of the export: {number:,} × {plain(reason)}", markup=False, highlight=False)
