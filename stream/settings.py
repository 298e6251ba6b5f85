"""What did the operator ask for? One YAML file plus environment, every problem reported at once.

Precedence: environment (``VIGIE_SECTION__NAME``; ``VIGIE_SECTION__NAME_FILE`` reads the value from a file, for secrets), then
the YAML file, then the defaults.
"""

import os
import re
import socket
from collections.abc import Mapping
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote
from zoneinfo import available_timezones

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from models.business import Business
from models.kpis.targets import Target, Targets
from models.money import Rates
from models.owners import Owners
from stream.owners import OwnerSettings, owners_of
from stream.sites import CollectSettings

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*$")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def parse_duration(value: Any) -> int:
    """Return milliseconds for ``"250ms"``, ``"30s"``, ``"5m"``, ``"72h"``, ``"30d"``, ``"2w"``; else raise ``ValueError``."""
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return 0
    found = _DURATION.match(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"not a duration: {value!r} (accepted: a number and ms, s, m, h, d or w, such as 30d)")
    return round(float(found[1]) * _UNITS[found[2]])


Duration = Annotated[int, BeforeValidator(lambda v: v if type(v) is int and v > 0 else parse_duration(v))]


class SettingsError(ValueError):
    """The settings cannot be used; ``problems`` lists all that is wrong, each with its path."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class KafkaSettings(_Section):
    """Where the events are: ``embedded`` is the in-process broker, which keeps nothing."""

    brokers: str = "embedded"
    topic_prefix: str = ""
    partitions: int = Field(8, ge=1, le=1024)
    replication: int = Field(1, ge=1, le=9)
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    ssl_ca: Path | None = None
    """The authorities that a broker's certificate may come from (PEM); without it, the system's."""
    ssl_certificate: Path | None = None
    """Our own certificate (PEM), for brokers that ask for one."""
    ssl_key: Path | None = None
    ssl_key_password: SecretStr = SecretStr("")
    session_timeout: Duration = 10_000

    @property
    def embedded(self) -> bool:
        """Whether the broker is the in-process one."""
        return self.brokers == "embedded"


class RedisSettings(_Section):
    """The cache; ``memory://`` is an in-process stand-in. Losing it loses nothing."""

    url: SecretStr = SecretStr("memory://")


class OperatorSettings(_Section):
    """Somebody with a bearer token: ``operate`` may acknowledge and silence alerts over the API, ``read`` only see who did."""

    name: str = Field(min_length=1, max_length=100)
    token: SecretStr = Field(min_length=16)
    role: Literal["read", "operate"] = "operate"


class LinkKeySettings(_Section):
    """A key that signs links; its id is part of them."""

    id: str = Field(pattern="^[A-Za-z0-9_-]{1,20}$")
    key: SecretStr = Field(min_length=32)


class LinksSettings(_Section):
    """The signed links of messages: the first key signs, all of them verify. Without a key there are no links."""

    keys: list[LinkKeySettings] = []
    valid: Duration = parse_duration("7d")

    @model_validator(mode="after")
    def _sound(self) -> "LinksSettings":
        ids = [key.id for key in self.keys]
        for id_ in {id_ for id_ in ids if ids.count(id_) > 1}:
            raise ValueError(f"keys: {id_!r} is there twice (accepted: an id of its own for each)")
        return self


