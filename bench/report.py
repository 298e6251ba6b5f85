"""How are the results read? As tables, with the budgets of the design beside them, in ``docs/performance.md``.

What stands below the mark in that file is written by hand and kept.
"""

from collections.abc import Iterator
from typing import Any

from tests.kafka_broker import ROOT

PAGE = ROOT / "docs" / "performance.md"
#: Cores in use by others, above which a rate is not to be trusted.
QUIET = 0.3
MARK = "<!-- below: written by hand, kept by the bench -->"

_WORKERS = {
    "kpis": "Vigie, `--role fold`: the KPIs' folds alone; durable",
    "durable": "**Vigie, the whole worker in one process, no predictions: folds, panes, readings, rules; durable**",
    "everything": "the same with predictions",
    "roles": "**Vigie, everything, as `vigie worker` runs it: a process for each role**",
    "before": "*before*: the whole worker, no predictions",
    "before_everything": "*before*: with predictions",
}
_NAMES = {
    "small": {
        "raw": "aiokafka `getmany`, records thrown away",
        "orjson": "+ orjson",
        "fold": "**+ fold: no engine, nothing durable**",
        "durable": "**Vigie's engine: durable and fenced**",
        "before": "*before*: Vigie's engine",
        "streams": "Kafka Streams 4.1, on the JVM: a processor, RocksDB, exactly once",
        "faust": "stock Faust: `take(1000)` + Tables",
        "quix": "Quix Streams 3.28: State + changelog",
    },
    "whole": {
        "raw": "aiokafka `getmany`, records thrown away",
        "orjson": "+ orjson",
        "decode": "+ the contract instead of orjson: typed, checked",
        "fold": "**+ folds: no engine, nothing durable, panes stay deltas in memory**",
        "rolled": "the same, and what a checkpoint takes is made every 0.25 s, and thrown away",
        **_WORKERS,
        "faust": "stock Faust with our folds: `take_events(1000)` + Tables",
    },
    "company": {
        "fold": "**aiokafka, the contract and the folds: no engine, nothing durable**",
        "rolled": "the same, and what a checkpoint takes is made every 0.25 s, and thrown away",
        **_WORKERS,
    },
}
_STAGES = {
    "folded": ("folded", 25),
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
    titles = {
        "small": "The small job",
        "whole": "The whole: real contract, real catalogue",
        "company": "The whole for a company's own events",
    }
    for job, title in titles.items():
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
        ("small", "durable", "before", 1.3, "small job: durable / before"),
        ("whole", "kpis", "fold", 0.85, "whole: the KPIs' folds alone / the same decode and folds without an engine"),
        ("whole", "roles", "fold", 0.75, "whole: everything, a process for each role / folds without an engine"),
        ("whole", "kpis", "before", 1 / 0.6, "whole: the KPIs' folds alone / the worker before, no predictions"),
        ("whole", "roles", "before_everything", 2, "whole: everything / before"),
        ("company", "kpis", "before", 1 / 0.6, "a company's events: the KPIs' folds alone / before, no predictions"),
        ("company", "roles", "before_everything", 2, "a company's events: everything / before"),
        ("whole", "durable", "faust", 8, "whole: durable / stock Faust doing the same"),
        ("whole", "fold", "orjson", 0.15, "whole: engine-less folds / aiokafka + orjson alone"),
    )
    for job, one, other, target, what in lines:
        found = ratios(results.get(job, {}), one, other)
        if found is not None:
            wall, used = found
            verdict = _verdict(wall / target)
            if (wall >= target) != (used >= target):
                verdict = f"{'met' if wall >= target else 'missed'} by the clock, {'met' if used >= target else 'missed'} by CPU"
            if max(results[job]["contenders"][name]["others"] for name in (one, other)) > QUIET:
                verdict += "; machine not quiet"
            yield f"| {what} | {target:.3g} | {wall:.3g} | {used:.3g} | {verdict} |"
    stages = results.get("latency", {}).get("modes", {}).get("predictions", {}).get("stages", {})
    for name, (what, target) in _STAGES.items():
        if name in stages:
            p99 = stages[name]["p99"]
            yield f"| production → {what}, p99 at 500 ev/s | ≤ {target} ms | {p99:g} ms | | {_verdict(target / p99)} |"
    restore = results.get("restore")
    if restore:
        ratio = 4 / restore["seconds"] * restore["deals"] / 1_000_000
        yield f"| restore of {restore['deals']:,} open deals | ≤ 4 s | {restore['seconds']:g} s | | {_verdict(ratio)} |"
        size = restore["bytes_per_deal"]
        yield f"| memory per open deal | ≤ 819 bytes | {size:,.0f} bytes | | {_verdict(819 / size)} |"
    yield ""


def _verdict(ratio: float) -> str:
    """``ratio`` is 1 where the target is just met, more where it is passed."""
    return "met" if ratio >= 1 else f"missed: {ratio:.0%} of it"


def _ran(section: dict[str, Any]) -> str:
    return f"Run on {section['at']} UTC at commit `{section['commit']}`."


