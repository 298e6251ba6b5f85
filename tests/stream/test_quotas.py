"""Are targets, benchmarks, pairs and the fiscal year read, and what is odd about them refused?"""

from pathlib import Path

import pytest

from models.kpis.catalogue import CatalogueError
from models.kpis.formula import FormulaError, parse
from stream.config.kpi_files import load_catalogue
from stream.config.settings import SettingsError, load
from vigie.rule_files import check

HEAD = "stage: people, label: {en: X, fr: X}, definition: X., unit: count, direction: up, basis: [period, count]"


def settings_of(tmp_path: Path, text: str) -> "object":
    file = tmp_path / "vigie.yaml"
    file.write_text(text)
    return load(file, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("targets: [{kpi: revenue, period: month, value: 0}]", "targets.0.value"),
        ("targets: [{kpi: revenue, period: month, value: -5}]", "targets.0.value"),
        ("targets: [{kpi: revenue, period: decade, value: 5}]", "targets.0.period"),
        ("business: {fiscal_year_start: 13}", "business.fiscal_year_start"),
        ("business: {pairs: [[owner, sauce]]}", 'did you mean "source"?'),
        ("business: {pairs: [[owner, owner]]}", "two dimensions"),
        ("business: {pairs: [[owner, source], [source, owner]]}", "each pair once"),
        ("benchmarks: [{kpi: win_rate, name: industry, value: 0.3}]", "benchmarks.0.unit"),
        ("business: {holidays: [FRA]}", "no holidays are known of 'FRA'"),
        ("business: {holidays: [DE-XX]}", "DE has no part 'XX' (accepted: BB, BE"),
    ],
)
def test_what_is_odd_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_of(tmp_path, text)
    assert said in str(caught.value)


def test_targets_and_benchmarks_are_read(tmp_path: Path) -> None:
    settings = load(_file(tmp_path), {})
    quotas = settings.quotas()
    assert quotas.places() == [("revenue", "year", "owner.source=ann × web"), ("revenue", "year", "total")]
    assert quotas.benchmarks.of("win_rate", "source=web") == {"industry": 0.27, "last year": 0.31}
    assert settings.business.business().calendar.first_month == 7
    catalogue = load_catalogue((), settings.business.pairs)
    assert "owner.source" in catalogue.get("revenue").by
    assert "owner.source" not in catalogue.get("roas").by  # spend is not counted by owners
    assert not [problem for problem in check(catalogue, targets=quotas).problems if problem.file in ("targets", "benchmarks")]


def _file(tmp_path: Path) -> Path:
    file = tmp_path / "vigie.yaml"
    file.write_text(
        "business: {fiscal_year_start: 7, pairs: [[owner, source]]}\n"
        "targets: [{kpi: revenue, period: year, value: 900000},\n"
        "  {kpi: revenue, period: year, value: 5, for: {owner: ann, source: web}}]\n"
        "benchmarks: [{kpi: win_rate, name: industry, value: 0.27, unit: ratio},\n"
        "  {kpi: win_rate, name: last year, value: 0.31, unit: ratio, for: {source: web}}]\n"
    )
    return file


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{kpi: win_rate, name: industry, value: 27, unit: '%'}", "unit: found % (accepted: ratio; nothing is converted)"),
        ("{kpi: revenue, name: rival, value: 27, unit: USD}", "unit: found USD (accepted: money; nothing is converted)"),
        ("{kpi: win_rte, name: industry, value: 27, unit: ratio}", 'did you mean "win_rate"?'),
    ],
)
def test_a_benchmark_in_another_unit_is_refused(tmp_path: Path, entry: str, said: str) -> None:
    file = tmp_path / "vigie.yaml"
    file.write_text(f"benchmarks: [{entry}]")
    problems = check(load_catalogue(), targets=load(file, {}).quotas()).problems
    assert any(problem.file == "benchmarks" and said in str(problem) for problem in problems)


def test_a_key_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "kpis.yaml"
    file.write_text(
        f"mine: {{{HEAD}, formula: leads}}\nother: {{{HEAD}, formula: leads}}\nmine: {{{HEAD}, formula: deals_won}}\n"
    )
    with pytest.raises(CatalogueError, match=r"kpis.yaml:3: mine: given twice"):
        load_catalogue([file])


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("win_rate / leads", "unknown measure 'win_rate'"),  # so no KPI can refer to itself
        ("deals_won / open_deals", r"'open_deals' is a level \(accepted below a line: level\(open_deals\)\)"),
        ("target(revenue)", "no measure in"),
        ("won_amount / target(revenu)", r'unknown KPI \'revenu\' \(did you mean "revenue"\?\)'),
        ("rest(revenue, deals_won)", "a target of revenue is money, deals_won is a plain number"),
        ("over(leads, 0)", r"accepted: over\(measure, days\)"),
        ("over(leads, 751)", r"accepted: over\(measure, days\)"),
        ("recorded(energy)", r'accepted: recorded\("name"'),
        ('quantile("energy", 2)', r'accepted: quantile\("name", share\)'),
        ("shrunk(deals_won, leads)", "are counted of different things"),
        ("weighted(won_amount)", "unknown measure for this function: 'won_amount'"),
    ],
)
def test_formulas_that_mean_nothing_are_refused(formula: str, said: str) -> None:
    with pytest.raises(FormulaError, match=said):
        parse(formula, {"revenue": "money"})
