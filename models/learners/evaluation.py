"""How well would the model have answered in the past? Test, then learn, over a history in the order of its events.

Each open deal is asked about at every event, and at fixed ages while nothing happens to it. What is learnt is at most eight
snapshots of each deal, when the time has come: buckets as they pass, outcomes as they arrive. No answer knows more than
was known at its moment. The measures are over the second half of the answers.
"""

import heapq
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from models.learners import quality
from models.learners.deal_model import HORIZON, DealModel, Snapshot, wants_snapshot
from models.learners.features import DAY_MS, SEASON_MS, DealPast, Features

#: Days after its creation at which a deal is asked about when nothing has happened to it for a day.
AGES = (7, 14, 21, 30, 45, 60, 90)
#: Sections of the history for the measures over time.
SECTIONS = 8


class DealFact(NamedTuple):
    """One event of a deal: when (ms), which, its type without ``deal.``, and what it said."""

    at: int
    deal: str
    kind: str
    data: Mapping[str, Any]


class Answer(NamedTuple):
    """What was said of a deal, in numbers only: there may be millions."""

    at: int
    deal: str
    aged: bool  # asked because of its age, not at an event
    win: float
    within: float
    low: float
    median: float
    high: float
    expected: float


class Asked(NamedTuple):
    """A question as another model may be asked it: the answer's place and the features it was given."""

    answer: Answer
    x: Features
    learnt: bool


class _Deal:
    __slots__ = ("closed", "gone", "past", "snapshots", "status")

    def __init__(self, created: int) -> None:
        self.past = DealPast(created)
        self.status = "unknown"
        self.closed = 0
        self.gone = False
        self.snapshots: list[Snapshot] = []


