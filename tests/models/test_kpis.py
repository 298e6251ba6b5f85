from importlib.resources import files
from typing import Any

import orjson
import pytest
import yaml

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS, Grain
from models.kpis.catalogue import SHIPPED, Catalogue, CatalogueError, NotInCatalogue
from models.kpis.document import markdown
from models.kpis.entry import DIMENSIONS
from models.kpis.reading import Reading
from models.money import Rates
from models.panes.view import View
from stream.config.kpi_files import load_catalogue

NOW = 1_795_260_000_000  # 2026-11-21T11:20:00Z
CATALOGUE = load_catalogue()
FIRST = (
    "sales revenue win_rate win_rate_value average_deal_size median_deal_size time_to_close_won open_pipeline stage_duration "
    "leads visitor_to_lead_rate mql_rate lead_conversion lead_conversion_period lead_response_time sessions bounce_rate "
    "session_duration cac nps weighted_pipeline_model unknown_deals"
).split()


def view_of(segment: str = "total", business: Business | None = None, *, ago: int = HOUR_MS, **folds: dict[str, Any]) -> View:
    """A view with one hour pane (and its day) per fold."""
    view = View(business or Business())
    for fold, cells in folds.items():
        for grain in (Grain.HOUR, Grain.DAY):
            pane = view.calendar.pane(grain, NOW - ago)
            view.put(f"{fold}:0:{grain}:{pane}:{segment}".encode(), orjson.dumps(cells))
    return view


def read(view: View, kpi: str, window: str = "24h", at: int = NOW, catalogue: Catalogue = CATALOGUE) -> Reading:
    (reading,) = catalogue.readings(view, at, kpis=[kpi], windows=[window])
    return reading


def entry(**more: Any) -> dict[str, Any]:
    return {
        "stage": "action",
        "label": {"en": "X", "fr": "X"},
        "definition": "X.",
        "formula": "deals_lost / (deals_won + deals_lost)",
        "unit": "ratio",
        "direction": "down",
        "basis": ["period", "count"],
    } | more


# --- the catalogue as it is shipped


def test_the_first_catalogue_is_there() -> None:
    assert set(FIRST) <= set(CATALOGUE.kpis)
    assert {dimension for kpi in CATALOGUE.kpis.values() for dimension in kpi.by} <= set(DIMENSIONS)


DEALS = {
    "deals_won": 3,
    "deals_lost": 9,
    "won_amount": 1000_0000 + 500_0000,
    "lost_amount": 500_0000,
    "won_sized": 2,
    "lost_sized": 1,
    "won_sizes": {str(1000_0000): 1, str(500_0000): 1},
    "cycle_millis": 7000,
    "cycle_won": 2,
    "stage_millis": 9_000,
    "stage_left": 4,
}
LEADS = {
    "leads": 8,
    "leads_mql": 2,
    "leads_converted": 5,
    "leads_matured": 4,
    "leads_matured_converted": 1,
    "leads_answered": 2,
    "response_millis": 60_000,
    "leads_unanswered": 1,
    "unanswered_since_millis": NOW - 90_000,
}
ENGAGEMENT = {"sessions": 20, "sessions_bounced": 5, "session_millis": 30_000, "visitors": {"0": 10, "30": 6, "3": 2}}
CUSTOMERS = {"customers_new": 4, "nps_answers": 10, "nps_promoters": 6, "nps_detractors": 1}
SPEND = {"spend": 1001_0000}
FULL: dict[str, Any] = {"deals": DEALS, "leads": LEADS, "engagement": ENGAGEMENT, "customers": CUSTOMERS, "spend": SPEND}


