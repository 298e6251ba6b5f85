"""Which roles does a worker have, and in how many processes do they run?

A role is a consumer group of its own on a Kafka: its folds read, keep state and write without knowing who else runs where. One
process may have several.
"""

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from agents import learn, prediction_fold
from agents.entity_fold import LANE as STATE
from models.folds.partition import TOPICS
from stream.engine.options import FoldSpec

Role = Literal["fold", "serve", "predict"]

FOLD: Role = "fold"
SERVE: Role = "serve"
PREDICT: Role = "predict"
#: What each is for, in the order in which processes are given to them.
ROLES: dict[Role, str] = {
    FOLD: "keeps deals, leads, visits and their sums: the KPIs",
    SERVE: "merges the sums, judges the rules, tells people, answers on the web",
    PREDICT: "predicts, and learns from what became of it",
}
ALL: tuple[Role, ...] = tuple(ROLES)
#: By how much a process that only predicts stands back (its niceness): where cores are short, KPIs and alerts come first.
STANDS_BACK = 10
_BY_LANE: dict[str, Role] = {STATE: FOLD, prediction_fold.LANE: PREDICT, learn.LANE: PREDICT}
#: What the group of the role ``fold`` reads.
FOLDED = frozenset(topic for topics in TOPICS.values() for topic in topics)


def role_of_lane(lane: str) -> Role:
    """Return the role whose folds are checkpointed in a lane."""
    return _BY_LANE.get(lane, SERVE)


def role_of(spec: FoldSpec) -> Role:
    """Return the role that a fold is of."""
    return role_of_lane(spec.lane)


def stand_back(roles: Iterable[Role]) -> None:
    """Let others have the processor first, where this process only predicts."""
    if set(roles) == {PREDICT}:
        os.nice(STANDS_BACK)


class Member(NamedTuple):
    """One process: what it is called, and what it does."""

    name: str
    roles: tuple[Role, ...]


def parse(text: str) -> tuple[Role, ...]:
    """Return the roles in a list with commas, in their order; raise ``ValueError`` for what is none."""
    asked = [part.strip() for part in text.split(",")]
    unknown = [part for part in asked if part not in ROLES]
    if unknown:
        raise ValueError(f"--role: found {unknown[0]!r}; accepted: {', '.join(ROLES)}, several with commas")
    return tuple(role for role in ROLES if role in asked)


def plan(roles: Iterable[Role], processes: int | Literal["auto"], cores: int, partitions: int) -> list[Member]:
    """Return the processes that roles are shared out to.

    ``auto`` is one process on one core; on more, one for each role, and a further one that folds for each core beyond those (at
    most one a partition). With a number there are so many: where they are fewer than roles, the KPIs have one for themselves.
    """
    wanted = [role for role in ROLES if role in set(roles)]
    count = processes if processes != "auto" else 1 if cores == 1 else max(len(wanted), cores)
    if count == 1 or (len(wanted) == 1 and wanted != [FOLD]):
        return [Member("+".join(wanted), tuple(wanted))]
    first, *others = wanted
    if count < len(wanted):
        return [Member(first, (first,)), Member("+".join(others), tuple(others))]
    more = min(count - len(wanted), partitions - 1) if first == FOLD else 0
    folding = [Member(FOLD if number == 1 else f"{FOLD}-{number}", (FOLD,)) for number in range(1, more + 2)]
    return [*(folding if first == FOLD else [Member(first, (first,))]), *(Member(role, (role,)) for role in others)]


def instance_of(member: Member, instance: str, members: Sequence[Member]) -> str:
    """Return the name in the group of a member: the worker's own, with the number of those that have a role twice."""
    number = [other.name for other in members if other.roles == member.roles].index(member.name)
    return instance if number == 0 else f"{instance}.{number + 1}"


def cores(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many cores this process may use: those it is bound to, and what its container is given of them."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for quota, period in (_cgroup2(root), _cgroup1(root)):
        if quota > 0 and period > 0:
            return max(1, min(found, math.ceil(quota / period)))
    return found


def _cgroup2(root: Path) -> tuple[int, int]:
    try:
        quota, period = (root / "cpu.max").read_text().split()
        return int(quota), int(period)  # "max": no bound
    except (OSError, ValueError):
        return 0, 0


def _cgroup1(root: Path) -> tuple[int, int]:
    try:
        quota, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota), int(period)  # -1: no bound
    except (OSError, ValueError):
        return 0, 0