class DealEvaluation:
    """Walks a history of deals; see the module."""

    def __init__(self, model: DealModel | None = None, *, keep_features: bool = False) -> None:
        """``keep_features`` keeps every question's features in ``asked``, for another model to be judged by the same."""
        self.model = model or DealModel()
        self.answers: list[Answer] = []
        self.asked: list[Asked] | None = [] if keep_features else None
        self.deals: dict[str, _Deal] = {}
        self.start = self.end = 0
        self.drifts: list[int] = []
        self._due: list[tuple[int, int, Snapshot, _Deal]] = []
        self._ages: list[tuple[int, int, str, int]] = []
        self._count = 0

    def run(self, facts: Iterable[DealFact]) -> "DealEvaluation":
        """Take a history, sorted by time."""
        for fact in facts:
            self.take(fact)
        return self

    def take(self, fact: DealFact) -> None:
        """Take the next event."""
        at, name, kind, data = fact
        self.start = self.start or at
        self.end = max(self.end, at)
        self._pass(at)
        deal = self.deals.get(name)
        if deal is None:
            deal = self.deals[name] = _Deal(at)
            self._wait(name, deal, 0)
        if deal.gone and kind != "created" and kind != "reopened":
            return
        if kind == "merged" or kind == "deleted":
            deal.gone = True
            deal.snapshots = []
            return
        deal.gone = False
        deal.past.apply(at, kind, data)
        if kind == "won" or kind == "lost":
            if deal.status in ("open", "unknown"):
                self._close(deal, at, cast(Literal["won", "lost"], kind))
            return
        if deal.status != "open" and (kind == "reopened" or kind == "stage_changed"):
            deal.status = "open"
            for snapshot in deal.snapshots:
                self.model.withdraw_one(snapshot)
        elif deal.status == "unknown" and (kind == "created" or data.get("stage") is not None):
            deal.status = "open"
        if deal.status == "open":
            self._ask(name, deal, at, aged=False)

    def _pass(self, at: int) -> None:
        """Let time pass to ``at``: learn what is due, ask about those that have come of an age."""
        while True:
            due = self._due[0][0] if self._due else at
            age = self._ages[0][0] if self._ages else at
            if due >= at and age >= at:
                return
            if due <= age:
                _, _, snapshot, deal = heapq.heappop(self._due)
                if deal.status == "open" and not deal.gone and snapshot.due is not None:
                    self.model.survive_one(snapshot)
                    self._schedule(snapshot, deal)
            else:
                when, _, name, number = heapq.heappop(self._ages)
                deal = self.deals[name]
                if deal.status == "open" and not deal.gone:
                    if when - deal.past.last >= DAY_MS:
                        self._ask(name, deal, when, aged=True)
                    self._wait(name, deal, number + 1)

    def _ask(self, name: str, deal: _Deal, at: int, *, aged: bool) -> None:
        x = deal.past.features(at, season=at - self.start >= SEASON_MS)
        said = self.model.predict_one(x)
        answer = Answer(at, name, aged, said.win, said.within, said.low, said.median, said.high, said.expected)
        self.answers.append(answer)
        taken = deal.snapshots
        learnt = wants_snapshot(name, at, len(taken), taken[-1].at if taken else 0)
        if learnt:
            snapshot = self.model.snapshot_one(at, x, said)
            taken.append(snapshot)
            self._schedule(snapshot, deal)
        if self.asked is not None:
            self.asked.append(Asked(answer, x, learnt))

    def _close(self, deal: _Deal, at: int, outcome: Literal["won", "lost"]) -> None:
        deal.status, deal.closed = outcome, at
        for snapshot in deal.snapshots:
            if snapshot.due is not None:
                self.model.learn_one(snapshot, at, outcome)
        if deal.snapshots and self.model.watch_one(deal.snapshots[0], outcome):
            self.drifts.append(at)

    def _schedule(self, snapshot: Snapshot, deal: _Deal) -> None:
        if snapshot.due is not None:
            self._count += 1
            heapq.heappush(self._due, (snapshot.due, self._count, snapshot, deal))

    def _wait(self, name: str, deal: _Deal, number: int) -> None:
        if number < len(AGES):
            self._count += 1
            heapq.heappush(self._ages, (deal.past.created + AGES[number] * DAY_MS, self._count, name, number))

    def outcomes(self, answers: list[Answer]) -> quality.Array:
        """Return per answer: won 1, lost 0, else NaN; days to the close, else inf; days of history after it."""
        found = np.full((len(answers), 3), np.nan)
        for row, answer in enumerate(answers):
            deal = self.deals[answer.deal]
            closed = deal.status != "open" and not deal.gone and deal.closed >= answer.at
            found[row] = (
                (1.0 if deal.status == "won" else 0.0) if closed else np.nan,
                (deal.closed - answer.at) / DAY_MS if closed else np.inf,
                np.nan if deal.gone else (self.end - answer.at) / DAY_MS,
            )
        return found

    def report(self) -> dict[str, Any]:
        """Return the measures: over the second half in all, at events, at ages; and over time."""
        half = self.answers[len(self.answers) // 2 :]
        sections = [
            self.answers[len(self.answers) * n // SECTIONS : len(self.answers) * (n + 1) // SECTIONS] for n in range(SECTIONS)
        ]
        return {
            "deals": len(self.deals),
            "answers": len(self.answers),
            "lessons": self.model.hazard.lessons,
            "drifts": self.drifts,
            "second_half": self.measure(half),
            "at_events": self.measure([answer for answer in half if not answer.aged]),
            "at_ages": self.measure([answer for answer in half if answer.aged]),
            "over_time": [{"from": part[0].at, **self.measure(part)} for part in sections if part],
        }

    def measure(self, answers: list[Answer]) -> dict[str, Any]:
        """Return the measures of some answers; None where nothing can be said."""
        if not answers:
            return {"answers": 0}
        return measures(np.array([answer[3:] for answer in answers], float), self.outcomes(answers))


def measures(said: quality.Array, became: quality.Array) -> dict[str, Any]:
    """Return the measures of answers ``(win, within, low, median, high, expected)`` and what became of them."""
    won, days, after = became.T
    closed = ~np.isnan(won)
    # Known of those that closed, and of those that were watched for so long. At the end of a history that favours what closes
    # soon; "_watched" takes the second kind only, which does not.
    watched = ~(after < HORIZON) & ~np.isnan(after)
    known = watched | closed
    soon = (days <= HORIZON).astype(float)
    mae, bias = quality.errors(said[closed, 5], days[closed])
    return {
        "answers": len(said),
        "closed": int(closed.sum()),
        "auc": quality.auc(said[closed, 0], won[closed]),
        "log_loss": quality.log_loss(said[closed, 0], won[closed]),
        "ece": quality.ece(said[closed, 0], won[closed]),
        "mae_days": mae,
        "bias_days": bias,
        "coverage": quality.coverage(said[closed, 2], said[closed, 4], days[closed]),
        "auc30": quality.auc(said[known, 1], soon[known]),
        "brier30": quality.brier(said[known, 1], soon[known]),
        "auc30_watched": quality.auc(said[watched, 1], soon[watched]),
        "brier30_watched": quality.brier(said[watched, 1], soon[watched]),
        "ece30_watched": quality.ece(said[watched, 1], soon[watched]),
    }