@pytest.mark.parametrize(
    ("kpi", "value", "numerator", "denominator"),
    [
        ("sales", 3, None, None),
        ("revenue", 1500, None, None),
        ("win_rate", 0.25, 3, 12),
        ("win_rate_value", 0.75, 1500, 2000),
        ("average_deal_size", 750, 1500, 2),
        ("median_deal_size", 750, None, None),
        ("time_to_close_won", 3.5, 7, 2),
        ("stage_duration", 2.25, 9, 4),
        ("leads", 8, None, None),
        ("visitor_to_lead_rate", 0.5, 8, 16),
        ("mql_rate", 0.25, 2, 8),
        ("lead_conversion", 0.25, 1, 4),
        ("lead_conversion_period", 0.625, 5, 8),
        ("lead_response_time", 50, 150, 3),  # 60 s for two, and one that has waited for 90 s
        ("sessions", 20, None, None),
        ("bounce_rate", 0.25, 5, 20),
        ("session_duration", 1.5, 30, 20),
        ("cac", 250.25, 1001, 4),
        ("nps", 50, 5, 10),
    ],
)
def test_what_each_kpi_says(kpi: str, value: float, numerator: float | None, denominator: float | None) -> None:
    reading = read(view_of(**FULL), kpi)
    assert (reading.value, reading.numerator, reading.denominator, reading.why) == (value, numerator, denominator, None)


@pytest.mark.parametrize("kpi", FIRST)
def test_nothing_is_no_value_and_not_zero(kpi: str) -> None:
    reading = read(View(Business()), kpi)
    counts = {"sales", "revenue", "leads", "sessions", "open_pipeline", "unknown_deals"}
    assert reading.value == (0 if kpi in counts else None)
    assert (reading.why is None) == (kpi in counts)
    assert (reading.low, reading.high) == (None, None)


def test_in_the_first_month_no_lead_has_come_of_age_and_the_reading_says_so() -> None:
    young = view_of(leads={"leads": 8, "leads_converted": 2})
    reading = read(young, "lead_conversion")
    assert (reading.value, reading.why) == (None, "no lead came of age in the window, which takes 30 days from its creation")
    soon = view_of(business=Business(maturity=36 * HOUR_MS), leads={"leads": 8})
    assert read(soon, "lead_conversion").why == "no lead came of age in the window, which takes 1.5 days from its creation"


@pytest.mark.parametrize(
    "kpi", [kpi.id for kpi in CATALOGUE.kpis.values() if kpi.formula.denominator or "median" in kpi.formula.text]
)
def test_no_reason_is_told_in_the_names_of_measures(kpi: str) -> None:
    why = read(View(Business()), kpi).why
    assert why is not None
    assert not any(name in why.split() for name in CATALOGUE.kpis[kpi].formula.measures if "_" in name) and " is 0" not in why


@pytest.mark.parametrize(
    ("won", "lost", "value", "why"),
    [
        (150, 50, 0.75, None),
        (150, 0, 1, None),
        (0, 50, 0, None),
        # A credit note, booked as a deal that was won with an amount below 0.
        (-100, 300, None, "no share: amounts below 0 make it -100 of 200"),
        (300, -100, None, "no share: amounts below 0 make it 300 of 200"),
        (-100, -300, 0.25, None),
        (1500.5, -1000, None, "no share: amounts below 0 make it 1,500.5 of 500.5"),
        (-100, 100, None, "no amount was won or lost in the window"),
    ],
)
def test_a_share_of_amounts_below_0_is_none(won: float, lost: float, value: float | None, why: str | None) -> None:
    amounts = {"won_amount": round(won * 10_000), "lost_amount": round(lost * 10_000), "won_sized": 1, "lost_sized": 1}
    reading = read(view_of(deals={name: amount for name, amount in amounts.items() if amount}), "win_rate_value")
    assert (reading.value, reading.why, reading.numerator, reading.denominator) == (value, why, won, won + lost)


def test_the_wait_of_the_unanswered_grows() -> None:
    view = view_of(**FULL)
    waits = [read(view, "lead_response_time", at=NOW + later).value for later in (0, 30_000, 600_000)]
    assert waits == [50, 60, 250]


def test_open_pipeline_is_a_level_whatever_the_window() -> None:
    view = View(Business())
    for key, value in [
        ("a:0", 100_0000),
        (f"d:{view.calendar.day(NOW) + 1}", 30_0000),
        (f"h:{view.calendar.hour(NOW)}", 10_0000),
    ]:
        view.put(f"deals:0:{key}:total".encode(), orjson.dumps({"open_amount": value}))
    for window in ("24h", "month", "90d"):
        assert read(view, "open_pipeline", window).value == 70
    # Before the hour of 11:00 its 10 had not come either.
    assert read(view, "open_pipeline", at=NOW - 20 * MINUTE_MS).value == 60


