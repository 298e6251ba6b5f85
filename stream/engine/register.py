"""What personal data is kept, why, where and how long? The register: ``docs/privacy.md`` and ``/privacy.json`` are made of it.

Fields are those of ``models/privacy/fields.py``; how long is what ``stream/engine/retention.py`` says.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from models.business import Business
from models.privacy.fields import FIELDS, Personal
from stream.engine import retention
from stream.engine.topic_list import TOPICS


class RegisterPlace(NamedTuple):
    """Where personal data is kept, what of it, and what an erasure does there: on one machine, and on a Kafka."""

    what: str
    holds: str
    ledger: str
    kafka: str


_EVENTS = "events as they came: subject, links, names, hashes of addresses, pages"
_REWRITTEN = "written anew in one transaction: drawn names for ids, names and hashes taken out"
_ANEW = "written anew in one transaction, and what was before is cut off"
_STATE = "ids, facts one by one, names"
_PRESENT = "the present of each deal or lead: id, name, owner"
_ONLY_STAFF = "owners and teams as segments"

#: Every topic, by name, but those that hold nothing of persons.
_TOPICS: dict[str, str] = {
    **dict.fromkeys(("deals", "leads", "engagement", "customers"), _EVENTS),
    "spend": "who was hired or trained (staff)",
    **dict.fromkeys(("deal-merges", "lead-merges"), "facts of merged deals and leads, with names"),
    **dict.fromkeys(("deal-states", "lead-states"), _PRESENT),
    "customer-moves": "customers: id, name, from which segment to which",
    "customer-states": "customers: id, name, what was bought",
    "examples": "lessons of predictions: id of the deal or lead, and what was known of it",
    "model-snapshots": "values of attributes (owner, team, source, …), no id and no name of a lead",
    "acquaintances": "ids of visitors, leads and deals, counts of visits and e-mails, scores",
    **dict.fromkeys(("predictions", "lead-predictions"), "id, probabilities, owner, team"),
    "deal-outlooks": "id, amount, owner, team",
    "forecasts": _ONLY_STAFF,
    "limits": "",
    "findings": "id, name, owner of a deal or lead that a rule is about",
    "beats": "",
    "panes": _ONLY_STAFF,
    "highlights": "id, name, owner of deals and leads behind a figure",
    "readings": _ONLY_STAFF,
    "objectives": "owners and teams, what they want to reach, texts; who set it or said how far it is (staff)",
    "standings": "owners: their objectives, and who leads in challenges (staff)",
    "alerts": "id, name, owner of what an alert is about; who acknowledged or silenced it",
    "alert-states": "the same of alerts that stand",
    "outbox": "messages with these",
    "dead-letters": "what a sender sent, whole: anything",
    "erasures": "keyed hashes of the ids of who was erased, who asked, when; no id and no name",
    "erasure-requests": "ids of who is to be erased, as a CRM asked; a drawn name once it is done",
    "audit": "who of the staff read or did what, when; keyed hashes of the ids it was about",
}
#: Beside topics.
_ELSEWHERE = (
    RegisterPlace("state of the folds (changelogs on a Kafka)", _STATE, _REWRITTEN, _ANEW),
    RegisterPlace("free pages and the log of the ledger's file; segments on brokers", "what was there",
          "VACUUM, then the log is cut to nothing", "segments of before are deleted by each broker"),
    RegisterPlace("Redis", "keyed hashes of ids of events that a door let in lately (72 h); owners as segments (10 min)",
          "both are deleted, and its own files written anew, where it has any and lets Vigie", "the same"),
    RegisterPlace("/metrics",
          "owners and teams as labels, where `metrics.dimensions` names them; they are another system's then",
          "a drawn name from the next scrape on", "the same"),
    RegisterPlace("PostgreSQL, where `postgres.url` names one",
          "deals, leads, customers: ids, owners, what was said; owners as segments",
          "deals and leads go over to drawn names; daily readings and customers of days before are yours to delete", "the same"),
    RegisterPlace("logs", "ids of events that could not be used, in lines that say why",
          "your log's retention", "your log's retention"),
    RegisterPlace("backups, copies beside the ledger", "all of it",
          "named in the certificate; yours to delete", "yours to delete"),
    RegisterPlace("what was exported or sent (CSV, mails, Slack, …)", "what it says", "yours to delete", "yours to delete"),
    RegisterPlace("settings (owners, people, on call, targets)", "staff by id, name, hash of an address",
          "an owner whom the settings name is refused, and where is said", "the same"),
)  # fmt: skip


def places(business: Business) -> Iterator[tuple[RegisterPlace, str]]:
    """Yield where personal data is kept, and how long."""
    kept = {one.what: one.how_long for one in retention.topics()}
    for topic in TOPICS:
        holds = _TOPICS[topic.name]
        if holds:
            yield RegisterPlace(f"topic {topic.name}", holds, _REWRITTEN, _ANEW), kept[f"topic {topic.name}"]
    state = {one.what: one.how_long for one in retention.state(business)}
    how = {_ELSEWHERE[0].what: "; ".join(f"{what}: {state[what]}" for what in ("a deal", "a lead", "a visitor"))}
    for place in _ELSEWHERE:
        yield place, how.get(place.what, "")


def elsewhere() -> list[str]:
    """Return the places beside topics and state: no export of a person reads them."""
    return [place.what for place in _ELSEWHERE[1:]]


def document(business: Business) -> dict[str, Any]:
    """Return the register as JSON: ``/privacy.json``."""
    return {
        "fields": {
            name: {"personal": str(field.personal), "why": field.why, "when_erased": str(field.erased)}
            for name, field in sorted(FIELDS.items())
        },
        "places": [
            {
                "where": place.what, "holds": place.holds, "kept": how_long,
                "erased_without_kafka": place.ledger, "erased_on_kafka": place.kafka,
            }
            for place, how_long in places(business)
        ],
    }  # fmt: skip


def markdown(business: Business) -> str:
    """Return the tables of ``docs/privacy.md``."""
    lines = ["| field | personal | why it is kept | when somebody is erased |", "|---|---|---|---|"]
    fields = sorted(FIELDS.items(), key=lambda item: (list(Personal).index(item[1].personal), item[0]))
    lines += [f"| `{name}` | {field.personal} | {field.why} | {field.erased} |" for name, field in fields]
    lines += [
        "",
        "| where | what of persons | how long | erased, without a Kafka | erased, on a Kafka |",
        "|---|---|---|---|---|",
    ]
    for place, how_long in places(business):
        lines.append(f"| {place.what} | {place.holds} | {how_long} | {place.ledger} | {place.kafka} |")
    return "\n".join(lines) + "\n"
