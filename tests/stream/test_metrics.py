import re
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from models.calendar import Calendar
from models.events.catalogue import TOPIC_OF
from models.events.refused import Reason
from stream.collectors import MODEL_MEASURES, largest, metric_name
from stream.config.kpi_files import load_catalogue
from stream.engine.options import Observer
from stream.metrics import Metrics
from stream.readings.board import Board
from stream.readings.cache import CachedReadings, CachedSource
from tests.stream.demo import NOW, company
from tests.stream.web.web import board
from tests.tools import program


async def page(metrics: Metrics, accept: str = "") -> str:
    return (await metrics.scrape(accept))[0].decode()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (s.name, frozenset(s.labels.items())): s.value for family in text_string_to_metric_families(text) for s in family.samples
    }


def demo(segments: int = 20) -> Metrics:
    metrics = Metrics(lanes=("state", "readings"))
    metrics.show_kpis(board(), ["7d", "30d"], ["source", "owner", "stage"], segments)
    metrics.show_alerts(lambda: {("win-rate-drop", "critical", "firing"): 1, ("win-rate-drop", "warn", "firing"): 0})
    metrics.show_notifications(lambda: {("console", "sent"): 3, ("console", "rejected"): 0})
    return metrics


async def test_a_kpis_gauge_is_its_reading():
    found = samples(await page(demo()))
    catalogue = load_catalogue()
    for reading in catalogue.readings(company().view, NOW, windows=["30d"], by="total"):
        kpi = catalogue.get(reading.kpi)
        labels = {"window": "30d", "dimension": "total", "segment": ""}
        if kpi.unit == "money":
            labels["currency"] = "EUR"
        key = (metric_name(kpi), frozenset(labels.items()))
        if reading.value is None:
            assert key not in found
        else:
            assert found[key] == pytest.approx(reading.value)
        if kpi.unit == "ratio":
            for part in ("numerator", "denominator", "low", "high"):
                shown = found.get((f"{metric_name(kpi)}_{part}", frozenset(labels.items())))
                assert shown == (None if getattr(reading, part) is None else pytest.approx(getattr(reading, part)))


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "text/plain;version=1.0.0;escaping=values",
        "text/plain;version=1.0.0;escaping=allow-utf-8",
        "application/openmetrics-text",
        "application/openmetrics-text;version=1.0.0;escaping=dots",
    ],
)
async def test_the_text_of_gauges_is_what_the_library_writes(accept: str):
    """Odd names and numbers, too; the library is given the same readings as families."""
    names = ["plain", 'a "quoted" one', "back\\slash", "two\nlines", "naïve 日本", "{a=b},c"]
    numbers = [1, 0.1 + 0.2, 12_345_678.0, 1e21, -5.5, 10**20]
    kpis = {name: load_catalogue().get(name) for name in ("revenue", "win_rate", "lead_response_time", "sales")}
    readings: list[Mapping[str, Any]] = [
        {"kpi": kpi, "window": "7d", "segment": {"source": name}, "value": number, "currency": "EUR", "low": 0.25, "numerator": 3}
        for kpi in kpis
        for name, number in zip(names, numbers, strict=True)
    ]
    source = CachedSource(board().source, CachedReadings(NOW, {"7d|": [], "7d|source": readings}))
    metrics = Metrics()
    bare, kind = await metrics.scrape(accept)
    metrics.show_kpis(Board(source, Calendar("UTC"), lambda: NOW), ["7d"], ["source"], 100)
    page, again = await metrics.scrape(accept)
    assert kind == again

    class Families(Collector):
        def collect(self):
            for name, kpi in kpis.items():
                money = ["EUR"] if kpi.unit == "money" else []
                labels = ["window", "dimension", "segment", *(["currency"] if money else [])]
                parts = [("", "value", kpi.definition)]
                if kpi.unit == "ratio":
                    parts += [("_numerator", "numerator", "Numerator"), ("_denominator", "denominator", "Denominator")]
                parts += [("_low", "low", "Lower end of the 95 % interval"), ("_high", "high", "Upper end of the 95 % interval")]
                gauge = metric_name(kpi)
                for suffix, key, help in parts:
                    text = f"{kpi.label['en']}: {help}" if not suffix else f"{help} of {gauge}"
                    family = GaugeMetricFamily(gauge + suffix, text, labels=labels)
                    for reading in readings:
                        if reading["kpi"] == name and key in reading:
                            row = [reading["window"], "source", reading["segment"]["source"], *money]
                            family.add_metric(row, float(reading[key]))
                    yield family

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Families())
    encode, _ = choose_encoder(accept)
    expected, written = (
        {tuple(sorted(block.split("\n"))) for block in text.decode().removesuffix("# EOF\n").split("# HELP ") if block}
        for text in (encode(registry), page)
    )
    assert len(expected) == 14
    assert expected <= written
    assert page.endswith(b"# EOF\n") is bare.endswith(b"# EOF\n")