class WebSettings(_Section):
    """Where the page, the API and the metrics listen, and who may act on alerts over the API."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    public_url: str = ""
    operators: list[OperatorSettings] = []
    links: LinksSettings = LinksSettings()

    @model_validator(mode="after")
    def _reachable(self) -> "WebSettings":
        if self.links.keys and not self.public_url.startswith(("http://", "https://")):
            raise ValueError(
                "links: need public_url, the address that people reach (accepted: such as https://vigie.example.com)"
            )
        return self


class RateStep(_Section):
    """An exchange rate from a day on: units of the business currency for one unit."""

    since: date = Field(alias="from")
    rate: float = Field(gt=0, allow_inf_nan=False)


class StageSettings(_Section):
    """One stage of a pipeline."""

    name: str
    kind: Literal["open", "won", "lost"] = "open"


class PipelineSettings(_Section):
    """One sales process, its stages in order."""

    stages: list[StageSettings]


class BusinessSettings(_Section):
    """The company's own definitions (``models/business.py``)."""

    timezone: str = "UTC"
    currency: str = Field("EUR", pattern="^[A-Z]{3}$")
    rates: dict[str, float | list[RateStep]] = {}
    maturity: Duration = Business.maturity
    session_gap: Duration = Business.session_gap
    dedup_horizon: Duration = Business.dedup_horizon
    visit_horizon: Duration = Business.visit_horizon
    acquisition_lag: Duration = 0
    segment_limit: int = Field(Business.segment_limit, ge=1)
    keep_minutes: Duration = Business.keep_minutes
    keep_hours: Duration = Business.keep_hours
    keep_days: Duration = Business.keep_days
    pipelines: dict[str, PipelineSettings] = {}

    @model_validator(mode="after")
    def _sound(self) -> "BusinessSettings":
        if self.timezone not in available_timezones():
            raise ValueError(f"timezone: unknown time zone {self.timezone!r} (accepted: tz database names, such as Europe/Paris)")
        for code, rate in self.rates.items():
            if not re.fullmatch("[A-Z]{3}", code):
                raise ValueError(f"rates: {code!r} is not a currency (accepted: ISO 4217 codes, such as USD)")
            if (isinstance(rate, list) and not rate) or (isinstance(rate, float) and not 0 < rate < float("inf")):
                raise ValueError(f"rates: {code}: found {rate!r} (accepted: a number above 0, or a list of from and rate)")
        return self

    def business(self) -> Business:
        """Return the pure code's form."""
        table = {
            code: [(_midnight(step.since), Fraction(str(step.rate))) for step in rate]
            if isinstance(rate, list)
            else [(0, Fraction(str(rate)))]
            for code, rate in self.rates.items()
        }
        same = self.model_dump(exclude={"rates", "pipelines"})
        kinds = {s.name: s.kind for p in self.pipelines.values() for s in p.stages}
        return Business(rates=Rates(self.currency, table), stage_kinds=kinds, **same)


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


class ReceiverSettings(_Section):
    """Where alerts go. Which of the fields a type needs and takes is in ``RECEIVER_FIELDS``."""

    name: str = Field(min_length=1, max_length=100)
    type: Literal["console", "http", "slack", "email", "pagerduty", "trello", "asana", "monday", "apprise"]
    url: SecretStr | None = None
    secret: SecretStr | None = None
    token: SecretStr | None = None
    channel: str = ""
    signing_secret: SecretStr | None = None
    routing_key: SecretStr | None = None
    host: str = ""
    port: int | None = Field(None, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: SecretStr | None = None
    sender: str = ""
    to: list[str] = []
    key: SecretStr | None = None
    place: str = Field("", pattern="^[A-Za-z0-9]{0,64}$")  # Trello's list, Asana's project, Monday's board
    title: str = "{title}"
    text: str = "{text}"

    @model_validator(mode="after")
    def _whole(self) -> "ReceiverSettings":
        needed, taken = RECEIVER_FIELDS[self.type]
        for name in needed:
            if not getattr(self, name):
                raise ValueError(f"receiver {self.name!r}: type {self.type} needs {name}")
        for name in sorted(self.model_fields_set - {"name", "type", *needed, *taken}):
            accepted = ", ".join(("name", "type", *needed, *taken))
            raise ValueError(f"receiver {self.name!r}: {name} does not go with type {self.type} (accepted: {accepted})")
        if self.type == "slack" and bool(self.url) == bool(self.token):
            raise ValueError(
                f"receiver {self.name!r}: type slack needs url (of an incoming webhook), or token (of a bot) and channel"
            )
        if self.signing_secret and not self.token:
            raise ValueError(
                f"receiver {self.name!r}: signing_secret goes with a bot's token: an incoming webhook has no buttons"
            )
        if self.type == "slack" and self.token and not self.channel:
            raise ValueError(f"receiver {self.name!r}: a bot's token needs channel")
        if self.password and self.tls == "none" and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError(f"receiver {self.name!r}: a password is not sent without TLS (accepted: tls: starttls or tls)")
        return self


#: By type: the fields it needs, and those it takes too.
RECEIVER_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "console": ((), ()),
    "http": (("url",), ("secret",)),
    "slack": ((), ("url", "token", "channel", "signing_secret")),
    "email": (("host", "sender", "to"), ("port", "tls", "username", "password")),
    "pagerduty": (("routing_key",), ("url",)),
    "trello": (("key", "token", "place"), ("title", "text", "url")),
    "asana": (("token", "place"), ("title", "text", "url")),
    "monday": (("token", "place"), ("title", "text", "url")),
    "apprise": (("url",), ()),
}


