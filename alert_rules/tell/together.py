"""Which objectives are in the summary, and what is there to say of challenges that has not been said?

Of each challenge what has been said is kept, so that it is said once. What was reached longer ago than a day when it is first
heard of (a first start, a long pause) is old, and is not said.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import orjson

from alert_rules.records.message import Aim, ChallengeFacts, ChallengePlace
from models.calendar import DAY_MS, epoch_ms

#: So many objectives are listed: the first by name.
LISTED = 30
ANNULLED = "annulled"


class ChallengeNews(NamedTuple):
    """Something to say of a challenge."""

    id: str
    facts: ChallengeFacts


class Together:
    """Objectives and challenges as ``standings`` tells them."""

    def __init__(self) -> None:
        self._aims: dict[str, Aim] = {}
        self._challenges: dict[str, dict[str, Any]] = {}
        self._said: dict[str, list[str]] = {}
        self._dirty: set[str] = set()

    def restore(self, kind: str, name: str, value: bytes) -> None:
        """Take a row back."""
        if kind == "objective":
            self._aims[name] = msgspec.json.decode(value, type=Aim)
        else:
            tree = orjson.loads(value)
            self._challenges[name], self._said[name] = tree["standing"], tree["said"]

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take how one stands; others than objectives and challenges are passed over."""
        kind, _, name = key.decode().partition("|")
        tree = None if value is None else orjson.loads(value)
        if kind == "objective":
            if tree is None:
                self._aims.pop(name, None)
            elif not (tree.get("of") or {}).get("owner"):  # of a single person nobody else is told
                self._aims[name] = Aim(name=tree["name"], state=tree["state"], progress=tree["main"]["progress"])
        elif kind == "challenge":
            if tree is None:
                self._challenges.pop(name, None)
                self._said.pop(name, None)
            else:
                self._challenges[name] = tree
        else:
            return
        self._dirty.add(f"{kind}|{name}")

    def aims(self) -> list[Aim]:
        """Return the objectives of teams and the company, by name."""
        return sorted(self._aims.values(), key=lambda one: one.name)[:LISTED]

    def news(self, now: int) -> Iterator[ChallengeNews]:
        """Yield what there is to say of challenges at an instant; it is then said."""
        for name, standing in self._challenges.items():
            said = self._said.setdefault(name, [])
            for kind, at in _reached(standing, now):
                if kind in said or (kind != ANNULLED and ANNULLED in said):
                    continue
                said.append(kind)
                self._dirty.add(f"challenge|{name}")
                if now - at <= DAY_MS and not standing.get("dry_run"):
                    yield ChallengeNews(name, _facts(standing, kind))

    def changed(self) -> set[str]:
        """Return the rows that have changed since the last call."""
        changed, self._dirty = self._dirty, set()
        return changed

    def row(self, kind: str, name: str) -> bytes | None:
        """Return a row; None where it is gone."""
        if kind == "objective":
            return msgspec.json.encode(self._aims[name]) if name in self._aims else None
        if name not in self._challenges:
            return None
        return orjson.dumps({"standing": self._challenges[name], "said": self._said.get(name, [])})


def _reached(standing: dict[str, Any], now: int) -> Iterator[tuple[str, int]]:
    """Yield what a challenge has come to, with the instant (epoch ms) of each, the last of them at the end."""
    if standing["annulled"] is not None:
        # By the end of that day it was known; a verdict that comes later is told when it comes.
        yield ANNULLED, now
        return
    for one in standing["milestones"]:
        if one["reached"]:  # and its places are those of then, or later
            yield one["kind"], epoch_ms(datetime.fromisoformat(one["at"]))


def _facts(standing: dict[str, Any], kind: str) -> ChallengeFacts:
    annulled, labels = standing["annulled"], dict(standing["label"])
    places = [
        ChallengePlace(rank=one["rank"], name=one["name"], value=one["value"], share=one["score"] if one["quota"] else None)
        for one in standing["places"]
        if kind not in ("begin", ANNULLED)
    ]
    broken = annulled or {}
    return ChallengeFacts(
        name=standing["name"], milestone=kind, label=labels.pop("en", standing["kpi"]), labels=labels, until=standing["until"],
        unit=standing["unit"], currency=standing.get("currency"), places=places, guard=dict(broken.get("label") or {}),
        guard_unit=broken.get("unit", "count"), measured=broken.get("value"), limit=broken.get("limit"),
        more=standing["of"] - len(places) if places else 0,
    )  # fmt: skip
