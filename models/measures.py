"""Which additive numbers are kept in every pane and segment?

A measure is stored state, so measures are typed Python and their list is written beside the state. One that is added is booked
from kept facts where there are any, else it counts from then on; one that is removed is forgotten; a new name for an old one
goes into ``RENAMED`` (``models/folds/evolve.py``). To change what one *means*, give it a new name, or (of deals and leads) a
step to ``RULES``. KPIs are formulas over measures and live in YAML.
"""

from dataclasses import dataclass
from enum import StrEnum

from models.calendar import Grain


class Kind(StrEnum):
    """What a measure's number is."""

    COUNT = "count"  # integer
    MONEY = "money"  # integer, 1/10,000 of the business currency's unit
    MILLIS = "millis"  # integer, milliseconds
    VALUES = "values"  # {value: count}: an exact multiset, so that medians merge as sums do
    DURATIONS = "durations"  # {milliseconds, cut to five binary digits: count}: likewise, for quantiles of times
    NUMBERS = "numbers"  # {number, cut to ten binary digits: count}: likewise, of whatever somebody measures
    DISTINCT = "distinct"  # {gap: count}: entities active in the pane, by how many panes ago they were before (0: never)


def rough(number: int, digits: int = 5) -> int:
    """Return a number to its first binary digits (five: at most 1/16 less): so a multiset of them stays small."""
    shift = max(0, number.bit_length() - digits)
    return number >> shift << shift


@dataclass(frozen=True, slots=True)
class Measure:
    """One additive number. ``stock`` adds up over all time (a level); the others add up over a window (a flow).

    ``finest`` is the smallest pane it is kept by; what is kept by the day counts once the day is over. ``entries``: of lengths
    that are booked where something began, the count of what began, under the same names.
    """

    name: str
    kind: Kind
    help: str
    stock: bool = False
    finest: Grain = Grain.MINUTE
    entries: str = ""


#: What a KPI may be told by. Numbers of pages and reasons are kept by the hour.
DIMENSIONS = (
    *("owner", "source", "stage", "product", "region", "team", "segment", "campaign", "variant"),
    *("category", "market", "reason", "page"),
)


def _count(name: str, help: str, *, stock: bool = False, finest: Grain = Grain.MINUTE) -> Measure:
    return Measure(name, Kind.COUNT, help, stock, finest)


def _money(name: str, help: str, *, stock: bool = False, finest: Grain = Grain.MINUTE) -> Measure:
    return Measure(name, Kind.MONEY, help, stock, finest)


def _millis(name: str, help: str, *, stock: bool = False, finest: Grain = Grain.MINUTE) -> Measure:
    return Measure(name, Kind.MILLIS, help, stock, finest)


