"""Is this parsed YAML a sound plan of who is told when, and if not, what is wrong with it?

Routes, inhibitions, time intervals, on-call rotations and escalation ladders, in one section ``alerting`` of the settings
(or a file of its own). All problems are found in one go.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from alert_rules import durations
from alert_rules.rule import Severity
from alert_rules.stages.escalate import Ladder, Rung
from alert_rules.stages.inhibit import InhibitRule, cycles
from alert_rules.stages.match import Matcher, shown
from alert_rules.stages.oncall import Duty, Member, Override, Rotation, on_call
from alert_rules.stages.route import EACH, Route, walk
from alert_rules.stages.times import WEEKDAYS, TimeInterval, minutes, parse_interval, usual
from alert_rules.suggest import near
from models.calendar import epoch_ms

KEYS = ("route", "inhibit_rules", "time_intervals", "on_call", "escalations")
_ROUTE_KEYS = (
    "receiver", "receivers", "matchers", "group_by", "group_wait", "group_interval", "repeat_interval", "continue",
    "mute_time_intervals", "active_time_intervals", "escalation", "routes",
)  # fmt: skip
_INHIBIT_KEYS = ("source_matchers", "target_matchers", "equal")
_ON_CALL_KEYS = ("rotation", "handover", "start", "timezone", "members", "overrides")
_MEMBER_KEYS = ("name", "receivers", "away")
ON_CALL = "on_call:"
#: Alertmanager's, for those who configure routes at all.
GROUP_WAIT, GROUP_INTERVAL, REPEAT_INTERVAL = 30_000, 300_000, 4 * 3_600_000


class Heard(NamedTuple):
    """A receiver, and why it is this one (the rotation's words, where there is one)."""

    receiver: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alerting:
    """The whole plan."""

    route: Route
    inhibit_rules: tuple[InhibitRule, ...] = ()
    intervals: Mapping[str, tuple[TimeInterval, ...]] = field(default_factory=dict)
    rotations: Mapping[str, Rotation] = field(default_factory=dict)
    ladders: Mapping[str, Ladder] = field(default_factory=dict)

    def resolve(self, names: Iterable[str], now: int) -> list[Heard]:
        """Return the receivers behind some names at a time, each once: rotations are replaced by who is on call."""
        found: dict[str, Heard] = {}
        for name in names:
            if name.startswith(ON_CALL):
                duty = self.duty(name, now)
                for receiver in duty.receivers:
                    found.setdefault(receiver, Heard(receiver, duty.reason))
            else:
                found.setdefault(name, Heard(name, ""))
        return list(found.values())

    def duty(self, name: str, now: int) -> Duty:
        """Return who is on call for ``on_call:NAME`` or ``on_call:NAME+1`` (the next one after them)."""
        rotation, _, ahead = name.removeprefix(ON_CALL).partition("+")
        return on_call(self.rotations[rotation], now, int(ahead or 0))

    def routes(self) -> dict[str, Route]:
        """Return all routes by path."""
        return {route.path: route for route in walk(self.route)}


def everything_to(receivers: Iterable[str], zone: str = "UTC") -> Alerting:
    """Return the plan of those who configured none: every incident by itself, to every receiver, at once, never repeated."""
    return Alerting(Route("{}", (), tuple(receivers)), intervals=usual(zone))


def parse_alerting(tree: Any, receivers: Collection[str], zone: str = "UTC") -> tuple[Alerting | None, list[str]]:
    """Return the plan and all that is wrong with it; with any problem there is no plan.

    ``receivers`` are the names there are, ``zone`` the time zone where none is named.
    """
    reader = _Reader(receivers, zone)
    plan = reader.plan(tree)
    return (None if reader.problems else plan), reader.problems


class _Reader:
    def __init__(self, receivers: Collection[str], zone: str) -> None:
        self.receivers = receivers
        self.zone = zone
        self.problems: list[str] = []
        self.intervals: dict[str, tuple[TimeInterval, ...]] = usual(zone)
        self.rotations: dict[str, Rotation] = {}
        self.named: dict[str, set[str]] = {}  # names that exist even where their content is wrong
        self.ladders: dict[str, Ladder] = {}
        self.paths: set[str] = set()

    def bad(self, key: str, text: str) -> None:
        self.problems.append(f"{key}: {text}")

    def mapping(self, tree: Any, key: str, accepted: Collection[str] | None = None) -> Mapping[str, Any]:
        """Return the tree where it is a mapping with these keys only, else say so; what is known is still read."""
        if not isinstance(tree, Mapping):
            keys = f" with {', '.join(accepted)}" if accepted else ""
            self.bad(key, f"found {tree!r} (accepted: a mapping{keys})")
            return {}
        for name in tree:
            if accepted is not None and name not in accepted:
                self.bad(f"{key}.{name}", f'unknown key "{name}"{near(name, accepted)}')
        return tree

    def items(self, tree: Any, key: str, *, empty: bool = True) -> list[Any]:
        if not isinstance(tree, list) or not (tree or empty):
            self.bad(key, f"found {tree!r} (accepted: a list{'' if empty else ' with at least one entry'})")
            return []
        return tree

    def plan(self, tree: Any) -> Alerting | None:
        top = self.mapping(tree, "alerting", KEYS)
        self._intervals(top.get("time_intervals", []))
        self._rotations(top.get("on_call", {}))
        self._ladders(top.get("escalations", {}))
        inhibitions = self._inhibitions(top.get("inhibit_rules", []))
        if "route" not in top:
            self.bad("alerting.route", "found nothing (accepted: a route with receivers)")
            return None
        base = Route("", (), (), (), GROUP_WAIT, GROUP_INTERVAL, REPEAT_INTERVAL)
        route = self._route(top["route"], "alerting.route", base, root=True)
        return Alerting(route, inhibitions, self.intervals, self.rotations, self.ladders)

    # ── routes ──

    def _route(self, tree: Any, key: str, above: Route, *, root: bool = False) -> Route:
        found = self.mapping(tree, key, _ROUTE_KEYS)
        receivers = self._route_receivers(found, key) if "receiver" in found or "receivers" in found else above.receivers
        if root and "receiver" not in found and "receivers" not in found:
            self.bad(f"{key}.receivers", f"found nothing{near('', sorted(self.receivers))}")
        matchers = self._matchers(found.get("matchers", []), f"{key}.matchers")
        if root:
            for name in ("matchers", "continue", "mute_time_intervals", "active_time_intervals"):
                if found.get(name):
                    self.bad(f"{key}.{name}", "the root takes every alert at any time (accepted: on a route below it)")
        group_by = above.group_by
        if "group_by" in found:
            names = self.items(found["group_by"], f"{key}.group_by")
            if not all(isinstance(name, str) and name for name in names):
                self.bad(f"{key}.group_by", f"found {names!r} (accepted: names of labels, or ['{EACH}'] for each by itself)")
            elif EACH in names and len(names) > 1:
                self.bad(f"{key}.group_by", f"found {EACH!r} among others (accepted: ['{EACH}'] alone)")
            group_by = tuple(map(str, names))
        path = "{}" if root else f"{above.path}/{shown(matchers)}"
        while path in self.paths:  # two siblings with the same matchers
            path += "'"
        self.paths.add(path)
        go_on = found.get("continue", False)
        if not isinstance(go_on, bool):
            self.bad(f"{key}.continue", f"found {go_on!r} (accepted: true, false)")
        escalation = self._known(found, "escalation", key, self.named.get("escalations", set()), "escalation", above.escalation)
        route = Route(
            path=path,
            matchers=matchers,
            receivers=receivers,
            group_by=group_by,
            group_wait=self._duration(found, "group_wait", key, above.group_wait),
            group_interval=self._duration(found, "group_interval", key, above.group_interval),
            repeat_interval=self._duration(found, "repeat_interval", key, above.repeat_interval),
            mute=self._times(found, "mute_time_intervals", key),
            active=self._times(found, "active_time_intervals", key),
            escalation=escalation,
            go_on=go_on is True,
        )
        children = self.items(found.get("routes", []), f"{key}.routes")
        below = [self._route(child, f"{key}.routes[{n}]", route) for n, child in enumerate(children)]
        for n, child in enumerate(below[:-1]):
            if not child.matchers and not child.go_on:
                self.bad(
                    f"{key}.routes[{n}]", "takes every alert, the routes after it none (accepted: matchers, or continue: true)"
                )
        return Route(**{name: getattr(route, name) for name in Route.__slots__ if name != "routes"}, routes=tuple(below))

    def _route_receivers(self, found: Mapping[str, Any], key: str) -> tuple[str, ...]:
        if "receiver" in found and "receivers" in found:
            self.bad(f"{key}.receiver", "found beside receivers (accepted: one of the two)")
        if "receiver" in found:
            return self._receivers([found["receiver"]], f"{key}.receiver")
        return self._receivers(found["receivers"], f"{key}.receivers")

    def _receivers(self, tree: Any, key: str, *, people: bool = False) -> tuple[str, ...]:
        """Read names of receivers and, unless they are ``people``'s own, rotations."""
        names: list[str] = []
        for name in self.items(tree, key, empty=False):
            if not isinstance(name, str):
                self.bad(key, f"found {name!r} (accepted: a receiver's name)")
            elif name.startswith(ON_CALL) and not people:
                rotation, plus, ahead = name.removeprefix(ON_CALL).partition("+")
                known = self.named.get("on_call", set())
                if rotation not in known or (plus and not ahead.isdecimal()):
                    self.bad(key, f"undefined rotation {name!r}{near(name, sorted(ON_CALL + known_ for known_ in known))}")
                names.append(name)
            else:
                if name not in self.receivers:
                    self.bad(key, f"undefined receiver {name!r}{near(name, sorted(self.receivers))}")
                names.append(name)
        return tuple(dict.fromkeys(names))

    def _matchers(self, tree: Any, key: str, *, empty: bool = True) -> tuple[Matcher, ...]:
        matchers: list[Matcher] = []
        for n, text in enumerate(self.items(tree, key, empty=empty)):
            try:
                matchers.append(Matcher.parse(text))
            except ValueError as error:
                self.bad(f"{key}[{n}]", str(error))
        for n, one in enumerate(matchers):
            for other in matchers[:n]:
                if one.excludes(other):
                    self.bad(key, f"{other} and {one} never hold together")
        return tuple(matchers)

    def _duration(self, found: Mapping[str, Any], name: str, key: str, above: int) -> int:
        if name not in found:
            return above
        try:
            return durations.parse(found[name])
        except ValueError as error:
            self.bad(f"{key}.{name}", str(error))
            return above

    def _times(self, found: Mapping[str, Any], name: str, key: str) -> tuple[str, ...]:
        names = self.items(found.get(name, []), f"{key}.{name}")
        known = self.named.get("time_intervals", set())
        for one in names:
            if one not in known:
                self.bad(f"{key}.{name}", f"undefined time interval {one!r}{near(one, sorted(known))}")
        return tuple(map(str, names))

    def _known(
        self, found: Mapping[str, Any], name: str, key: str, known: Collection[str], what: str, above: str | None
    ) -> str | None:
        if name not in found:
            return above
        value = found[name]
        if value is not None and value not in known:
            self.bad(f"{key}.{name}", f"undefined {what} {value!r}{near(value, sorted(known))}")
        return None if value is None else str(value)

    # ── the rest ──

    def _inhibitions(self, tree: Any) -> tuple[InhibitRule, ...]:
        rules: list[InhibitRule] = []
        for n, entry in enumerate(self.items(tree, "alerting.inhibit_rules")):
            key = f"alerting.inhibit_rules[{n}]"
            found = self.mapping(entry, key, _INHIBIT_KEYS)
            sources = self._matchers(found.get("source_matchers"), f"{key}.source_matchers", empty=False)
            targets = self._matchers(found.get("target_matchers"), f"{key}.target_matchers", empty=False)
            equal = self.items(found.get("equal", []), f"{key}.equal")
            rules.append(InhibitRule(sources, targets, tuple(map(str, equal))))
        if not self.problems:
            for circle in cycles(rules):
                names = " → ".join(f"inhibit_rules[{n}]" for n in (*circle, circle[0]))
                self.bad("alerting.inhibit_rules", f"a circle: {names}: alerts may hold each other, and nobody is told of either")
        return tuple(rules)

    def _intervals(self, tree: Any) -> None:
        own: set[str] = set()
        known = self.named.setdefault("time_intervals", set(self.intervals))
        for n, entry in enumerate(self.items(tree, "alerting.time_intervals")):
            key = f"alerting.time_intervals[{n}]"
            found = self.mapping(entry, key, ("name", "time_intervals"))
            name = found.get("name")
            if not isinstance(name, str) or not name:
                self.bad(f"{key}.name", f"found {name!r} (accepted: a text)")
                continue
            if name in own:
                self.bad(f"{key}.name", f"{name!r} is there twice")
            own.add(name)
            known.add(name)
            read: list[TimeInterval] = []
            for m, one in enumerate(self.items(found.get("time_intervals"), f"{key}.time_intervals", empty=False)):
                interval, problems = parse_interval(one, self.zone)
                for where, text in problems:
                    self.bad(f"{key}.time_intervals[{m}]{f'.{where}' if where else ''}", text)
                if interval is not None:
                    read.append(interval)
            self.intervals[name] = tuple(read)

    def _ladders(self, tree: Any) -> None:
        known = self.named.setdefault("escalations", set())
        for name, entry in self.mapping(tree, "alerting.escalations").items():
            key = f"alerting.escalations.{name}"
            known.add(name)
            found = self.mapping(entry, key, ("severity", "steps"))
            severity = found.get("severity", Severity.CRITICAL.value)
            if severity not in list(Severity):
                self.bad(f"{key}.severity", f"found {severity!r}{near(severity, [s.value for s in Severity])}")
                continue
            rungs: list[Rung] = []
            for n, step in enumerate(self.items(found.get("steps"), f"{key}.steps", empty=False)):
                where = f"{key}.steps[{n}]"
                one = self.mapping(step, where, ("after", "receivers"))
                after = self._duration({"after": None} | dict(one), "after", where, 0)
                if rungs and after <= rungs[-1].after:
                    self.bad(f"{where}.after", f"found {one.get('after')!r} (accepted: later than the step before)")
                rungs.append(Rung(after, self._receivers(one.get("receivers"), f"{where}.receivers")))
            severities = tuple(s.value for s in Severity if s.rank >= Severity(severity).rank)
            self.ladders[name] = Ladder(name, severities, tuple(rungs))

    def _rotations(self, tree: Any) -> None:
        known = self.named.setdefault("on_call", set())
        for name, entry in self.mapping(tree, "alerting.on_call").items():
            key = f"alerting.on_call.{name}"
            known.add(name)
            before = len(self.problems)
            found = self.mapping(entry, key, _ON_CALL_KEYS)
            zone = found.get("timezone", self.zone)
            if zone not in available_timezones():
                self.bad(f"{key}.timezone", f"unknown time zone {zone!r}{near(zone, available_timezones(), listed=False)}")
                continue
            kind = found.get("rotation", "weekly")
            if kind not in ("weekly", "daily"):
                self.bad(f"{key}.rotation", f"found {kind!r}{near(kind, ('weekly', 'daily'))}")
            day, handover = self._handover(found.get("handover", "monday 09:00" if kind == "weekly" else "09:00"), kind, key)
            start = found.get("start")
            if isinstance(start, datetime) or not isinstance(start, date):
                self.bad(f"{key}.start", f"found {start!r} (accepted: the day of the first hand-over, such as 2026-01-05)")
            elif day is not None and start.isoweekday() % 7 != day:
                self.bad(
                    f"{key}.start",
                    f"{start} is a {WEEKDAYS[start.isoweekday() % 7]} (accepted: a {WEEKDAYS[day]}, as in handover)",
                )
            members = self._members(found.get("members"), f"{key}.members", ZoneInfo(zone))
            overrides = self._overrides(found.get("overrides", []), f"{key}.overrides", [m.name for m in members], ZoneInfo(zone))
            if len(self.problems) == before and isinstance(start, date):
                days = 7 if kind == "weekly" else 1
                self.rotations[name] = Rotation(name, ZoneInfo(zone), days, start, handover, members, overrides)

    def _handover(self, value: Any, kind: str, key: str) -> tuple[int | None, int]:
        day: int | None = None
        text = value
        if kind == "weekly" and isinstance(value, str):
            word, _, text = value.strip().lower().partition(" ")
            if word not in WEEKDAYS:
                self.bad(f"{key}.handover", f"found {value!r} (accepted: such as monday 09:00)")
                return None, 0
            day = WEEKDAYS.index(word)
        try:
            return day, minutes(text.strip() if isinstance(text, str) else text)
        except ValueError as error:
            self.bad(f"{key}.handover", str(error))
            return None, 0

    def _members(self, tree: Any, key: str, zone: ZoneInfo) -> tuple[Member, ...]:
        members: list[Member] = []
        for n, entry in enumerate(self.items(tree, key, empty=False)):
            where = f"{key}[{n}]"
            found = self.mapping(entry, where, _MEMBER_KEYS)
            name = found.get("name")
            if not isinstance(name, str) or not name or name in [m.name for m in members]:
                self.bad(f"{where}.name", f"found {name!r} (accepted: a name of their own)")
                continue
            away = [
                self._span(one, f"{where}.away[{m}]", zone)
                for m, one in enumerate(self.items(found.get("away", []), f"{where}.away"))
            ]
            receivers = self._receivers(found.get("receivers"), f"{where}.receivers", people=True)
            members.append(Member(name, receivers, tuple(span for span in away if span)))
        return tuple(members)

    def _overrides(self, tree: Any, key: str, names: Collection[str], zone: ZoneInfo) -> tuple[Override, ...]:
        overrides: list[Override] = []
        for n, entry in enumerate(self.items(tree, key)):
            found = self.mapping(entry, f"{key}[{n}]", ("who", "from", "to"))
            if found.get("who") not in names:
                self.bad(f"{key}[{n}].who", f"found {found.get('who')!r}{near(found.get('who'), names)}")
            span = self._span({k: v for k, v in found.items() if k != "who"}, f"{key}[{n}]", zone)
            if span is not None:
                overrides.append(Override(str(found.get("who")), *span))
        return tuple(overrides)

    def _span(self, tree: Any, key: str, zone: ZoneInfo) -> tuple[int, int] | None:
        """Read {from, to}: days (the last one included) or times, local where they name no offset."""
        found = self.mapping(tree, key, ("from", "to"))
        ends: list[int] = []
        for name in ("from", "to"):
            value = found.get(name)
            if isinstance(value, str):
                try:
                    value = datetime.fromisoformat(value)
                except ValueError:
                    value = None
            if not isinstance(value, date):
                self.bad(f"{key}.{name}", f"found {found.get(name)!r} (accepted: a date, or a time such as 2026-12-24T12:00)")
                return None
            if not isinstance(value, datetime):
                after = 1 if name == "to" else 0
                value = datetime.fromordinal(value.toordinal() + after)
            ends.append(epoch_ms(value if value.tzinfo is not None else value.replace(tzinfo=zone)))
        if ends[1] <= ends[0]:
            self.bad(f"{key}.to", f"found {found['to']} (accepted: after {found['from']})")
            return None
        return ends[0], ends[1]