class TargetSettings(_Section):
    """A quota: what a KPI is to reach by the end of each such period, in its own unit; ``for`` names one owner, team …"""

    kpi: str
    period: Literal["day", "week", "month", "quarter"]
    value: float = Field(gt=0, allow_inf_nan=False)
    segment: dict[str, str] = Field({}, alias="for", max_length=1)
    since: date = Field(date.min, alias="from")

    def target(self) -> Target:
        """Return the pure code's form."""
        place = next((f"{name}={value}" for name, value in self.segment.items()), "total")
        return Target(self.kpi, self.period, place, self.value, self.since.toordinal())


class MetricsSettings(_Section):
    """Which readings are exported to Prometheus."""

    windows: list[str] = ["1h", "24h", "7d", "30d"]
    dimensions: list[str] = ["source", "owner", "stage"]
    segments: int = Field(20, ge=0, le=1000)


class CrmUrls(_Section):
    """Where the pages of one sender's deals and leads are: addresses with ``{id}`` in them."""

    deal: str | None = None
    lead: str | None = None

    @model_validator(mode="after")
    def _addresses(self) -> "CrmUrls":
        for name, url in (("deal", self.deal), ("lead", self.lead)):
            if url is not None and (not url.startswith(("https://", "http://")) or "{id}" not in url):
                raise ValueError(f"{name}: found {url!r} (accepted: an address with {{id}} in it, such as https://…/deal/{{id}})")
        return self


class ModelsSettings(_Section):
    """The predictions: whether there are any, how often a model's news goes round, and what to begin with."""

    live: bool = True
    interval: Duration = 60_000  # the least time between two bulletins of a model; early ones go out sooner
    asks: int = Field(100, ge=10, le=1_000_000)  # questions and answers a second, at most, of a worker with all partitions
    start: dict[Literal["deal", "lead"], Path] = {}  # models to begin with where nothing has been learnt (vigie models warm)


class Settings(_Section):
    """All of it."""

    application: str = Field("vigie", pattern="^[A-Za-z0-9._-]{1,100}$")
    instance: str = Field(default_factory=socket.gethostname, pattern="^[A-Za-z0-9._-]{1,100}$")
    data_dir: Path = Path("data")
    checkpoint_interval: Duration = 250
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    web: WebSettings = WebSettings()
    business: BusinessSettings = BusinessSettings()
    metrics: MetricsSettings = MetricsSettings()
    models: ModelsSettings = ModelsSettings()
    kpi_files: list[Path] = []
    rule_folders: list[Path] = []
    crm_urls: dict[str, CrmUrls] = {}  # by the events' CloudEvents source, such as crm/hubspot
    owners: dict[str, OwnerSettings] | Path = Field({}, repr=False)  # who is behind an owner's id, or the CSV file that says so
    targets: list[TargetSettings] = []
    alerting: dict[str, Any] | Path | None = None  # who is told when (alert_rules/alerting.py), or the file that says so
    receivers: list[ReceiverSettings] = [ReceiverSettings(name="console", type="console")]
    collect: CollectSettings = CollectSettings()
    sources: dict[str, dict[str, Any]] = Field({}, repr=False)  # secrets among them, not masked yet

    def crm_url(self, kind: str, id: str, sender: str) -> str | None:
        """Return the address of the page of a deal or lead (``kind``) at whoever sent its events, None where none is set."""
        urls = self.crm_urls.get(sender)
        template: str | None = getattr(urls, kind, None)
        return None if template is None else template.replace("{id}", quote(id, safe=""))

    @cached_property
    def people(self) -> Owners:
        """The owners by id; ``ValueError`` where the file with them cannot be used (:func:`load` says so at the start)."""
        return owners_of(self.owners)

    def quotas(self) -> Targets:
        """Return the targets as the rules' readings are compared with them."""
        return Targets(target.target() for target in self.targets)


