"""How does kept state live on when what is measured, or what the settings mean by it, has changed?

A partition's row ``!`` says what its numbers were made of. Where that is no longer what is wanted, the difference is a step to
the next *version*: entities that keep their facts (deals, leads) are booked once more, for the measures of that step only, when
they are touched or in the background; each row says which version its entity is booked under. Where the rules of booking have
changed (``RULES``), what those of before made of its facts is taken back with it. What cannot be booked from kept facts counts
from now on, and ``since`` says from when it is whole.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from models.business import Business
from models.calendar import MINUTE_MS
from models.entities.entity_log import EntityLog, LogFolder
from models.measures import FROM_PRESENT, LOGGED, MEASURES, RULES, UNLOGGED, Kind, Measure, renamed
from models.panes.store import Panes

MadeOf = dict[str, Any]

#: What earlier versions compare, and refuse the state where there is more: so that one can go back to them.
_FIRST = ("measures", "business.timezone", "business.currency", "business.maturity", "business.session_gap")
_SESSIONS = frozenset({"sessions", "sessions_bounced", "session_millis", "visitors"})
_MONEY = frozenset({Kind.MONEY, Kind.VALUES})
#: Settings on which only these measures depend.
_ONLY = {
    "business.stages": frozenset({"stage_advanced", "stage_back", "stage_skipped"}),
    "business.response_sla": frozenset({"leads_due", "leads_in_time"}),
}


def made_of(fold: str, business: Business, watermark: int) -> MadeOf:
    """Return what the stored numbers of a fold depend on, as the row ``!`` has it; ``watermark`` (ms): rates up to then."""
    found: MadeOf = {
        "measures": [m.name for m in MEASURES[fold]],
        "business.timezone": business.timezone,
        "business.currency": business.currency,
        "business.maturity": business.maturity,
        "business.session_gap": business.session_gap,
        "business.keep_days": business.keep_days,
    }
    if fold in LOGGED or fold == "engagement":
        found["business.segment_limit"] = business.segment_limit
    if fold in LOGGED:
        found["business.pairs"] = [list(pair) for pair in business.pairs]
    if fold in RULES:
        found["rules"] = RULES[fold]
    if fold == "deals":
        found["business.rates"] = business.rates.digest(watermark)
        found["business.stalled_after"] = business.stalled_after
        found["business.pipelines"] = {stage: kind for stage, kind in business.stage_kinds.items() if kind != "open"}
        found["business.stages"] = {name: list(stages) for name, stages in business.stage_orders.items()}
    if fold == "leads":
        found["business.response_sla"] = business.response_sla
    return found


@dataclass(frozen=True)
class DefinitionChange:
    """What becomes of a fold's measures under other definitions, by name; ``why`` names what has changed."""

    kept: list[str] = field(default_factory=list)
    revised: list[str] = field(default_factory=list)  # kept, but for what other rules make of an entity's facts
    derived: list[str] = field(default_factory=list)  # new: booked from the facts that deals and leads keep
    anew: list[str] = field(default_factory=list)  # forgotten, and booked anew from those facts under the definitions of now
    from_now: list[str] = field(default_factory=list)  # new, and no facts are kept: counted from now on
    mixed: list[str] = field(default_factory=list)  # what was counted stays as it was meant then; from now on as it is meant now
    lost: list[str] = field(default_factory=list)  # what was counted means nothing any more: counted from now on
    removed: list[str] = field(default_factory=list)
    why: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # what -> as it was, as it is

    def __bool__(self) -> bool:
        return bool(self.why)


def difference(fold: str, before: Mapping[str, Any], now: Mapping[str, Any], *, full: bool = True) -> DefinitionChange:
    """Return what it takes to go from the one to the other.

    ``full``: whether a dimension holds all the values it might, so that numbers were booked under ``other``.
    """
    known = [renamed(name) for name in before["measures"]]
    wanted: list[str] = now["measures"]
    found = DefinitionChange()
    if known != wanted:
        found.why["measures"] = before["measures"], wanted
    for name, value in now.items():
        if name != "measures" and name in before and before[name] != value and _matters(fold, name, before[name], value, full):
            found.why[name] = before[name], value
    found.removed.extend(name for name in known if name not in wanted)
    for measure in MEASURES[fold]:
        name = measure.name
        touched = [why for why in found.why if why not in ("measures", "rules") and _touches(fold, why, measure)]
        booked = fold in LOGGED and name not in UNLOGGED
        if name not in known:
            into = found.derived if booked else found.from_now
        elif not touched:
            into = found.revised if booked and "rules" in found.why else found.kept
        elif booked:
            into = found.anew
        else:
            into = found.lost if "business.currency" in touched else found.mixed
        into.append(name)
    return found


