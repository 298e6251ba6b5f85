"""How is what the dispatch knows kept in rows, and taken back from them?

One row an alert that stands (``alert|incident``), a group (``group|key``), a member (``member|key|incident``), a silence
(``silence|id``), a used link (``link|id``), and one that says when this installation began to notify people (``begun``).
"""

from collections.abc import Iterable
from typing import Any

import orjson

from alert_rules.tell import alert_row
from alert_rules.tell.groups import Groups
from alert_rules.tell.labels import labels_of
from alert_rules.tell.stages import silence as silences_
from alert_rules.tell.stages.dedup import Notified
from alert_rules.tell.stages.group import Group
from alert_rules.tell.stages.suppression import Suppression


class DispatchRows:
    """The rows of some groups, and of what is kept beside them: used links with their expiry, and the beginning."""

    def __init__(self, state: Groups) -> None:
        self._state = state
        self.links: dict[str, int] = {}
        self.begun: int | None = None  # what is older is history

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> bool:
        """Take the state back; return whether there was any."""
        state = self._state
        members: list[tuple[str, dict[str, Any]]] = []
        found = False
        for key, value in rows:
            found = True
            kind, _, name = key.decode().partition("|")
            match kind:
                case "alert":
                    alert = state.alerts[name] = alert_row.decode(value)
                    if not alert.ended:
                        state.inhibitions.stand(name, labels_of(alert.alert))
                        state.stale.stand(name, alert.alert)
                case "silence":
                    state.silences[name] = silences_.decode(orjson.loads(value))
                case "group":
                    group = state.groups[name] = Group.decode(orjson.loads(value))
                    state.threads[group.thread] = name
                case "link":
                    self.links[name] = orjson.loads(value)
                case "begun":
                    self.begun = orjson.loads(value)
                case _:
                    members.append((name, orjson.loads(value)))
        for place, tree in members:
            name, _, incident = place.partition("|")
            state.groups[name].members[incident] = None if tree["told"] is None else Notified(*tree["told"])
            state.of.setdefault(incident, set()).add(name)
            if tree["held"] is not None:
                state.suppressed.setdefault(name, {})[incident] = Suppression(*tree["held"])
        return found

    def value(self, key: str) -> bytes | None:
        """Return what a row holds now, None where there is nothing to keep."""
        state = self._state
        kind, _, name = key.partition("|")
        match kind:
            case "alert":
                alert = state.alerts.get(name)
                return None if alert is None else alert_row.encode(alert)
            case "silence":
                silence = state.silences.get(name)
                return None if silence is None else orjson.dumps(silences_.encode(silence))
            case "link":
                expires = self.links.get(name)
                return None if expires is None else orjson.dumps(expires)
            case "begun":
                return orjson.dumps(self.begun)
            case "member":
                name, _, incident = name.partition("|")
                group = state.groups.get(name)
                if group is None or incident not in group.members:
                    return None
                notified = group.members[incident]
                suppression = state.suppressed.get(name, {}).get(incident)
                return orjson.dumps(
                    {"told": None if notified is None else notified.encode(), "held": suppression and list(suppression)}
                )
            case _:
                group = state.groups.get(name)
                return None if group is None else orjson.dumps(group.encode())
