"""Which ways of people are asked about (``business.journeys``)?"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from models.calendar import DAY_MS
from models.config.suggest import near
from models.funnels import AIDA, EVENTS, FIELDS, Funnel, FunnelStep, Match
from stream.config.sections import Duration, Section

_LONGEST = 400 * DAY_MS


class EventSettings(Section):
    """Events of a type; a field chooses among them (``*`` at the end of its value: all that begin so)."""

    event: str
    page: str = Field("", max_length=120)
    form: str = Field("", max_length=120)
    cta: str = Field("", max_length=120)
    campaign: str = Field("", max_length=120)
    level: str = Field("", max_length=120)
    stage: str = Field("", max_length=120)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, tree: Any) -> Any:
        return {"event": tree} if isinstance(tree, str) else tree

    @model_validator(mode="after")
    def _known(self) -> "EventSettings":
        if self.event not in EVENTS:
            raise ValueError(f"event: no such event{near(self.event, EVENTS)}")
        given = [name for name in FIELDS if getattr(self, name)]
        for name in given:
            if name not in EVENTS[self.event]:
                accepted = ", ".join(EVENTS[self.event]) or "none"
                raise ValueError(f"{name}: {self.event} is not chosen by it (accepted: {accepted})")
        return self

    def match(self) -> Match:
        """Return the pure code's form."""
        return next((Match(self.event, name, text) for name in FIELDS if (text := getattr(self, name))), Match(self.event))


class StepSettings(Section):
    """A step: any of these events makes it."""

    name: str = Field(min_length=1, max_length=60)
    events: list[EventSettings] = Field(min_length=1, max_length=12)


def _patient(within: int) -> int:
    if not 0 < within <= _LONGEST:
        raise ValueError(f"accepted are more than 0 and at most {_LONGEST // DAY_MS} days")
    return within


class JourneySettings(Section):
    """Steps that people take one after another, all within a time of the first."""

    steps: list[StepSettings]
    within: Annotated[Duration, AfterValidator(_patient)] = AIDA.within

    def funnel(self, name: str) -> Funnel:
        """Return the pure code's form; raise ``ValueError`` with what is wrong."""
        steps = tuple(FunnelStep(step.name, tuple(one.match() for one in step.events)) for step in self.steps)
        return Funnel(name, steps, self.within)


def _sound(found: dict[str, JourneySettings]) -> dict[str, JourneySettings]:
    for name, one in found.items():
        one.funnel(name)
    return found


Journeys = Annotated[
    dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")], JourneySettings],
    Field(max_length=20),
    AfterValidator(_sound),
]


def funnels(named: Mapping[str, JourneySettings]) -> tuple[Funnel, ...]:
    """Return the funnels: the one of attention, interest, desire and action too, unless one of its name is there."""
    mine = tuple(one.funnel(name) for name, one in named.items())
    return mine if AIDA.name in named else (AIDA, *mine)
