"""Write down the rows that every fold keeps of a small history: ``python -m tests.golden NAME``.

The files under ``tests/models/golden/`` were written by earlier versions and are never written again: later versions must read
them. A version that changes the form of a row adds a file of its own.
"""

import base64
import gzip
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from models.calendar import HOUR_MS, iso
from models.simulator.world import World
from stream.config.settings import Settings
from stream.engine.address import address
from stream.engine.in_memory import InMemoryEngine
from vigie.instance import Instance
from vigie.stops import event_time

FOLDER = Path(__file__).parent / "models" / "golden"
START = datetime(2026, 5, 20, tzinfo=UTC)
BEGIN = int(START.timestamp() * 1000)


class Clock:
    """A clock that is set."""

    at = BEGIN

    def __call__(self) -> int:
        return self.at


def one(type: str, subject: str, minute: int, data: dict[str, Any]) -> bytes:
    """Return an event, so many minutes after the start."""
    event = {"specversion": "1.0", "id": f"{subject}-{type}-{minute}", "source": "golden", "type": type}
    return orjson.dumps({**event, "time": iso(BEGIN + minute * 60_000), "subject": subject, "data": data})


def customer(kind: str, minute: int, /, **data: Any) -> bytes:
    """Return an event of a customer."""
    return one("customer." + kind, "acme", minute, data)


def deal(kind: str, subject: str, minute: int, /, **data: Any) -> bytes:
    """Return an event of a deal."""
    return one("deal." + kind, subject, minute, data)


def lead(kind: str, subject: str, minute: int, /, **data: Any) -> bytes:
    """Return an event of a lead."""
    return one("lead." + kind, subject, minute, data)


def history() -> list[bytes]:
    """Return the events: a few days of a small company, one deal with more facts than are kept, one merged, one deleted."""
    events = [orjson.dumps(event) for event in World(seed=5, start=START, days=6, scale=0.03, details=False).events()]
    events.append(deal("created", "long", 0, amount="1000", owner="ann", source="web"))
    for i in range(1, 100):
        events.append(deal("stage_changed", "long", i * 50, stage=f"stage {i % 4}", amount=str(1000 + i), owner=f"rep {i % 3}"))
    events += [deal("won", "long", 5000), deal("activity", "long", 5001, kind="meeting", owner="ann")]
    events += [
        deal("created", "loser", 10, amount="5"),
        deal("created", "survivor", 11),
        deal("merged", "loser", 12, into="survivor"),
    ]
    events += [deal("created", "gone", 10, amount="7"), deal("deleted", "gone", 20)]
    events += [customer("invoiced", 5, amount="10.5", currency="EUR"), customer("invoiced", 3, amount=2, currency="EUR")]
    events += [customer("surveyed", 60, kind="nps", score=10), customer("supported", 70, response_seconds=12.5)]
    events += [deal("created", "huge", 7000, amount="9000000"), deal("stage_changed", "huge", 7100, stage="demo")]
    return events


