"""What did the operator ask for? One YAML file plus environment, every problem reported at once.

Precedence: environment (``VIGIE_SECTION__NAME``; ``VIGIE_SECTION__NAME_FILE`` reads the value from a file, for secrets), then
the YAML file, then the defaults.
"""

import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import ConfigDict, Discriminator, Field, SecretStr, Tag, ValidationError, model_validator

from models.benchmarks import Benchmarks
from models.config.problem import FileProblem
from models.config.yaml_text import NotYaml, Place, YamlText
from models.goals.kept import targets_of
from models.owners import Owners
from models.targets import Targets
from stream.config.business_settings import BusinessSettings
from stream.config.customer_settings import CustomerSettings
from stream.config.experiment_settings import Experiments
from stream.config.forecast_settings import ForecastSettings
from stream.config.goal_settings import Challenges, Objectives, PeopleSettings, Playbooks
from stream.config.leaderboard_settings import LeaderboardSettings
from stream.config.owners_file import OwnerSettings, owners_of
from stream.config.postgres_settings import PostgresSettings
from stream.config.privacy_settings import PrivacySettings
from stream.config.problems import FILE, TABLE, path_of, problems_of
from stream.config.sections import Duration, Section, parse_duration
from stream.config.target_settings import BenchmarkSettings, TargetSettings
from stream.config.tracing_settings import TracingSettings
from stream.config.tracker_settings import CollectSettings
from stream.config.web_settings import LinkKeySettings, LinksSettings, OperatorSettings, WebSettings
from stream.config.yaml_file import open_yaml

__all__ = [
    "LinkKeySettings", "LinksSettings", "OperatorSettings", "Settings", "SettingsError", "WebSettings", "load", "parse_duration",
]  # fmt: skip


class SettingsError(ValueError):
    """The settings cannot be used; ``problems`` lists all that is wrong, each with its path."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class KafkaSettings(Section):
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


class RedisSettings(Section):
    """The cache; ``memory://`` is an in-process stand-in. Losing it loses nothing."""

    url: SecretStr = SecretStr("memory://")

    @model_validator(mode="after")
    def _address(self) -> "RedisSettings":
        sound = False
        with contextlib.suppress(ValueError):  # its text has the part of the address that is no port: of a password, maybe
            parts = urlsplit(self.url.get_secret_value())
            sound = parts.scheme in ("redis", "rediss", "unix", "memory") and (parts.port or 1) > 0
        if not sound:
            raise ValueError("url: accepted are redis://, rediss://, unix:// and memory://, special characters as %40 for @")
        return self


def _form(found: object) -> str:
    """Which of a table and the path of a file is meant: what is wrong is told of that one."""
    return FILE if isinstance(found, str | Path) else TABLE


class ReceiverEntry(Section):
    """Where alerts go: a name, a type, and what this type takes beside, which ``agents.notifiers`` reads."""

    model_config = ConfigDict(extra="allow")  # secrets among it, not masked yet

    name: str = Field(min_length=1, max_length=100)
    type: str

    def __repr_args__(self) -> Iterator[tuple[str, str]]:
        yield from (("name", self.name), ("type", self.type))


class MetricsSettings(Section):
    """Which readings are exported to Prometheus."""

    windows: list[str] = ["1h", "24h", "7d", "30d"]
    dimensions: list[str] = ["source", "owner", "stage"]
    segments: int = Field(20, ge=0, le=1000)


class CrmUrls(Section):
    """Where the pages of one sender's deals and leads are: addresses with ``{id}`` in them."""

    deal: str | None = None
    lead: str | None = None

    @model_validator(mode="after")
    def _addresses(self) -> "CrmUrls":
        for name, url in (("deal", self.deal), ("lead", self.lead)):
            if url is not None and (not url.startswith(("https://", "http://")) or "{id}" not in url):
                raise ValueError(f"{name}: accepted is an address with {{id}} in it, such as https://…/deal/{{id}}")
        return self


class ModelsSettings(Section):
    """The predictions: whether there are any, how often a model's news goes round, and what to begin with."""

    live: bool = True
    interval: Duration = 60_000  # the least time between two bulletins of a model; early ones go out sooner
    asks: int = Field(100, ge=10, le=1_000_000)  # questions and answers a second, at most, of a worker with all partitions
    start: dict[Literal["deal", "lead"], Path] = {}  # models to begin with where nothing has been learnt (vigie models warm)


