"""How are the results read? As tables, with the budgets of the design beside them, in ``docs/performance.md``.

What stands below the mark in that file is written by hand and kept.
"""

from collections.abc import Iterator
from typing import Any

from tests.kafka_broker import ROOT

PAGE = ROOT / "docs" / "performance.md"
MARK = "<!-- below: written by hand, kept by the bench -->"

_NAMES = {
    "small": {
        "raw": "aiokafka `getmany`, records thrown away",
        "orjson": "+ orjson",
        "fold": "**+ fold: no engine, nothing durable**",
        "durable": "**Vigie's engine: durable and fenced**",
        "faust": "stock Faust: `take(1000)` + Tables",
        "quix": "Quix Streams 3.28: State + changelog",
    },
    "whole": {
        "raw": "aiokafka `getmany`, records thrown away",
        "orjson": "+ orjson",
        "decode": "+ the contract instead of orjson: typed, checked",
        "fold": "**+ folds: no engine, nothing durable, panes stay deltas in memory**",
        "rolled": "the same, and what a checkpoint takes is made every 0.25 s, and thrown away",
        "durable": "**Vigie, the whole worker: folds, panes, readings, rules; durable**",
        "faust": "stock Faust with our folds: `take_events(1000)` + Tables",
    },
}
_STAGES = {
    "folded": ("folded", 20),
    "durable": ("durable: the transaction is committed", 300),
    "visible": ("visible in the KPIs", 350),
    "alerted": ("alert received over HTTP", 500),
}


def write(results: dict[str, Any], *, keep: bool = True) -> str:
    """Return the report; with ``keep`` also write it to the page."""
    text = "\n".join(_page(results))
    if keep:
        kept = PAGE.read_text("utf-8").partition(MARK)[2] if PAGE.exists() else "\n"
        PAGE.write_text(f"{text}\n{MARK}{kept}", "utf-8")
    return text


def _page(results: dict[str, Any]) -> Iterator[str]:
    machine = results.get("machine", {})
    yield "# Performance\n"
    yield (
        "Written by `make bench` (`python -m bench`): a real Kafka, each contender in a process of its own, one at a time, in "
        "turn; figures are medians. Take the ratios, not the absolute figures: the broker shares the machine "
        f"({machine.get('cores', '?')} cores, {machine.get('processor', '?')}, {machine.get('memory_gib', '?')} GiB). "
        "*Others* is how many of the cores were busy with neither contender nor broker: where it is not near 0, events per "
        "second say as much about the others, and the CPU seconds are what to read. The ratios are given for both. "
        "Every run is in `performance.json`.\n"
    )
    yield from _budgets(results)
    for job, title in (("small", "The small job"), ("whole", "The whole: real contract, real catalogue")):
        if job in results:
            yield from _throughput(title, job, results[job])
    if "latency" in results:
        yield from _latency(results["latency"])
    if "restore" in results:
        yield from _restore(results["restore"])
    if "profile" in results:
        yield from _profile(results["profile"])


def ratios(section: dict[str, Any], one: str, other: str) -> tuple[float, float] | None:
    """How many times ``other``'s rate ``one`` reaches: by the clock, and by CPU seconds."""
    found = section.get("contenders", {})
    if one not in found or other not in found:
        return None
    a, b = found[one], found[other]
    return (
        a["events_per_second"] / b["events_per_second"],
        b["cpu_seconds_per_million"] / a["cpu_seconds_per_million"],
    )


def _budgets(results: dict[str, Any]) -> Iterator[str]:
    """Target beside result, one line each."""
    yield "## Budgets\n"
    yield "| | at least | found (by the clock) | by CPU | |"
    yield "|---|---|---|---|---|"
    lines = (
        ("small", "durable", "fold", 0.65, "small job: durable / the same fold without an engine"),
        ("small", "durable", "faust", 20, "small job: durable / stock Faust"),
        ("small", "durable", "quix", 10, "small job: durable / Quix Streams with State"),
        ("whole", "durable", "fold", 0.75, "whole: durable / the same decode and folds without an engine"),
        ("whole", "durable", "faust", 8, "whole: durable / stock Faust doing the same"),
        ("whole", "fold", "orjson", 0.15, "whole: engine-less folds / aiokafka + orjson alone"),
    )
    for job, one, other, target, what in lines:
        found = ratios(results.get(job, {}), one, other)
        if found is not None:
            wall, used = found
            yield f"| {what} | {target} | {wall:.3g} | {used:.3g} | {_verdict(wall / target)} |"
    stages = results.get("latency", {}).get("stages", {})
    for name, (what, target) in _STAGES.items():
        if name in stages:
            p99 = stages[name]["p99"]
            yield f"| production → {what}, p99 at 500 ev/s | ≤ {target} ms | {p99:g} ms | | {_verdict(target / p99)} |"
    restore = results.get("restore")
    if restore:
        ratio = 10 / restore["seconds"] * restore["deals"] / 1_000_000
        yield f"| restore of {restore['deals']:,} open deals | ≤ 10 s | {restore['seconds']:g} s | | {_verdict(ratio)} |"
        size = restore["bytes_per_deal"]
        yield f"| memory per open deal | ≤ 1,024 bytes | {size:,.0f} bytes | | {_verdict(1024 / size)} |"
    yield ""


