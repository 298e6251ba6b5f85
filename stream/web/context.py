"""What do the routes share? One object per application, no globals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from fastapi import Request

from stream.settings import BusinessSettings
from stream.web.board import Board
from stream.web.health import Health, judge
from stream.web.live import Live

#: The fold that feeds the view.
VIEW_FOLD = "roll-kpis"

Alerts = Callable[[], Sequence[Mapping[str, Any]]]


@dataclass
class Context:
    """The parts of one web application. ``cached`` is a board over the last known snapshot, where there is one."""

    live_board: Board
    status: Callable[[], Mapping[str, Any]]
    alerts: Alerts
    business: BusinessSettings
    instance: str
    cached: Callable[[], Board | None] = lambda: None
    cache_state: Callable[[], Mapping[str, Any] | None] = lambda: None
    live: Live = field(init=False)
    #: What else an operator has to know, asked for each time: a line each, shown as degraded.
    warnings: list[Callable[[], Sequence[str]]] = field(default_factory=list)

    def health(self) -> Health:
        """Return the judgement over engine, view and cache, and the warnings of others."""
        also = [line for ask in self.warnings for line in ask()]
        return judge(self.status(), view=self.view(), cache=self.cache_state(), also=also)

    def view(self) -> str:
        """Return ``live``, ``loading``, or ``elsewhere`` where another worker holds the view."""
        if self.live_board.source.complete:
            return "live"
        owned = self.status().get("partitions")
        running = self.status().get("state") == "running"
        return "elsewhere" if running and isinstance(owned, Mapping) and VIEW_FOLD not in owned else "loading"

    def board(self) -> Board | None:
        """Return the board to answer from: the view's while it is complete, else the last snapshot's, else None."""
        return self.live_board if self.live_board.source.complete else self.cached()


def context(request: Request) -> Context:
    """Return the application's context."""
    return cast(Context, request.app.state.vigie)
