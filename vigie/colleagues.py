"""What do the processes of one worker know of each other, and what do they ask?

A worker of several processes is one to whoever looks at it: one ``/readyz``, one ``/metrics``, one page. What a process says of
itself goes to its supervisor (:class:`Report`), which tells it to the one that answers on the web.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct, field

from models.calendar import iso
from models.folds.entity_snapshots import DealState, LeadState
from stream.engine.merged_status import merged
from stream.engine.options import wall_clock
from stream.web.entities import Story
from stream.web.predictions import Elsewhere, Entity
from vigie.channel import CallRefused, Channel
from vigie.roles import FOLD, PREDICT, Member

#: A process of which nothing has been heard for so long (s) hangs, or is paused.
SILENT = 10.0
_STATES: dict[Entity, type[DealState | LeadState]] = {"deal": DealState, "lead": LeadState}
#: An end is reported on ``/readyz`` for so long after it (ms).
REPORTED = 3_600_000


class Report(Struct):
    """What the supervisor knows of one process. Times are epoch milliseconds; ``why`` is how the last one of its name ended."""

    roles: tuple[str, ...]
    pid: int | None = None
    restarts: int = 0
    why: str = ""
    ended_at: int = 0
    again_at: int = 0
    heard_at: int = 0
    status: dict[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)

    def reasons(self, name: str, now: int) -> list[str]:
        """Return why the worker is not ready, as far as this process is the reason and does not say so itself."""
        if self.pid is None:
            soon = max(0, self.again_at - now) / 1000
            return [f"{name}: {self.why or 'not started yet'}; started again in {soon:.0f} s{self._times()}"]
        if self.status is not None and now - self.heard_at > SILENT * 1000:
            silent = (now - self.heard_at) / 1000
            return [f"{name}: nothing heard of its process ({self.pid}) for {silent:.0f} s: it is paused, or hangs"]
        if self.status is None and self.why:
            return [f"{name}: {self.why}; started again, and not there yet{self._times()}"]
        return []

    def notices(self, name: str, now: int) -> list[str]:
        """Return what has happened to it lately."""
        if self.pid is None or not self.ended_at or now - self.ended_at > REPORTED:
            return []
        return [f"{name}: {self.why} at {iso(self.ended_at // 1000 * 1000)}, and was started again{self._times()}"]

    def _times(self) -> str:
        return f" (restart {self.restarts})" if self.restarts else ""

    def document(self, now: int) -> dict[str, Any]:
        """Return what ``/readyz`` has of it."""
        state = "waiting" if self.pid is None else str((self.status or {}).get("state", "starting"))
        return {"pid": self.pid, "state": state, "restarts": self.restarts, "last_end": self.why or None}


def whole(found: Mapping[str, Report], own: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> dict[str, Any]:
    """Return the status of the whole worker: of all processes together; ``own`` is what this one says of itself, by its name."""
    now = wall_clock()
    found = {name: msgspec.structs.replace(one, status=dict(own[name])) if name in own else one for name, one in found.items()}
    known = {name: report.status for name, report in found.items() if report.pid is not None and report.status is not None}
    status = merged({**known, **own})
    return {
        **status,
        "reasons": [line for name, report in found.items() for line in report.reasons(name, now)],
        "notices": [line for name, report in found.items() for line in report.notices(name, now)],
        "roles": {name: report.document(now) for name, report in found.items()},
    }


def warnings(found: Mapping[str, Report]) -> Sequence[str]:
    """Return what the processes have to say that does not make them unready."""
    return [line for report in found.values() if report.pid is not None for line in report.warnings]


def ended(code: int) -> str:
    """Return how a process has ended, in words, from its exit code (a signal's is negative)."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed (signal {-code})" if code == -9 else f"was ended by signal {-code}"


class Colleagues:
    """The other processes of this worker, as the one that serves sees them: what they say, and what they answer.

    It answers as an :class:`~vigie.instance.Instance` does that has their roles, only later.
    """

    def __init__(self, member: Member, channel: Channel) -> None:
        self.member = member
        self._channel = channel
        self._found: dict[str, Report] = {}

    def heard(self, found: Mapping[str, Any]) -> None:
        """Take what the supervisor tells of all processes."""
        self._found = {name: msgspec.convert(one, Report) for name, one in found.items()}

    def whole(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return the status of the whole worker; ``own`` is this process's."""
        return whole(self._found, {self.member.name: own})

    def warnings(self) -> Sequence[str]:
        """Return what the others have to say that does not make them unready."""
        return warnings(self._found)

    async def metrics(self, own: list[Any]) -> list[Any]:
        """Return the families of all processes as one; ``own`` are this one's."""
        found: list[Any] = await self._channel.ask("metrics", own)
        return found

    async def story(self, entity: Entity, key: str) -> Story | None:
        """Return what those who fold know of a deal or lead."""
        found = await self._asked("story", {"role": FOLD, "entity": entity, "key": key})
        if found is None:
            return None
        return Story(msgspec.convert(found["state"], _STATES[entity]), [(at, kind, said) for at, kind, said in found["facts"]])

    async def answer(self, entity: Entity, key: str) -> Mapping[str, Any] | None:
        """Return what is expected of an open deal or lead."""
        found: Mapping[str, Any] | None = await self._asked("answer", {"role": PREDICT, "entity": entity, "key": key})
        return found

    async def models(self) -> Sequence[Mapping[str, Any]]:
        """Return what is known of each model."""
        found: Sequence[Mapping[str, Any]] = await self._asked("models", {"role": PREDICT})
        return found

    async def document(self, model: str) -> bytes | None:
        """Return a model as JSON, as it was last sent round."""
        found = await self._asked("document", {"role": PREDICT, "model": model})
        return None if found is None else str(found).encode()

    async def _asked(self, what: str, about: Mapping[str, Any]) -> Any:
        try:
            return await self._channel.ask(what, about)
        except (CallRefused, ConnectionError) as error:
            raise Elsewhere(str(error)) from error
        except TimeoutError as error:
            raise Elsewhere("the process that knows does not answer") from error
