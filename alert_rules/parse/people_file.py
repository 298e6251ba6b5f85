"""Is what the plan says of people sound: on-call rotations, escalation ladders, the fallback?

Also what every part of the reading shares: problems are collected, and what is known is still read.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from alert_rules.judge.rule import Severity
from alert_rules.tell.plan import FALLBACK_AFTER, ON_CALL, Digest, FallbackPlan
from alert_rules.tell.stages.escalate import EscalationLadder, Rung
from alert_rules.tell.stages.oncall import Override, RotaMember, Rotation
from models.calendar import epoch_ms, time_zones
from models.config.reader import TreeReader
from models.config.suggest import near
from models.panes.windows import Window, WindowError
from models.time_intervals import WEEKDAYS, minutes, parse_interval

_ON_CALL_KEYS = ("rotation", "handover", "start", "timezone", "members", "overrides")
_MEMBER_KEYS = ("name", "receivers", "away")


class PeopleReader(TreeReader):
    """Reads who is told."""

    def __init__(self, receivers: Collection[str], zone: str, file: str = "") -> None:
        super().__init__(file)
        self.receivers = receivers
        self.zone = zone
        self.rotations: dict[str, Rotation] = {}
        self.named: dict[str, set[str]] = {}  # names that exist even where their content is wrong
        self.ladders: dict[str, EscalationLadder] = {}

    def part(self, tree: Any, key: str, accepted: Collection[str] | None = None) -> Mapping[str, Any]:
        """Return a mapping of these keys (None: any); where it is none, or has others, say so: what is known is still read."""
        return self.mapping(tree, key, accepted) or {}

    def items(self, tree: Any, key: str, *, empty: bool = True) -> list[Any]:
        """Return the tree where it is a list, else say so."""
        if not isinstance(tree, list) or not (tree or empty):
            self.bad(key, f"found {tree!r} (accepted: a list{'' if empty else ' with at least one entry'})")
            return []
        return tree

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

    def _duration(self, found: Mapping[str, Any], name: str, key: str, above: int) -> int:
        if name not in found:
            return above
        before = len(self.problems)
        read = self.duration(found[name], f"{key}.{name}")
        return read if len(self.problems) == before else above

    def fallback(self, tree: Any) -> FallbackPlan:
        """Read who hears of a receiver that fails."""
        key = "alerting.fallback"
        found = self.part(tree, key, ("receivers", "after"))
        receivers = self._receivers(found["receivers"], f"{key}.receivers") if "receivers" in found else ()
        after = self._duration(found, "after", key, FALLBACK_AFTER)
        if "after" in found and after < 1000:
            self.bad(f"{key}.after", f"found {found['after']!r} (accepted: 1s or more)")
        return FallbackPlan(receivers, after)

    def digest(self, tree: Any) -> Digest:
        """Read who gets the morning's summary, when, and of what."""
        key = "alerting.digest"
        found = self.part(tree, key, ("receivers", "at", "weekdays", "timezone", "kpis", "window"))
        receivers = self._receivers(found.get("receivers"), f"{key}.receivers")
        plain = Digest(receivers)
        at, zone, window = plain.at, found.get("timezone", self.zone), found.get("window", plain.window)
        if zone not in time_zones():
            self.bad(f"{key}.timezone", f"unknown time zone {zone!r}{near(zone, time_zones(), listed=False)}")
        try:
            at = minutes(found.get("at", at))
        except ValueError as error:
            self.bad(f"{key}.at", str(error))
        weekdays: list[tuple[int, int]] = []
        for n, value in enumerate(self.items(found.get("weekdays", []), f"{key}.weekdays")):
            interval, problems = parse_interval({"weekdays": [value]}, "UTC")
            for _, text in problems:
                self.bad(f"{key}.weekdays[{n}]", text)
            weekdays += interval.weekdays if interval is not None else ()
        try:
            Window.parse(str(window))
        except WindowError as error:
            self.bad(f"{key}.window", str(error))
        kpis = tuple(map(str, self.items(found.get("kpis", list(plain.kpis)), f"{key}.kpis", empty=False)))
        return Digest(receivers, at % 1440, str(zone), tuple(weekdays), tuple(dict.fromkeys(kpis)), str(window))

    def _ladders(self, tree: Any) -> None:
        known = self.named.setdefault("escalations", set())
        for name, entry in self.part(tree, "alerting.escalations").items():
            key = f"alerting.escalations.{name}"
            known.add(name)
            found = self.part(entry, key, ("severity", "steps"))
            severity = found.get("severity", Severity.CRITICAL.value)
            if severity not in list(Severity):
                self.bad(f"{key}.severity", f"found {severity!r}{near(severity, [s.value for s in Severity])}")
                continue
            rungs: list[Rung] = []
            for n, step in enumerate(self.items(found.get("steps"), f"{key}.steps", empty=False)):
                where = f"{key}.steps[{n}]"
                one = self.part(step, where, ("after", "receivers"))
                after = self._duration({"after": None} | dict(one), "after", where, 0)
                if rungs and after <= rungs[-1].after:
                    self.bad(f"{where}.after", f"found {one.get('after')!r} (accepted: later than the step before)")
                rungs.append(Rung(after, self._receivers(one.get("receivers"), f"{where}.receivers")))
            severities = tuple(s.value for s in Severity if s.rank >= Severity(severity).rank)
            self.ladders[name] = EscalationLadder(name, severities, tuple(rungs))

    def _rotations(self, tree: Any) -> None:
        known = self.named.setdefault("on_call", set())
        for name, entry in self.part(tree, "alerting.on_call").items():
            key = f"alerting.on_call.{name}"
            known.add(name)
            before = len(self.problems)
            found = self.part(entry, key, _ON_CALL_KEYS)
            zone = found.get("timezone", self.zone)
            if zone not in time_zones():
                self.bad(f"{key}.timezone", f"unknown time zone {zone!r}{near(zone, time_zones(), listed=False)}")
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

    def _members(self, tree: Any, key: str, zone: ZoneInfo) -> tuple[RotaMember, ...]:
        members: list[RotaMember] = []
        for n, entry in enumerate(self.items(tree, key, empty=False)):
            where = f"{key}[{n}]"
            found = self.part(entry, where, _MEMBER_KEYS)
            name = found.get("name")
            if not isinstance(name, str) or not name or name in [m.name for m in members]:
                self.bad(f"{where}.name", f"found {name!r} (accepted: a name of their own)")
                continue
            away = [
                self._span(one, f"{where}.away[{m}]", zone)
                for m, one in enumerate(self.items(found.get("away", []), f"{where}.away"))
            ]
            receivers = self._receivers(found.get("receivers"), f"{where}.receivers", people=True)
            members.append(RotaMember(name, receivers, tuple(span for span in away if span)))
        return tuple(members)

    def _overrides(self, tree: Any, key: str, names: Collection[str], zone: ZoneInfo) -> tuple[Override, ...]:
        overrides: list[Override] = []
        for n, entry in enumerate(self.items(tree, key)):
            found = self.part(entry, f"{key}[{n}]", ("who", "from", "to"))
            if found.get("who") not in names:
                self.bad(f"{key}[{n}].who", f"found {found.get('who')!r}{near(found.get('who'), names)}")
            span = self._span({k: v for k, v in found.items() if k != "who"}, f"{key}[{n}]", zone)
            if span is not None:
                overrides.append(Override(str(found.get("who")), *span))
        return tuple(overrides)

    def _span(self, tree: Any, key: str, zone: ZoneInfo) -> tuple[int, int] | None:
        """Read {from, to}: days (the last one included) or times, local where they name no offset."""
        found = self.part(tree, key, ("from", "to"))
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
