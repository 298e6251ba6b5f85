"""What do teams and people want to reach (``objectives``), and in what do they compete (``challenges``)?"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from models.calendar import DAY_MS
from models.goals.plan import Challenge, Goal, Objective, Playbook, Watched, slug
from stream.config.sections import Duration, Section

#: So many at most: each is read anew every minute.
MOST_OBJECTIVES, MOST_CHALLENGES = 500, 50
_Number = Annotated[float, Field(allow_inf_nan=False)]


class GoalSettings(Section):
    """A KPI's target, a text, or a guard with a limit."""

    kpi: str = ""
    target: _Number | None = Field(None, gt=0)
    text: str = Field("", max_length=500)
    guard: bool = False
    at_most: _Number | None = None
    at_least: _Number | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "GoalSettings":
        limits = self.at_most is not None or self.at_least is not None
        if self.guard:
            if not self.kpi or self.target is not None or not limits:
                raise ValueError("guard: accepted is a kpi with at_most or at_least, and no target")
        elif limits:
            raise ValueError("at_most, at_least: accepted with guard: true")
        elif bool(self.kpi) == bool(self.text) or (self.target is None) == bool(self.kpi):
            raise ValueError("accepted is a kpi with a target, or a text")
        return self

    def goal(self) -> Goal:
        """Return the pure code's form."""
        return Goal(self.kpi, self.target, self.text, self.guard, self.at_most, self.at_least)


class ObjectiveSettings(Section):
    """An objective of a team (one main one, one to three indicators, one of them a guard), of a person, or of the company."""

    name: str = Field(min_length=1, max_length=100)
    owner: str = Field("", max_length=200)
    team: str = Field("", max_length=200)
    period: Literal["month", "week"] = "month"
    since: date = Field(date.min, alias="from")
    until: date = date.max
    main: GoalSettings
    indicators: list[GoalSettings] = Field([], max_length=3)

    @model_validator(mode="after")
    def _sound(self) -> "ObjectiveSettings":
        if self.owner and self.team:
            raise ValueError("owner, team: found both (accepted: one of them, or neither for the company)")
        if self.until < self.since:
            raise ValueError(f"until: found {self.until}, before it begins (accepted: {self.since} or later)")
        if self.main.guard:
            raise ValueError("main: found a guard (accepted: a kpi with a target, or a text)")
        if self.team and not (self.indicators and any(one.guard for one in self.indicators)):
            raise ValueError(
                "indicators: a team has one to three, and one of them is a guard (accepted: guard: true with a limit)"
            )
        kpis = [one.kpi for one in (self.main, *self.indicators) if one.kpi]
        if twice := next((kpi for kpi in kpis if kpis.count(kpi) > 1), None):
            raise ValueError(f"found {twice!r} twice (accepted: each KPI once)")
        return self

    def objective(self) -> Objective:
        """Return the pure code's form."""
        return Objective(
            name=self.name, period=self.period, main=self.main.goal(), indicators=tuple(one.goal() for one in self.indicators),
            owner=self.owner, team=self.team, since=self.since, until=self.until,
        )  # fmt: skip


class WatchedSettings(Section):
    """A guard of a challenge: a KPI with its limits; for ``watch`` after the end the verdict is not final."""

    kpi: str
    at_most: _Number | None = None
    at_least: _Number | None = None
    watch: Duration = 0

    @model_validator(mode="after")
    def _limited(self) -> "WatchedSettings":
        if self.at_most is None and self.at_least is None:
            raise ValueError("accepted is at_most or at_least, or both")
        if self.watch % DAY_MS or self.watch > 365 * DAY_MS:
            raise ValueError(f"watch: found {self.watch / DAY_MS:g} days (accepted: whole days, 365d at most)")
        return self


class ChallengeSettings(Section):
    """A challenge: who competes by which KPI from the first day to the last one, and what must not be spoilt to win it."""

    name: str = Field(min_length=1, max_length=100)
    kpi: str
    by: Literal["owner", "team"] = "owner"
    since: date = Field(alias="from")
    until: date
    among: list[Annotated[str, Field(min_length=1)]] = Field([], max_length=500)
    handicap: Literal["quota"] | None = None
    dry_run: bool = False
    guards: list[WatchedSettings] = Field(min_length=1, max_length=5)

    @model_validator(mode="after")
    def _sound(self) -> "ChallengeSettings":
        if self.until < self.since:
            raise ValueError(f"until: found {self.until}, before it begins (accepted: {self.since} or later)")
        if (self.until - self.since).days > 366:
            raise ValueError(f"until: found {self.until}, more than a year after it begins (accepted: 366 days at most)")
        if twice := next((who for who in self.among if self.among.count(who) > 1), None):
            raise ValueError(f"among: found {twice!r} twice (accepted: each once)")
        if len(self.among) == 1:
            raise ValueError(f"among: found {self.among[0]!r} alone (accepted: two or more, or none for all there are)")
        return self

    def challenge(self) -> Challenge:
        """Return the pure code's form."""
        guards = tuple(Watched(one.kpi, one.at_most, one.at_least, one.watch // DAY_MS) for one in self.guards)
        return Challenge(
            name=self.name, kpi=self.kpi, since=self.since, until=self.until, by=self.by, among=tuple(self.among),
            handicap=self.handicap or "", dry_run=self.dry_run, guards=guards,
        )  # fmt: skip


class PlaybookSettings(Section):
    """What is to be done about alerts of some rules: steps, by whom, within which time; and which KPI must move then."""

    name: str = Field(min_length=1, max_length=100)
    rules: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1, max_length=20)
    steps: list[Annotated[str, Field(min_length=1, max_length=300)]] = Field(min_length=1, max_length=10)
    owner: str = Field("", max_length=200)
    due: Duration = Field(2 * DAY_MS, le=60 * DAY_MS)
    kpi: str = ""
    days: int = Field(7, ge=1, le=28)

    def playbook(self) -> Playbook:
        """Return the pure code's form."""
        return Playbook(
            name=self.name, rules=tuple(self.rules), steps=tuple(self.steps), owner=self.owner, due=self.due, kpi=self.kpi,
            days=self.days,
        )  # fmt: skip


def _one_each(found: list[PlaybookSettings]) -> list[PlaybookSettings]:
    rules = [rule for one in found for rule in one.rules]
    if twice := next((rule for rule in rules if rules.count(rule) > 1), None):
        raise ValueError(f"rules: found {twice!r} twice (accepted: each rule in one playbook)")
    return found


Playbooks = Annotated[list[PlaybookSettings], Field(max_length=50), AfterValidator(_one_each)]


class PeopleSettings(Section):
    """Who may read figures of single people (``docs/people.md``), and who is left out of boards, challenges and objectives."""

    figures: Literal["everybody", "limited"] = "everybody"
    readers: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def _different(found: list[Any]) -> list[Any]:
    names = [slug(one.name) for one in found]
    twice = next((one.name for one, name in zip(found, names, strict=True) if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"name: found {twice!r} twice (accepted: a name of its own for each)")
    return found


Objectives = Annotated[list[ObjectiveSettings], Field(max_length=MOST_OBJECTIVES), AfterValidator(_different)]
Challenges = Annotated[list[ChallengeSettings], Field(max_length=MOST_CHALLENGES), AfterValidator(_different)]