DEALS = (
    _count("deals_created", "deals, at their creation"),
    _count("deals_won", "won deals, at their close"),
    _count("deals_lost", "lost deals, at their close"),
    _money("won_amount", "amounts of won deals, at their close and its exchange rate"),
    _money("lost_amount", "amounts of lost deals, at their close and its exchange rate"),
    _count("won_sized", "won deals that have an amount, at their close"),
    _count("lost_sized", "lost deals that have an amount, at their close"),
    Measure("won_sizes", Kind.VALUES, "amounts of won deals, one by one, at their close"),
    _millis("cycle_millis", "creation to close of won deals whose creation is known, at their close"),
    _count("cycle_won", "won deals whose creation is known, at their close"),
    _count("open_deals", "deals that are open", stock=True),
    _money("open_amount", "amounts of the deals that are open", stock=True),
    _count("stage_entered", "entries into a stage"),
    _count("stage_left", "exits from a stage"),
    _millis("stage_millis", "time spent in a stage, when it is left"),
    Measure("stage_stays", Kind.DURATIONS, "times spent in a stage, one by one, when it is left"),
    _count("deal_activities", "calls, meetings, e-mails and other activities on deals"),
    _count("meetings", "meetings and demos on deals"),
    Measure(
        "stage_lengths",
        Kind.DURATIONS,
        "times spent in a stage since left, one by one, at the entry; by stage only",
        entries="stage_entered",
    ),
    _count("deals_unknown", "deals of which no event has said yet whether they are open, won or lost", stock=True),
    _count("stage_ended", "stays in a stage that have ended, at the entry"),
    _count("stage_advanced", "stays in a stage that ended in a later stage or a win, at the entry"),
    _count("stage_back", "stays in a stage that ended in an earlier one, at the entry"),
    _count("stage_skipped", "stages that a deal has left out, when it went past them"),
    _count("stage_repeated", "entries into a stage in which the deal had been before"),
    _millis("open_clock", "moments (epoch) at which deals left a stage or closed, less those at which they came"),
    Measure(
        "deal_lengths",
        Kind.DURATIONS,
        "creation to close of deals that are closed, one by one, at their creation",
        finest=Grain.DAY,
        entries="deals_created",
    ),
    _millis("close_millis", "creation to close of won and lost deals whose creation is known, at their close"),
    _count("close_known", "won and lost deals whose creation is known, at their close"),
    _millis("lead_cycle_millis", "creation of the lead to close of won deals of which both are known, at their close"),
    _count("lead_cycle_won", "won deals of which it is known when their lead was created, at their close"),
    _money("won_list_amount", "list amounts of won deals that have one, at their close and its exchange rate"),
    _money("won_listed_amount", "amounts of the same deals"),
    _count("won_listed", "won deals that have an amount and a list amount, at their close"),
    _count("won_below_list", "those of them that were sold for less"),
    _count("won_told", "won deals of which is told what kind of sale they are, at their close"),
    _count("won_cross_sold", "those of them that are cross-sales"),
    _count("won_upsold", "those of them that are upsales"),
    _count("losses", "lost deals, at their close; by reason", finest=Grain.HOUR),
    _money("loss_amount", "amounts of lost deals, at their close and its exchange rate; by reason", finest=Grain.HOUR),
    _count("signatures", "signatures on deals"),
    _money("created_amount", "amounts of deals, at their creation and its exchange rate"),
    _money("won_cost", "costs of won deals that have an amount and a cost, at their close and its exchange rate"),
    _money("won_costed", "amounts of won deals that have an amount and a cost, at their close and its exchange rate"),
    _count("stage_won", "won deals, at their close, for each stage they have been in; by stage only"),
    _count("stage_lost", "lost deals, at their close, for each stage they have been in; by stage only"),
    _count("open_dated", "open deals whose creation is known", stock=True),
    _millis("open_since_millis", "creation times (epoch) of the open deals", stock=True),
    _count("open_pushed", "open deals whose expected close date was moved to a later day", stock=True),
    _count(
        "open_stalled",
        "open deals that have been in their stage for longer than business.stalled_after",
        stock=True,
        finest=Grain.DAY,
    ),
    _count("closes_pushed", "moves of an open deal's expected close date to a later day"),
    _count("due_deals", "open deals, on the day they are expected to close", finest=Grain.DAY),
    _money("due_amount", "amounts of open deals, on the day they are expected to close", finest=Grain.DAY),
    _count("deals_promised", "deals, on the day they were first expected to close", finest=Grain.DAY),
    _count("deals_slipped", "deals not closed by its end, on the day they were first expected to close", finest=Grain.DAY),
    _count("deals_given", "deals that had one variant, at their creation; by variant only", finest=Grain.DAY),
    _count("deals_varied", "deals that had several variants, at their creation; by the first one only", finest=Grain.DAY),
    Measure(
        "deals_won_after",
        Kind.NUMBERS,
        "whole days from creation to close of won deals that had one variant, one by one, at their creation; by variant only",
        finest=Grain.DAY,
    ),
    _count("deals_cancelled", "won deals that were lost or opened again within 90 days, and not won since, at that first close"),
    *(
        Measure(
            name,
            Kind.NUMBERS,
            f"days by which {what} were won before the day they were first expected to close",
            finest=Grain.DAY,
        )
        for name, what in (
            ("won_ahead", "deals"),
            ("won_ahead_listed", "deals with an amount and a list amount"),
            ("won_ahead_below", "deals sold below list"),
        )
    ),
)

