"""How well would the model have answered in the past? Test, then learn, over a history in the order of its events.

Each open deal is asked about at every event, and at fixed ages while nothing happens to it. What is learnt is at most eight
snapshots of each deal, when the time has come: buckets as they pass, outcomes as they arrive. No answer knows more than
was known at its moment. The measures are over the second half of the answers.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from models.learners import quality
from models.learners.acquaintance import Acquaintances
from models.learners.answers import EvaluatedAnswer
from models.learners.deal_model import INSTALMENTS, DealModel, Snapshot, wants_snapshot
from models.learners.features import DAY_MS, SEASON_MS, DealPast
from models.learners.judging import SPEAKERS, by_horizon, measures
from models.learners.rounds import NOTHING, Rounds
from models.learners.stretches import Lesson

#: Closed deals keep their questions so long, in case they are reopened (ms).
REOPENED = 90 * DAY_MS
#: Days after its creation at which a deal is asked about when nothing has happened to it for a day.
AGES = (7, 14, 21, 30, 45, 60, 90)
#: Sections of the history for the measures over time.
SECTIONS = 8
#: What ends an entity, and how; what says that a closed one is open again; and, of one known by edits only, that it is open.
_ENDS: dict[str, Literal["won", "lost"]] = {"won": "won", "lost": "lost", "converted": "won", "disqualified": "lost"}
_REOPENS = frozenset({"reopened", "stage_changed"})
_OPENS = frozenset({"created", "contacted", "mql", "sql", "stage_changed", "reopened"})


class DealFact(NamedTuple):
    """One event of a deal: when (ms), which, its type without ``deal.``, and what it said.

    Of somebody beside the deals (a visitor, the lead behind one) the type is whole: ``web.page_viewed``.
    """

    at: int
    deal: str
    kind: str
    data: Mapping[str, Any]


class _Learnt(NamedTuple):
    """What is kept of a question once all is learnt, in case that its deal is reopened."""

    at: int
    x: bytes
    history: list[Lesson]

    @property
    def due(self) -> None:
        """Nothing is to be learnt of it any more."""


class _Deal:
    __slots__ = ("_packed", "_past", "closed", "gone", "snapshots", "status")

    def __init__(self, past: Any) -> None:
        self._past, self._packed = past, (type(past), b"")
        self.status = "unknown"
        self.closed = 0
        self.gone = False
        self.snapshots: list[Snapshot | _Learnt] = []

    @property
    def past(self) -> Any:
        """What is known of it."""
        if self._past is None:
            kind, packed = self._packed
            self._past = msgspec.json.decode(packed, type=kind)
        return self._past

    def retire(self) -> None:
        """Keep as little as can be of one that will hardly be heard of again."""
        if self._past is not None:
            self._past, self._packed = None, (type(self._past), msgspec.json.encode(self._past))
        self.snapshots = []


class DealEvaluation:
    """Walks a history of deals; see the module."""

    def __init__(
        self,
        model: DealModel | None = None,
        *,
        past: Callable[[int], Any] = DealPast,
        horizons: Sequence[float] = (),
        keep_features: bool = False,
        together: bool = False,
        gap: int = 1_800_000,
    ) -> None:
        """``past`` is what is known of an entity (a lead's, with a lead's model).

        ``horizons`` are days within which P(won) is kept of each answer, in ``within``; ``keep_features`` keeps every question's
        features in ``asked``, for another model to be judged by the same. ``together``: questions are answered up to 64 at once
        and lessons learnt up to 16 at once, as a busy installation does; else each lesson before the next question. ``gap`` (ms)
        of silence ends a visit on the site where the tracker names none.
        """
        self.model = model or DealModel()
        self._rounds = Rounds(self.model, horizons, keep_features=keep_features, together=together)
        self._past, self.horizons = past, tuple(horizons)
        self._odds: dict[str, tuple[int, int]] = {}  # by stage: of the closed that were in it, won and all
        self.answers, self.asked, self.drifts = self._rounds.answers, self._rounds.asked, self._rounds.drifts
        self.within = self._rounds.within  # of each answer in turn and each horizon: P(won within it) by model, floor, stage odds
        self.deals: dict[str, _Deal] = {}
        self.start = self.end = 0
        self._due: list[tuple[int, int, Snapshot, _Deal, int]] = []  # when which instalment of what is due
        self._ages: list[tuple[int, int, str, int]] = []
        self._closed: deque[tuple[int, _Deal]] = deque()  # in the order of their time
        self._count = 0
        self._acquaintances = Acquaintances(gap)

    def run(self, facts: Iterable[DealFact]) -> "DealEvaluation":
        """Take a history, sorted by time."""
        for fact in facts:
            self.take(fact)
        self.settle()
        return self

    def settle(self) -> None:
        """Give the answers that are still to be given; :meth:`run` ends with that."""
        self._rounds.end()

    def take(self, fact: DealFact) -> None:
        """Take the next event."""
        at, name, kind, data = fact
        if "." in kind:
            self._pass(at)
            self._acquaintances.take(at, name, kind, data)
            return
        self.start = self.start or at
        self.end = max(self.end, at)
        self._pass(at)
        deal = self.deals.get(name)
        if deal is None:
            deal = self.deals[name] = _Deal(self._past(at))
            self._wait(name, deal, 0)
        if deal.gone and kind != "created" and kind != "reopened":
            return
        if kind == "merged" or kind == "deleted":
            deal.gone = True
            deal.snapshots = []
            return
        deal.gone = False
        deal.past.apply(at, kind, data)
        end = _ENDS.get(kind)
        if end is not None:
            # Who was given up and converts all the same has converted.
            if deal.status in ("open", "unknown") or (kind == "converted" and deal.status == "lost"):
                if deal.status == "lost":
                    self._withdraw(deal)
                self._close(deal, at, end)
            return
        if deal.status not in ("open", "unknown") and (kind in _REOPENS or (kind == "created" and self._past is not DealPast)):
            deal.status = "open"
            self._withdraw(deal)
        elif deal.status == "unknown" and (kind in _OPENS or data.get("stage") is not None):
            deal.status = "open"
        if deal.status == "open":
            self._ask(name, deal, at, aged=False)

    def _pass(self, at: int) -> None:
        """Let time pass to ``at``: learn what is due, ask about who has come of an age, let go of what closed long ago."""
        while self._closed and self._closed[0][0] + REOPENED < at:
            closed, deal = self._closed.popleft()
            if deal.closed == closed and deal.status != "open":
                deal.retire()
        while True:
            due = self._due[0][0] if self._due else at
            age = self._ages[0][0] if self._ages else at
            if due >= at and age >= at:
                return
            if due <= age:
                _, _, snapshot, deal, instalment = heapq.heappop(self._due)
                if deal.status == "open" and not deal.gone and snapshot.due is not None:
                    self._rounds.survive(snapshot)
                    self._schedule(snapshot, deal, instalment + 1)
            else:
                when, _, name, number = heapq.heappop(self._ages)
                deal = self.deals[name]
                if deal.status == "open" and not deal.gone:
                    if when - deal.past.last >= DAY_MS:
                        self._ask(name, deal, when, aged=True)
                    self._wait(name, deal, number + 1)

    def _ask(self, name: str, deal: _Deal, at: int, *, aged: bool) -> None:
        around, past = self._acquaintances, deal.past
        beside = around.of_deal(past.attributes) if isinstance(past, DealPast) else around.of_lead(name)
        x = past.features(at, season=at - self.start >= SEASON_MS, beside=beside)
        won, closed = self._odds.get(str(x["stage"]), (0, 0)) if self.horizons else (0, 0)
        taken = deal.snapshots
        learnt = wants_snapshot(name, at, len(taken), taken[-1].at if taken else 0)
        snapshot = self._rounds.ask(at, name, aged, x, (won + 1) / (closed + 2), learnt=learnt)
        if snapshot is not None:
            taken.append(snapshot)
            self._schedule(snapshot, deal, 0)

    def _close(self, deal: _Deal, at: int, outcome: Literal["won", "lost"]) -> None:
        deal.status, deal.closed = outcome, at
        for number, snapshot in enumerate(deal.snapshots):
            if isinstance(snapshot, _Learnt):
                continue
            self._rounds.close(snapshot, at, outcome, first=number == 0)
            deal.snapshots[number] = _Learnt(snapshot.at, msgspec.json.encode(snapshot.x), snapshot.history)
        self._closed.append((at, deal))
        past = deal.past
        for stage in past.visits if isinstance(past, DealPast) else (past.features(at)["stage"],):
            won, closed = self._odds.get(stage, (0, 0))
            self._odds[stage] = won + (outcome == "won"), closed + 1

    def _withdraw(self, deal: _Deal) -> None:
        for one in deal.snapshots:
            known = (
                one if isinstance(one, Snapshot) else Snapshot(one.at, msgspec.json.decode(one.x), NOTHING, history=one.history)
            )
            self._rounds.withdraw(known)

    def _schedule(self, snapshot: Snapshot, deal: _Deal, instalment: int) -> None:
        if instalment < len(INSTALMENTS):
            self._count += 1
            due = snapshot.at + round(INSTALMENTS[instalment] * DAY_MS)
            heapq.heappush(self._due, (due, self._count, snapshot, deal, instalment))

    def _wait(self, name: str, deal: _Deal, number: int) -> None:
        if number < len(AGES):
            self._count += 1
            heapq.heappush(self._ages, (deal.past.created + AGES[number] * DAY_MS, self._count, name, number))

    def outcomes(self, answers: Sequence[EvaluatedAnswer]) -> quality.Array:
        """Return per answer: won 1, lost 0, else NaN; days to the close, else inf; days of history after it."""
        at = np.array([answer.at for answer in answers], np.int64)
        return self._outcomes([answer.deal for answer in answers], np.arange(len(answers)), at)

    def _outcomes(self, names: Sequence[str], deal: Any, at: Any) -> quality.Array:
        """Return the same of answers at some times, each of the deal with the name at that place."""
        deals = [self.deals[name] for name in names]
        won = np.array([np.nan if one.status == "open" or one.gone else float(one.status == "won") for one in deals])[deal]
        closes = np.array([one.closed for one in deals], np.int64)[deal]
        won[closes < at] = np.nan
        after = np.where(np.array([one.gone for one in deals], bool)[deal], np.nan, (self.end - at) / DAY_MS)
        return np.stack((won, np.where(np.isnan(won), np.inf, (closes - at) / DAY_MS), after), 1)

    def report(self) -> dict[str, Any]:
        """Return the measures: over the second half in all, at events, at ages; and over time."""
        self.settle()
        said, at, deal, aged = self.answers.columns()
        became = self._outcomes(self.answers.deals, deal, at)
        count = len(at)
        half = np.arange(count) >= count // 2
        parts = [slice(count * n // SECTIONS, count * (n + 1) // SECTIONS) for n in range(SECTIONS)]

        def measured(which: Any) -> dict[str, Any]:
            return measures(said[which], became[which]) if len(at[which]) else {"answers": 0}

        return {
            "deals": len(self.deals),
            "answers": count,
            "lessons": self.model.hazard.lessons,
            "drifts": self.drifts,
            "giveaways": self._rounds.giveaways.found(),
            "second_half": measured(half),
            "at_events": measured(half & ~aged),
            "at_ages": measured(half & aged),
            **({"horizons": self.by_horizon(deal, became)} if self.horizons and count else {}),
            "over_time": [{"from": int(at[part][0]), **measured(part)} for part in parts if part.start < part.stop],
        }

    def by_horizon(self, deal: Any, became: quality.Array) -> dict[str, Any]:
        """Return the measures of P(won within so many days), of answers whose outcome by then is known: history goes on for
        as long after them. So what is still open counts as not won by then, and nothing is left out for closing late.

        Of all questions, and of the first of each entity; over the second half of those that are known.
        """
        first = np.zeros(len(deal), bool)
        first[np.unique(deal, return_index=True)[1]] = True
        said = np.frombuffer(self.within, float).reshape(len(deal), len(self.horizons), len(SPEAKERS))
        return by_horizon(self.horizons, said, became, first)
