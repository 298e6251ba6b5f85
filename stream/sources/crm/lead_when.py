"""Which contacts of a CRM are leads?"""

from collections.abc import Mapping
from typing import Any

from stream.sources.crm.lookup import word
from stream.sources.crm.settings import SourceSettings
from stream.sources.crm.values import text

#: By field, the values that make a contact a lead.
When = Mapping[str, tuple[str, ...]]


def lead_fields(settings: SourceSettings, known: When | None = None) -> When | None:
    """Return what makes a contact a lead, by the settings, else what is ``known`` of the CRM; None where each of them is one."""
    if settings.lead_when is None:
        return known
    return None if settings.lead_when == "always" else settings.lead_when


def makes_lead(name: str, value: Any, when: When) -> bool:
    """Whether a field with this value makes a contact a lead."""
    accepted = {word(one) for one in when.get(name, ())}
    found = {word(part) for one in (value if isinstance(value, list) else [value]) for part in (text(one, name) or "").split(";")}
    return bool(found & accepted) or ("*" in accepted and found != {""})