def _matters(fold: str, setting: str, before: Any, now: Any, full: bool) -> bool:
    match setting:
        case "business.maturity":
            return fold == "leads"
        case "business.session_gap":
            return fold == "engagement"
        case "business.currency":
            return fold != "leads"
        case "business.keep_days":
            return False  # see `standing`
        case "business.segment_limit":
            return bool(full and now > before)  # what was booked under `other` would be taken back from elsewhere
    return True


def _touches(fold: str, setting: str, measure: Measure) -> bool:
    """Whether what has been counted of a measure depends on a setting.

    Of deals and leads all is booked anew, or nothing, but for the few settings that matter to some only.
    """
    if setting in _ONLY:
        return measure.name in _ONLY[setting]
    if fold in LOGGED and measure.name not in UNLOGGED:
        return True
    match setting:
        case "business.timezone":
            return True
        case "business.currency":
            return measure.kind in _MONEY
        case "business.session_gap" | "business.segment_limit":
            return measure.name in _SESSIONS
    return False


@dataclass
class Standing:
    """How a partition's numbers stand to the definitions in force.

    ``version`` counts the changes of definitions since the partition was begun; ``steps`` holds, by version, the measures to be
    booked for an entity that is behind it; ``ruled`` by which rules entities before a version are booked, where they changed;
    ``since`` the time (ms) from which on a measure is whole, where that is not ever.

    Where numbers must be forgotten, panes are kept under a new ``generation``; ``panes`` holds, by earlier generation, the
    measures for which its rows still count. Amounts of versions before ``revalued`` are in another currency, or at other rates.
    """

    made_of: MadeOf
    version: int = 0
    steps: dict[int, list[str]] = field(default_factory=dict)
    ruled: dict[int, int] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    generation: int = 0
    panes: dict[int, list[str]] = field(default_factory=dict)
    revalued: int = 0
    news: frozenset[str] = frozenset()  # measures of which rows, if they have any number, have one of long ago

    @property
    def waiting(self) -> list[str]:
        """The measures that are not whole while something is behind."""
        names = {name for names in self.steps.values() for name in names}
        for counted in self.panes.values():
            names.update(name for name in self.made_of["measures"] if name not in counted)
        return sorted(names)

    def done(self) -> None:
        """Nothing is behind any more."""
        self.steps, self.ruled = {}, {}

    def rules(self, made: int) -> int | None:
        """Return the rules by which entities of a version are booked; None: those in force."""
        return next((rules for version, rules in sorted(self.ruled.items()) if version > made), None)

    def turn(self, forgotten: Iterable[str]) -> None:
        """Begin a new generation of panes: of these measures the rows that there are count no more."""
        gone = frozenset(forgotten)
        self.panes[self.generation] = self.made_of["measures"]
        self.panes = {g: [name for name in names if name not in gone] for g, names in self.panes.items()}
        self.generation += 1

    def json(self) -> dict[str, Any]:
        """Return what the row ``!`` keeps of it: nothing but the definitions where they never changed."""
        more = {
            "version": self.version,
            "steps": {str(version): names for version, names in self.steps.items()},
            "ruled": {str(version): rules for version, rules in self.ruled.items()},
            "since": self.since,
            "generation": self.generation,
            "panes": {str(generation): names for generation, names in self.panes.items()},
            "revalued": self.revalued,
        }
        first = {name: self.made_of[name] for name in _FIRST}
        settings = {name: value for name, value in self.made_of.items() if name not in first}
        return {"made_of": first, "settings": settings} | {name: value for name, value in more.items() if value}


def kept_under(one: Mapping[str, Any]) -> MadeOf:
    """Return the definitions that a row ``!`` was written under."""
    return {"rules": one.get("rules", 0), "business.pairs": [], **one["made_of"], **one.get("settings", {})}


