"""The record of processing activities (GDPR, article 30) of one installation: made of its settings and of the register.

What only who runs it knows (the legal basis, transfers) is asked for in the settings, and said to be missing until then.
"""

from collections.abc import Iterator
from typing import Any

from models.privacy.fields import FIELDS, Personal
from stream.config.settings import Settings
from stream.engine import register

_OPEN = "to be filled in (privacy.controller)"
_YOURS = "see docs/privacy.md"
#: Whose data a field is, by what the register says of it.
_PERSONS = {
    Personal.YES: "leads, visitors, customers",
    Personal.PERHAPS: "leads, visitors, customers",
    Personal.STAFF: "staff who sell",
}
#: What is done for the security of processing (article 32), and where it is set.
SECURITY = (
    "only who shows a token may read or act where others reach the instance; tokens may be limited (web.operators)",
    "who reads what of persons is written to a log in which a change shows (vigie audit verify)",
    "encrypted on the way to the Kafka and to browsers where TLS is set (kafka.security_protocol, web.tls or a proxy); "
    "on disks by what lies below them",
    "fields may be left out, cut or hashed before they are written (privacy.minimise)",
    "somebody who is erased is gone to the last byte, and late events do not bring them back (vigie privacy erase)",
    "backups of one machine are taken by vigie backup, and a loss is survived as docs/reliability.md says",
)


def record(settings: Settings) -> dict[str, Any]:
    """Return it as JSON: controller, activities, who receives what, transfers, time limits, security."""
    business = settings.business.business()
    said = settings.privacy.controller
    minimised = {name: str(how) for name, how in sorted(settings.privacy.minimise.items())}
    return {
        "controller": {
            "name": said.name or _OPEN, "contact": said.contact or _OPEN,
            "data_protection_officer": said.officer or "none named", "legal_basis": said.legal_basis or _OPEN,
        },
        "activities": list(_activities()),
        "minimised": minimised,
        "objections": len(settings.privacy.objections),
        "sources": sorted({*settings.sources, *(f"tracker of {name}" for name in settings.collect.sites)}),
        "recipients": list(_recipients(settings)),
        "transfers": said.transfers or _OPEN,
        "erased_within": said.erased_within,
        "places": [
            {"where": place.what, "holds": place.holds, "kept": kept or _YOURS} for place, kept in register.places(business)
        ],
        "security": list(SECURITY),
    }  # fmt: skip


def _activities() -> Iterator[dict[str, Any]]:
    """Yield each purpose with whose data it is of, and which fields."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, field in sorted(FIELDS.items()):
        if field.personal is not Personal.NO:
            found.setdefault((field.why, _PERSONS[field.personal]), []).append(name)
    for (why, persons), fields in sorted(found.items()):
        yield {"purpose": why, "persons": persons, "fields": fields}


def _recipients(settings: Settings) -> Iterator[dict[str, str]]:
    """Yield who is told what: by name and kind, never by address."""
    for receiver in settings.receivers:
        yield {"who": f"{receiver.name} ({receiver.type})", "what": "alerts and digests: names of deals and leads, owners"}
    for operator in settings.web.operators:
        yield {"who": f"{operator.name} ({operator.role})", "what": "page, API, tables for other tools"}
    if settings.postgres.url.get_secret_value():
        yield {"who": "the PostgreSQL of postgres.url", "what": "ids, owners, what was said of deals and leads"}
    if "owner" in settings.metrics.dimensions:
        yield {"who": "whoever scrapes /metrics", "what": "figures by owner"}


def text(settings: Settings) -> str:
    """Return it as Markdown: one heading a part, one line a fact."""
    tree = record(settings)
    lines = ["# Record of processing activities (GDPR, article 30)", "", "## Controller"]
    lines += [f"- {name.replace('_', ' ')}: {value}" for name, value in tree["controller"].items()]
    lines += ["", "## Purposes, persons and data"]
    lines += [f"- {one['purpose']} ({one['persons']}): {', '.join(one['fields'])}" for one in tree["activities"]]
    lines += [f"- before it is written, of {name} is kept: {how}" for name, how in tree["minimised"].items()]
    lines += [f"- leads of whom nothing is predicted, as they object: {tree['objections']}"]
    lines += ["", "## Where it comes from", *(f"- {one}" for one in tree["sources"] or ["events that are published"])]
    lines += ["", "## Recipients", *(f"- {one['who']}: {one['what']}" for one in tree["recipients"])]
    lines += ["", "## Transfers to third countries", f"- {tree['transfers']}"]
    lines += ["", "## What is kept where, and how long"]
    lines += [f"- {one['where']}: {one['holds']} ({one['kept']})" for one in tree["places"]]
    lines += [f"- of who asks to be erased nothing, within {tree['erased_within']}"]
    lines += ["", "## Security (article 32)", *(f"- {one}" for one in tree["security"])]
    return "\n".join(lines) + "\n"
