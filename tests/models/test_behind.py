"""The deals and leads behind a figure: the list adds up to it, whatever the KPI, window and segment."""

from collections import Counter
from fractions import Fraction
from itertools import islice
from typing import Any

import orjson
import pytest

from models.business import Business
from models.events.catalogue import TOPIC_OF
from models.fold import Record
from models.folds.partition import EntityPartition
from models.kpis.asks import Ask, asks, asks_of
from models.kpis.behind import CREATED, TODAY, TWICE, CountedEntity, EntitiesBehind, FigureQuestion, Sums, listed
from models.kpis.catalogue import Catalogue
from models.kpis.feeds import correcting, counting, feeds
from models.kpis.recount import Recount, differences, measured
from models.kpis.scope import PaneScope
from models.measures import FROM_PRESENT, LOGGED
from models.money import Rates
from models.panes.windows import Window
from models.simulator.live import LiveCompany
from tests.models.company import CATALOGUE, Company, at
from tests.stream.demo import NOW, company


def rows_of(partition: EntityPartition) -> dict[bytes, bytes]:
    """What a partition has written down."""
    kept = {b"E" + key.encode(): row for key, row in partition.entities.rows}
    return kept | {b"S": orjson.dumps(partition._segments.dump()), b"O": orjson.dumps(partition._segments.dump_others())}


def found(
    partitions: dict[str, EntityPartition], business: Business, question: FigureQuestion
) -> tuple[list[CountedEntity], dict[str, Sums]]:
    counted, naive = list[CountedEntity](), dict[str, Sums]()
    for fold in question.folds:
        behind = EntitiesBehind(fold, business, question, rows_of(partitions[fold]))
        counted += behind
        for name, sums in behind.naive.items():
            kept = naive.setdefault(name, Sums())
            kept.add(sums.numbers)
            kept.others += sums.others
    return counted, naive


def together(counted: list[CountedEntity]) -> dict[Ask, Any]:
    sums = Sums()
    for one in counted:
        sums.add(one.numbers)
    return sums.numbers


DEALS_AND_LEADS = [kpi.id for kpi in CATALOGUE.kpis.values() if not kpi.formula.folds.isdisjoint(LOGGED)]


@pytest.mark.parametrize("window", ["1h", "7d", "30d", "month", "quarter"])
def test_lists_of_the_simulated_company_add_up(window: str) -> None:
    whole = company()
    span, compared = Window.parse(window), 0
    names = {dimension: whole.view.segments(dimension, LOGGED)[:2] for dimension in ("owner", "stage", "source", "reason")}
    every: dict[Ask, None] = {}
    for name in DEALS_AND_LEADS:
        kpi = CATALOGUE.get(name)
        for segment in ("total", *(f"{by}={one}" for by, values in names.items() if by in kpi.by for one in values)):
            every |= dict.fromkeys(ask for ask in asks(kpi, segment) if listed(ask))
    numbers = together(found(whole.folds, whole.business, FigureQuestion(list(every), span, whole.now))[0])
    for ask in every:
        scope = PaneScope(whole.view, span, ask.segment, whole.now)
        if ask.how == "seen":
            continue
        held = measured_of(ask, scope)
        assert numbers.get(ask, Counter() if ask.how == "values" else 0) == held, ask
        compared += bool(held)
    assert compared > 20
    # What an entity counts for as it is now is found with less work, and is the same.
    now = [ask for ask in every if ask.name in FROM_PRESENT]
    less = together(found(whole.folds, whole.business, FigureQuestion(now, span, whole.now))[0])
    assert less == {ask: numbers[ask] for ask in now if ask in numbers}


def measured_of(ask: Ask, scope: PaneScope) -> Any:
    match ask.how:
        case "values":
            return Counter(scope.values(ask.fold, ask.name))
        case "level":
            return scope.level(ask.name)
        case "opening":
            return scope.opening(ask.name)
        case "ahead":
            return scope.ahead(ask.fold, ask.name)
        case "over":
            return scope.over(ask.fold, ask.name, int(ask.more))
    return scope.flow(ask.fold, ask.name)


