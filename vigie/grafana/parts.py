"""What is a dashboard of Grafana made of: panels with an expression, a unit and a meaning, on a grid of 24 columns?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Tree = dict[str, Any]
SOURCE: Tree = {"type": "prometheus", "uid": "${datasource}"}
BLUE, AMBER = "#3d6fa8", "#f5a524"
#: Steps from which on a value is something to look at, each with its colour.
Thresholds = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Prom:
    """One expression, and how its series are called."""

    expr: str
    legend: str = "__auto"
    instant: bool = False

    def tree(self, ref: str) -> Tree:
        """Return it as Grafana has it."""
        return {
            "datasource": SOURCE, "expr": self.expr, "legendFormat": self.legend, "refId": ref, "instant": self.instant,
            "range": not self.instant, "format": "table" if self.instant else "time_series", "editorMode": "code",
        }  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """A panel; ``base`` is the colour below the first threshold. A row has a title and nothing else."""

    kind: Literal["stat", "timeseries", "bargauge", "table", "row"]
    title: str
    description: str = ""
    targets: tuple[Prom, ...] = ()
    unit: str = "short"
    width: int = 8
    height: int = 8
    thresholds: Thresholds = ()
    base: str = "green"
    columns: tuple[tuple[str, str], ...] = ()  # of a table: the name and unit of each target's column
    links: bool = False
    empty: str = "no value"
    filled: int = 6

    def tree(self, number: int, x: int, y: int) -> Tree:
        """Return it as Grafana has it, at a place of the grid."""
        place = {"x": x, "y": y, "w": self.width, "h": self.height}
        if self.kind == "row":
            return {"id": number, "type": "row", "title": self.title, "gridPos": place, "collapsed": False, "panels": []}
        targets = [target.tree(chr(65 + at)) for at, target in enumerate(self.targets)]
        return {
            "id": number, "type": self.kind, "title": self.title, "description": self.description, "datasource": SOURCE,
            "gridPos": place, "fieldConfig": {"defaults": self._defaults(), "overrides": self._overrides()},
            "options": self._options(), "targets": targets,
            **({"transformations": self._transformations()} if self.kind == "table" else {}),
        }  # fmt: skip

    def _defaults(self) -> Tree:
        found: Tree = {"unit": self.unit, "noValue": self.empty}
        if self.kind == "timeseries":
            found["custom"] = {"lineWidth": 2, "fillOpacity": self.filled, "showPoints": "never", "spanNulls": 120_000}
        if self.thresholds:
            steps = [
                {"color": self.base, "value": None},
                *({"color": colour, "value": value} for value, colour in self.thresholds),
            ]
            found |= {"thresholds": {"mode": "absolute", "steps": steps}, "color": {"mode": "thresholds"}}
            if self.kind == "timeseries":
                found["custom"] |= {"thresholdsStyle": {"mode": "line"}}
                found["color"] = {"mode": "palette-classic"}
        elif self.kind != "table" and len(self.targets) == 1:
            found["color"] = {"mode": "fixed", "fixedColor": AMBER if self.kind == "bargauge" else BLUE}
        if self.kind == "bargauge":
            found["min"] = 0
        if self.links:
            found["links"] = [{"title": "On Vigie's page", "url": "${page}/", "targetBlank": True}]
        return found

    def _overrides(self) -> list[Tree]:
        return [
            {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
            for name, unit in self.columns
        ]

    def _options(self) -> Tree:
        match self.kind:
            case "stat":
                reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
                mode = "value" if self.thresholds else "none"
                return {"colorMode": mode, "graphMode": "area", "textMode": "value", "reduceOptions": reduce}
            case "bargauge":
                reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
                return {"displayMode": "basic", "orientation": "horizontal", "reduceOptions": reduce, "showUnfilled": True}
            case "timeseries":
                return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
        return {}

    def _transformations(self) -> list[Tree]:
        letters = [chr(65 + at) for at in range(len(self.targets))]
        several = len(letters) > 1
        names = {
            f"Value #{letter}" if several else "Value": name for letter, (name, _) in zip(letters, self.columns, strict=True)
        }
        dropped = {f"{name} {at}": True for name in ("Time", "window") for at in range(1, len(letters) + 1)}
        organize = {
            "excludeByName": {**dropped, "Time": True, "window": True},
            "renameByName": {"segment": "$dimension", **names},
        }
        joined = [{"id": "joinByField", "options": {"byField": "segment", "mode": "outer"}}] if several else []
        return [*joined, {"id": "organize", "options": organize}]


@dataclass(frozen=True)
class Variable:
    """A choice above the dashboard: the values of a label (``query``), or a text."""

    name: str
    label: str
    query: str = ""
    current: str = ""
    several: bool = False
    hidden: bool = False

    def tree(self) -> Tree:
        """Return it as Grafana has it."""
        if self.name == "datasource":
            return {
                "name": "datasource", "label": self.label, "type": "datasource", "query": "prometheus", "current": {}, "hide": 0,
                "refresh": 1, "regex": "",
            }  # fmt: skip
        current = {"text": self.current, "value": self.current}
        if not self.query:
            return {
                "name": self.name,
                "label": self.label,
                "type": "textbox",
                "query": self.current,
                "current": current,
                "hide": 0,
            }
        many: Tree = {"multi": True, "includeAll": True, "allValue": ".*"} if self.several else {}
        if self.several:
            current = {"text": "All", "value": "$__all"}
        return {
            "name": self.name, "label": self.label, "type": "query", "datasource": SOURCE, "definition": self.query,
            "query": {"query": self.query, "refId": "V"}, "refresh": 2, "sort": 1, "current": current,
            "hide": 2 if self.hidden else 0, "regex": "", **many,
        }  # fmt: skip


@dataclass(frozen=True)
class Dashboard:
    """A dashboard: its panels from left to right, and down where a line is full."""

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...]
    others: tuple[tuple[str, str], ...] = field(default=())  # title and uid of further dashboards

    def tree(self) -> Tree:
        """Return it as Grafana has it."""
        return {
            "uid": self.uid, "title": self.title, "description": self.description, "tags": ["vigie"], "schemaVersion": 39,
            "version": 1, "editable": True, "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-24h", "to": "now"},
            "timezone": "browser", "weekStart": "monday", "annotations": {"list": [_alerts()]},
            "links": [{"title": title, "type": "link", "url": f"/d/{uid}", "icon": "dashboard", "keepTime": True}
                      for title, uid in self.others],
            "templating": {"list": [variable.tree() for variable in self.variables]}, "panels": self._placed(),
        }  # fmt: skip

    def _placed(self) -> list[Tree]:
        found: list[Tree] = []
        x = y = tallest = 0
        for number, panel in enumerate(self.panels, start=1):
            if x + panel.width > 24:
                x, y, tallest = 0, y + tallest, 0
            found.append(panel.tree(number, x, y))
            x, tallest = x + panel.width, max(tallest, panel.height)
        return found


def _alerts() -> Tree:
    """Return what marks on every graph when alerts fire."""
    return {
        "name": "Alerts", "enable": True, "iconColor": "#d9480f", "datasource": SOURCE, "step": "60s", "titleFormat": "{{rule}}",
        "tagKeys": "severity", "textFormat": "", "expr": 'max by (rule, severity) (vigie_alerts{state="firing"}) > 0',
    }  # fmt: skip
