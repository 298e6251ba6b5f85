"""Where do the page, the API and the metrics listen, who may read them, and who may act (``web.*``)?"""

import re
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from stream.config.networks import Network, address_of, networks
from stream.config.sections import Duration, Section, parse_duration

_DIGEST = re.compile("sha256:[0-9a-fA-F]{64}")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9_.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")
_HOST = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


def _token(found: SecretStr) -> SecretStr:
    text = found.get_secret_value()
    if text.startswith("sha256:") and _DIGEST.fullmatch(text) is None:
        raise ValueError("accepted are a token of at least 16 characters, or sha256: and the 64 hexadecimal digits of its hash")
    return found


class OperatorSettings(Section):
    """Somebody with a bearer token: ``operate`` may acknowledge and silence alerts over the API, ``read`` only see.

    Who reads may be told the figures of some owners and teams only (``owners``, ``teams``).
    """

    name: str = Field(min_length=1, max_length=100)
    token: SecretStr = Field(min_length=16)
    """The token, or ``sha256:`` and the hexadecimal hash of it."""
    role: Literal["read", "operate"] = "operate"
    owners: tuple[str, ...] = ()
    """With ``role: read``: the owners (their ids) whose figures are shown, and nobody else's, nor totals."""
    teams: tuple[str, ...] = ()
    """Likewise the teams."""
    expires: datetime | date | None = None
    """From when on the token is of no use: a time, or the beginning of a day (UTC)."""

    _sound = field_validator("token")(_token)

    @model_validator(mode="after")
    def _limited(self) -> "OperatorSettings":
        if (self.owners or self.teams) and self.role != "read":
            raise ValueError("owners, teams: who acts sees everything (accepted: with role: read)")
        return self

    @property
    def until(self) -> int | None:
        """When the token expires, epoch ms."""
        if self.expires is None:
            return None
        end = self.expires if isinstance(self.expires, datetime) else datetime.combine(self.expires, time.min)
        return int((end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp() * 1000)


class LinkKeySettings(Section):
    """A key that signs links; its id is part of them."""

    id: str = Field(pattern="^[A-Za-z0-9_-]{1,20}$")
    key: SecretStr = Field(min_length=32)


class LinksSettings(Section):
    """The signed links of messages: the first key signs, all of them verify. Without a key there are no links."""

    keys: list[LinkKeySettings] = []
    valid: Duration = parse_duration("7d")

    @model_validator(mode="after")
    def _sound(self) -> "LinksSettings":
        ids = [key.id for key in self.keys]
        if len(set(ids)) < len(ids):
            raise ValueError("keys: an id is there twice (accepted: an id of its own for each)")
        return self


class WebSettings(Section):
    """Where the page, the API and the metrics listen, who may read them, and who may act on alerts over the API.

    On this machine's own address (``host`` 127.0.0.1) who asks under a name of this machine may read. Else reading needs
    an operator's token, a session begun with one, or a user whom a trusted proxy names.
    """

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    public_url: str = ""
    hosts: tuple[str, ...] = ()
    """Further names under which this instance is called (``*.example.com`` for all below); addresses always are accepted."""
    cors: tuple[str, ...] = ()
    """Origins of other pages that a browser may let read here (``https://bi.example.com``); they show a token like everybody."""
    embed_in: tuple[str, ...] = ()
    """Origins of pages that may show a view in a frame (``?embed``), such as ``https://wiki.example.com``."""
    anonymous: bool = False
    """Whether anybody who reaches the port may read: for networks where something else keeps others out."""
    proxies: tuple[str, ...] = ()
    """Networks of our own proxies: their word on who asks (``X-Forwarded-For``, ``user_header``) is taken."""
    user_header: str = Field("", pattern="^[A-Za-z0-9-]{0,64}$")
    """The header in which such a proxy names the user it has let in, such as ``X-Forwarded-User`` of oauth2-proxy."""
    metrics_token: SecretStr | None = Field(None, min_length=16)
    """A bearer token that opens ``/metrics`` and nothing else; it may be given as ``sha256:…`` too."""
    session: Duration = parse_duration("12h")
    """How long a browser may read after its user has given a token."""
    operators: list[OperatorSettings] = []
    links: LinksSettings = LinksSettings()

    _sound = field_validator("metrics_token")(lambda found: found and _token(found))

    @field_validator("hosts")
    @classmethod
    def _names(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_HOST.fullmatch(name.lower()) for name in found):
            raise ValueError("accepted are names of hosts such as vigie.example.com or *.example.com, without scheme and port")
        return tuple(name.lower() for name in found)

    @field_validator("cors", "embed_in")
    @classmethod
    def _origins(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(origin) for origin in found):
            raise ValueError("accepted are origins such as https://bi.example.com, without path; not *, which would be everybody")
        return found

    @field_validator("proxies")
    @classmethod
    def _networks(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        networks(found)
        return found

    @model_validator(mode="after")
    def _reachable(self) -> "WebSettings":
        if self.links.keys and not self.public_url.startswith(("http://", "https://")):
            raise ValueError(
                "links: need public_url, the address that people reach (accepted: such as https://vigie.example.com)"
            )
        if self.user_header and not self.proxies:
            raise ValueError("user_header: needs proxies, the networks of those whose word is taken (accepted: 10.0.0.5/32)")
        return self

    @cached_property
    def trusted(self) -> tuple[Network, ...]:
        """The networks of our own proxies."""
        return networks(self.proxies)

    @property
    def local(self) -> bool:
        """Whether only this machine can connect."""
        address = address_of(self.host)
        return self.host == "localhost" or (address is not None and address.is_loopback)
