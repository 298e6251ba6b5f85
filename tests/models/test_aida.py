"""What do the KPIs of attention, interest, desire and action say of small histories that can be worked out by hand?"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import pytest

from models.business import Business
from models.calendar import DAY_MS, HOUR_MS, MINUTE_MS
from models.events.catalogue import TOPIC_OF
from models.folds.partition import EntityPartition
from models.kpis.reading import Reading
from models.kpis.survival import Stay, quantiles
from models.measures import rough
from models.money import Rates
from models.panes.view import View
from models.panes.windows import Window
from stream.config.kpi_files import load_catalogue
from tests.models.test_partition import event, record

CATALOGUE = load_catalogue()
NOW = 1_795_219_200_000  # 2026-11-21T00:00:00Z
T0 = NOW - 20 * DAY_MS
Event = dict[str, Any]


def viewed(events: Iterable[Event], business: Business | None = None) -> View:
    """What the folds make of the events, told the wrong way round and twice."""
    business = business or Business()
    folds: dict[str, EntityPartition] = {}
    view = View(business)
    told = list(events)
    for each in [*reversed(told), *told]:
        topic = TOPIC_OF[each["type"]]
        fold = folds.setdefault(topic, EntityPartition(topic, 0, business))
        fold.fold([record(topic, each, arrival=NOW)])
    for fold in folds.values():
        changes = fold.changes()
        assert not [o for o in changes.outputs if o.topic == "dead-letters"]
        for output in changes.outputs:
            if output.topic == "panes":
                view.put(output.key, output.value)
    view.advance(NOW)
    return view


def read(view: View, kpi: str, segment: str = "total", window: str = "30d", at: int = NOW) -> Reading:
    return CATALOGUE.reading(CATALOGUE.get(kpi), view, Window.parse(window), segment, at)


def value(view: View, kpi: str, segment: str = "total", window: str = "30d") -> float | None:
    return read(view, kpi, segment, window).value


def parts(reading: Reading) -> tuple[Any, Any, Any]:
    return reading.value, reading.numerator, reading.denominator


# --- attention


def page(visitor: str, minute: int, url: str, **data: Any) -> Event:
    return event("web.page_viewed", visitor, T0 + minute * MINUTE_MS, f"{visitor}{minute}{url}", page=url, **data)


def test_pages_sessions_and_exits() -> None:
    # v: /  /pricing?plan=a  /  in one visit; w: /pricing alone, and after an hour / alone.
    view = viewed(
        [
            page("v", 0, "/", source="ads"),
            page("v", 1, "/pricing?plan=a"),
            page("v", 2, "/"),
            page("w", 5, "/pricing#top"),
            page("w", 65, "/"),
        ]
    )
    assert value(view, "page_views") == 5
    assert value(view, "pages_per_session") == pytest.approx(5 / 3)
    assert value(view, "pages_per_session", "source=ads") == 3, "all pages of a visit are of its source"
    assert (value(view, "top_pages", "page=/"), value(view, "top_pages", "page=/pricing")) == (3, 2)
    # Of three views of / two ended a visit (v's last, w's second); of two views of /pricing one did (w's first).
    assert parts(read(view, "exit_rate", "page=/")) == (pytest.approx(2 / 3), 2, 3)
    assert parts(read(view, "exit_rate", "page=/pricing")) == (0.5, 1, 2)
    assert parts(read(view, "exit_rate")) == (0.6, 3, 5)


def test_of_pages_beyond_those_kept_apart_all_count_as_other() -> None:
    view = viewed([page("v", n, f"/{n}") for n in range(210)])
    assert value(view, "top_pages") == 210
    assert len(view.segments("page")) == 201
    assert value(view, "top_pages", "page=other") == 10


def reach(kind: str, who: str, minute: int, id: str, **data: Any) -> Event:
    return event(kind, who, T0 + minute * MINUTE_MS, id, **data)


def test_ads_and_posts() -> None:
    view = viewed(
        [
            reach("ad.impressed", "spring", 0, "1", count=2000, channel="search", cost="10"),
            reach("ad.clicked", "spring", 5, "2", count=40, channel="search", cost="50"),
            reach("social.reached", "spring", 6, "3", count=700),
            reach("social.reached", "spring", 7, "4", count=300),
            reach("email.sent", "l", 7, "5", cost="9"),
        ]
    )
    assert value(view, "ad_impressions", "source=search") == 2000
    assert value(view, "social_reach") == 1000
    assert parts(read(view, "ad_click_rate")) == (0.02, 40, 2000)
    assert parts(read(view, "cost_per_click")) == (1.5, 60, 40)  # what e-mails cost is not in it


# --- interest


def mail(kind: str, minute: int, id: str, message: str, **data: Any) -> Event:
    return reach(f"email.{kind}", "l", minute, id, message_id=message, campaign="spring", **data)


MAILS = [
    *(mail("sent", n, f"s{n}", f"m{n}") for n in range(5)),
    mail("opened", 10, "o1", "m0"),
    mail("opened", 11, "o2", "m0"),  # again: once
    mail("opened", 12, "o3", "m1", machine=True),  # by a machine: not at all
    mail("clicked", 13, "c1", "m2"),  # images were blocked: who clicks has opened
    mail("clicked", 14, "c2", "m2"),
    mail("bounced", 15, "b", "m3"),
    mail("opened", 16, "o4", "unknown"),  # of an e-mail that nobody has told to be sent
    reach("email.sent", "bulk", 1, "bulk", count=100, campaign="spring"),
    reach("email.opened", "bulk", 2, "bulk opened", count=30, campaign="spring"),
]


def test_emails_told_one_by_one_count_once_and_those_of_the_period_as_often_as_told() -> None:
    view = viewed(MAILS)
    # Delivered one by one: m0, m1, m2, m4 (m3 bounced). Opened: m0, m2. Clicked: m2.
    assert parts(read(view, "email_open_rate")) == (0.5, 2, 4)
    assert parts(read(view, "email_click_rate")) == (0.25, 1, 4)
    assert parts(read(view, "click_to_open_rate")) == (0.5, 1, 2)
    # Sent 105, bounced 1. Openings 34, one of them a machine's. Clicks 2.
    assert parts(read(view, "email_open_rate_period")) == (pytest.approx(33 / 104), 33, 104)
    assert parts(read(view, "email_click_rate_period")) == (pytest.approx(2 / 104), 2, 104)
    assert parts(read(view, "click_to_open_rate_period")) == (pytest.approx(2 / 33), 2, 33)
    assert value(view, "email_open_rate", "campaign=spring") == 0.5


def test_calls_to_action_per_page() -> None:
    view = viewed([*(page("v", n, "/") for n in range(4)), event("web.cta_clicked", "v", T0 + 1, "c")])
    assert parts(read(view, "cta_click_rate")) == (0.25, 1, 4)


# --- desire


def lead(kind: str, subject: str, hours: float, /, **data: Any) -> Event:
    return event(f"lead.{kind}", subject, T0 + round(hours * HOUR_MS), f"{subject}{kind}{hours}", **data)


LEADS = [
    lead("created", "a", 0, owner="ann", score=80),
    lead("contact_attempted", "a", 0.25),
    lead("contacted", "a", 0.5, preparation_seconds=120),  # within the hour
    lead("contacted", "a", 30, preparation_seconds=999),
    lead("qualified", "a", 1, level="mql"),
    lead("qualified", "a", 2, level="sql"),
    lead("updated", "a", 2, bant={"budget": True, "authority": "yes"}),
    lead("updated", "a", 3, bant={"need": 0.7, "timing": False}),  # known, though it is a no
    lead("converted", "a", 4, deal_id="d"),
    lead("created", "b", 0, owner="ann", score=40),
    lead("contacted", "b", 2, preparation_seconds=60),  # too late
    lead("qualified", "b", 3, level="mql"),
    lead("updated", "b", 3, score=50, bant={"budget": True, "authority": True, "need": True, "timing": True}),
    lead("updated", "b", 4, bant={"timing": None}),  # taken back
    lead("converted", "b", 5, account_id="x"),  # an account alone is no opportunity
    lead("created", "c", 0, owner="bob"),
    lead("disqualified", "c", 0.5, reason="student"),  # before anybody answered: out of the answers
    lead("created", "d", 0, owner="bob"),
    lead("contacted", "d", 1),  # at the deadline: in time
    lead("disqualified", "d", 9, reason="budget"),
    lead("created", "e", 0, owner="bob"),  # nobody answers
]


def test_leads_qualified_scored_and_lost() -> None:
    view = viewed(LEADS)
    assert parts(read(view, "sql_rate")) == (0.2, 1, 5)
    assert parts(read(view, "sql_to_mql_ratio")) == (0.5, 1, 2)
    assert value(view, "lead_score") == 65  # (80 + 50) / 2
    assert value(view, "lead_score_converted") == 65
    assert parts(read(view, "bant_complete_rate")) == (0.2, 1, 5)
    assert parts(read(view, "lead_to_opportunity_rate")) == (0.2, 1, 5)
    assert parts(read(view, "disqualification_rate")) == (0.4, 2, 5)
    assert parts(read(view, "disqualification_rate", "owner=bob")) == (pytest.approx(2 / 3), 2, 3)
    assert parts(read(view, "disqualification_rate", "reason=student")) == (0.2, 1, 5), "of all leads, not of the students"
    assert read(view, "disqualification_rate", "reason=student").sample == 5


def test_leads_answered() -> None:
    view = viewed(LEADS)
    # Due: a, b, d, e (c was disqualified unanswered). In time: a (half an hour), d (an hour sharp).
    assert parts(read(view, "response_within_sla")) == (0.5, 2, 4)
    assert value(viewed(LEADS, Business(response_sla=2 * HOUR_MS)), "response_within_sla") == 0.75
    assert parts(read(view, "first_contact_preparation_time")) == (
        90,
        180,
        2,
    )  # the first: 120 s and 60 s; of d's nothing is told
    assert parts(read(view, "contact_attempts")) == (0.8, 4, 5)  # a two (the contact of the next day is none), b and d one


def test_forms_and_demos() -> None:
    def form(kind: str, who: str, minute: int, name: str) -> Event:
        return event(f"web.form_{kind}", who, T0 + minute * MINUTE_MS, f"{who}{kind}{minute}{name}", form=name)

    view = viewed(
        [
            form("started", "v", 0, "contact"),
            form("started", "v", 1, "contact"),  # again: one form begun
            form("submitted", "v", 2, "contact"),
            form("started", "v", 3, "demo"),  # left
            form("abandoned", "w", 0, "contact"),  # left, said in so many words
            form("submitted", "x", 0, "contact"),  # of which nobody has told that it was begun
            form("started", "v", 99, "contact"),  # in another visit
            event("web.demo_requested", "v", T0, "demo"),
            lead("created", "l", 0),
            lead("qualified", "l", 1, level="mql"),
        ]
    )
    assert parts(read(view, "form_abandonment_rate")) == (0.75, 3, 4)
    assert parts(read(view, "demo_request_rate")) == (pytest.approx(1 / 3), 1, 3)
    assert parts(read(view, "visitor_to_mql_rate")) == (pytest.approx(1 / 3), 1, 3)


# --- action


def deal(kind: str, subject: str, days: float, /, **data: Any) -> Event:
    return event(f"deal.{kind}", subject, T0 + round(days * DAY_MS), f"{subject}{kind}{days}", **data)


def moves(subject: str, *stages: str, end: str = "") -> list[Event]:
    """A deal that is a day in each of these stages."""
    found = [deal("created", subject, 0, stage=stages[0], pipeline="sales")]
    found += [deal("stage_changed", subject, day, stage=stage) for day, stage in enumerate(stages[1:], start=1)]
    return [*found, deal(end, subject, len(stages))] if end else found


FUNNEL = Business(
    stage_orders={"sales": ("new", "demo", "offer", "signed")},
    stage_kinds={"new": "open", "demo": "open", "offer": "open", "signed": "won"},
)
STAGED = [
    *moves("on", "new", "demo", "offer", end="won"),
    *moves("skip", "new", "offer", end="lost"),  # past demo
    *moves("back", "new", "demo", "new", "demo"),  # back to new, and to demo again, where it still is
    *moves("there", "new"),
]


def test_stage_conversion_with_skipped_backward_and_repeated_stages() -> None:
    view = viewed(STAGED, FUNNEL)
    # new: on, skip, back, back again went on; there is still there: 4 of (5 entries - 1 still there).
    assert parts(read(view, "stage_conversion", "stage=new")) == (1, 4, 4)
    # demo: on went on, back went back; back's second stay goes on still: 1 of (3 - 1). skip was never in it.
    assert parts(read(view, "stage_conversion", "stage=demo")) == (0.5, 1, 2)
    # offer: on won, skip lost.
    assert parts(read(view, "stage_conversion", "stage=offer")) == (0.5, 1, 2)
    assert parts(read(view, "stage_conversion")) == (0.75, 6, 8)
    assert (value(view, "stages_skipped", "stage=demo"), value(view, "stages_skipped")) == (1, 1)
    assert (value(view, "stages_back", "stage=demo"), value(view, "stages_back")) == (1, 1)
    assert value(view, "stages_repeated", "stage=new") == value(view, "stages_repeated", "stage=demo") == 1


def test_without_an_order_a_stage_in_which_the_deal_has_not_been_is_a_later_one() -> None:
    view = viewed(STAGED)
    assert parts(read(view, "stage_conversion", "stage=demo")) == (0.5, 1, 2), "new was before"
    # back's second stay in new ended in demo, where it had been: without an order that is a move back.
    assert parts(read(view, "stage_conversion", "stage=new")) == (0.75, 3, 4)
    assert value(view, "stages_skipped") == 0


def test_a_win_goes_past_what_was_left_out() -> None:
    view = viewed(moves("d", "new", end="won"), FUNNEL)
    assert value(view, "stages_skipped", "stage=demo") == value(view, "stages_skipped", "stage=offer") == 1
    assert value(view, "stages_skipped", "stage=signed") == 0, "that is the win itself"


def test_the_bottleneck_is_where_days_times_deals_are_spent_in_the_window() -> None:
    events = [
        deal("created", "a", 0, stage="new"),
        deal("stage_changed", "a", 2, stage="demo"),  # 2 days in new, then 18 in demo up to now
        deal("created", "b", 10, stage="new"),
        deal("won", "b", 14),  # 4 days in new
        deal("created", "c", 12),  # 8 days in no stage
    ]
    view = viewed(events)
    # In all 32 days times deals: new 6, demo 18, no stage 8.
    days = 86_400
    assert parts(read(view, "bottleneck", "stage=new")) == (6 / 32, 6 * days, 32 * days)
    assert parts(read(view, "bottleneck", "stage=demo")) == (18 / 32, 18 * days, 32 * days)
    # In the last ten days (from day 10 on): new 4, demo 10, none 8.
    assert parts(read(view, "bottleneck", "stage=demo", window="240h")) == (10 / 22, 10 * days, 22 * days)
    gone = read(viewed([*events, deal("deleted", "a", 15)]), "bottleneck", "stage=demo")
    assert (gone.numerator, gone.denominator) == (0, 12 * days), "what was deleted never was"


def test_time_to_close_by_kaplan_and_meier_beside_the_means() -> None:
    # Twelve deals, created at midnight of day 0: closed after 1, 2, 2, 3, 4, 4, 5, 6, 8 and 9 days, the third and fifth of them
    # lost; two are open and 20 days old. In all twelve are watched from their beginning on.
    #
    #   age    there  closed   S
    #    1      12      1      11/12
    #    2      11      2       9/12       a quarter: 1 - S = 0.25 at 2 days
    #    3       9      1       8/12
    #    4       8      2       6/12       half: at 4 days
    #    5       6      1       5/12
    #    6       5      1       4/12
    #    8       4      1       3/12       three quarters: at 8 days
    #    9       3      1       2/12
    #
    # The closed alone would make it 4.4 on the mean, and half of them within 4 days.
    ages = (1, 2, 2, 3, 4, 4, 5, 6, 8, 9)
    events = [deal("created", f"d{n}", 0, owner="ann") for n in range(12)]
    events += [deal("lost" if n in (2, 4) else "won", f"d{n}", age) for n, age in enumerate(ages)]
    view = viewed(events)
    for kpi, days in (("time_to_close_first_quarter", 2), ("time_to_close", 4), ("time_to_close_third_quarter", 8)):
        assert value(view, kpi) == value(view, kpi, "owner=ann") == rough(days * DAY_MS) / 1000
    assert value(view, "time_to_close_mean") == 380_160  # 4.4 days
    assert value(view, "time_to_close_won") == (sum(ages) - 2 - 4) / 8 * 86_400
    whole = [Stay(0, days, True) for days in ages] + [Stay(0, 20, False, 2)]
    assert quantiles(whole, (0.25, 0.5, 0.75)) == [2, 4, 8]
    # Three of four is as far as it is known: two of twelve are open still.
    assert read(view, "time_to_close").sample == 10
    few = read(viewed(events[:-1]), "time_to_close")
    assert (few.value, few.sample) == (None, 9)
    young = read(viewed(events[:12] + events[12:14]), "time_to_close")
    assert (young.value, young.why) == (None, "less than 50% leave in any time that was seen")


def test_time_in_stage_by_kaplan_and_meier() -> None:
    # Ten leave the demo after a day, ten are there for five days still: half have left after a day, nine of ten in no time seen.
    events = [e for n in range(20) for e in [deal("created", f"d{n}", 15, stage="demo")]]
    events += [deal("stage_changed", f"d{n}", 16, stage="offer") for n in range(10)]
    view = viewed(events)
    assert value(view, "stage_time", "stage=demo") == rough(DAY_MS) / 1000
    assert value(view, "stage_time_nine_of_ten", "stage=demo") is None
    assert value(view, "stage_duration", "stage=demo") == 86_400, "of the ten that have left"


def test_what_begins_at_the_instant_itself_is_not_of_the_window() -> None:
    # Ten deals are in the demo, and then closed, after four days. Ten more begin at the very midnight that is asked about, or in
    # the hours after it, and take a day: at that midnight none of them has begun. All twenty are told before one asks.
    events = []
    for n in range(20):
        begun, days = (0, 4) if n < 10 else (10 if n < 15 else 10.1, 1)
        events += [deal("created", f"d{n}", begun, stage="demo"), deal("stage_changed", f"d{n}", begun + days, stage="offer")]
        events.append(deal("won", f"d{n}", begun + days))
    view = viewed(events)
    midnight = T0 + 10 * DAY_MS
    assert read(view, "time_to_close_first_quarter", at=midnight).value == rough(4 * DAY_MS) / 1000
    assert read(view, "stage_time", "stage=demo", at=midnight).value == rough(4 * DAY_MS) / 1000
    # A day later all twenty have begun: of them ten, the half, leave after a day.
    assert read(view, "time_to_close", at=midnight + DAY_MS).value == rough(DAY_MS) / 1000
    assert read(view, "stage_time", "stage=demo", at=midnight + DAY_MS).value == rough(DAY_MS) / 1000


def test_from_the_lead_to_the_sale() -> None:
    lead_at = "2026-10-30T00:00:00Z"  # two days before day 0
    events = [
        deal("created", "a", 0, lead_created_at=lead_at),
        deal("won", "a", 4),
        deal("created", "b", 0, lead_created_at="2026-11-20T00:00:00Z"),  # after its close: not counted
        deal("won", "b", 4),
        deal("created", "c", 0),
        deal("won", "c", 4),
        deal("created", "d", 0, lead_created_at=lead_at),
        deal("lost", "d", 4),
    ]
    assert parts(read(viewed(events), "time_to_close_from_lead")) == (6 * 86_400, 6 * 86_400, 1)


def test_discounts_cross_sales_and_upsales() -> None:
    dollars = Business(rates=Rates("EUR", {"USD": [(0, Fraction(1, 2))]}))
    events = [
        deal("won", "a", 1, amount=80, list_amount=100, sale="cross_sell"),
        deal("won", "b", 1, amount=180, list_amount=200, currency="USD", sale="upsell"),  # 90 of 100 in euros
        deal("won", "c", 1, amount=50, discount=0.5, sale="new"),  # of 100
        deal("won", "d", 1, amount=110, list_amount=100, discount=0.9, sale="renewal"),  # more than the list amount, which counts
        deal("won", "e", 1, amount=70),
        deal("won", "f", 1, amount=-5, list_amount=10),  # more than 100 % off: a credit note
        deal("won", "g", 1, amount=5, list_amount=0),
        deal("won", "h", 1, amount=0, discount=1),  # nobody knows of what
        deal("won", "j", 1, amount=1, discount=0.999999),
        deal("lost", "i", 1, amount=5, list_amount=10, sale="upsell"),
    ]
    view = viewed(events, dollars)
    assert parts(read(view, "discount_rate")) == (0.175, 70, 400)  # 80 + 90 + 50 + 110 of 400
    assert read(view, "discount_rate").sample == 4
    assert parts(read(view, "discounted_deals_rate")) == (0.75, 3, 4)
    assert parts(read(view, "cross_sell_rate")) == (0.25, 1, 4)
    assert parts(read(view, "upsell_rate")) == (0.25, 1, 4)


def test_velocity() -> None:
    events = [deal("created", f"d{n}", 0, amount=1000 + 200 * n) for n in range(5)]
    events += [deal("won", "d0", 4), deal("won", "d1", 8), deal("lost", "d2", 8)]
    # Two open, two of three closed were won, for 1100 on the mean, after six days on the mean.
    assert value(viewed(events), "sales_velocity") == pytest.approx(2 * (2 / 3) * 1100 / 6, abs=1e-4)
    assert read(viewed(events[:6]), "sales_velocity").value == pytest.approx(4 * 1 * 1000 / 4)
    assert read(viewed(events[:5]), "sales_velocity").why == "no deal whose creation and amount are known was won in the window"


def test_loss_reasons_by_count_and_by_value() -> None:
    events = [
        deal("lost", "a", 1, amount=100, reason="price"),
        deal("lost", "b", 1, amount=300, reason="time"),
        deal("lost", "c", 1, reason="price"),
        deal("lost", "d", 1, amount=100),
        deal("updated", "b", 2, reason="price"),
    ]
    view = viewed([e for e in events if e["type"] == "deal.lost"])
    assert parts(read(view, "loss_reasons", "reason=price")) == (0.5, 2, 4)
    assert parts(read(view, "loss_reasons", "reason=time")) == (0.25, 1, 4)
    assert parts(read(view, "loss_reasons_value", "reason=price")) == (0.2, 100, 500)
    assert parts(read(view, "loss_reasons_value", "reason=time")) == (0.6, 300, 500)
    later = viewed([*events[:4], deal("lost", "b", 3, reason="price")])
    assert parts(read(later, "loss_reasons", "reason=price")) == (0.75, 3, 4), "as it was said last"
    assert value(viewed([*events[:4], deal("reopened", "a", 3)]), "loss_reasons", "reason=price") == pytest.approx(1 / 3)


def test_activities() -> None:
    kinds = ("call", "meeting", "demo", "signature", "signature", "email")
    events = [event("deal.activity", "d", T0 + n, f"a{n}", kind=kind, owner="ann") for n, kind in enumerate(kinds)]
    view = viewed([*events, deal("won", "d", 1, owner="ann"), deal("won", "e", 1, amount=300)])
    assert value(view, "meetings", "owner=ann") == 2
    assert value(view, "signatures") == 2
    assert parts(read(view, "activities_per_win")) == (3, 6, 2)
    assert parts(read(view, "revenue_per_sale")) == (150, 300, 2)


def test_first_purchases_and_customers() -> None:
    def invoice(account: str, days: float, amount: int, id: str) -> Event:
        return event("customer.invoiced", account, T0 + round(days * DAY_MS), id, amount=amount, currency="EUR")

    view = viewed(
        [
            invoice("a", 1, 100, "1"),
            invoice("a", 1, 900, "2"),  # at the same moment: the first by its id is the first
            invoice("a", 15, 300, "3"),
            invoice("b", 15, 50, "4"),
            invoice("old", -40, 7, "5"),
            invoice("old", 16, 250, "6"),
        ]
    )
    assert parts(read(view, "first_purchase_value")) == (75, 150, 2)
    assert parts(read(view, "revenue_per_customer")) == (pytest.approx(1600 / 3, abs=1e-4), 1600, 3)
    assert parts(read(view, "revenue_per_customer", window="7d")) == (200, 600, 3)
    assert read(view, "revenue_per_customer", window="24h").why == "no customer was invoiced in the window"