def standing(fold: str, kept: Mapping[str, Any], business: Business, *, full: bool) -> Standing:
    """Return how what the row ``!`` says stands to the definitions of now; ``full``: see :func:`difference`."""
    watermark = kept["watermark"]
    now = made_of(fold, business, watermark)
    wanted = frozenset(now["measures"])

    def still(names: Iterable[str]) -> list[str]:
        return [name for name in map(renamed, names) if name in wanted]

    found = Standing(
        now,
        kept.get("version", 0),
        {int(version): still(names) for version, names in kept.get("steps", {}).items()},
        {int(version): rules for version, rules in kept.get("ruled", {}).items()},
        {name: at for old, at in kept.get("since", {}).items() if (name := renamed(old)) in wanted},
        kept.get("generation", 0),
        {int(generation): still(names) for generation, names in kept.get("panes", {}).items()},
        kept.get("revalued", 0),
    )
    before = kept_under(kept)
    reach = before.get("business.keep_days", business.keep_days)
    if reach < business.keep_days and watermark > reach:  # days of before have gone, and do not come back
        first = business.calendar.day_start(business.calendar.day(watermark - reach))
        found.since = {name: max(first, found.since.get(name, 0)) for name in now["measures"]}
    change = difference(fold, before, now, full=full)
    if change:
        found.version += 1
        found.steps[found.version] = change.derived + change.anew
        if "rules" in change.why:
            found.ruled[found.version] = before["rules"]
        found.news = frozenset(change.derived + change.from_now)
        after = (watermark // MINUTE_MS + 1) * MINUTE_MS  # whole minutes, of which no event has been counted yet
        for name in change.from_now + change.mixed + change.lost:
            found.since[name] = after
        for name in change.derived + change.anew:
            found.since.pop(name, None)
        if change.anew or change.lost:
            found.turn(change.anew + change.lost + change.derived + change.from_now)
            found.news = frozenset()
        if not change.why.keys().isdisjoint({"business.currency", "business.rates"}):
            found.revalued = found.version
    return found


class RenewingSteps(Protocol):
    """What can say anew what an entity's present counts for, and book it."""

    def renew(self, present: Any, at: int, *, revalue: bool) -> None:
        """Set what the present counts for as the definitions of now have it; book nothing. ``revalue``: amounts anew, too."""

    def unbook(self, present: Any, at: int, sign: int) -> None:
        """Take back (+1), or book again (−1), all that the present counts for."""


class SeparateBook(NamedTuple):
    """What steps through facts and books into panes of its own."""

    histories: LogFolder[Any]
    steps: RenewingSteps
    panes: Panes


class Raise:
    """Brings entities up to the version in force, one by one, each once.

    All that an entity's facts say is booked apart; from there the measures of its steps go to ``panes``. Where the rules have
    changed, the others go there too, less what the rules of before make of the same facts.
    """

    def __init__(self, fold: str, standing: Standing, book: Callable[[int | None], SeparateBook], panes: Panes) -> None:
        """``book`` gives what books by rules of before, or (None) by those in force."""
        self._standing, self._panes = standing, panes
        self._now = book(None)
        self._then = {rules: book(rules) for rules in set(standing.ruled.values())}
        self._slots = {m.name: slot for slot, m in enumerate(MEASURES[fold])}

    def __call__(self, story: EntityLog[Any]) -> bool:
        """Bring up an entity that is behind; return whether it is another now. Where this fails, nothing has been booked."""
        standing, now = self._standing, self._now
        names = {name for version, names in standing.steps.items() if version > story.made for name in names}
        new = frozenset(self._slots[name] for name in names)
        kept = frozenset(slot for name, slot in self._slots.items() if name not in names | UNLOGGED)
        rules = standing.rules(story.made)
        then = None if rules is None or story.void else self._then[rules]
        for book in (self._now, *self._then.values()):
            book.panes.back()
        base = story.base
        if base is not None:
            # The base's row knows measures by their places in the list of its time.
            now.steps.renew(base, story.base_at, revalue=story.made < standing.revalued)
        before = None if then is None else then.histories.walk(story, -1)
        story.present = now.histories.walk(story, 0 if story.void else 1)
        if then is not None:
            self._panes.take(then.panes, kept)
        self._panes.take(now.panes, new if then is None else new | kept)
        if base is not None:
            if not story.void:
                now.steps.unbook(base, story.base_at, -1)
                self._panes.take(now.panes, new)
            for name in names - FROM_PRESENT:
                # Of what was folded away before this, nothing but the present is left.
                standing.since[name] = max(standing.since.get(name, 0), (story.base_at // MINUTE_MS + 1) * MINUTE_MS)
        story.made = standing.version
        return not kept or (then is not None and before != story.present)