class Settings(Section):
    """All of it."""

    application: str = Field("vigie", pattern="^[A-Za-z0-9._-]{1,100}$")
    instance: str = Field(default_factory=socket.gethostname, pattern="^[A-Za-z0-9._-]{1,100}$")
    data_dir: Path = Path("data")
    processes: Literal["auto"] | Annotated[int, Field(ge=1, le=256)] = "auto"
    checkpoint_interval: Duration = 250
    checkpoint_longest: Duration = 2_000
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    logging: Literal["text", "json"] = "text"
    tracing: TracingSettings = TracingSettings()
    kafka: KafkaSettings = KafkaSettings()
    redis: RedisSettings = RedisSettings()
    web: WebSettings = WebSettings()
    business: BusinessSettings = BusinessSettings()
    metrics: MetricsSettings = MetricsSettings()
    models: ModelsSettings = ModelsSettings()
    customers: CustomerSettings = CustomerSettings()
    kpi_files: list[Path] = []
    rule_folders: list[Path] = []
    crm_urls: dict[str, CrmUrls] = {}  # by the events' CloudEvents source, such as crm/hubspot
    # Who is behind an owner's id, or the CSV file that says so.
    owners: Annotated[
        Annotated[dict[str, OwnerSettings], Tag(TABLE)] | Annotated[Path, Tag(FILE)], Discriminator(_form), Field(repr=False)
    ] = {}
    targets: list[TargetSettings] = []
    benchmarks: list[BenchmarkSettings] = []
    experiments: Experiments = []
    leaderboards: LeaderboardSettings = LeaderboardSettings()
    forecast: ForecastSettings = ForecastSettings()
    privacy: PrivacySettings = PrivacySettings()
    objectives: Objectives = []
    challenges: Challenges = []
    playbooks: Playbooks = []
    people_figures: PeopleSettings = Field(PeopleSettings(), alias="people")
    # Who is told when (alert_rules/parse/plan_file.py), or the file that says so.
    alerting: Annotated[Annotated[dict[str, Any], Tag(TABLE)] | Annotated[Path, Tag(FILE)], Discriminator(_form)] | None = None
    receivers: list[ReceiverEntry] = [ReceiverEntry(name="console", type="console")]
    collect: CollectSettings = CollectSettings()
    postgres: PostgresSettings = PostgresSettings()
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
        """Return the targets, those of objectives too, as the rules' readings are compared with them, and the benchmarks."""
        set_ = [target.target() for target in self.targets] + targets_of([one.objective() for one in self.objectives])
        return Targets(set_, Benchmarks(found.benchmark() for found in self.benchmarks))


def config_file(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the file that settings are read from: the one named, that of VIGIE_CONFIG, or vigie.yaml where it exists."""
    named = path or (Path(found) if (found := (os.environ if environ is None else environ).get("VIGIE_CONFIG")) else None)
    return named or (Path("vigie.yaml") if Path("vigie.yaml").is_file() else None)


#: Yields what is wrong in a section, as it was read, that the settings leave to others: where in it, and what is accepted;
#: never a value. What has not the section's own form is passed over, as that is said anyway.
Check = Callable[[Any], Iterable[tuple[Place, str]]]


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    checks: Mapping[str, Check] = MappingProxyType({}),
    **overrides: Any,
) -> Settings:
    """Return the settings from a YAML file (default ``vigie.yaml`` or ``VIGIE_CONFIG`` where it exists) and the environment.

    ``overrides`` are dotted through double underscores (``kafka__brokers="…"``) and win; ``checks`` know by section what
    the settings leave to others. Raise :class:`SettingsError`.
    """
    environ = os.environ if environ is None else environ
    tree: dict[str, Any] = {}
    wrong: list[FileProblem] = []
    lines = YamlText()
    file = config_file(path, environ)
    if file is not None:
        lines = open_yaml(file, wrong)
        tree = _sections(file, lines.tree, wrong)
    problems = [str(problem) for problem in wrong]
    named: dict[tuple[str, ...], str] = {}
    for name, value in environ.items():
        if name.startswith("VIGIE_") and name not in ("VIGIE_CONFIG", "VIGIE_DATA", "VIGIE_TOKEN"):
            parts = _place(tree, name, value, problems)
            named[tuple(parts)] = name
    for name, value in overrides.items():
        if value is not None:
            _set(tree, name.split("__"), value)
            named[tuple(name.split("__"))] = name

    def told(loc: Place, text: str) -> str:
        variable = next((its for parts, its in named.items() if loc[: len(parts)] == parts), None)
        line = lines.line(loc)
        place = f"environment: {variable}" if variable else f"{file or 'settings'}{'' if line is None else f':{line}'}"
        return f"{place}: {path_of(loc)}: {text}"

    settings = None
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        problems += [told(loc, text) for loc, text in problems_of(error, Settings)]
    else:
        try:
            _ = settings.people
        except ValueError as error:
            problems += [told(("owners",), line) for line in str(error).splitlines()]
    for section, check in checks.items():
        problems += [told((section, *loc), text) for loc, text in check(tree.get(section))]
    # Outside of the except: the error that holds the values is nobody's context.
    if problems or settings is None:
        raise SettingsError(problems)
    return settings


def _sections(file: Path, tree: Any, wrong: list[FileProblem]) -> dict[str, Any]:
    """Return the sections; raise :class:`SettingsError` where there are none to look at further."""
    if tree is not None and not isinstance(tree, dict):
        wrong.append(FileProblem(str(file), "", f"found a {type(tree).__name__} (accepted: a mapping of sections)"))
    if wrong and not isinstance(tree, dict):
        raise SettingsError([str(problem) for problem in wrong])
    return tree or {}


def _place(tree: dict[str, Any], name: str, value: str, problems: list[str]) -> list[str]:
    """Put one environment variable into the tree and return where; lists and mappings may be given as YAML."""
    parts = name.removeprefix("VIGIE_").lower().split("__")
    if parts[-1].endswith("_file") and parts[-1] != "kpi_file":
        parts[-1] = parts[-1].removesuffix("_file")
        try:
            _set(tree, parts, Path(value).read_text("utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:  # without the name: it may be the secret itself
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            problems.append(f"environment: {name}: the file that it names cannot be read: {why}")
        return parts
    try:
        _set(tree, parts, YamlText(value).tree if value.startswith(("[", "{")) else value)
    except NotYaml as error:
        problems.append(f"environment: {name}: {error}")
    return parts


def _set(tree: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        below = tree.get(part)
        if not isinstance(below, dict):
            below = tree[part] = {}
        tree = below
    tree[parts[-1]] = value