def edits() -> list[bytes]:
    """Return what the version of the first file booked by other rules: an edit opened a deal, any contact answered a lead."""
    events = [event for event in history() if orjson.loads(event)["subject"] != "long"]  # all facts of the others are kept
    for name, data in {"plain": {"amount": "10", "owner": "ann"}, "bulk": {"source": "web"}, "staged": {"stage": "demo"}}.items():
        events.append(deal("updated", f"{name}-edit", 100, **data))
        for kind, minute, said in (
            ("created", 1600, {"amount": "20"}),
            ("won", 1600, {}),
            ("lost", 90, {}),
            ("reopened", 1700, {}),
            ("stage_changed", 1800, {"stage": "offer"}),
            ("deleted", 1900, {}),
            ("activity", 1950, {"kind": "meeting"}),
        ):
            events.append(deal("updated", f"{name}-{kind}", 100, **data))
            events.append(deal(kind, f"{name}-{kind}", minute, **said))
    events += [deal("activity", "called", 300, kind="call"), deal("activity", "called", 400, kind="demo", owner="bob")]
    for name, minutes in {"quick": (10, 70, 130), "slow": (10, 3000, 6000), "stays": (10, 2000)}.items():
        events.append(deal("created", name, 5, amount="5", stage="new", owner="ann"))
        events += [deal("stage_changed", name, minute, stage=f"stage {i}") for i, minute in enumerate(minutes)]
    events.append(deal("lost", "slow", 7000))
    for loser, into in (("edited", "survivor"), ("old", "edited-too"), ("called-too", "called-three")):
        events += [deal("updated", loser, 200, amount="7", owner="bob"), deal("stage_changed", loser, 210, stage="demo")]
        events.append(deal("updated", into, 205, owner="ann") if into != "survivor" else deal("created", into, 220))
        events.append(deal("merged", loser, 230, into=into))
    events += [
        deal("updated", "bare", 200, amount="3"),
        deal("updated", "bare-too", 200),
        deal("merged", "bare", 230, into="bare-too"),
    ]
    calls = {"long-before": [10], "twice": [10, 4000], "led-to": [2900], "after": [3100], "never": []}
    for name, called in calls.items():
        events.append(lead("created", name, 3000, source="web", owner="ann"))
        events += [lead("contacted", name, minute) for minute in called]
    events += [lead("contacted", "converted", 5), lead("created", "converted", 3000), lead("converted", "converted", 4000)]
    events += [
        lead("contacted", "unborn", 5),
        lead("contacted", "gone", 5),
        lead("created", "gone", 3000),
        lead("deleted", "gone", 3100),
    ]
    events += [lead("contacted", "merged", 5), lead("merged", "merged", 4000, into="never")]
    events += [lead("contacted", "off", 5), lead("created", "off", 3000), lead("disqualified", "off", 3050)]
    return events


def catalogue() -> list[bytes]:
    """Return what feeds the KPIs of the whole catalogue: terms, close dates, costs, forms, e-mails one by one, metrics."""
    events = edits()
    for name, promised, later in (
        ("kept", "2026-05-29", None),
        ("slips", "2026-05-22", "2026-06-30"),
        ("pushed", "2026-06-01", "2026-07-01"),
    ):
        told = {"amount": "900", "cost": "300", "list_amount": "1000", "sale": "upsell", "product": "a", "stage": "new"}
        events.append(deal("created", name, 30, **told, expected_close_date=promised, owner="ann", team="north"))
        if later:
            events.append(deal("updated", name, 3000, expected_close_date=later))
        events += [deal("stage_changed", name, 40, stage="demo"), deal("stage_changed", name, 3100, stage="new")]
    events += [
        deal("won", "kept", 6000),
        deal("lost", "slips", 6100, reason="price"),
        deal("activity", "kept", 6001, kind="signature"),
    ]
    events += [
        lead(
            "created", "bant", 100, source="web", score=70, bant={"budget": True, "authority": True, "need": True, "timing": True}
        ),
        lead("contact_attempted", "bant", 120),
        lead("contacted", "bant", 200, preparation_seconds=90),
        lead("converted", "bant", 300, deal_id="kept"),
        lead("created", "refused", 100),
        lead("disqualified", "refused", 400, reason="budget"),
    ]
    for account, ends in (("stays", "2026-05-23"), ("leaves", "2026-05-24")):
        told = {"amount": "120", "currency": "EUR", "product": "a", "term_end": ends}
        events.append(one("customer.invoiced", account, 50, told))
        events.append(one("customer.recommended", account, 60, {}))
        events.append(one("customer.complained", account, 70, {"response_seconds": 30}))
    events.append(one("customer.renewed", "stays", 5000, {"amount": "130", "currency": "EUR", "term_end": "2027-05-23"}))
    events.append(one("customer.churned", "leaves", 6000, {}))
    events += [customer("surveyed", 80, kind="csat", score=5), customer("surveyed", 81, kind="nps", score=3)]
    events.append(one("email.bounced", "l2", 22, {"campaign": "c", "message_id": "m2"}))
    events += [deal("created", "more", 30, amount="50", sale="cross_sell", lead_created_at=iso(BEGIN)), deal("won", "more", 900)]
    page = {"page": "/pricing", "source": "web", "campaign": "c"}
    events += [
        one("web.page_viewed", "v1", 10, page),
        one("web.form_started", "v1", 11, {**page, "form": "demo"}),
        one("web.form_abandoned", "v1", 12, {**page, "form": "demo"}),
        one("web.page_viewed", "v2", 10, {"page": "/"}),
    ]
    mail = {"campaign": "c", "message_id": "m1"}
    events += [one("email.sent", "l1", 20, mail), one("email.opened", "l1", 30, mail), one("email.clicked", "l1", 31, mail)]
    events.append(one("email.opened", "l1", 21, {**mail, "machine": True}))
    events += [
        one("rep.hired", "ann", 5, {"owner": "ann", "steps": 4}),
        one("rep.onboarded", "ann", 90, {"owner": "ann", "step": "crm"}),
        one("rep.trained", "ann", 91, {"owner": "ann", "hours": 1.5}),
        one("metric.recorded", "plant", 15, {"name": "energy", "value": 12.5, "unit": "kWh", "dimensions": {"owner": "ann"}}),
        one("metric.recorded", "plant", 900, {"name": "energy", "value": 11.25, "unit": "kWh"}),
    ]
    return events


