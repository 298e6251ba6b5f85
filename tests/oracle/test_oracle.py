"""Does `vigie replay` say what SQL says? The small version of `make oracle`; needs a minute, and public data for some."""

import os
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from bench.oracle.runs import AMSTERDAM, Data, Mode, Oracle, ReplayFailed, Result

ROOT = Path(__file__).resolve().parents[2]

#: KPIs of which each history has readings that say something.
DEALS = ("sales", "win_rate", "time_to_close_won", "stage_duration")
MONEY = ("revenue", "win_rate_value", "average_deal_size", "median_deal_size")
REST = ("open_pipeline", "leads", "visitor_to_lead_rate", "mql_rate", "lead_conversion_period", "lead_response_time")
FUNNEL = (
    *("page_views", "pages_per_session", "top_pages", "exit_rate", "ad_impressions", "social_reach", "cost_per_click"),
    *("email_open_rate", "email_click_rate", "click_to_open_rate", "email_open_rate_period", "email_click_rate_period"),
    *("click_to_open_rate_period", "cta_click_rate", "ad_click_rate", "sql_rate", "sql_to_mql_ratio", "visitor_to_mql_rate"),
    *("lead_score", "lead_score_converted", "bant_complete_rate", "demo_request_rate", "form_abandonment_rate"),
    *("lead_to_opportunity_rate", "disqualification_rate", "response_within_sla", "first_contact_preparation_time"),
    *("contact_attempts", "stage_conversion", "stages_back", "stages_repeated", "stage_time", "bottleneck"),
    *("time_to_close_mean", "time_to_close_from_lead", "revenue_per_sale", "cross_sell_rate", "upsell_rate", "discount_rate"),
    *(
        "discounted_deals_rate",
        "meetings",
        "signatures",
        "activities_per_win",
        "sales_velocity",
        "loss_reasons",
        "loss_reasons_value",
    ),
)
WEB = ("sessions", "bounce_rate", "session_duration", "nps")


def public(name: str) -> Path:
    """Return where a public data set lies; without it the test is skipped, loudly."""
    path = Path(os.environ.get("VIGIE_DATA", ROOT / "../shared/data")) / name
    if not path.exists():
        pytest.skip(f"NOT COMPARED WITH SQL: {path} is absent; set VIGIE_DATA")
    return path


def agree(results: Sequence[Result], kpis: Sequence[str]) -> None:
    for result in results:
        verdict = result.verdict
        assert not verdict.differences, (result.mode.label, result.against, dict(verdict.differences), verdict.examples)
        for kpi in kpis:
            assert verdict.telling[kpi] > 0, f"{result.mode.label}: not one reading of {kpi} says anything"


def test_a_simulated_company_disturbed_and_with_bad_records(tmp_path: Path) -> None:
    modes = [Mode(restated=True, disturbed=True, bad=True)]

    results = list(Oracle(tmp_path).run(Data("simulated", days=16), modes))

    assert len(results) == 1
    agree(results, (*DEALS, *MONEY, *REST, *WEB, *FUNNEL))


@pytest.mark.data
def test_sales_opportunities_in_a_zone_with_summer_time(tmp_path: Path) -> None:
    results = list(Oracle(tmp_path).run(Data("crm", "crm", public("crm")), [Mode(zone=AMSTERDAM)]))

    assert results[0].events == 15_011
    agree(results, (*DEALS, *MONEY))


@pytest.mark.data
def test_a_loan_process_as_it_is_and_disturbed(tmp_path: Path) -> None:
    data = Data("bpic12", "bpic12", public("bpic12/bpic2012.csv.gz"), until="2011-10-20")

    results = list(Oracle(tmp_path).run(data, [Mode(restated=True), Mode(restated=True, disturbed=True)]))

    assert [result.against for result in results] == ["SQL", "SQL", "the undisturbed replay"]
    agree(results, (*DEALS, *MONEY, "open_pipeline"))


def test_visitors_who_come_back_are_one_in_every_window_up_to_the_longest(tmp_path: Path) -> None:
    r = random.Random(5)
    start, end = datetime(2023, 1, 1, 12, tzinfo=UTC), datetime(2025, 3, 2, tzinfo=UTC)
    told: list[dict[str, Any]] = []
    for who in range(60):
        at = start + timedelta(days=r.randrange(120), minutes=r.randrange(1440))
        while at < end:
            source = r.choice(["web", "ads"])
            told.append({"type": "web.page_viewed", "time": at.isoformat(), "subject": f"v{who}", "data": {"source": source}})
            told[-1]["data"]["visitor_id"] = f"v{who}"
            if r.random() < 0.3:
                told.append(
                    {"type": "lead.created", "time": at.isoformat(), "subject": f"l{len(told)}", "data": {"source": source}}
                )
            at += timedelta(days=r.choice([1, 20, 110, 250, 420, 700]), minutes=r.randrange(1440))
    told.sort(key=lambda event: str(event["time"]))
    path = tmp_path / "visits.jsonl"
    path.write_bytes(
        b"".join(orjson.dumps({"specversion": "1.0", "id": f"e{n}", "source": "t", **e}) + b"\n" for n, e in enumerate(told))
    )

    oracle = Oracle(tmp_path, windows=("90d", "180d", "365d", "750d"))
    results = list(oracle.run(Data("visits", path=path), [Mode(zone=AMSTERDAM)]))

    agree(results, ("sessions", "visitor_to_lead_rate"))


def test_a_replay_that_fails_is_no_agreement(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")

    with pytest.raises(ReplayFailed, match="not done after 0 s"):
        list(Oracle(tmp_path, patience=0.01).run(Data("empty", "jsonl", empty), [Mode()]))


def test_a_real_kafka_is_not_replaced_by_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(ReplayFailed, match="no Kafka"):
        list(Oracle(tmp_path).run(Data("simulated", days=1), [Mode("kafka")]))
