"""Is this parsed YAML a sound plan of who is told when, and if not, what is wrong with it?

Routes, inhibitions, time intervals, on-call rotations and escalation ladders, in one section ``alerting`` of the settings
(or a file of its own). All problems are found in one go.
"""

from collections.abc import Collection, Mapping
from typing import Any

from alert_rules.parse.people_file import PeopleReader
from alert_rules.tell.plan import ON_CALL, Alerting, FallbackPlan, by_rule, everything_to
from alert_rules.tell.stages.inhibit import InhibitRule, cycles
from alert_rules.tell.stages.match import Matcher, shown
from alert_rules.tell.stages.route import EACH, Route
from models.config.problem import FileProblem
from models.config.suggest import near
from models.time_intervals import TimeInterval, parse_interval, usual

__all__ = ["KEYS", "ON_CALL", "Alerting", "by_rule", "everything_to", "parse_alerting"]

KEYS = ("route", "inhibit_rules", "time_intervals", "on_call", "escalations", "fallback", "digest")
_ROUTE_KEYS = (
    "receiver", "receivers", "matchers", "group_by", "group_wait", "group_interval", "repeat_interval", "continue",
    "mute_time_intervals", "active_time_intervals", "escalation", "routes",
)  # fmt: skip
_INHIBIT_KEYS = ("source_matchers", "target_matchers", "equal")
#: Alertmanager's, for those who configure routes at all.
GROUP_WAIT, GROUP_INTERVAL, REPEAT_INTERVAL = 30_000, 300_000, 4 * 3_600_000


def parse_alerting(
    tree: Any, receivers: Collection[str], zone: str = "UTC", file: str = ""
) -> tuple[Alerting | None, list[FileProblem]]:
    """Return the plan and all that is wrong with it; with any problem there is no plan.

    ``receivers`` are the names there are, ``zone`` the time zone where none is named, ``file`` what it stands in.
    """
    reader = _Reader(receivers, zone, file)
    plan = reader.plan(tree)
    return (None if reader.problems else plan), reader.problems


class _Reader(PeopleReader):
    def __init__(self, receivers: Collection[str], zone: str, file: str) -> None:
        super().__init__(receivers, zone, file)
        self.intervals: dict[str, tuple[TimeInterval, ...]] = usual(zone)
        self.paths: set[str] = set()

    def plan(self, tree: Any) -> Alerting | None:
        top = self.part(tree, "alerting", KEYS)
        self._intervals(top.get("time_intervals", []))
        self._rotations(top.get("on_call", {}))
        self._ladders(top.get("escalations", {}))
        inhibitions = self._inhibitions(top.get("inhibit_rules", []))
        fallback = self.fallback(top["fallback"]) if "fallback" in top else FallbackPlan()
        digest = self.digest(top["digest"]) if "digest" in top else None
        if "route" not in top:
            self.bad("alerting.route", "found nothing (accepted: a route with receivers)")
            return None
        base = Route("", (), (), (), GROUP_WAIT, GROUP_INTERVAL, REPEAT_INTERVAL)
        route = self._route(top["route"], "alerting.route", base, root=True)
        return Alerting(route, inhibitions, self.intervals, self.rotations, self.ladders, fallback, digest)

    # ── routes ──

    def _route(self, tree: Any, key: str, above: Route, *, root: bool = False) -> Route:
        found = self.part(tree, key, _ROUTE_KEYS)
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
            found = self.part(entry, key, _INHIBIT_KEYS)
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
            found = self.part(entry, key, ("name", "time_intervals"))
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