def test_spend_works_after_its_lag() -> None:
    business = Business(acquisition_lag=30 * DAY_MS)
    view = view_of(business=business, ago=30 * DAY_MS, spend={"spend": 500_0000})
    for other in (29, 32):  # the window of 24 h touches two days, and so does the one 30 days before
        view.put(f"spend:0:d:{view.calendar.day(NOW) - other}:total".encode(), b'{"spend":70000}')
    view.put(f"customers:0:h:{view.calendar.hour(NOW) - 1}:total".encode(), b'{"customers_new":2}')
    assert read(view, "cac").value == 250
    by_hours = view_of(business=Business(acquisition_lag=5 * HOUR_MS), ago=6 * HOUR_MS, spend={"spend": 500_0000})
    by_hours.put(f"spend:0:h:{by_hours.calendar.hour(NOW) - 4}:total".encode(), b'{"spend":70000}')
    reading = read(by_hours, "cac", "1h")
    assert (reading.numerator, reading.why) == (500, "no customer was first invoiced in the window")


def test_money_is_exact_to_four_decimals() -> None:
    view = view_of(deals={"won_amount": 10_0000, "won_sized": 3, "won_sizes": {"33333": 3, "33334": 3}})
    reading = read(view, "average_deal_size")
    assert b'"value":3.3333,' in reading.encode()
    assert reading.currency == "EUR"
    assert b'"value":3.3334,' in read(view, "median_deal_size").encode()  # 3.33335, half to even
    great = view_of(deals={"won_amount": 123_456_789_012_3456}, business=Business(currency="USD", rates=Rates("USD", {})))
    assert b'"value":123456789012.3456,' in read(great, "revenue").encode()
    assert read(great, "revenue").currency == "USD"