LEADS = (
    _count("leads", "leads, at their creation"),
    _count("leads_mql", "leads that reached MQL or SQL, at their creation"),
    _count("leads_sql", "leads that reached SQL, at their creation"),
    _count("leads_converted", "leads, at their conversion"),
    _count("leads_matured", "leads, when they come of age (creation + maturity)", finest=Grain.HOUR),
    _count("leads_matured_converted", "leads converted by the time they came of age, at that age", finest=Grain.HOUR),
    _count("leads_answered", "leads that were contacted, at their creation"),
    _millis("response_millis", "creation to first contact, at the creation"),
    _count("leads_unanswered", "leads not contacted yet, at their creation"),
    _millis("unanswered_since_millis", "creation times (epoch) of leads not contacted yet, at their creation"),
    _count("leads_scored", "leads that have a score, at their creation"),
    _count("lead_scores", "scores of leads as last known, in hundredths, at their creation"),
    _count("converted_scored", "converted leads that have a score, at their conversion"),
    _count("converted_scores", "scores of converted leads as last known, in hundredths, at their conversion"),
    _count("leads_bant", "leads of which budget, authority, need and timing are known, at their creation"),
    _count("leads_to_deal", "leads that were converted into a deal, at their creation"),
    _count("leads_disqualified", "leads that were disqualified and not converted, at their creation; by reason too"),
    _count("leads_due", "leads whose first answer was due, when it was (creation + response_sla)", finest=Grain.HOUR),
    _count("leads_in_time", "leads that were answered by then, when it was due", finest=Grain.HOUR),
    _millis("preparation_millis", "time that the first contact was prepared for, at the creation"),
    _count("leads_prepared", "leads of which that is known, at their creation"),
    _count("contact_attempts", "attempts to reach leads for the first time, the one that did included, at the creation"),
    _count("leads_given", "leads that had one variant, at their creation; by variant only", finest=Grain.DAY),
    _count("leads_varied", "leads that had several variants, at their creation; by the first one only", finest=Grain.DAY),
    Measure(
        "leads_converted_after",
        Kind.NUMBERS,
        "whole days from creation to conversion of leads that had one variant, one by one, at their creation; by variant only",
        finest=Grain.DAY,
    ),
)

ENGAGEMENT = (
    _count("sessions", "sessions, at their start"),
    _count("sessions_bounced", "sessions of one page, at their start"),
    _millis("session_millis", "first to last moment of sessions, at their start"),
    Measure("visitors", Kind.DISTINCT, "distinct visitors with a session that starts in the window"),
    _count("page_views", "page views"),
    _count("cta_clicks", "clicks on a call to action"),
    _count("forms_submitted", "forms submitted"),
    _count("demos_requested", "demos requested"),
    _count("emails_sent", "e-mails sent"),
    _count("emails_opened", "e-mails opened"),
    _count("emails_clicked", "e-mails clicked"),
    _count("emails_bounced", "e-mails bounced"),
    _count("ads_impressed", "ad impressions"),
    _count("ads_clicked", "ad clicks"),
    _count("social_reached", "people reached on social networks"),
    _money("engagement_cost", "cost carried by e-mail, ad and social events"),
    _count("session_pages", "pages seen in sessions, at their start"),
    _count("forms_begun", "forms begun in sessions, each once, at their start"),
    _count("forms_left", "those of them that the session did not submit"),
    _count("page_hits", "page views; by page", finest=Grain.HOUR),
    _count("page_exits", "last page views of sessions, when they were; by page", finest=Grain.HOUR),
    _money("ad_cost", "cost carried by ad impressions and clicks"),
    _count("mails_delivered", "e-mails told one by one that were sent and not bounced, when they were sent"),
    _count("mails_opened", "those of them that somebody has opened or clicked"),
    _count("mails_clicked", "those of them that somebody has clicked"),
    _count("machine_opens", "openings of e-mails by a machine"),
)

