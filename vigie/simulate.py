"""``vigie simulate``: write a simulated company's history to a file."""

import gzip
import io
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import IO, Annotated, Any
from zoneinfo import ZoneInfo

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from models.simulator import QUOTAS, LiveCompany, Mischief, World
from models.simulator.bad import KINDS
from models.simulator.cast import NAMES, TEAMS
from models.simulator.live import HISTORY_DAYS
from stream.config.experiment_settings import ExperimentSettings
from stream.config.goal_settings import ChallengeSettings, ObjectiveSettings
from stream.config.owners_file import OwnerSettings
from stream.config.settings import Settings
from stream.config.target_settings import TargetSettings
from stream.sources.files import FORMATS, FileReject, Item, ReadOptions, read_file

START = datetime(2025, 1, 1, tzinfo=UTC)
"""Fixed, not today: the same command gives the same bytes next year."""


@dataclass(slots=True)
class Written:
    """What was written: lines, bytes (before compression), and lines by event type ("?" where there is none)."""

    lines: int = 0
    bytes: int = 0
    types: Counter[str] = field(default_factory=Counter)


def simulate(
    out: Path,
    *,
    seed: int = 1,
    days: int = 90,
    scale: float = 1.0,
    start: datetime = START,
    currency: str = "EUR",
    mischief: Mischief | None = None,
    events: Iterable[dict[str, Any]] | None = None,
    on_day: Callable[[int], None] = lambda day: None,
) -> Written:
    """Write ``days`` days of a simulated company as CloudEvents, one a line; the same arguments give the same bytes.

    With ``events``, a history in time order, they are what the mischief is done to, and no company is simulated.

    ``out`` is written under another name and moved into place when it is complete; ``-`` is standard output, a name
    that ends in ``.gz`` is compressed. ``on_day`` is called with the number of each day that has been drawn.

    Raises:
        ValueError: for days, scale, start or shares that make no sense.
        OSError: if the file cannot be written.
    """
    if events is None:
        events = World(seed, start, days, scale=scale, currency=currency).events()
    written = Written()
    with _opened(out) as file:
        for record in (mischief or Mischief()).apply(_watched(events, on_day)):
            line = record if isinstance(record, bytes) else orjson.dumps(record)
            file.write(line + b"\n")
            written.lines += 1
            written.bytes += len(line) + 1
            written.types["?" if isinstance(record, bytes) else record["type"]] += 1
    return written


