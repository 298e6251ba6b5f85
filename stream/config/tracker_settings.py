"""Which web sites' pages may send what visitors do, and who is not listened to (``collect.*``)?

A site's key is public, anybody can read it in the page: it names the site and proves nothing. What keeps strangers within bounds
is the origin that browsers state, the rates, and the filter of robots.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from stream.config.networks import Network, client_of, networks

#: Well-known robots, by what their user agents have in them. Cubot is a telephone.
ROBOTS = (
    r"(?<!cu)bot(?:\b|_)|crawl|spider|slurp|archiver|transcoder|facebookexternalhit|meta-external|whatsapp/|embedly|"
    r"mediapartners|google-(?:inspectiontool|read-aloud|extended|safety)|googleother|apis-google|feedfetcher|bingpreview|"
    r"lighthouse|pagespeed|gtmetrix|ptst|pingdom|uptime|statuscake|site24x7|datadog|monitoring|newrelic|nagios|"
    r"chatgpt|gptbot|perplexity|claude-|bytespider|ahrefs|semrush|dataprovider|scrapy|"
    r"curl/|wget|libwww|python|aiohttp|httpx|okhttp|go-http-client|java/|apache-httpclient|axios|node-fetch|undici|guzzle|"
    r"postmanruntime|insomnia|powershell|winhttp"
)
#: Browsers that nobody looks at: tests, and robots that pretend.
HEADLESS = r"headless|phantomjs|electron/.*nightmare|puppeteer|playwright|selenium|cypress"

_ORIGIN = re.compile(r"https?://(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[0-9]{1,5})?|https?://\[[0-9a-f:]+\](?::[0-9]{1,5})?")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _origin(found: str) -> str:
    text = found.strip().lower().rstrip("/")
    if text == "null":
        return text
    parts = urlsplit(text) if text.count("://") == 1 else None
    if parts is None or _ORIGIN.fullmatch(text) is None or (parts.port or 1) > 65535:
        raise ValueError(
            "accepted are scheme and host as browsers state them, such as https://www.example.com, "
            "https://*.example.com for every host below it, or null for pages with the policy no-referrer"
        )
    # Browsers leave the scheme's own port out.
    usual = {"http": ":80", "https": ":443"}[parts.scheme]
    return text.removesuffix(usual)


Origin: TypeAlias = Annotated[str, AfterValidator(_origin)]


class SiteSettings(_Part):
    """One web site: the key in its pages, the origins its pages have, and how much it may send."""

    key: str = Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")
    origins: tuple[Origin, ...] = Field(min_length=1)
    source: str = Field("", max_length=100)
    """The events' ``source``; without it, ``web/<name>``."""
    demo_forms: frozenset[str] = frozenset()
    """Names of forms by which visitors ask for a demonstration."""
    rate: float = Field(500, ge=0)
    """Requests a second of the whole site; beyond it 429. 0: no limit."""

    sources: frozenset[str] = frozenset()
    """Sources (``utm_source`` and the like) that are always taken, beside those that the figures have."""
    campaigns: frozenset[str] = frozenset()
    """Campaigns that are always taken."""
    new_names: int = Field(60, ge=0)
    """New sources an hour, and as many campaigns and pages, that pages of this site may add; what is beyond is ``other``."""

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin belong to the site."""
        found = origin.lower()
        for allowed in self.origins:
            scheme, wild, rest = allowed.partition("://*.")
            if found == allowed or (wild and found.startswith(f"{scheme}://") and found.endswith(f".{rest}")):
                return True
        return False


class BotSettings(_Part):
    """Who is not counted as a visitor."""

    known: bool = True
    """Leave out well-known robots, by their user agents, and requests that have none."""
    headless: bool = True
    """Leave out browsers that are driven by a program."""
    also: tuple[str, ...] = ()
    """Further regular expressions, searched for in the user agent, whatever the case."""

    @field_validator("also")
    @classmethod
    def _patterns(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in found:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"no regular expression: {error.msg}") from None
        return found

    @cached_property
    def _searched(self) -> re.Pattern[str] | None:
        parts = [*([ROBOTS] if self.known else []), *([HEADLESS] if self.headless else []), *self.also]
        return re.compile("|".join(f"(?:{part})" for part in parts), re.IGNORECASE) if parts else None

    def robot(self, agent: str) -> bool:
        """Whether this user agent is a robot's."""
        if not agent.strip():
            return self.known
        # Bounded: a pattern of the operator's own may be slow on long texts.
        return self._searched is not None and self._searched.search(agent[:512]) is not None


class CollectSettings(_Part):
    """What pages with the tracker may send to ``POST /collect``."""

    sites: dict[str, SiteSettings] = {}
    client_rate: float = Field(10, ge=0)
    """Requests a second of one address (an IPv6 network of 64 bits is one); 5 s' worth at once. 0: no limit."""
    proxies: tuple[str, ...] = ()
    """Networks whose word on the client (``X-Forwarded-For``) is taken, beside those of ``web.proxies``."""
    bots: BotSettings = BotSettings()

    @model_validator(mode="after")
    def _sound(self) -> "CollectSettings":
        keys = [site.key for site in self.sites.values()]
        for name, site in self.sites.items():
            if re.fullmatch("[A-Za-z0-9_.-]{1,64}", name) is None:
                raise ValueError("sites: no name for a site (accepted: letters, digits, _ . - and at most 64)")
            if keys.count(site.key) > 1:
                raise ValueError(f"sites: {name}: another site has the same key")
        try:
            networks(self.proxies)
        except ValueError as error:
            raise ValueError(f"proxies: {error}") from None
        return self

    def client(self, peer: str, forwarded: str, proxies: Sequence[Network] = ()) -> str:
        """Return who sends, for counting (:func:`stream.config.networks.client_of`); ``proxies`` are trusted beside ours."""
        return client_of(peer, forwarded, (*proxies, *networks(self.proxies)))