def test_each_kpi_of_deals_and_leads_is_the_same_from_its_list() -> None:
    """Everything but curves, history and odds is made of the list alone."""
    whole, span = company(), Window.parse("30d")
    compared = 0
    every = dict.fromkeys(ask for name in DEALS_AND_LEADS for ask in asks(CATALOGUE.get(name), "total") if listed(ask))
    scope = Recount(
        whole.view,
        span,
        "total",
        whole.now,
        together(found(whole.folds, whole.business, FigureQuestion(list(every), span, whole.now))[0]),
    )
    for name in DEALS_AND_LEADS:
        kpi = CATALOGUE.get(name)
        reading = CATALOGUE.reading(kpi, whole.view, span, "total", whole.now)
        if reading.value is None or not all(listed(ask) for ask in asks(kpi, "total")):
            continue
        top = kpi.formula.numerator.run(scope)
        bottom = None if kpi.formula.denominator is None else kpi.formula.denominator.run(scope)
        assert kpi.value(top, bottom) == reading.value, name
        compared += 1
    assert compared > 35


def small(rates: Rates | None = None) -> Company:
    return Company(Business(rates=rates or Rates("EUR", {}), stage_kinds={"won": "won"}))


def behind(told: Company, kpi: str, when: str, window: str = "month", segment: str = "total") -> tuple[list[str], list[Any]]:
    entry, moment, span = told.catalogue.get(kpi), at(when), Window.parse(window)
    reading = told.read(kpi, when, window, segment)
    counted, naive = found(told.partitions, told.business, FigureQuestion(asks(entry, segment), span, moment))
    return [one.state.id for one in counted], differences(entry, told.view, span, segment, moment, reading.value, naive)


def by_name(differences: list[Any]) -> dict[str, Any]:
    return {one["definition"]: (one["value"], one["difference"], one["count_otherwise"]) for one in differences}


def test_a_crm_would_count_otherwise() -> None:
    """Worked by hand.

    D1 created in February, won on 5 March for 1000 EUR; D2 created 1 March, won 10 March for 1000 USD at 0.9, which is 0.8 at
    the month's end; D3 created 2 March, won 8 March for 500 EUR, reopened 9 March, won again 20 March.
    Revenue of March: 1000 + 900 + 500 = 2400. By the creation: 900 + 500 = 1400. At the last rate: 1000 + 800 + 500 = 2300.
    Each close: 1000 + 900 + 500 + 500 = 2900.
    """
    told = small(Rates("EUR", {"USD": [(0, Fraction(9, 10)), (at("2026-03-25"), Fraction(8, 10))]}))
    told.tell("deal.created D1 2026-02-20", amount=1000)
    told.tell("deal.created D2 2026-03-01T01:00", amount=1000, currency="USD")
    told.tell("deal.created D3 2026-03-02", amount=500)
    told.tell("deal.won D1 2026-03-05")
    told.tell("deal.won D3 2026-03-08")
    told.tell("deal.reopened D3 2026-03-09")
    told.tell("deal.won D2 2026-03-10")
    told.tell("deal.won D3 2026-03-20")
    told.tell("deal.created D4 2026-03-30", amount=77)

    ids, plain = behind(told, "revenue", "2026-04-01")

    assert told.value("revenue", "2026-04-01") == 2400
    assert ids == ["D3", "D2", "D1"] or set(ids) == {"D1", "D2", "D3"}
    assert by_name(plain) == {CREATED: (1400, -1000, 1), TODAY: (2300, -100, 1), TWICE: (2900, 500, 1)}
    assert {one["definition"]: one["examples"] for one in plain} == {CREATED: ["D1"], TODAY: ["D2"], TWICE: ["D3"]}


def test_a_rate_by_creation_has_another_denominator() -> None:
    """Won in March: D1 (of February), D2; lost in March: D3. 2 of 3; of those created in March, 1 of 2."""
    told = small()
    told.tell("deal.created D1 2026-02-20").tell("deal.created D2 2026-03-02").tell("deal.created D3 2026-03-03")
    told.tell("deal.won D1 2026-03-04").tell("deal.won D2 2026-03-05").tell("deal.lost D3 2026-03-06", reason="price")
    ids, plain = behind(told, "win_rate", "2026-04-01")
    assert told.value("win_rate", "2026-04-01") == 2 / 3
    assert sorted(ids) == ["D1", "D2", "D3"]
    assert by_name(plain)[CREATED] == (0.5, pytest.approx(-1 / 6), 1)
    # A reason is a segment of its own, and the whole is everything.
    told.tell("deal.created D5 2026-03-07").tell("deal.lost D5 2026-03-09", reason="time")
    ids, _ = behind(told, "loss_reasons", "2026-04-01", segment="reason=price")
    assert sorted(ids) == ["D3", "D5"]


