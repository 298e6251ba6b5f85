"""What may be set for a source of webhooks (``sources.<name>.*``)?"""

import ipaddress
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from models.config.suggest import meant
from models.events import leads
from models.events.catalogue import STRUCTS
from stream.sources.crm.mapping import WebhookMapping

#: What the senders call the thing that signs: all of them are ``secrets`` here.
SECRET_NAMES = (
    "client_secret",
    "client_secrets",
    "secret",
    "shared_secret",
    "signing_secret",
    "signature_key",
    "webhook_secret",
    "webhook_secrets",
    "signing_key",
    "previous_secret",
    "public_key",
    "public_keys",
)
#: At most so many at a time: the new one, the old one, and room for a second sender.
SECRETS_LIMIT = 8
ATTRIBUTES = frozenset(leads.LeadAttributes.__struct_fields__)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(_Part):
    """What one of the CRM's stage ids means: a name people know, and whether the deal is open, won or lost in it."""

    name: str | None = None
    kind: Literal["open", "won", "lost"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, found: object) -> object:
        if isinstance(found, str):
            return {"kind": found} if found in ("open", "won", "lost") else {"name": found}
        return found


class SourceSettings(_Part):
    """The settings of one source. Secrets may be several at a time, so that they can be changed without a gap.

    An adapter that has settings of its own declares a subclass.
    """

    adapter: str | None = None
    """The kind of sender; without it, the source's own name."""
    source: str | None = None
    """The events' ``source``; without it, ``crm/<name>``."""
    secrets: tuple[SecretStr, ...] = ()
    username: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    """For senders that cannot sign: ``Authorization: Bearer …``, or ``?token=…`` in the address."""
    organization_id: str | None = None
    public_url: str | None = None
    """Scheme and host (and a proxy's prefix) of the address that the sender calls; without it, ``web.public_url``."""
    tolerance_seconds: int = Field(300, ge=1, le=3600)
    networks: tuple[str, ...] = ()
    """Only requests from these networks (CIDR) are looked at; empty: from anywhere."""
    rate: float = Field(0, ge=0)
    """Requests a second; beyond it the answer is 429. 0: no limit."""
    timezone: str = "UTC"
    """Where the CRM's days begin: a close date that comes as an instant is the day it is there."""
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    """For amounts that come without one."""
    stages: dict[str, Stage] = {}
    owners: dict[str, str] = {}
    pipelines: dict[str, str] = {}
    fields: dict[str, str] = {}
    """More of the CRM's fields, by the attribute they are: ``{deal_region__c: region}``."""
    events: dict[str, str] = {}
    """Segment, RudderStack: names of track calls, by the type of event they are."""
    lead_statuses: dict[str, Literal["contacted", "mql", "sql", "converted", "disqualified", "open"]] = {}
    deal_statuses: dict[str, Literal["open", "won", "lost", "deleted"]] = {}
    """Pipedrive: words for a deal's status that are not known."""
    leads: Literal["person", "lead"] = "lead"
    """Pipedrive: which of its two objects are the leads."""
    lead_when: Literal["always"] | dict[str, tuple[str, ...]] | None = None
    """Which contacts are leads: those with one of these values in one of these fields (``"*"``: any); None: the adapter's own."""
    names: Literal["all", "deals", "none"] = "all"
    """Which names go on: also those of people (leads), only those of deals and accounts, or none."""
    mapping: WebhookMapping | None = None
    """Standard Webhooks: what in a payload is what."""

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, found: object) -> object:
        if not isinstance(found, Mapping):
            return found
        tree = dict(found)
        gathered: list[Any] = []
        for name in ("secrets", *SECRET_NAMES):
            given = tree.pop(name, None)
            if given is not None:
                gathered += given if isinstance(given, list | tuple) else [given]
        gathered = [secret for secret in gathered if secret != ""]
        if len(gathered) > SECRETS_LIMIT:
            raise ValueError(f"secrets: found {len(gathered)} (accepted: {SECRETS_LIMIT})")
        if gathered:
            tree["secrets"] = gathered
        return tree

    @field_validator("timezone")
    @classmethod
    def _zone(cls, found: str) -> str:
        try:
            ZoneInfo(found)
        except (KeyError, ValueError, OSError):
            raise ValueError("unknown time zone (accepted: tz database names, such as Europe/Paris)") from None
        return found

    @field_validator("networks")
    @classmethod
    def _networks(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        for network in found:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ValueError("accepted are networks such as 10.0.0.0/8") from None
        return found

    @field_validator("events")
    @classmethod
    def _types(cls, found: dict[str, str]) -> dict[str, str]:
        for kind in found.values():
            if kind not in STRUCTS or kind.endswith(".absorbed"):
                raise ValueError(f"{kind!r} is no type of event (accepted: {', '.join(STRUCTS)})")
        return found

    @field_validator("lead_when", mode="before")
    @classmethod
    def _values(cls, found: object) -> object:
        if not isinstance(found, Mapping):
            return found
        listed = {name: values if isinstance(values, list | tuple) else [values] for name, values in found.items()}
        if not listed or not all(listed.values()):
            raise ValueError('lead_when: found nothing that makes a lead (accepted: always, or fields with values, or "*")')
        return {name: [str(value) for value in values] for name, values in listed.items()}

    @field_validator("fields")
    @classmethod
    def _attributes(cls, found: dict[str, str]) -> dict[str, str]:
        for attribute in found.values():
            if attribute not in ATTRIBUTES:
                raise ValueError(f"no attribute{meant(attribute, ATTRIBUTES)} (accepted: {', '.join(sorted(ATTRIBUTES))})")
        return found

    @cached_property
    def keys(self) -> tuple[bytes, ...]:
        """The secrets as bytes."""
        return tuple(secret.get_secret_value().encode("utf-8", "surrogatepass") for secret in self.secrets)

    @property
    def verifiable(self) -> bool:
        """Whether there is anything to verify requests by."""
        return bool(self.keys or self.password or self.token or self.organization_id)

    @cached_property
    def zone(self) -> ZoneInfo:
        """Where the CRM's days begin."""
        return ZoneInfo(self.timezone)

    @cached_property
    def allowed(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The networks of the allow-list."""
        return tuple(ipaddress.ip_network(network, strict=False) for network in self.networks)

    def address(self, url: str, public_url: str = "") -> str:
        """Return the address that the sender called, of which ``url`` has the path and query as they arrived.

        Scheme and host are those of this source's ``public_url``, else of the one given; without either, ``url`` stands.
        """
        base = (self.public_url or public_url).rstrip("/")
        if not base:
            return url
        parts = urlsplit(url)
        rest = url[len(parts.scheme) + 3 + len(parts.netloc) :] if parts.netloc else url
        prefix = urlsplit(base).path
        if prefix and rest.partition("?")[0].startswith(prefix):
            base = base.removesuffix(prefix)
        return base + rest

    def admits(self, address: str) -> bool:
        """Whether a request may come from this address."""
        if not self.allowed:
            return True
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None) or found
        return any(mapped in network for network in self.allowed if network.version == mapped.version)


class SourceProblem(ValueError):
    """The settings of a source cannot be used; ``problems`` has a line each, without any value that may be a secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def overridden(tree: Mapping[str, Any], by: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings ``tree`` with others over them; secrets replace secrets, whatever they are called."""
    secrets = {"secrets", *SECRET_NAMES}
    kept = {name: value for name, value in tree.items() if not (name in secrets and secrets & by.keys())}
    return kept | dict(by)