def _verdict(ratio: float) -> str:
    """``ratio`` is 1 where the target is just met, more where it is passed."""
    return "met" if ratio >= 1 else f"missed: {ratio:.0%} of it"


def _ran(section: dict[str, Any]) -> str:
    return f"Run on {section['at']} UTC at commit `{section['commit']}`."


def _throughput(title: str, job: str, section: dict[str, Any]) -> Iterator[str]:
    contenders, events = section["contenders"], section["events"]
    yield f"## {title}\n"
    what = (
        "12 measures × 4 dimensions per minute pane, and each deal's state; events of about 234 bytes, 8 partitions."
        if job == "small"
        else "35 % deal events, each with another owner and another source than the deal's last one (9 events a deal), 20 % lead "
        "events, 40 % page views, 5 % customers and spend; 8 partitions a topic; event time passes at 1,000 events a second."
    )
    slow = " and Quix Streams" if "quix" in contenders else ""
    yield f"{what} {events['many']:,} events; {events['few']:,} for stock Faust{slow}. {_ran(section)}\n"
    yield "| | events/s | of the fold without engine | CPU s per million | of the fold's, by CPU | others, cores |"
    yield "|---|---|---|---|---|---|"
    base = contenders.get("fold")
    for name, found in contenders.items():
        rate, used = found["events_per_second"], found["cpu_seconds_per_million"]
        by_clock = f"{rate / base['events_per_second']:.3g}" if base else ""
        by_cpu = f"{base['cpu_seconds_per_million'] / used:.3g}" if base else ""
        yield f"| {_NAMES[job][name]} | {rate:,} | {by_clock} | {used:.2f} | {by_cpu} | {found['others']:.1f} |"
    yield ""
    if job == "small":
        yield (
            "Stock Faust: one agent, JSON by orjson, sums of a batch collected in dictionaries, each touched key of two Tables "
            "(memory store, changelog) written once a batch. Quix Streams: one stateful `update`, State in RocksDB with "
            "changelog, commits every second; its records are keyed by partition, so that panes are partition-local as with the "
            "others.\n"
        )
    else:
        yield (
            "Stock Faust runs our own folds, readings and rules in its agents, one row of a Table (memory store, changelog) for "
            "each changed entity and pane of a batch: only the engine differs. It does not keep positions with state, so a crash "
            "counts events twice; ours does not. Ours is also waited for until readings and rules have caught up; Faust is not.\n"
        )


def _latency(section: dict[str, Any]) -> Iterator[str]:
    yield "## Latency at 500 events a second\n"
    yield (
        "From the producer's time stamp, load and receiver in processes of their own, checkpoints every 0.25 s, the first 5 s "
        "left out; the producer's linger (5 ms) is in it. Medians of the runs' quantiles; "
        f"others: {', '.join(map(str, section['others']))} cores. {_ran(section)}\n"
    )
    yield "| | p50, ms | p99, ms | p99 of each run | budget (p99) | samples |"
    yield "|---|---|---|---|---|---|"
    for name, (what, target) in _STAGES.items():
        found = section["stages"].get(name)
        if found:
            each = ", ".join(f"{p99:g}" for p99 in found["p99s"])
            yield f"| {what} | {found['p50']:g} | {found['p99']:g} | {each} | {target} | {found['n']:,} |"
    yield ""


def _restore(section: dict[str, Any]) -> Iterator[str]:
    yield "## Restore and memory\n"
    yield (
        f"{section['deals']:,} open deals of 3 or 4 facts each, rows of {section['row_bytes']} bytes on average (made by the "
        f"fold itself), and {section['pane_rows']:,} rows of panes, through the engine's Store. Memory is the growth of the "
        f"process (RSS). {_ran(section)}\n"
    )
    yield "| | restored, s | worker ready, s | bytes per open deal | others, cores |"
    yield "|---|---|---|---|---|"
    for number, run in enumerate(section["runs"], 1):
        line = f"{run['seconds']} | {run['ready_seconds']} | {run['bytes_per_deal']:,} | {run['others']}"
        yield f"| run {number} | {line} |"
    yield ""


def _profile(section: dict[str, Any]) -> Iterator[str]:
    yield "## Where the folds' time goes\n"
    yield (
        f"In memory, without a broker, CPU µs per event; `changes()` (rolling and encoding, as a checkpoint does) every "
        f"{section['every']} records of a partition. {_ran(section)}\n"
    )
    yield "| fold | events | orjson | fold | fold + `changes()` |"
    yield "|---|---|---|---|---|"
    folds = section["folds"]
    for topic, found in folds.items():
        yield f"| {topic} | {found['events']:,} | {found['orjson']} | {found['fold']} | {found['fold_and_changes']} |"
    events = sum(found["events"] for found in folds.values())
    mean = {
        name: sum(found["events"] * found[name] for found in folds.values()) / events
        for name in ("orjson", "fold", "fold_and_changes")
    }
    yield f"| the mix | {events:,} | {mean['orjson']:.2f} | {mean['fold']:.2f} | {mean['fold_and_changes']:.2f} |\n"
    for topic in ("deals", "leads", "engagement"):
        yield f"{topic}, fold and `changes()`, share of own time under cProfile:\n"
        yield "| function | share | calls |"
        yield "|---|---|---|"
        for line in folds[topic]["top"]:
            yield f"| `{line['function']}` | {line['share']:.1%} | {line['calls']:,} |"
        yield ""
