"""What do the routes share? One object per application, no globals."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from fastapi import Request

from models.owners import Owners
from stream.config.business_settings import BusinessSettings
from stream.config.goal_settings import PeopleSettings
from stream.readings.board import Board, Reading, Unavailable
from stream.web.health import Health, judge
from stream.web.live import LiveFeed

#: The fold that feeds the view.
VIEW_FOLD = "roll-kpis"

#: The alerts that stand; None where this process does not know them (yet).
Alerts = Callable[[], Sequence[Mapping[str, Any]] | None]


@dataclass
class Context:
    """The parts of one web application. ``cached`` is a board over the last known snapshot, where there is one."""

    live_board: Board
    status: Callable[[], Mapping[str, Any]]
    alerts: Alerts
    business: BusinessSettings
    instance: str
    people: Owners = field(default_factory=Owners)
    cached: Callable[[], Board | None] = lambda: None
    cache_state: Callable[[], Mapping[str, Any] | None] = lambda: None
    live: LiveFeed = field(init=False)
    #: What else an operator has to know, asked for each time: a line each, shown as degraded.
    warnings: list[Callable[[], Sequence[str]]] = field(default_factory=list)
    figures: PeopleSettings = field(default_factory=PeopleSettings)

    def named(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """Return the readings with the ``name`` that people call their segment by, where it has another one than its id."""
        return [
            reading if (owner := self.people.get(reading["segment"].get("owner"))) is None else {**reading, "name": owner.name}
            for reading in readings
        ]

    def segment_name(self, segment: str) -> str | None:
        """Return what people call a segment (``dimension=value``), None where that is its id."""
        dimension, _, value = segment.partition("=")
        owner = self.people.get(value) if dimension == "owner" else None
        return None if owner is None else owner.name

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

    async def answer(self, ask: Callable[[Board], Awaitable[Sequence[Reading]]]) -> tuple[Sequence[Reading], str]:
        """Return what a board answers, and from what it does: ``view``, or ``cache`` where that is not whole.

        Raise :class:`~stream.readings.board.Unavailable` where neither can give a whole answer.
        """
        board = self.board()
        if board is self.live_board:
            try:
                return await ask(board), "view"
            except Unavailable:  # the view went away while it was asked
                board = self.cached()
        if board is None:
            if self.view() == "elsewhere":
                raise Unavailable(
                    "another worker holds the view, and Redis has no snapshot of it (accepted: ask that worker, or `vigie web`)"
                )
            health = self.health()
            raise Unavailable("no readings yet: " + "; ".join(health.reasons or health.degraded))
        return await ask(board), "cache"


def context(request: Request) -> Context:
    """Return the application's context."""
    return cast(Context, request.app.state.vigie)