def _throughput(title: str, job: str, section: dict[str, Any]) -> Iterator[str]:
    contenders, events = section["contenders"], section["events"]
    yield f"## {title}\n"
    what = {
        "small": "12 measures × 4 dimensions per minute pane, and each deal's state; events of about 234 bytes, 8 partitions.",
        "whole": "35 % deal events, each with another owner and another source than the deal's last one (9 events a deal), "
        "20 % lead events, 40 % page views, 5 % customers and spend; 8 partitions a topic; event time passes at "
        "1,000 events a second.",
        "company": "A simulated company's month, owners and sources as they are (six of seven events are visits, e-mails "
        "and advertisements); 8 partitions a topic. Read as fast as it goes, so each event is in a minute of its own.",
    }[job]
    slow = " and ".join(label for name, label in (("faust", "stock Faust"), ("quix", "Quix Streams")) if name in contenders)
    slow = f"; {events['few']:,} for {slow}" if slow else ""
    before = f" *Before* is commit `{section['before']}`." if "before" in section else ""
    yield f"{what} {events['many']:,} events{slow}. {_ran(section)}{before}\n"
    yield "| | events/s | of the fold without engine | CPU s per million | of the fold's, by CPU | others, cores |"
    yield "|---|---|---|---|---|---|"
    base = contenders.get("fold")
    for name, found in contenders.items():
        rate, used = found["events_per_second"], found["cpu_seconds_per_million"]
        by_clock = f"{rate / base['events_per_second']:.3g}" if base else ""
        by_cpu = f"{base['cpu_seconds_per_million'] / used:.3g}" if base else ""
        yield f"| {_NAMES[job][name]} | {rate:,} | {by_clock} | {used:.2f} | {by_cpu} | {found['others']:.1f} |"
    yield ""
    if "roles" in contenders:
        rates = sorted(run["events"] / run["durable"] for run in contenders["roles"]["runs"])
        yield (
            "With a process for each role the clock ends when no role has anything left to read; the KPIs' folds have "
            f"committed the last event sooner: {rates[len(rates) // 2]:,.0f} events a second are durable, while the other roles "
            "run beside. Every worker has topics of its own.\n"
        )
    if job == "small":
        yield (
            "Stock Faust: one agent, JSON by orjson, sums of a batch collected in dictionaries, each touched key of two Tables "
            "(memory store, changelog) written once a batch. Kafka Streams (`bench/streams`): one thread, cached stores with "
            "changelogs, commits every 250 ms; its just-in-time compiler is in its figures. Quix Streams: one stateful `update`, "
            "State in RocksDB with changelog, commits every second; its records are keyed by partition, so that panes are "
            "partition-local as with the others.\n"
        )
    elif job == "whole":
        if "faust" not in contenders:
            yield "Stock Faust: no run came to its end, so there is no figure.\n"
            return
        yield (
            "Stock Faust runs our own folds, readings and rules in its agents, one row of a Table (memory store, changelog) for "
            "each changed entity and one message for each changed pane, every 5 s: only the engine differs. It does not keep "
            "positions with state, so a crash counts events twice; ours does not. Ours is also waited for until readings and "
            "rules have caught up; Faust is not.\n"
        )


_MODES = {
    "predictions": "predictions on",
    "no_predictions": "predictions off",
    "before_predictions": "*before*, on",
    "before_no_predictions": "*before*, off",
}


def _latency(section: dict[str, Any]) -> Iterator[str]:
    modes = {mode: found for mode, found in section["modes"].items() if mode in _MODES}
    others = max(max(found["others"]) for found in modes.values())
    yield "## Latency at 500 events a second\n"
    yield (
        "From the producer's time stamp, load and receiver in processes of their own, the first 5 s of "
        f"{section['seconds']} left out; the producer's linger (5 ms) is in it. A process for each role; before, one for all. "
        f"p50 / p99 in ms, medians of the runs' quantiles (p99 of each run); others: at most {others} cores. "
        f"{_ran(section)}\n"
    )
    yield "| | " + " | ".join(_MODES[mode] for mode in modes) + " | budget (p99) |"
    yield "|---" * (len(modes) + 2) + "|"
    for name, (what, target) in _STAGES.items():
        stages = [found["stages"][name] for found in modes.values()]
        cells = " | ".join(f"{one['p50']:g} / {one['p99']:g} ({', '.join(f'{p99:g}' for p99 in one['p99s'])})" for one in stages)
        yield f"| {what} | {cells} | {target} |"
    yield ""
    now = [mode for mode in ("predictions", "no_predictions") if mode in modes]
    for mode in now:
        used = ", ".join(f"{role} {seconds:g}" for role, seconds in modes[mode]["cpu"].items())
        yield f"CPU s of a run's {section['seconds']} s, {_MODES[mode]}: {used}.\n"
    yield (
        "Pieces of work that kept the loop in these runs for longer than so many milliseconds (CPU of its thread), and the "
        "loop's delays as `vigie_loop_delay_seconds` counts them (by the clock, broker and load on the same cores):\n"
    )
    yield "| | pieces | > 1 ms | > 2 | > 5 | > 10 | > 25 | longest, ms | delays | > 5 ms | > 25 | > 100 |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for mode in now:
        for role, turns in modes[mode]["turns"].items():
            over = turns["over_ms"]
            cells = " | ".join(f"{over[bound]:,} ({over[bound] / turns['count']:.2%})" for bound in ("1", "2", "5", "10", "25"))
            loop = {float(bound): n for bound, n in modes[mode]["loop"][role].items()}
            late = " | ".join(_share_over(loop, bound) for bound in (0.005, 0.025, 0.1))
            count = f"{turns['count']:,} | {cells} | {turns['longest_ms']}"
            yield f"| `{role}`, {_MODES[mode]} | {count} | {loop[float('inf')]:,.0f} | {late} |"
    yield ""


def _share_over(buckets: dict[float, float], bound: float) -> str:
    return f"{1 - buckets[bound] / buckets[float('inf')]:.2%}"


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
