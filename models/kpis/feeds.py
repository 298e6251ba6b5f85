"""Which events does a KPI live on: those that make it count, and those that correct what it has counted?"""

from typing import NamedTuple

from models.events.catalogue import TOPIC_OF
from models.kpis.entry import Kpi
from models.measures import BY_NAME


class Feeds(NamedTuple):
    """Types of events, sorted: those that count, and the others that may change or take back what counted."""

    counting: tuple[str, ...]
    correcting: tuple[str, ...]


_DEAL_ENDS = ("deal.won", "deal.lost", "deal.stage_changed")
_SESSIONS = tuple(kind for kind in TOPIC_OF if kind.startswith("web."))
_INVOICES = ("customer.invoiced", "customer.renewed")

#: Prefixes of measures by fold, the longest that fits stands, and the events that make them count.
_COUNTING: dict[str, dict[str, tuple[str, ...]]] = {
    "deals": {
        "deals_given": ("deal.created", "deal.updated"),
        "deals_varied": ("deal.created", "deal.updated"),
        "deals_created": ("deal.created",),
        "deals_won_after": _DEAL_ENDS,
        "deals_cancelled": ("deal.lost", "deal.reopened", "deal.stage_changed"),
        "created_amount": ("deal.created", "deal.updated"),
        "deals_won": ("deal.won", "deal.stage_changed"),
        "won_": ("deal.won", "deal.stage_changed", "deal.updated"),
        "cycle_": ("deal.won", "deal.stage_changed"),
        "lead_cycle_": ("deal.won", "deal.stage_changed"),
        "deals_lost": ("deal.lost", "deal.stage_changed"),
        "lost_": ("deal.lost", "deal.stage_changed", "deal.updated"),
        "loss": ("deal.lost", "deal.stage_changed", "deal.updated"),
        "close_": _DEAL_ENDS,
        "deal_lengths": _DEAL_ENDS,
        "open_": ("deal.created", "deal.stage_changed", "deal.reopened", "deal.updated"),
        "open_clock": ("deal.created", "deal.reopened", *_DEAL_ENDS),
        "stage_": ("deal.created", "deal.reopened", *_DEAL_ENDS),
        "deals_unknown": ("deal.updated",),
        "deal_activities": ("deal.activity",),
        "meetings": ("deal.activity",),
        "signatures": ("deal.activity",),
        "closes_pushed": ("deal.updated", "deal.stage_changed"),
        "due_": ("deal.created", "deal.updated", "deal.stage_changed", "deal.reopened"),
        "deals_promised": ("deal.created", "deal.updated", "deal.stage_changed"),
        "deals_slipped": ("deal.created", "deal.updated", "deal.stage_changed"),
    },
    "leads": {
        "": ("lead.created",),
        "leads_mql": ("lead.qualified",),
        "leads_sql": ("lead.qualified",),
        "leads_converted": ("lead.converted",),
        "leads_matured_converted": ("lead.converted",),
        "leads_answered": ("lead.contacted", "lead.converted"),
        "response_millis": ("lead.contacted", "lead.converted"),
        "leads_scored": ("lead.created", "lead.updated"),
        "lead_scores": ("lead.created", "lead.updated"),
        "converted_": ("lead.converted",),
        "leads_bant": ("lead.created", "lead.updated"),
        "leads_to_deal": ("lead.converted",),
        "leads_disqualified": ("lead.disqualified",),
        "leads_in_time": ("lead.contacted", "lead.converted"),
        "preparation_millis": ("lead.contacted",),
        "leads_prepared": ("lead.contacted",),
        "contact_attempts": ("lead.contact_attempted", "lead.contacted"),
    },
    "engagement": {
        "session": _SESSIONS,
        "visitors": _SESSIONS,
        "page_": ("web.page_viewed",),
        "cta_clicks": ("web.cta_clicked",),
        "forms_submitted": ("web.form_submitted",),
        "forms_": ("web.form_started", "web.form_abandoned", "web.form_submitted"),
        "demos_requested": ("web.demo_requested",),
        "emails_sent": ("email.sent",),
        "emails_opened": ("email.opened",),
        "emails_clicked": ("email.clicked",),
        "emails_bounced": ("email.bounced",),
        "ads_impressed": ("ad.impressed",),
        "ads_clicked": ("ad.clicked",),
        "ad_cost": ("ad.impressed", "ad.clicked"),
        "social_reached": ("social.reached",),
        "engagement_cost": tuple(kind for kind in TOPIC_OF if kind.startswith(("email.", "ad.", "social."))),
        "mails_delivered": ("email.sent", "email.bounced"),
        "mails_opened": ("email.opened", "email.clicked"),
        "mails_clicked": ("email.clicked",),
        "machine_opens": ("email.opened",),
    },
    "customers": {
        "customers_new": ("customer.invoiced",),
        "customers_repeated": ("customer.invoiced",),
        "customers_recommending": ("customer.recommended",),
        "recommendations": ("customer.recommended",),
        "first_amount": ("customer.invoiced",),
        "invoice": ("customer.invoiced",),
        "buyers": ("customer.invoiced",),
        "renew": ("customer.renewed",),
        "churns": ("customer.churned",),
        "nps_": ("customer.surveyed",),
        "csat_": ("customer.surveyed",),
        "complaints": ("customer.complained",),
        "supports": ("customer.supported",),
        "support_": ("customer.supported", "customer.complained"),
        "supports_answered": ("customer.supported", "customer.complained"),
        "term": _INVOICES,
        "terms_renewed": ("customer.renewed",),
    },
    "spend": {
        "spend": ("spend.recorded",),
        "reps_hired": ("rep.hired",),
        "reps_trained": ("rep.trained",),
        "training_millis": ("rep.trained",),
        "onboarding_steps": ("rep.hired",),
        "onboarding_done": ("rep.onboarded",),
        "metric_": ("metric.recorded",),
    },
    "predictions": {"": ("deal.created", "deal.updated", "deal.stage_changed")},
}
#: What else may change what entities with a log have counted.
_CORRECTING = {
    "deals": tuple(kind for kind, topic in TOPIC_OF.items() if topic == "deals" and kind != "deal.activity"),
    "leads": tuple(kind for kind, topic in TOPIC_OF.items() if topic == "leads"),
    "engagement": ("web.identified",),
    "customers": ("customer.invoiced", "customer.renewed", "customer.churned", "customer.recommended"),
    "spend": (),
    "predictions": ("deal.won", "deal.lost", "deal.reopened", "deal.merged", "deal.deleted"),
}
_UNCORRECTED = frozenset(
    {"deal_activities", "meetings", "signatures", "recommendations"}
    | {"invoices", "invoiced_amount", "buyers", "renewals", "renewed_amount", "churns"}
)


def counting(measure: str) -> tuple[str, ...]:
    """Return the types of the events that make a measure count."""
    fold, _ = BY_NAME[measure]
    named = _COUNTING[fold]
    prefix = max((prefix for prefix in named if measure.startswith(prefix)), key=len, default="")
    return named.get(prefix) or tuple(kind for kind, topic in TOPIC_OF.items() if topic == fold)


def correcting(measure: str) -> tuple[str, ...]:
    """Return the types of the events that may change or take back what a measure has counted."""
    fold, found = BY_NAME[measure]
    entities = fold in ("deals", "leads", "predictions") or found.name.startswith(("customers_", "first_", "term"))
    return _CORRECTING[fold] if entities and measure not in _UNCORRECTED else ()


def feeds(kpi: Kpi) -> Feeds:
    """Return the events that a KPI lives on."""
    names = {name for formula in kpi.formulas for name in formula.measures}
    counts = {kind for name in names for kind in counting(name)}
    return Feeds(tuple(sorted(counts)), tuple(sorted({kind for name in names for kind in correcting(name)} - counts)))
