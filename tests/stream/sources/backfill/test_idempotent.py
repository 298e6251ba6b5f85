"""Do a backfill and the webhooks beside it count once? All sums of all panes are compared, of which every KPI is made."""

import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from models.business import Business
from models.calendar import DAY_MS
from models.events.catalogue import TOPIC_OF
from models.fold import Record
from models.folds.partition import EntityPartition
from stream.sources.backfill import EXPORTS, BackfillTally, FoundEvent, Options, ordered
from stream.sources.crm import parse_settings
from tests.stream.sources.backfill import worlds as w

EVER = 100 * 365 * DAY_MS
BUSINESS = Business(keep_minutes=EVER, keep_hours=EVER, keep_days=EVER, timezone="Europe/Paris")
NOW = w.BEGIN + 400 * DAY_MS
Event = dict[str, Any]


def panes(*streams: list[Event]) -> dict[str, Any]:
    """Fold the streams one after the other, ten days between them, and return all that the panes hold."""
    folds: dict[str, EntityPartition] = {}
    sums: dict[str, Any] = {}
    for number, events in enumerate(streams):
        arrivals: dict[str, list[Record]] = defaultdict(list)
        for offset, event in enumerate(events):
            topic = TOPIC_OF[event["type"]]
            arrival = NOW + number * 10 * DAY_MS
            arrivals[topic].append(Record(topic, 0, offset, arrival, None, orjson.dumps(event), ()))
        for topic, records in arrivals.items():
            fold = folds.setdefault(topic, EntityPartition(topic, 0, BUSINESS))
            fold.fold(records)
            for output in fold.changes().outputs:
                assert output.topic != "dead-letters", output
                if output.topic == "panes":
                    sums[output.key.decode()] = {} if output.value is None else orjson.loads(output.value)
    return {name: found for name, found in sums.items() if _there(found)}


def _there(found: Any) -> bool:
    if isinstance(found, dict):
        return any(_there(one) for one in found.values())
    if isinstance(found, list):
        return any(_there(one) for one in found)
    return bool(found)


def backfilled(kind: str, files: list[Path], **settings: Any) -> list[Event]:
    adapter, read = EXPORTS[kind]
    options = Options(settings=parse_settings(adapter, settings), now=NOW)
    tally = BackfillTally()
    found = list(ordered(read(files, options, tally), files, options, tally))
    assert all(isinstance(one, FoundEvent) for one in found), [one for one in found if not isinstance(one, FoundEvent)][:3]
    return [one.event for one in found if isinstance(one, FoundEvent)]


Live = Callable[[list[w.Deal]], list[Event]]
Export = Callable[[list[w.Deal], Path], list[Path]]
CASES: dict[str, tuple[str, dict[str, Any], Live, Export]] = {
    "hubspot, JSON": ("hubspot", w.HUBSPOT, w.hubspot_live, w.hubspot_json),
    "hubspot, CSV": ("hubspot", w.HUBSPOT, w.hubspot_live, w.hubspot_csv),
    "pipedrive, JSON": ("pipedrive", w.PIPEDRIVE, w.pipedrive_live, w.pipedrive_json),
    "pipedrive, JSON, no flow": (
        "pipedrive",
        w.PIPEDRIVE,
        w.pipedrive_live,
        lambda world, folder: w.pipedrive_json(world, folder, flow=False),
    ),
    "pipedrive, CSV": ("pipedrive", w.PIPEDRIVE, w.pipedrive_live, w.pipedrive_csv),
    "salesforce, change events": ("salesforce-csv", w.SALESFORCE, w.salesforce_cdc, w.salesforce_csv),
    "salesforce, outbound": (
        "salesforce-csv",
        w.SALESFORCE,
        w.salesforce_outbound,
        lambda world, folder: w.salesforce_csv(world, folder, tasks=False),
    ),
    "salesforce, no history": (
        "salesforce-csv",
        w.SALESFORCE,
        w.salesforce_cdc,
        lambda world, folder: w.salesforce_csv(world, folder, history=False),
    ),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CASES)
def test_a_backfill_beside_the_webhooks_changes_nothing(name: str, seed: int, tmp_path: Path) -> None:
    kind, settings, live_of, export = CASES[name]
    world = w.deals(seed)
    live, past = live_of(world), backfilled(kind, export(world, tmp_path), **settings)
    assert len(past) > len(world)
    alone = panes(live)
    assert alone, "the world has no deals"
    mixed = live + past
    random.Random(seed).shuffle(mixed)
    for order, streams in {
        "after": (live, past),
        "before": (past, live),
        "both twice": (past, live, past, live),
        "live twice, past twice": (live, live, past, past),
        "mixed": (mixed,),
    }.items():
        found = panes(*streams)
        different = {
            key: (alone.get(key), found.get(key)) for key in alone.keys() | found.keys() if alone.get(key) != found.get(key)
        }
        assert not different, (order, len(different), list(different.items())[:3])


@pytest.mark.parametrize("name", [name for name in CASES if "no " not in name and "CSV" not in name])
def test_a_history_alone_tells_what_the_webhooks_told(name: str, tmp_path: Path) -> None:
    """To the second, which is what exports have: by the minute, only what happened in one and is told in the next may differ."""
    kind, settings, live_of, export = CASES[name]
    world = w.deals(99, 60)
    for deal in world:  # on whole seconds there is nothing to be cut off
        deal.created -= deal.created % 1000
        deal.changes = [(at - at % 1000, change) for at, change in deal.changes]
        deal.done = [(at - at % 1000, id, what) for at, id, what in deal.done]
    live, past = live_of(world), backfilled(kind, export(world, tmp_path), **settings)
    assert panes(past) == panes(live)


LEADS: dict[
    str, tuple[str, dict[str, Any], Callable[[list[w.Lead]], list[Event]], Callable[[list[w.Lead], Path], list[Path]]]
] = {
    "hubspot": ("hubspot", w.HUBSPOT, w.hubspot_contacts_live, w.hubspot_contacts),
    "salesforce": ("salesforce-csv", w.SALESFORCE_LEADS, w.salesforce_leads_live, w.salesforce_leads),
    "salesforce, no history": (
        "salesforce-csv",
        w.SALESFORCE_LEADS,
        w.salesforce_leads_live,
        lambda world, folder: w.salesforce_leads(world, folder, history=False),
    ),
}


@pytest.mark.parametrize("name", LEADS)
def test_so_it_is_with_leads(name: str, tmp_path: Path) -> None:
    kind, settings, live_of, export = LEADS[name]
    world = w.leads(5)
    live, past = live_of(world), backfilled(kind, export(world, tmp_path), **settings)
    alone = panes(live)
    assert any("leads_converted" in str(found) for found in alone.values()), "the world has no leads"
    for order, streams in {"after": (live, past), "before": (past, live), "twice": (past, live, past, live)}.items():
        found = panes(*streams)
        different = {
            key: (alone.get(key), found.get(key)) for key in alone.keys() | found.keys() if alone.get(key) != found.get(key)
        }
        assert not different, (order, len(different), list(different.items())[:3])
