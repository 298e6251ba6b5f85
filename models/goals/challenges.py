"""Who leads in a challenge, is it still fair, and were deals pulled into it?

Made of the panes at each question, of the days from the first to the last one: a deal that is reopened, merged or deleted takes
its credit back whenever it does, and the verdict of a guard with it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from models.calendar import iso
from models.goals.plan import Challenge, Watched
from models.goals.pulled import pulled
from models.kpis.catalogue import Catalogue
from models.kpis.entry import Kpi
from models.kpis.reading import Reading
from models.leaderboards.places import OTHER, LeaderBoard, LeaderPlace, board
from models.panes.store import TOTAL
from models.panes.view import PanesExpired, View
from models.panes.windows import Window
from models.targets import Targets

PLANNED, RUNNING, ENDED, ANNULLED = "planned", "running", "ended", "annulled"
OK, BROKEN, UNKNOWN = "ok", "broken", "unknown"
#: A guard that counts cases judges no fewer than these.
LEAST = 10
#: Periods of which a quota may be, the shortest first: who has several is measured by the shortest.
_PERIODS = ("day", "week", "month", "quarter", "year")


class Held:
    """One challenge as it stands at an instant."""

    def __init__(
        self, view: View, catalogue: Catalogue, plan: Challenge, at: int, *, least: int = LEAST, left_out: Collection[str] = ()
    ) -> None:
        """``least`` cases a rate takes for a place; ``left_out``: who is on no board."""
        self._view, self._catalogue, self.plan, self._at = view, catalogue, plan, at
        self._left_out = left_out
        calendar = view.calendar
        self.begin, self.end = calendar.day_start(plan.since.toordinal()), calendar.day_start(plan.until.toordinal() + 1)
        self.kpi: Kpi = catalogue.get(plan.kpi)
        self.why: str | None = None
        self.guards: list[dict[str, Any]] = []
        self.annulled: dict[str, Any] | None = None
        self.board = LeaderBoard((), 0)
        self.quotas: dict[str, float] = {}
        self.values: dict[str, float] = {}
        self._least = least
        if at <= self.begin:
            self.state = PLANNED
            self.guards = [self._shown(guard) | {"status": UNKNOWN, "why": "it has not begun"} for guard in plan.guards]
            return
        self.state = RUNNING if at < self.end else ENDED
        self.annulled = self._judge()
        if self.annulled is not None:
            self.state = ANNULLED
        else:
            self.board = self._board()

    # ── guards ──

    def _judge(self) -> dict[str, Any] | None:
        """Note how each guard stands; return what annuls the challenge, the earliest of them."""
        found: dict[str, Any] | None = None
        for guard in self.plan.guards:
            shown, broke = self._guard(guard)
            self.guards.append(shown)
            if broke is not None and (found is None or broke["on"] < found["on"]):
                found = broke
        return found

    def _guard(self, guard: Watched) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Return how a guard stands, and what annuls the challenge where it is broken, by the numbers as they are known now."""
        kpi, calendar = self._catalogue.get(guard.kpi), self._view.calendar
        first, last = self.plan.since.toordinal(), self.plan.until.toordinal()
        window = Window.since(first)
        for day in range(first, min(last, calendar.day(self._at) - 1) + 1):
            value, _, _ = self._read(kpi, window, calendar.day_start(day + 1))
            if value is not None and _beyond(guard, value):
                return self._broken(guard, kpi, value, date.fromordinal(day))
        value, sample, why = self._read(kpi, window, min(self._at, self.end))
        status = UNKNOWN if value is None else OK
        return self._shown(guard) | {"value": value, "sample": sample, "status": status, "broken": None, "why": why}, None

    def _broken(self, guard: Watched, kpi: Kpi, value: float, on: date) -> tuple[dict[str, Any], dict[str, Any]]:
        limit = guard.at_most if guard.at_most is not None and value > guard.at_most else guard.at_least
        side = "above" if guard.at_most is not None and value > guard.at_most else "below"
        why = f"{kpi.label['en']} is {_told(kpi, value)}, {side} {_told(kpi, limit or 0.0)}"
        shown = self._shown(guard) | {"value": value, "sample": None, "status": BROKEN, "broken": on.isoformat(), "why": why}
        return shown, {
            "on": on.isoformat(),
            "kpi": kpi.id,
            "label": dict(kpi.label),
            "unit": kpi.unit,
            "value": value,
            "limit": limit,
            "why": why,
        }

    def _read(self, kpi: Kpi, window: Window, at: int) -> tuple[float | None, int | None, str | None]:
        """Return a guard's value over all who take part, its cases, and why there is no value."""
        view, by = self._view, self.plan.by
        if not self.plan.among or by not in kpi.by:
            reading = self._catalogue.reading(kpi, view, window, TOTAL, at)
            return self._enough(reading.value, reading.sample, reading.why)
        parts = [self._catalogue.reading(kpi, view, window, f"{by}={who}", at) for who in self.plan.among]
        known = [
            one for one in parts if one.numerator is not None and (kpi.formula.denominator is None or one.denominator is not None)
        ]
        if not known:
            return None, None, next((one.why for one in parts if one.why), "nobody takes part")
        top = sum(float(one.numerator or 0) for one in known)
        if kpi.formula.denominator is None:
            return self._enough(top * float(kpi.formula.scale), None, None)
        bottom = sum(float(one.denominator or 0) for one in known)
        cases = sum(one.sample or 0 for one in known) if kpi.sample is not None else None
        return self._enough(None if not bottom else float(kpi.formula.scale) * top / bottom, cases, known[0].why)

    @staticmethod
    def _enough(value: float | None, sample: int | None, why: str | None) -> tuple[float | None, int | None, str | None]:
        if value is not None and sample is not None and sample < LEAST:
            return None, sample, f"{sample} {'case' if sample == 1 else 'cases'}, fewer than the {LEAST} it takes to judge"
        return value, sample, why

    def _shown(self, guard: Watched) -> dict[str, Any]:
        kpi = self._catalogue.get(guard.kpi)
        return {
            "kpi": kpi.id, "label": dict(kpi.label), "unit": kpi.unit, "at_most": guard.at_most, "at_least": guard.at_least,
            "watch_days": guard.days, "value": None, "sample": None, "broken": None,
        }  # fmt: skip

    # ── places ──

    def _board(self) -> LeaderBoard:
        plan, view, by = self.plan, self._view, self.plan.by
        window, moment = Window.since(plan.since.toordinal()), min(self._at, self.end)
        names = plan.among or [name for name in view.segments(by, self.kpi.formula.folds) if name != OTHER]
        try:
            readings = [self._catalogue.reading(self.kpi, view, window, f"{by}={name}", moment) for name in names]
        except PanesExpired as gone:
            self.why = str(gone)
            return LeaderBoard((), 0)
        readings = [one for one in readings if one.segment[by] not in self._left_out]
        self.values = {one.segment[by]: float(one.value) for one in readings if one.value is not None}
        if plan.handicap:
            readings = [self._handicapped(one) for one in readings]
        return board(readings, [], self.kpi.direction, self._least, self._left_out)

    def _handicapped(self, reading: Reading) -> Reading:
        """Return the share of the own quota that was reached."""
        who = reading.segment[self.plan.by]
        quota = quota_of(self._view, self.plan, f"{self.plan.by}={who}")
        if not quota or reading.value is None:
            why = reading.why or f"no target of {self.kpi.id} is set for {who}"
            return replace(reading, value=None, why=why)
        self.quotas[who] = quota
        return replace(reading, value=reading.value / quota, unit="score")

    def places(self, shown: Sequence[LeaderPlace], name: Callable[[str], str]) -> list[dict[str, Any]]:
        """Return some places as the API has them; ``name`` gives what people call somebody."""
        return [
            {
                "rank": one.rank, "shared": one.shared, "who": one.who, "name": name(one.who),
                "value": self.values.get(one.who), "score": round(one.value, 6), "quota": self.quotas.get(one.who),
            }
            for one in shown
        ]  # fmt: skip

    # ── all of it ──

    def milestones(self) -> list[dict[str, Any]]:
        """Return when there is something to say."""
        calendar, plan = self._view.calendar, self.plan
        half = calendar.day_start((plan.since.toordinal() + plan.until.toordinal() + 1) // 2)
        moments = [
            ("begin", self.begin),
            ("half", half),
            ("last_day", calendar.day_start(plan.until.toordinal())),
            ("end", self.end),
        ]
        if plan.until.toordinal() - plan.since.toordinal() < 3:  # of a few days only beginning and end are worth a word
            moments = [moments[0], moments[-1]]
        return [{"kind": kind, "at": iso(moment), "reached": moment <= self._at} for kind, moment in moments]

    @property
    def final(self) -> date:
        """The day after which no guard is watched any more."""
        return date.fromordinal(self.plan.until.toordinal() + max((guard.days for guard in self.plan.guards), default=0))

    def as_json(self, shown: Sequence[LeaderPlace], name: Callable[[str], str]) -> dict[str, Any]:
        """Return it as the API has it (``docs/challenges.md``), with some places."""
        plan = self.plan
        begun = self.state != PLANNED
        length = self.end - self.begin
        return {
            "id": plan.id, "name": plan.name, "kpi": self.kpi.id, "label": dict(self.kpi.label), "unit": self.kpi.unit,
            "by": plan.by, "from": plan.since.isoformat(), "until": plan.until.isoformat(), "state": self.state,
            "elapsed": round(min(1.0, max(0.0, (self._at - self.begin) / length)), 4), "dry_run": plan.dry_run,
            "handicap": plan.handicap or None, "of": len(self.board.places), "without": self.board.without, "why": self.why,
            "places": self.places(shown, name), "guards": self.guards, "annulled": self.annulled,
            "pulled": pulled(self._view, plan, min(self._at, self.end)) if begun and "deals" in self.kpi.formula.folds else None,
            "milestones": self.milestones(), "final": self.final.isoformat(),
        }  # fmt: skip


def quota_of(view: View, plan: Challenge, segment: str) -> float | None:
    """Return the part of somebody's targets that falls into a challenge's days, by working days; None where there is none."""
    first, stop = plan.since.toordinal(), plan.until.toordinal() + 1
    for period in _PERIODS:
        parts = list(_parts(view, view.targets, plan.kpi, Window.parse(period), segment, first, stop))
        if parts and all(part is not None for part in parts):
            return sum(part for part in parts if part is not None)
    return None


def _parts(view: View, targets: Targets, kpi: str, window: Window, segment: str, first: int, stop: int) -> Iterator[float | None]:
    """Yield, of each period that some of the days are in, the part of its target that falls on them; None where it has none."""
    calendar, day = view.calendar, first
    while day < stop:
        begin, end = window.period_days(calendar.day_start(day) + 1, calendar)
        value = targets.find(kpi, window.name, segment, begin)
        inside, whole = _working(day, min(stop, end)), _working(begin, end)
        yield None if value is None else value * (inside / whole if whole else (min(stop, end) - day) / (end - begin))
        day = end


def _working(first: int, stop: int) -> int:
    return sum(date.fromordinal(day).weekday() < 5 for day in range(first, stop))


def _beyond(guard: Watched, value: float) -> bool:
    return (guard.at_most is not None and value > guard.at_most) or (guard.at_least is not None and value < guard.at_least)


def _told(kpi: Kpi, value: float) -> str:
    return f"{100 * value:.1f} %" if kpi.unit == "ratio" else f"{value:,.10g}"