def _watched(events: Iterable[dict[str, Any]], on_day: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    day, number = "", 0
    for event in events:
        if event["time"][:10] != day:
            day = event["time"][:10]
            number += 1
            on_day(number)
        yield event


@contextmanager
def _opened(out: Path) -> Iterator[IO[bytes]]:
    if str(out) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = out.with_name(f"{out.name}.partial")
    try:
        with partial.open("wb") as raw:
            if out.suffix == ".gz":
                # No name and no time in the header, or the same seed would not give the same bytes.
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed:
                    with io.BufferedWriter(packed, 1 << 20) as file:
                        yield file
            else:
                yield raw
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


_START = START.replace(tzinfo=None)  # Typer's dates are naive


def _share(help: str) -> Any:
    return typer.Option(min=0.0, max=1.0, help=help)


def command(
    out: Annotated[Path, typer.Option(help="File to write; - for standard output, .gz compresses.")],
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 1,
    days: Annotated[int, typer.Option(min=1, help="Days of history.")] = 90,
    scale: Annotated[float, typer.Option(help="1 is about 2,000 events a day.")] = 1.0,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day, UTC.")] = _START,
    currency: Annotated[str, typer.Option(help="Of all amounts, an ISO 4217 code.")] = "EUR",
    duplicates: Annotated[float, _share("Share of the events that come twice.")] = 0.0,
    disorder: Annotated[float, _share("Share of each day's events that change places; 1 shuffles.")] = 0.0,
    late: Annotated[float, _share("Share of the events that arrive late.")] = 0.0,
    late_days: Annotated[float, typer.Option(min=0.0, help="By up to so many days.")] = 30.0,
    reopen: Annotated[float, _share("Share of the closed deals that are opened again.")] = 0.0,
    merge: Annotated[float, _share("Share of the deals and leads merged into another.")] = 0.0,
    bad: Annotated[float, _share("Bad records per good one.")] = 0.0,
    bad_kind: Annotated[list[str] | None, typer.Option(help=f"Only these kinds: {', '.join(KINDS)}.")] = None,
    events: Annotated[Path | None, typer.Option(help="Do it to this history instead of a simulated one.")] = None,
    format: Annotated[str, typer.Option(help=f"Of --events: {', '.join(FORMATS)}.")] = "jsonl",
    mapping: Annotated[Path | None, typer.Option(help="Of --events in the csv format.")] = None,
    zone: Annotated[str, typer.Option(help="Time zone of dates without one in --events.")] = "UTC",
) -> None:
    """Write a simulated sales company's history as CloudEvents, one a line."""
    errors = Console(stderr=True, soft_wrap=True)
    try:
        mischief = Mischief(
            seed=seed,
            duplicates=duplicates,
            disorder=disorder,
            late=late,
            late_days=late_days,
            reopen=reopen,
            merge=merge,
            bad=bad,
            bad_kinds=tuple(bad_kind or KINDS),
        )
        rejected: Counter[str] = Counter()
        given = None if events is None else _given(read_file(events, format, _options(zone, mapping)), rejected)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=errors, transient=True) as progress:
            task = progress.add_task("days", total=days if given is None else None)
            written = simulate(
                out,
                seed=seed,
                days=days,
                scale=scale,
                start=start.replace(tzinfo=UTC),
                currency=currency,
                mischief=mischief,
                events=given,
                on_day=lambda day: progress.update(task, completed=day),
            )
    except (ValueError, OSError) as error:
        errors.print(f"vigie simulate: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(1) from error
    errors.print(f"{out}: {written.lines:,} lines, {written.bytes / 1e6:,.1f} MB", markup=False, highlight=False)
    for reason, count in rejected.most_common():
        errors.print(f"{events}: {count:,} left out: {reason}", markup=False, highlight=False)


def _options(zone: str, mapping: Path | None) -> ReadOptions:
    try:
        return ReadOptions(zone=ZoneInfo(zone), mapping=mapping)
    except (KeyError, ValueError) as error:
        raise ValueError(f'--zone: found "{zone}"; a time zone as Europe/Paris is needed') from error


def _given(items: Iterable[Item], rejected: Counter[str]) -> Iterator[dict[str, Any]]:
    for item in items:
        if isinstance(item, FileReject):
            rejected[item.reason] += 1
        else:
            yield item.event


def as_demo(settings: Settings) -> Settings:
    """Return the settings as the demonstration has them: quotas, objectives and rules, the names of its people, a test and a
    challenge that run.

    What the settings themselves say holds. The teams' objectives are shares: how far a sum is depends on the day of the month,
    and no alert is to stand at the beginning.
    """
    today = datetime.now(UTC).date()
    trial = {"name": "second script", "variants": ["A", "B"], "from": today - timedelta(days=HISTORY_DAYS)}
    guard = {"kpi": "discount_rate", "at_most": 0.15}
    race = {
        "name": "Sprint",
        "kpi": "revenue",
        "from": today - timedelta(days=10),
        "until": today + timedelta(days=4),
        "guards": [guard],
    }
    aims = [
        {
            "name": team.replace("-", " ").title(), "team": team, "main": {"kpi": "win_rate", "target": 0.3},
            "indicators": [{"kpi": "average_deal_size", "target": 8_000}, {**guard, "guard": True}],
        }
        for team, _ in TEAMS
    ]  # fmt: skip
    called = {name: OwnerSettings(name=name.replace(".", " ").title()) for name in NAMES}
    found = with_quotas(settings).model_copy(
        update={
            "rule_folders": [Path(str(files("vigie") / "demo_rules")), *settings.rule_folders],
            "experiments": settings.experiments or [ExperimentSettings.model_validate(trial)],
            "challenges": settings.challenges or [ChallengeSettings.model_validate(race)],
            "objectives": settings.objectives or [ObjectiveSettings.model_validate(aim) for aim in aims],
            "owners": settings.owners or called,
        }
    )
    found.__dict__.pop("people", None)  # it may have been asked for before there were any
    return found


def with_quotas(settings: Settings) -> Settings:
    """Return the settings with the simulated company's quotas of revenue where they have no targets."""
    quotas = [{"kpi": "revenue", "period": period, "value": value} for period, value in QUOTAS.items()]
    targets = settings.targets or [TargetSettings.model_validate(quota) for quota in quotas]
    return settings.model_copy(update={"targets": targets})


async def demo(
    seed: int,
    clock: Callable[[], int],
    wait: Callable[[float], Awaitable[None]],
    *,
    currency: str = "EUR",
    batch: int = 500,
    tick: float = 0.1,
) -> AsyncIterator[list[dict[str, Any]]]:
    """The endless demonstration in batches to publish: weeks of history at once, then every ``tick`` seconds what is new.

    ``clock`` gives epoch milliseconds, ``wait`` is ``asyncio.sleep`` or a test's own. Who reads slowly holds it back;
    the events' times are then those of the moments that were asked for.
    """
    live = LiveCompany(seed, clock(), currency=currency)
    events: list[dict[str, Any]] = []
    for event in live.history():
        events.append(event)
        if len(events) >= batch:
            yield events
            events = []
    if events:
        yield events
    while True:
        await wait(tick)
        if events := live.step(clock()):
            yield events