async def test_the_names_of_the_contract():
    text = await page(demo())
    names = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert {
        "vigie_kpi_win_rate_ratio",
        "vigie_kpi_win_rate_ratio_numerator",
        "vigie_kpi_win_rate_ratio_low",
        "vigie_kpi_lead_response_time_seconds",
        "vigie_kpi_revenue",
        "vigie_kpi_sales",
        "vigie_kpi_nps",
        "vigie_events_total",
        "vigie_event_delay_seconds",
        "vigie_checkpoint_seconds",
        "vigie_restore_seconds",
        "vigie_source_last_event_timestamp_seconds",
        "vigie_dead_letters_total",
        "vigie_alerts",
        "vigie_notifications_total",
    } <= names
    assert 'vigie_alerts{rule="win-rate-drop",severity="critical",state="firing"} 1.0' in text
    assert 'vigie_notifications_total{outcome="sent",receiver="console"} 3.0' in text or (
        'vigie_notifications_total{receiver="console",outcome="sent"} 3.0' in text
    )


async def test_every_label_set_is_there_before_anything_happens():
    found = samples(await page(Metrics()))
    for type_, topic in TOPIC_OF.items():
        for outcome in ("applied", "duplicate", "dead_letter"):
            assert found["vigie_events_total", frozenset({("topic", topic), ("type", type_), ("outcome", outcome)})] == 0
    for reason in Reason:
        assert found["vigie_dead_letters_total", frozenset({("reason", reason.value)})] == 0


async def test_segments_are_bounded_to_the_largest():
    text = await page(demo(segments=2))
    found = {key: value for key, value in samples(text).items() if key[0] == "vigie_kpi_leads"}
    shown = [dict(labels) for _, labels in found if ("dimension", "source") in labels and ("window", "30d") in labels]
    readings = load_catalogue().readings(company().view, NOW, ["leads"], ["30d"], "source")
    biggest = sorted(readings, key=lambda r: -(r.value or 0))[:2]
    assert {labels["segment"] for labels in shown} == {r.segment["source"] for r in biggest}


def test_ties_are_broken_by_name():
    readings = [{"kpi": "k", "window": "7d", "segment": {"source": name}, "sample": 1, "value": 9} for name in "cab"]
    assert [r["segment"]["source"] for r in largest(readings, 2)] == ["a", "b"]


async def test_two_instances_in_a_process_do_not_mix():
    one, other = Metrics(), Metrics()
    one.dead_letters("bad_json", 2)
    key = ("vigie_dead_letters_total", frozenset({("reason", "bad_json")}))
    assert samples(await page(one))[key] == 2
    assert samples(await page(other))[key] == 0


