"""What do the routes share? One object per application, no globals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from fastapi import Request

from stream.settings import BusinessSettings
from stream.web.board import Board
from stream.web.health import Health, judge
from stream.web.live import Live

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

    def health(self) -> Health:
        """Return the judgement over engine and cache."""
        return judge(self.status(), self.cache_state())

    def board(self) -> Board | None:
        """Return the board to answer from: the view's once it is complete, before that the last snapshot, else None."""
        state = self.health().state
        if state in ("starting", "restoring", "unknown"):
            return self.cached()
        return self.live_board


def context(request: Request) -> Context:
    """Return the application's context."""
    return cast(Context, request.app.state.vigie)