CUSTOMERS = (
    _count("customers_new", "accounts, at their first invoice"),
    _count("invoices", "invoices"),
    _money("invoiced_amount", "amounts invoiced"),
    _count("renewals", "renewals"),
    _money("renewed_amount", "amounts renewed"),
    _count("churns", "accounts lost"),
    _count("nps_answers", "answers to an NPS survey"),
    _count("nps_promoters", "NPS answers of 9 and 10"),
    _count("nps_detractors", "NPS answers of 0 to 6"),
    _count("csat_answers", "answers to a CSAT survey"),
    _count("csat_satisfied", "CSAT answers of 4 and 5"),
    _count("complaints", "complaints"),
    _count("supports", "support requests"),
    _count("supports_answered", "support requests and complaints whose response time is known"),
    _millis("support_response_millis", "response times of support requests and complaints"),
    _money("first_amount", "amounts of accounts' first invoices, at these"),
    Measure("buyers", Kind.DISTINCT, "distinct accounts with an invoice in the window"),
    _count("customers_repeated", "accounts invoiced more than once, at their first invoice"),
    _count("customers_recommending", "accounts that have recommended us, at their first invoice"),
    _count("recommendations", "recommendations by accounts"),
    _money("term_amount", "amounts of terms, at their invoice or renewal"),
    _millis("term_millis", "lengths of terms, at their invoice or renewal"),
    _count("terms_due", "terms, on the last day of the grace after their end", finest=Grain.DAY),
    _money("terms_due_amount", "amounts of terms, on the last day of the grace after their end", finest=Grain.DAY),
    _count("terms_renewed", "terms that were renewed, on the last day of the grace after their end", finest=Grain.DAY),
    _count(
        "terms_retained",
        "terms after which the account stayed a customer, on the last day of the grace after their end",
        finest=Grain.DAY,
    ),
    _money(
        "terms_kept_amount",
        "what the account stayed for after its term, on the last day of the grace after its end",
        finest=Grain.DAY,
    ),
)

SPEND = (
    _money("spend", "marketing and sales spend, on its day"),
    _count("reps_hired", "sales representatives hired"),
    _count("reps_trained", "trainings of sales representatives"),
    _millis("training_millis", "time in training"),
    _count("onboarding_steps", "steps that representatives have to do to be on board", stock=True),
    _count("onboarding_done", "such steps that are done", stock=True),
    _count("metric_count", "values recorded of metrics of one's own; by metric only"),
    _count("metric_sum", "sums of these values, in 1/10,000; by metric only"),
    _count("metric_level", "last values of each subject, in 1/10,000; by metric only", stock=True),
    Measure("metric_values", Kind.NUMBERS, "the values one by one, in 1/10,000; by metric only"),
)

#: Rows of the prediction folds know these by their places: append only.
PREDICTIONS = (
    _money("expected_amount", "amounts of open deals, each times its probability of being won as last predicted", stock=True),
    _count("expected_deals", "open deals whose amount counts in expected_amount", stock=True),
    _count(
        "expected_unproven",
        "open deals in expected_amount of which a model spoke that is not yet better than the average of the stage",
        stock=True,
    ),
)

#: The measures of each fold, in stored order.
MEASURES: dict[str, tuple[Measure, ...]] = {
    "deals": DEALS,
    "leads": LEADS,
    "engagement": ENGAGEMENT,
    "customers": CUSTOMERS,
    "spend": SPEND,
    "predictions": PREDICTIONS,
}

#: The folds whose entities keep their facts, so that a measure can be booked from them again; but for these measures.
LOGGED = frozenset({"deals", "leads"})
UNLOGGED = frozenset({"deal_activities", "meetings", "signatures"})

#: By which rules these folds book, where they have changed: what was kept under others is brought in line
#: (``models/folds/evolve.py``).
#: deals 1: an edit opens no deal. leads 1: a contact long before somebody became a lead answers nothing.
RULES = {"deals": 1, "leads": 1}

#: What a deal or lead counts for at its creation, close, conversion or age: known also where its oldest facts are folded away.
FROM_PRESENT = frozenset(
    {
        "deals_created",
        "deals_won",
        "deals_lost",
        "won_amount",
        "lost_amount",
        "won_sized",
        "lost_sized",
        "won_sizes",
        "cycle_millis",
        "cycle_won",
        "deal_lengths",
        "close_millis",
        "close_known",
        "lead_cycle_millis",
        "lead_cycle_won",
        "won_list_amount",
        "won_listed_amount",
        "won_listed",
        "won_below_list",
        "won_told",
        "won_cross_sold",
        "won_upsold",
        "losses",
        "loss_amount",
        "created_amount",
        "won_cost",
        "won_costed",
        "due_deals",
        "due_amount",
        "deals_given",
        "deals_varied",
        "deals_won_after",
        "won_ahead",
        "won_ahead_listed",
        "won_ahead_below",
        *(m.name for m in LEADS),
    }
)

#: Former names of measures: stored rows that have the old name are read under the new one.
RENAMED: dict[str, str] = {}


def renamed(name: str) -> str:
    """Return the present name of a measure."""
    return RENAMED.get(name, name)


#: Every measure by name, with the fold that keeps it.
BY_NAME: dict[str, tuple[str, Measure]] = {m.name: (fold, m) for fold, ms in MEASURES.items() for m in ms}