async def test_the_engines_observer():
    metrics = Metrics()
    observer: Observer = metrics
    observer.checkpointed("state", 0.02, 7, 3)
    observer.checkpoint_retried("state", "_TIMED_OUT")
    observer.restored(1.5, 1000, 8)
    observer.folded("fold-deals", "deals", 50)
    observer.jumped("deals", 3, 42)
    observer.rebalanced(5, 8)
    metrics.events("deals", "deal.won", "applied", 4)
    metrics.events("deals", "no.such.type", "dead_letter")
    metrics.delayed(-3)
    found = samples(await page(metrics))

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    assert value("vigie_checkpoint_seconds_count", lane="state") == 1
    assert value("vigie_checkpoint_rows_total", lane="state") == 7
    assert value("vigie_checkpoint_retries_total", lane="state", reason="_TIMED_OUT") == 1
    assert value("vigie_restore_seconds", role="all") == 1.5
    assert value("vigie_records_folded_total", fold="fold-deals", topic="deals") == 50
    assert value("vigie_lost_records_total", topic="deals") == 42
    assert value("vigie_owned_partitions", role="all") == 8
    assert value("vigie_events_total", topic="deals", type="deal.won", outcome="applied") == 4
    assert value("vigie_events_total", topic="deals", type="unknown", outcome="dead_letter") == 1
    assert value("vigie_event_delay_seconds_sum") == 0


async def test_what_becomes_of_notifications():
    metrics = Metrics()
    metrics.show_decisions(lambda: {("held", "silence"): 2, ("suppressed", "group"): 0})
    metrics.show_outbox(lambda: {"chat": 3}, lambda: {"chat": 1.5}, lambda: {"chat": 0.0, "mail": 400.0})
    metrics.notified("chat", 0.2, -0.001)
    metrics.notified("chat", 40.0, 0.1)
    found = samples(await page(metrics))
    assert found["vigie_alert_decisions_total", frozenset({("outcome", "held"), ("stage", "silence")})] == 2
    assert found["vigie_alert_decisions_total", frozenset({("outcome", "suppressed"), ("stage", "group")})] == 0
    chat, mail = frozenset({("receiver", "chat")}), frozenset({("receiver", "mail")})
    assert (found["vigie_outbox_messages", chat], found["vigie_outbox_oldest_seconds", chat]) == (3, 1.5)
    assert (found["vigie_receiver_failing_seconds", chat], found["vigie_receiver_failing_seconds", mail]) == (0, 400)
    assert (found["vigie_notification_seconds_count", chat], found["vigie_notification_seconds_sum", chat]) == (2, 40.2)
    assert found["vigie_delivery_seconds_sum", chat] == 0.1, "a clock that went back is no delay"


async def test_sources_are_bounded():
    metrics = Metrics()
    for number in range(1000):
        metrics.source_seen(f"crm-{number}", 1_000 * number)
    found = [labels for name, labels in samples(await page(metrics)) if name == "vigie_source_last_event_timestamp_seconds"]
    assert len(found) == 201
    assert frozenset({("source", "other")}) in found


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0"])
async def test_both_formats_can_be_asked_for(accept):
    body, kind = await demo().scrape(accept)
    assert kind.startswith("application/openmetrics-text" if accept else "text/plain")
    assert body.endswith(b"# EOF\n") is bool(accept)


@pytest.mark.prometheus
async def test_promtool_has_nothing_to_say():
    promtool = program("promtool")
    metrics = demo()
    metrics.source_seen("/crm", NOW)
    metrics.show_decisions(lambda: {("held", "silence"): 2})
    metrics.show_outbox(lambda: {"chat": 3}, lambda: {"chat": 1.5}, lambda: {"chat": 0.0})
    metrics.notified("chat", 0.2, 0.1)
    status = {"model": "deal", "lessons": 1, "labels": 1, "alarms": 0, "examples": {}, "refused": {}, "champion": "model"}
    metrics.show_models(lambda: [{**status, "measures": {"model": dict.fromkeys(MODEL_MEASURES, 2.0), "floor": {}}}])
    text = await page(metrics)
    assert samples(text)["vigie_model_mae_seconds", frozenset({("model", "deal")})] == 2 * 86_400
    result = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True, timeout=300)  # noqa: ASYNC221
    # Of two units in a name promtool takes now one, now the other: the KPI's id has its hours, the metric its seconds.
    said = [line for line in result.stderr.splitlines() if not line.startswith("vigie_kpi_training_hours_seconds use base unit")]
    assert (result.stdout, said, result.returncode in (0, 3)) == ("", [], True)