def config_file(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the file that settings are read from: the one named, that of VIGIE_CONFIG, or vigie.yaml where it exists."""
    named = path or (Path(found) if (found := (os.environ if environ is None else environ).get("VIGIE_CONFIG")) else None)
    return named or (Path("vigie.yaml") if Path("vigie.yaml").is_file() else None)


def load(path: Path | None = None, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Return the settings from a YAML file (default ``vigie.yaml`` or ``VIGIE_CONFIG`` where it exists) and the environment.

    ``overrides`` are dotted through double underscores (``kafka__brokers="…"``) and win. Raise :class:`SettingsError`.
    """
    environ = os.environ if environ is None else environ
    tree: dict[str, Any] = {}
    where = "settings"
    file = config_file(path, environ)
    if file is not None:
        where = str(file)
        tree = _read(file)
    problems: list[str] = []
    for name, value in environ.items():
        if name.startswith("VIGIE_") and name not in ("VIGIE_CONFIG", "VIGIE_DATA", "VIGIE_TOKEN"):
            _place(tree, name, value, problems)
    for name, value in overrides.items():
        if value is not None:
            _set(tree, name.split("__"), value)
    try:
        settings = Settings.model_validate(tree)
        try:
            _ = settings.people
        except ValueError as error:
            problems += [f"{where}: owners: {line}" for line in str(error).splitlines()]
    except ValidationError as error:
        for item in error.errors():
            path_ = ".".join(str(part) for part in item["loc"]) or "(top)"
            # A secret's value must not be echoed: only short, plain values are shown.
            found = item.get("input")
            secret = any(word in path_ for word in ("password", "secret", "url", "token", "key"))
            shown = (
                f" (found {found!r})"
                if isinstance(found, str | int | float) and not secret and item["type"] != "value_error"
                else ""
            )
            problems.append(f"{where}: {path_}: {item['msg'].removeprefix('Value error, ')}{shown}")
    if problems:
        raise SettingsError(problems)
    return settings


def _read(file: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{file}: cannot be read: {error}"]) from error
    except yaml.YAMLError as error:
        raise SettingsError([f"{file}: not YAML: {error}"]) from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError([f"{file}: found a {type(tree).__name__} (accepted: a mapping of sections)"])
    return tree


def _place(tree: dict[str, Any], name: str, value: str, problems: list[str]) -> None:
    """Put one environment variable into the tree; lists and mappings may be given as YAML."""
    parts = name.removeprefix("VIGIE_").lower().split("__")
    if parts[-1].endswith("_file") and parts[-1] != "kpi_file":
        try:
            value = Path(value).read_text("utf-8").strip()
        except OSError as error:
            problems.append(f"environment: {name}: cannot be read: {error}")
            return
        parts[-1] = parts[-1].removesuffix("_file")
        _set(tree, parts, value)
        return
    try:
        _set(tree, parts, yaml.safe_load(value) if value.startswith(("[", "{")) else value)
    except yaml.YAMLError as error:
        problems.append(f"environment: {name}: not YAML: {error}")


def _set(tree: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        below = tree.get(part)
        if not isinstance(below, dict):
            below = tree[part] = {}
        tree = below
    tree[parts[-1]] = value
