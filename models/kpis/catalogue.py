"""Which KPIs are there, and what does each one read over these windows and segments?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.calendar import DAY_MS, iso
from models.config.problem import FileProblem
from models.config.suggest import near
from models.kpis.entry import UNITS, Kpi, parse_entry
from models.kpis.formula import Number, Scope, Undefined
from models.kpis.interval import net_promoter, of_shares, wilson
from models.kpis.reading import Reading
from models.kpis.scope import PaneScope
from models.kpis.terms import UndefinedBecause
from models.measures import LOGGED
from models.panes.segments import pair_name
from models.panes.store import TOTAL
from models.panes.view import PanesExpired, View
from models.panes.windows import DEFAULT_WINDOWS, Window, WindowError

#: The files that are shipped, in the order of the funnel.
SHIPPED = ("catalogue.yaml", "attention.yaml", "interest.yaml", "desire.yaml", "action.yaml")


class CatalogueError(ValueError):
    """The definitions cannot be used; ``problems`` lists all that is wrong, each with file and key."""

    def __init__(self, problems: list[FileProblem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class NotInCatalogue(ValueError):
    """A KPI, window or dimension was asked for that there is not; the message says what is accepted."""


@dataclass(frozen=True)
class Catalogue:
    """The KPIs by id, in the order of the files."""

    kpis: Mapping[str, Kpi]

    @classmethod
    def load(cls, *sources: tuple[str, Any]) -> "Catalogue":
        """Return the catalogue of parsed files, each ``(name of the file, its content)``; later ones override by id.

        Raise :class:`CatalogueError` with all that is wrong in all of them.
        """
        kpis: dict[str, Kpi] = {}
        problems: list[FileProblem] = []
        units = {str(name): body["unit"] for name, body in _bodies(sources) if body.get("unit") in UNITS}
        for file, content in sources:
            if content is None:
                continue
            if not isinstance(content, Mapping):
                problems.append(FileProblem(file, "", f"found a {type(content).__name__} (accepted: a mapping of KPI ids)"))
                continue
            for name, body in content.items():
                wrong: list[str] = []
                kpi = parse_entry(name, body, wrong, units)
                problems += [FileProblem(file, str(name), problem) for problem in wrong]
                if kpi is not None:
                    kpis[kpi.id] = kpi
        if problems:
            raise CatalogueError(problems)
        return cls(kpis)

    def paired(self, pairs: Iterable[tuple[str, str]]) -> "Catalogue":
        """Return the catalogue with KPIs of deals and leads told by these pairs of dimensions, too, where they are by both."""

        def more(kpi: Kpi) -> Kpi:
            both = [pair_name(one, two) for one, two in pairs if one in kpi.by and two in kpi.by]
            return replace(kpi, by=(*kpi.by, *both)) if both and kpi.formula.folds <= LOGGED else kpi

        pairs = list(pairs)
        return Catalogue({name: more(kpi) for name, kpi in self.kpis.items()}) if pairs else self

    def get(self, kpi: str) -> Kpi:
        """Return a KPI by its id; raise :class:`NotInCatalogue`."""
        found = self.kpis.get(kpi)
        if found is None:
            raise NotInCatalogue(f"unknown KPI {kpi!r}{near(kpi, self.kpis)}")
        return found

    @property
    def dimensions(self) -> list[str]:
        """Every dimension some KPI makes sense by, sorted."""
        return sorted({dimension for kpi in self.kpis.values() for dimension in kpi.by})

    def readings(
        self,
        view: View,
        at: int,
        kpis: Sequence[str] | None = None,
        windows: Sequence[str | Window] | None = None,
        by: str | Sequence[str] | None = None,
    ) -> list[Reading]:
        """Return readings at an instant (epoch ms), by KPI, window, and segment in alphabetical order.

        ``kpis`` None is all of them; ``windows`` None is 24h, 7d and 30d. ``by`` None is the total; a dimension, or several,
        gives one reading per segment known to the KPI's measures, ``"total"`` among them the total too. KPIs that make no
        sense by a dimension are left out of it, unless they were asked for by name. Raise :class:`NotInCatalogue`.
        """
        chosen = [self.get(kpi) for kpi in kpis] if kpis is not None else list(self.kpis.values())
        try:
            spans = [w if isinstance(w, Window) else Window.parse(w) for w in (DEFAULT_WINDOWS if windows is None else windows)]
        except WindowError as error:
            raise NotInCatalogue(str(error)) from error
        dimensions = [TOTAL] if by is None else [by] if isinstance(by, str) else list(by)
        for dimension in dimensions:
            self._check_dimension(dimension, chosen if kpis is not None else ())
        return [
            self.reading(kpi, view, window, segment, at)
            for kpi in chosen
            for window in spans
            for dimension in dimensions
            for segment in _segments(kpi, dimension, view)
        ]

    def _check_dimension(self, dimension: str, named: Iterable[Kpi]) -> None:
        if dimension == TOTAL:
            return
        if dimension not in self.dimensions:
            raise NotInCatalogue(f"unknown dimension {dimension!r}{near(dimension, [TOTAL, *self.dimensions])}")
        for kpi in named:
            if dimension not in kpi.by:
                raise NotInCatalogue(f"KPI {kpi.id!r} by {dimension!r} (accepted: {', '.join([TOTAL, *kpi.by])})")

    def reading(self, kpi: Kpi, view: View, window: Window, segment: str, at: int) -> Reading:
        """Return one reading; ``segment`` is ``total`` or ``dimension=value``."""
        scope = PaneScope.of(view, window, segment, at)
        return read(kpi, view, window, segment, at, scope, scope.start)


def _bodies(sources: Iterable[tuple[str, Any]]) -> Iterator[tuple[Any, Mapping[Any, Any]]]:
    for _, content in sources:
        if isinstance(content, Mapping):
            yield from ((name, body) for name, body in content.items() if isinstance(body, Mapping))


def _segments(kpi: Kpi, dimension: str, view: View) -> Iterator[str]:
    if dimension == TOTAL:
        yield TOTAL
    elif dimension in kpi.by:
        for value in view.segments(dimension, kpi.formula.folds):
            yield f"{dimension}={value}"


def read(kpi: Kpi, view: View, window: Window, segment: str, at: int, scope: Scope, start: int) -> Reading:
    """Return the reading of a window that begins with ``start``, and of a segment, whose numbers are those of ``scope``."""
    formula = kpi.formula
    value: int | float | None = None
    top = bottom = low = high = None
    shown_top = shown_bottom = None
    sample: int | None = None
    why: str | None = None
    since, alike = _since(kpi, view, start, at)
    if _unfinished(kpi, view):
        since, why = at, "being counted from the facts that are kept: not whole yet"
    elif since is not None and not alike:
        why = f"some of what it is made of is counted from {iso(since)[:10]} on only"
    try:
        if why is not None:
            raise Undefined(why)
        top = formula.numerator.run(scope)
        if formula.denominator is not None:
            shown_top = kpi.shown(top, formula.numerator.dimension)
            bottom = formula.denominator.run(scope)
            shown_bottom = kpi.shown(bottom, formula.denominator.dimension)
        if kpi.sample is not None:
            sample = int(kpi.sample.numerator.run(scope))
        if bottom == 0 and formula.denominator is not None:
            why = _empty(kpi, view) or "nothing was counted in the window that it is a part of"
        elif sample is not None and sample < kpi.minimum:
            why = _few(kpi, view, sample)
        elif kpi.share and bottom is not None and not (0 <= top <= bottom if bottom > 0 else bottom <= top <= 0):
            why = f"no share: amounts below 0 make it {shown_top:,} of {shown_bottom:,}"
        else:
            value = kpi.value(top, bottom)
            low, high = _interval(kpi, scope, value, top, bottom)
    except UndefinedBecause as error:
        why = str(error)
    except Undefined as error:
        why = why or _empty(kpi, view) or str(error)
    except PanesExpired as error:
        why, shown_top, shown_bottom, sample = str(error), None, None, None
    dimension, sign, name = segment.partition("=")
    return Reading(
        kpi=kpi.id,
        window=window.name,
        segment={dimension: name} if sign else {},
        start=start,
        at=at,
        value=value,
        numerator=shown_top,
        denominator=shown_bottom,
        low=low,
        high=high,
        unit=kpi.unit,
        why=why,
        sample=sample,
        currency=view.business.currency if kpi.unit == "money" else None,
        since=since,
        benchmarks=view.targets.benchmarks.of(kpi.id, segment) or None,
        proven=False if value is not None and kpi.unproven is not None and kpi.unproven.numerator.run(scope) > 0 else None,
    )


def _unfinished(kpi: Kpi, view: View) -> bool:
    """Whether something that a KPI is made of is being booked from kept facts, and is not whole yet."""
    behind = view.behind
    return bool(behind) and any(name in behind for formula in kpi.formulas for name in formula.measures)


def _since(kpi: Kpi, view: View, start: int, at: int) -> tuple[int | None, bool]:
    """Return from when on what a KPI is made of is whole, where that is later than the reading asks for.

    That is its window's start; of a measure of which only the level is asked, its instant. And whether that is the same of all
    it is made of: a quotient of what is counted all along and what is counted from a moment on would mean nothing.
    """
    if not view.since:
        return None, True
    times = {
        late if (late := view.since.get(name, 0)) > (start if name in formula.summed else at) else 0
        for formula in kpi.formulas
        for name in formula.measures
    }
    return max(times) or None, len(times) == 1


def _few(kpi: Kpi, view: View, sample: int) -> str:
    """Return why so few cases give no value."""
    if not sample:
        return _empty(kpi, view) or "no case was counted in the window"
    return f"{sample} {'case' if sample == 1 else 'cases'}, fewer than the {kpi.minimum} it takes to mean anything"


def _empty(kpi: Kpi, view: View) -> str | None:
    """Return why there is no value where nothing is counted, in words."""
    if kpi.empty is None:
        return None
    return kpi.empty.replace("{maturity}", f"{view.business.maturity / DAY_MS:g} days")


def _interval(kpi: Kpi, scope: Scope, value: float, top: Number, bottom: Number | None) -> tuple[float | None, float | None]:
    # A measure that late corrections have left inconsistent for a moment has no interval rather than a false one.
    try:
        parts = [int(part.numerator.run(scope)) for part in kpi.interval_parts]
        match kpi.interval:
            case "shares":
                return of_shares(value, list(zip(parts[::2], parts[1::2], strict=True)))
            case "shrunk":
                (fold,) = kpi.formula.folds
                rate = scope.shrunk(fold, *[part.text for part in kpi.interval_parts])
                return wilson(float(rate.successes), float(rate.trials))
            case "wilson" if bottom is not None:
                return wilson(int(top), int(bottom))
            case "net_promoter" if bottom is not None:
                return net_promoter(parts[0], parts[1], int(bottom))
    except (ValueError, ZeroDivisionError):
        pass
    return None, None
