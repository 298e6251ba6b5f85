"""Does a graver or an earlier trouble explain this alert already?

As in Alertmanager: while an alert fires that the source matchers mean, those that the target matchers mean are suppressed, where
the ``equal`` labels have the same values. An alert that is both source and target of a rule is not held by another such one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alert_rules.tell.stages.match import Matcher, all_match, shown
from alert_rules.tell.stages.suppression import Suppression


@dataclass(frozen=True, slots=True)
class InhibitRule:
    """While sources fire, targets are suppressed."""

    sources: tuple[Matcher, ...]
    targets: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()

    def place(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Return the values of the ``equal`` labels."""
        return tuple(labels.get(name, "") for name in self.equal)


class Inhibitions:
    """The rules, and the firing alerts that are sources, indexed: a target costs the rules' number, not the alerts'."""

    def __init__(self, rules: Sequence[InhibitRule]) -> None:
        self.rules = tuple(rules)
        # Per rule and place, the sources; for each, whether it is a target too.
        self._sources: dict[tuple[int, tuple[str, ...]], dict[str, bool]] = {}
        self._where: dict[str, list[tuple[int, tuple[str, ...]]]] = {}

    def stand(self, incident: str, labels: Mapping[str, str]) -> None:
        """Hear that an alert fires with these labels."""
        self.end(incident)
        for n, rule in enumerate(self.rules):
            if all_match(rule.sources, labels):
                key = (n, rule.place(labels))
                self._sources.setdefault(key, {})[incident] = all_match(rule.targets, labels)
                self._where.setdefault(incident, []).append(key)

    def end(self, incident: str) -> None:
        """Hear that an alert does not fire any more."""
        for key in self._where.pop(incident, ()):
            del self._sources[key][incident]
            if not self._sources[key]:
                del self._sources[key]

    def suppression(self, incident: str, labels: Mapping[str, str]) -> Suppression | None:
        """Return why an alert is inhibited, None where it is not."""
        for n, rule in enumerate(self.rules):
            if not all_match(rule.targets, labels):
                continue
            both = all_match(rule.sources, labels)
            for source, also_target in self._sources.get((n, rule.place(labels)), {}).items():
                if source != incident and not (both and also_target):
                    same = f" with the same {', '.join(rule.equal)}" if rule.equal else ""
                    return Suppression("inhibit", f"inhibited while {shown(rule.sources)} fires{same}: incident {source}")
        return None


def cycles(rules: Sequence[InhibitRule]) -> list[tuple[int, ...]]:
    """Return the circles in which rules may hold each other's sources, so that nobody would be notified of anything."""

    def feeds(one: InhibitRule, other: InhibitRule) -> bool:
        return not any(a.excludes(b) for a in one.targets for b in other.sources)

    next_ = {i: [j for j, other in enumerate(rules) if j != i and feeds(rule, other)] for i, rule in enumerate(rules)}
    found: set[tuple[int, ...]] = set()

    def walk(start: int, path: tuple[int, ...]) -> None:
        for step in next_[path[-1]]:
            if step == start:
                found.add(path)
            elif step > start and step not in path:
                walk(start, (*path, step))

    # Configurations have a handful of rules; each circle is found from its smallest member.
    for start in range(len(rules)):
        walk(start, (start,))
    return sorted(found)
