"""How does kept state live on when what is measured, or what the settings mean by it, has changed?

A partition's row ``!`` says what its numbers were made of. Where that is no longer what is wanted, the difference is a step to
the next *version*: entities that keep their facts (deals, leads) are booked once more, for the measures of that step only, when
they are touched or in the background; each row says which version its entity is booked under. What cannot be booked from kept
facts counts from now on, and ``since`` says from when it is whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from models.business import Business
from models.calendar import MINUTE_MS
from models.history import Histories, Story
from models.measures import FROM_PRESENT, LOGGED, MEASURES, RENAMED, UNLOGGED
from models.panes import Panes

#: In the topic ``panes``, segments of what is not whole: measure -> since when it is (ms), or entities still to be looked at.
SINCE, BEHIND = "#since", "#behind"

MadeOf = Mapping[str, Any]


def made_of(fold: str, business: Business) -> dict[str, Any]:
    """Return what the stored numbers of a fold depend on, as the row ``!`` has it."""
    return {
        "measures": [m.name for m in MEASURES[fold]],
        "business.timezone": business.timezone,
        "business.currency": business.currency,
        "business.maturity": business.maturity,
        "business.session_gap": business.session_gap,
    }


class StateMismatch(RuntimeError):
    """The stored state was kept under other settings than those in force; what to do about it is in the message."""


@dataclass(frozen=True)
class Difference:
    """What becomes of a fold's measures under other definitions, by name; ``why`` names what has changed."""

    kept: list[str] = field(default_factory=list)
    derived: list[str] = field(default_factory=list)  # booked anew from the facts that deals and leads keep
    from_now: list[str] = field(default_factory=list)  # new, and no facts are kept: counted from now on
    removed: list[str] = field(default_factory=list)
    why: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # what -> as it was, as it is

    def __bool__(self) -> bool:
        return bool(self.why)


def difference(fold: str, before: MadeOf, now: MadeOf) -> Difference:
    """Return what it takes to go from the one to the other."""
    known = [renamed(name) for name in before["measures"]]
    wanted: list[str] = now["measures"]
    found = Difference()
    if known != wanted:
        found.why["measures"] = before["measures"], wanted
    found.removed.extend(name for name in known if name not in wanted)
    for name in wanted:
        if name in known:
            found.kept.append(name)
        elif fold in LOGGED and name not in UNLOGGED:
            found.derived.append(name)
        else:
            found.from_now.append(name)
    return found


def renamed(name: str) -> str:
    """Return the present name of a measure."""
    return RENAMED.get(name, name)


@dataclass
class Standing:
    """How a partition's numbers stand to the definitions in force.

    ``version`` counts the changes of definitions since the partition was begun; ``steps`` holds, by version, the measures to be
    booked for an entity that is behind it; ``since`` the time (ms) from which on a measure is whole, where that is not ever.
    """

    made_of: MadeOf
    version: int = 0
    steps: dict[int, list[str]] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)

    @property
    def waiting(self) -> list[str]:
        """The measures that are not whole while entities are behind."""
        return sorted({name for names in self.steps.values() for name in names})

    def json(self) -> dict[str, Any]:
        """Return what the row ``!`` keeps of it: nothing but the definitions where they never changed."""
        found: dict[str, Any] = {"made_of": self.made_of}
        if self.version:
            found["version"] = self.version
        if self.steps:
            found["steps"] = {str(version): names for version, names in self.steps.items()}
        if self.since:
            found["since"] = self.since
        return found


def standing(fold: str, kept: Mapping[str, Any], now: MadeOf, watermark: int) -> Standing:
    """Return how what the row ``!`` says stands to the definitions of now; ``watermark`` (ms) is how far events were counted."""
    wanted = frozenset(now["measures"])

    def still(names: Iterable[str]) -> list[str]:
        return [name for name in map(renamed, names) if name in wanted]

    found = Standing(
        now,
        kept.get("version", 0),
        {int(version): still(names) for version, names in kept.get("steps", {}).items()},
        {name: at for old, at in kept.get("since", {}).items() if (name := renamed(old)) in wanted},
    )
    for name, value in kept["made_of"].items():
        if name != "measures" and now.get(name) != value:
            raise StateMismatch(
                f"the state of {fold} was kept with {name} = {value!r}; the settings now say {now.get(name)!r}. "
                "Set it back, or set another `application` name: its state is then built anew from the topics"
            )
    change = difference(fold, kept["made_of"], now)
    if change:
        found.version += 1
        found.steps[found.version] = change.derived
        after = (watermark // MINUTE_MS + 1) * MINUTE_MS  # whole minutes, of which no event has been counted yet
        for name in change.from_now:
            found.since[name] = after
        for name in change.derived:
            found.since.pop(name, None)
    return found


class Renewing(Protocol):
    """What can say anew what an entity's present counts for."""

    def renew(self, present: Any, at: int) -> None:
        """Set what the present counts for as the definitions of now have it; book nothing."""


class Raise:
    """Brings entities up to the version in force, one by one, each once.

    ``scratch`` takes all that an entity's facts say; from there the measures of its steps go to ``panes``.
    """

    def __init__(
        self, fold: str, standing: Standing, histories: Histories[Any], steps: Renewing, scratch: Panes, panes: Panes
    ) -> None:
        """``histories`` and ``steps`` book into ``scratch``."""
        self._standing, self._histories, self._steps = standing, histories, steps
        self._scratch, self._panes = scratch, panes
        self._slots = {m.name: slot for slot, m in enumerate(MEASURES[fold])}

    def __call__(self, story: Story[Any]) -> bool:
        """Bring an entity up; return whether it was behind."""
        standing = self._standing
        if story.made >= standing.version:
            return False
        names = {name for version, names in standing.steps.items() if version > story.made for name in names}
        if story.base is not None:
            # The base's row knows measures by their places in the list of its time.
            self._steps.renew(story.base, story.base_at)
            for name in names - FROM_PRESENT:
                # Of what was folded away before this, nothing but the present is left.
                standing.since[name] = max(standing.since.get(name, 0), (story.base_at // MINUTE_MS + 1) * MINUTE_MS)
        self._histories.book(story)
        self._panes.take(self._scratch, frozenset(self._slots[name] for name in names))
        story.made = standing.version
        return True