def test_segments_of_the_kpis_own_folds() -> None:
    view = view_of("source=web", deals={"deals_won": 1})
    view.put(f"leads:0:h:{view.calendar.hour(NOW)}:source=ads".encode(), b'{"leads":1}')
    view.put(f"deals:0:h:{view.calendar.hour(NOW) - 1}:total".encode(), b'{"deals_won":2}')
    found = CATALOGUE.readings(view, NOW, kpis=["sales", "leads"], windows=["24h"], by=["total", "source"])
    assert [(r.kpi, dict(r.segment), r.value) for r in found] == [
        ("sales", {}, 2),
        ("sales", {"source": "web"}, 1),
        ("leads", {}, 0),
        ("leads", {"source": "ads"}, 0),  # its hour has only begun; the hour's pane is not whole
    ]
    by_source = {r.kpi for r in CATALOGUE.readings(view, NOW, by="source")}
    assert "nps" not in by_source
    assert "sales" in by_source


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kpis": ["winrate"]}, r"unknown KPI 'winrate' \(did you mean \"win_rate\"\?\)"),
        ({"windows": ["7w"]}, r"unknown window '7w' \(accepted: .*24h"),
        ({"by": "sauce"}, r"unknown dimension 'sauce' \(did you mean \"source\"\?\)"),
        ({"kpis": ["nps"], "by": "owner"}, r"KPI 'nps' by 'owner' \(accepted: total\)"),
    ],
)
def test_names_there_are_not(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(NotInCatalogue, match=message):
        CATALOGUE.readings(View(Business()), NOW, **asked)


def test_all_that_is_asked_for_and_the_default_windows() -> None:
    found = CATALOGUE.readings(View(Business()), NOW)
    assert len(found) == len(CATALOGUE.kpis) * 3
    assert {r.window for r in found} == {"24h", "7d", "30d"}


# --- definitions


def test_a_further_kpi_is_an_entry_and_nothing_else() -> None:
    loss_rate = entry(interval="wilson", minimum=10, by=["owner"])
    catalogue = Catalogue.load(("mine.yaml", {"loss_rate": loss_rate}))
    assert read(view_of(**FULL), "loss_rate", catalogue=catalogue).value == 0.75
    few = read(view_of(deals={"deals_won": 1, "deals_lost": 8}), "loss_rate", catalogue=catalogue)
    assert (few.value, few.numerator, few.denominator, few.low) == (None, 8, 9, None)
    assert few.why == "9 cases, fewer than the 10 it takes to mean anything"


def test_a_later_file_overrides_by_id(tmp_path: Any) -> None:
    file = tmp_path / "kpis.yaml"
    file.write_text(
        "sales: {stage: action, label: {en: S, fr: S}, definition: D., formula: deals_won - deals_lost, unit: count,\n"
        "  direction: up, basis: [period, count]}\n"
    )
    catalogue = load_catalogue([file])
    assert read(view_of(**FULL), "sales", catalogue=catalogue).value == -6
    assert len(catalogue.kpis) == len(CATALOGUE.kpis)


def test_a_key_that_is_there_twice_is_refused_with_its_lines(tmp_path: Any) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("mine: {formula: leads}\nother: {}\nmine: {formula: sessions}\n")
    with pytest.raises(CatalogueError) as caught:
        load_catalogue([bad])
    assert f"{bad}:3: mine: given twice (accepted: each key once)" in str(caught.value)


def test_what_is_shipped_is_told_in_both_languages_and_once() -> None:
    seen: set[str] = set()
    for name in SHIPPED:
        entries = yaml.safe_load(files("models.kpis").joinpath(name).read_text("utf-8"))
        assert seen.isdisjoint(entries), name
        seen |= entries.keys()
        for kpi, body in entries.items():
            for told in (body["label"], body["definition"]):
                assert isinstance(told, dict) and told.keys() == {"en", "fr"}, kpi
            definition = body["definition"]
            assert definition["en"] != definition["fr"] and all(text.endswith(".") for text in definition.values()), kpi
    assert seen == set(CATALOGUE.kpis)


def test_all_that_is_wrong_in_all_files_at_once(tmp_path: Any) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [")
    worse = tmp_path / "worse.yaml"
    worse.write_text("x_rate: {formula: leeds / leads, colour: red}\n")
    with pytest.raises(CatalogueError) as caught:
        load_catalogue([bad, tmp_path / "none.yaml", worse])
    text = str(caught.value)
    assert f"{bad}: not YAML" in text
    assert f"{tmp_path / 'none.yaml'}: cannot be read" in text
    assert f'{worse}:1: x_rate: colour: unknown key "colour"' in text
    assert f"{worse}:1: x_rate: unit: missing" in text
    assert f"{worse}:1: x_rate: formula: unknown measure 'leeds' (did you mean \"leads\"?)" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage": "akshun"}, "stage: unknown 'akshun' (accepted: attention, interest"),
        ({"unit": "euro"}, "unit: unknown 'euro' (accepted: count, ratio, score, money, seconds, days)"),
        ({"direction": "sideways"}, "direction: unknown 'sideways' (accepted: up, down, none)"),
        ({"label": {"en": "X"}}, "label: found {'en': 'X'} (accepted: {en: …, fr: …})"),
        ({"label": "X"}, "label: found 'X'"),
        ({"definition": " "}, "definition: found ' ' (accepted: one sentence, or {en: …, fr: …})"),
        ({"definition": {"en": "X."}}, "definition: found {'en': 'X.'} (accepted: one sentence, or"),
        (
            {"formula": "leads / open_deals"},
            "formula: leads / open_deals: 'open_deals' is a level (accepted below a line: level(open_deals)",
        ),
        ({"formula": "x / leads"}, "formula: unknown measure 'x'"),
        (
            {"basis": ["count", "period"]},
            "basis: found ['count', 'period'] (accepted: [cohort or period or level, count or value])",
        ),
        ({"basis": "period"}, "basis: found 'period'"),
        ({"formula": 7}, "formula: found 7 (accepted: a formula)"),
        ({"formula": "won_amount"}, "formula: comes out as money, unit 'ratio' is a plain number"),
        ({"unit": "seconds"}, "formula: comes out as a plain number, unit 'seconds' is a time"),
        ({"sample": "won_amount"}, "sample: found 'won_amount' (accepted: a sum of counts)"),
        ({"sample": "deals_won / deals_lost"}, "sample: found 'deals_won / deals_lost'"),
        ({"minimum": 0}, "minimum: found 0 (accepted: a whole number from 1)"),
        ({"minimum": True}, "minimum: found True"),
        ({"by": "owner"}, "by: found 'owner' (accepted: a list of owner, source"),
        ({"by": ["ovner"]}, "by: unknown dimension 'ovner' (did you mean \"owner\"?)"),
        ({"interval": "wald"}, "interval: found 'wald' (accepted: wilson"),
        ({"interval": {"net_promoter": ["nps_promoters"]}}, "interval: found {'net_promoter': ['nps_promoters']}"),
        ({"interval": "wilson", "formula": "100 * deals_won / deals_lost"}, "interval: found 'wilson'"),
        ({"interval": "wilson", "formula": "won_amount / lost_amount"}, "interval: found 'wilson'"),
        ({"empty": ""}, "empty: found ''"),
        (
            {"empty": "after {days}"},
            "empty: found 'after {days}' (accepted: why there is no value, in words; in braces: maturity)",
        ),
        ({"share": "yes"}, "share: found 'yes' (accepted: true, of a ratio that divides)"),
        ({"share": True, "formula": "deals_won"}, "share: found True"),
        ({"minimun": 3}, 'minimun: unknown key "minimun" (did you mean "minimum"?)'),
    ],
)
def test_an_unsound_entry_names_what_is_wrong(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        Catalogue.load(("f.yaml", {"x": entry(**change)}))
    assert str(caught.value.problems[0]).startswith(f"f.yaml: x: {message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "f.yaml: found a list (accepted: a mapping of KPI ids)"),
        ({"X": entry()}, "f.yaml: X: not an id"),
        ({7: entry()}, "f.yaml: 7: not an id"),
        ({"x": "y"}, "f.yaml: x: found 'y' (accepted: a mapping with stage"),
    ],
)
def test_an_unsound_file(content: Any, message: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        Catalogue.load(("f.yaml", content), ("empty.yaml", None))
    assert str(caught.value.problems[0]).startswith(message)


def test_the_document_names_every_kpi_and_measure() -> None:
    text = markdown(CATALOGUE)
    for kpi in CATALOGUE.kpis.values():
        assert f"(`{kpi.id}`)" in text
        assert kpi.definition in text
    hourly = text[text.index("(`lead_conversion`)") :].split("###")[0]
    assert "whole hour" in hourly and "- kept: by the hour" in hourly
    assert "- kept: distinct ones by the minute" in text[text.index("(`visitor_to_lead_rate`)") :].split("###")[0]


def test_nothing_to_divide_by_inside_a_formula_says_so() -> None:
    catalogue = Catalogue.load(("f.yaml", {"x": entry(formula="leads * (deals_won / deals_lost)", unit="count")}))
    reading = read(View(Business()), "x", catalogue=catalogue)
    assert (reading.value, reading.why) == (None, "deals_lost is 0")


def test_numbers_that_do_not_fit_have_no_interval() -> None:
    reading = read(view_of(deals={"deals_won": 12, "deals_lost": -4}), "win_rate")
    assert (reading.value, reading.low, reading.high) == (1.5, None, None)


# --- readings


def test_the_contracts_form() -> None:
    view = view_of("source=web", deals={"deals_won": 5, "deals_lost": 15})
    (reading,) = CATALOGUE.readings(view, NOW, kpis=["win_rate"], windows=["7d"], by="source")
    shown = orjson.loads(reading.encode())
    assert {k: round(v, 2) if isinstance(v, float) else v for k, v in shown.items()} == {
        "kpi": "win_rate",
        "window": "7d",
        "segment": {"source": "web"},
        "from": "2026-11-14T11:00:00Z",
        "at": "2026-11-21T11:20:00Z",
        "value": 0.25,
        "numerator": 5,
        "denominator": 20,
        "low": 0.11,
        "high": 0.47,
        "unit": "ratio",
        "sample": 20,
    }
    assert reading.key == "win_rate|7d|source=web"
    assert Reading.decode(reading.encode()) == reading


def test_every_reading_comes_back_from_its_json() -> None:
    for view in (View(Business()), view_of(**FULL)):
        for reading in CATALOGUE.readings(view, NOW + 123):
            assert Reading.decode(reading.encode()) == reading
            assert (reading.value is None) == (reading.why is not None)


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b"7", b'{"kpi":"x","window":"7d","segment":null}'])
def test_what_is_no_reading(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Reading.decode(body)


def test_expired_panes_give_a_reason_and_no_number() -> None:
    view = view_of(**FULL)
    view.advance(NOW + 400 * DAY_MS)
    reading = read(view, "win_rate", "24h")
    assert (reading.value, reading.numerator, reading.sample) == (None, None, None)
    assert reading.why == "the hours of this window are no longer kept"