def test_of_a_segment_those_that_counted_in_it() -> None:
    """The owner at the close has the credit, whoever has the deal now."""
    told = small()
    told.tell("deal.created D1 2026-03-02", owner="ann").tell("deal.won D1 2026-03-04", amount=5)
    told.tell("deal.updated D1 2026-03-06", owner="bob")
    told.tell("deal.created D2 2026-03-06", owner="bob")
    assert behind(told, "sales", "2026-04-01", segment="owner=ann")[0] == ["D1"]
    assert behind(told, "sales", "2026-04-01", segment="owner=bob")[0] == []


def test_deleted_and_merged_ones_count_for_nothing() -> None:
    told = small()
    for name in ("D1", "D2", "D3"):
        told.tell(f"deal.created {name} 2026-03-02").tell(f"deal.won {name} 2026-03-04")
    told.tell("deal.deleted D2 2026-03-05").tell("deal.merged D3 2026-03-05", into="D1")
    assert behind(told, "sales", "2026-04-01")[0] == ["D1"]


def test_facts_that_were_folded_away_still_count() -> None:
    told = small()
    told.tell("deal.created D1 2026-03-02", amount=10)
    for number in range(90):
        told.tell(f"deal.updated D1 2026-03-03T{number // 60:02}:{number % 60:02}", amount=10 + number)
    told.tell("deal.won D1 2026-03-05")
    ids, plain = behind(told, "revenue", "2026-04-01")
    assert (ids, told.value("revenue", "2026-04-01")) == (["D1"], 99)
    assert by_name(plain)[TWICE] == (99, 0, 0)


def test_measures_say_what_the_list_comes_to() -> None:
    told = small()
    told.tell("deal.created D1 2026-03-02", amount=10).tell("deal.won D1 2026-03-04").tell(
        "deal.activity D1 2026-03-04", kind="call"
    )
    moment, span = at("2026-04-01"), Window.parse("month")
    entry = told.catalogue.get("activities_per_win")
    counted, _ = found(told.partitions, told.business, FigureQuestion(asks(entry, "total"), span, moment))
    told.view.advance(moment)
    activities, won = measured(entry, told.view, span, "total", moment, together(counted))
    assert (activities["measure"], activities["value"], activities["part"]) == ("deal_activities", 1, "numerator")
    assert "not kept one by one" in activities["not_listed"] and "listed" not in activities
    assert (won["measure"], won["value"], won["listed"], won["part"]) == ("deals_won", 1, 1, "denominator")
    assert counted[0].numbers == {Ask("flow", "deals_won", "total"): 1}


def test_what_a_formula_asks() -> None:
    assert asks_of("losses / whole(losses, reason)", "reason=price") == [
        Ask("flow", "losses", "reason=price"),
        Ask("flow", "losses", "total"),
    ]
    assert asks_of("level(open_amount) - opening(open_amount) * 2 + lag(spend, acquisition_lag)", "total") == [
        Ask("level", "open_amount", "total"),
        Ask("opening", "open_amount", "total"),
        Ask("lagged", "spend", "total", "acquisition_lag"),
    ]
    assert asks_of("over(won_amount, 90) / rest(revenue, won_amount)", "total") == [
        Ask("over", "won_amount", "total", "90"),
        Ask("flow", "won_amount", "total"),
    ]


def test_every_kpi_says_what_it_asks_and_what_feeds_it(shipped: Catalogue = CATALOGUE) -> None:
    for kpi in shipped.kpis.values():
        asked = {ask.name for ask in asks(kpi, "total")}
        # What Vigie records itself (customers by segment) is no measure of a fold.
        assert asked or '"vigie.' in kpi.formula.text, kpi.id
        assert asked <= kpi.formula.measures, kpi.id
        assert feeds(kpi).counting, kpi.id
        assert {*feeds(kpi).counting, *feeds(kpi).correcting} <= TOPIC_OF.keys()


def test_nothing_else_moves_a_measure_than_what_is_said_to_feed_it() -> None:
    """Every event of the simulated company, one by one, against the measures whose sums it moves."""
    folds = {name: EntityPartition(name, 0, Business()) for name in ("deals", "leads", "engagement", "customers", "spend")}
    missing, seen = set[tuple[str, str]](), set[str]()
    for number, event in enumerate(islice(LiveCompany(7, NOW).history(), 8_000)):
        kind, fold = event["type"], folds[TOPIC_OF[event["type"]]]
        fold._take((Record(TOPIC_OF[kind], 0, number, NOW, event["subject"].encode(), orjson.dumps(event), ()),))
        moved = {measure for _, _, measure, _ in fold.panes.drain(lambda segment: True)}
        missing |= {(measure, kind) for measure in moved if kind not in counting(measure) and kind not in correcting(measure)}
        seen.add(kind)
    assert not missing
    assert len(seen) > 25