#: What each file was written of.
HISTORIES = {"1": history, "1-edits": edits, "2": catalogue}


def instance_of(clock: Clock) -> Instance:
    """Return the instance whose folds keep the rows."""
    settings = Settings.model_validate({"kafka": {"partitions": 1}, "business": {"timezone": "Europe/Paris"}})
    return Instance(settings, "127.0.0.1:1", clock=clock, paced=True)


def read(file: Path) -> dict[str, dict[bytes, bytes]]:
    """Return the rows of every fold by its name."""
    found: dict[str, dict[bytes, bytes]] = {}
    for line in gzip.decompress(file.read_bytes()).splitlines():
        fold, key, value = orjson.loads(line)
        found.setdefault(fold, {})[base64.b64decode(key)] = base64.b64decode(value)
    return found


def in_order(events: list[bytes]) -> list[tuple[int, bytes]]:
    """Return events with their times, the earliest first."""
    return sorted((event_time(event) or 0, event) for event in events)


def rows_of(events: list[bytes]) -> dict[str, dict[bytes, bytes]]:
    """Return the rows of every fold by its name, all in one partition."""
    clock = Clock()
    specs = instance_of(clock).engine.specs
    found: dict[str, dict[bytes, bytes]] = {spec.name: {} for spec in specs}
    engine = InMemoryEngine(specs, lambda topic: 1)
    for spec in specs:
        keep(engine.fold_of(spec.name, 0), found[spec.name])
    stop = BEGIN
    for at, event in in_order(events):
        while at >= stop:  # judged every two hours, as it happens
            settled(engine, clock, stop)
            stop += 2 * HOUR_MS
        engine.publish(*address(event), event, at)
    for minutes in range(0, 120, 10):
        settled(engine, clock, stop + minutes * 60_000)
    return found


def settled(engine: InMemoryEngine, clock: Clock, at: int) -> None:
    """Let it be a time."""
    engine.settle(at)
    clock.at = at
    engine.tick(at, at, "roll-kpis")


def keep(fold: Any, rows: dict[bytes, bytes]) -> None:
    """Note the rows that a fold hands over at its checkpoints."""
    changes = fold.changes

    def noted() -> Any:
        found = changes()
        for key, value in found.rows:
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        return found

    fold.changes = noted


def write(name: str) -> None:
    """Write the rows of all folds into one file."""
    lines = [
        orjson.dumps([fold, base64.b64encode(key).decode(), base64.b64encode(value).decode()])
        for fold, rows in sorted(rows_of(HISTORIES[name]()).items())
        for key, value in sorted(rows.items())
    ]
    FOLDER.mkdir(exist_ok=True)
    with gzip.GzipFile(FOLDER / f"{name}.jsonl.gz", "wb", mtime=0) as file:
        file.write(b"\n".join(lines) + b"\n")


if __name__ == "__main__":
    write(sys.argv[1])
