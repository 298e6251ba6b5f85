"""What travels from those who predict to the one who learns, and what does a row keep of a question until then?

An *example* is one thing that has become known about one question (a snapshot): that it was asked, that the entity was still
open at an instalment, that it was won or lost, or that this was taken back. It carries what was known when the question was
asked, never today's values. Its id says which lesson it is, so that the same lesson has the same id however often it is sent.
"""

import dataclasses
import math
from typing import Any, Literal

import msgspec
import numpy as np

from models.learners.curve import EDGES, Curve, bucket_of
from models.learners.deal_model import HORIZON, INSTALMENTS, Prediction, Snapshot, wants_snapshot
from models.learners.experts import unpack
from models.learners.features import DAY_MS, Features
from models.learners.stretches import Lesson, Outcome

Kind = Literal["asked", "open", "won", "lost", "withdrawn"]
#: Values of a question in the order of its list of features; None stands for NaN, which JSON has not.
Values = list[str | float | None]

_STEPS = tuple(bucket_of(days) + 1 for days in INSTALMENTS)
_BEYOND = len(EDGES)
_NUMBERS = tuple(field.name for field in dataclasses.fields(Prediction) if field.name not in ("curve", "opinions"))


class KeptQuestion(msgspec.Struct, array_like=True):
    """A question in its entity's row: when (ms), what was known, what was said, and how much of what became of it was sent."""

    at: int
    x: Values
    said: list[float]  # the numbers of a Prediction, in its order
    curve: bytes  # 4-byte floats: P(won), then P(lost), by bucket
    floor: list[float]  # the numbers that the life table alone would have said
    learnt: int = 0  # buckets
    instalment: int = 0
    judged: bool = False  # whether it is known if the entity closed within HORIZON
    lesson: tuple[int, int, Outcome] | None = None  # how it closed, where that was learnt: to be withdrawn
    opinions: bytes = b""  # 4-byte floats: what each expert said (``experts.pack``)

    @property
    def due(self) -> int | None:
        """When the next instalment is known (ms); None when all are."""
        return self.at + round(INSTALMENTS[self.instalment] * DAY_MS) if self.instalment < len(_STEPS) else None


class Example(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One lesson. ``at`` is when the question was asked, ``when`` when what became of it was known (ms)."""

    id: str
    model: str
    kind: Kind
    entity: str
    number: int  # of the entity's questions, from 0
    features: str  # the fingerprint under which ``x`` is to be read
    at: int
    when: int
    x: Values
    said: list[float] = []
    curve: bytes = b""
    floor: list[float] = []
    learnt: int = 0
    instalment: int = 0
    judged: bool = False
    lesson: tuple[int, int, Outcome] | None = None
    opinions: bytes = b""


class Command(msgspec.Struct, omit_defaults=True, kw_only=True):
    """An operator's word to the one who learns: begin anew (no document), or go on from this model (`vigie models import`)."""

    id: str
    model: str
    kind: Literal["replace"]
    why: str
    document: msgspec.Raw = msgspec.Raw(b"null")


_decode_example = msgspec.json.Decoder(Example).decode
_decode_command = msgspec.json.Decoder(Command).decode
encode = msgspec.json.Encoder().encode


def decode(value: bytes | None) -> Example | Command:
    """Return the example or command of a record.

    Raises:
        msgspec.DecodeError: for anything else (a ``ValidationError`` is one).
    """
    if b'"kind":"replace"' in (value or b"")[:1024]:
        return _decode_command(value or b"")
    return _decode_example(value or b"")


def wanted(entity: str, kept: list[KeptQuestion], at: int) -> bool:
    """Whether one more question of the entity, asked at ``at`` (ms), is to be kept and learnt."""
    return wants_snapshot(entity, at, len(kept), kept[-1].at if kept else 0)


def values(x: Features, names: tuple[str, ...]) -> Values:
    """Return the values in the order of the names."""
    return [None if isinstance(value := x[name], float) and not math.isfinite(value) else value for name in names]


def features(x: Values, names: tuple[str, ...]) -> Features:
    """Return the features that :func:`values` was given."""
    return {name: math.nan if value is None else value for name, value in zip(names, x, strict=True)}


def widened(kept: KeptQuestion, names: tuple[str, ...], now: tuple[str, ...]) -> KeptQuestion:
    """Return a question of an earlier release as this one keeps it: what it did not know then is not known."""
    then = dict(zip(names, kept.x, strict=True))
    kept.x = [then.get(name, "") for name in now]
    return kept


def keep(at: int, x: Values, said: Prediction, floor: Prediction) -> KeptQuestion:
    """Return what a row keeps of a question."""
    curve = np.concatenate((said.curve.won, said.curve.lost)).astype("<f4").tobytes()
    return KeptQuestion(at, x, numbers(said), curve, numbers(floor), opinions=said.packed())


def numbers(said: Prediction) -> list[float]:
    """Return the numbers of an answer, in its order."""
    return [round(float(getattr(said, name)), 9) for name in _NUMBERS]


def answer(said: list[float], curve: bytes) -> Prediction:
    """Return the answer that was kept; without a curve where none was sent.

    Raises:
        ValueError: where it is not one.
    """
    both = np.frombuffer(curve, "<f4").astype(np.float64) if curve else np.zeros(2 * _BEYOND)
    if len(both) != 2 * _BEYOND or len(said) != len(_NUMBERS) or not np.isfinite(both).all() or not all(map(math.isfinite, said)):
        raise ValueError(f"answer: found {len(said)} numbers, {len(both)} of a curve; accepted: {len(_NUMBERS)}, {2 * _BEYOND}")
    found: dict[str, Any] = dict(zip(_NUMBERS, said, strict=True))
    found["lessons"] = int(found["lessons"])
    return Prediction(**found, curve=Curve(both[:_BEYOND], both[_BEYOND:]))


def snapshot(example: Example, names: tuple[str, ...]) -> Snapshot:
    """Return the question as a model learns from it.

    Raises:
        ValueError: for an example that is none.
    """
    lesson = example.lesson
    if lesson is not None and not 0 <= lesson[0] < lesson[1] <= _BEYOND:
        raise ValueError(f"lesson: found buckets {lesson[0]} to {lesson[1]}; accepted: 0 ≤ first < end ≤ {_BEYOND}")
    if not 0 <= example.instalment <= len(_STEPS) or not 0 <= example.learnt <= _BEYOND:
        raise ValueError(f"instalment {example.instalment}, learnt {example.learnt}: out of range")
    if not all(map(math.isfinite, unpack(example.opinions) or ())):  # refused here, not in the middle of a lesson
        raise ValueError("opinions: found a number that is not finite")
    said = answer(example.said or [0.5] * len(_NUMBERS), example.curve)
    history: list[Lesson] = [] if lesson is None else [lesson]
    return Snapshot(
        example.at,
        features(example.x, names),
        said,
        example.learnt,
        example.instalment,
        example.judged,
        history,
        example.opinions,
    )


class ExampleWriter:
    """Writes the examples of one model's entities, and moves their questions on as the model itself would."""

    def __init__(self, model: str, fingerprint: str) -> None:
        self.model, self.fingerprint = model, fingerprint

    def asked(self, entity: str, number: int, kept: KeptQuestion) -> Example:
        """The question was asked: the scales may see it."""
        return self._example(entity, number, kept, "asked", kept.at, "asked", answered=True)

    def survived(self, entity: str, number: int, kept: KeptQuestion) -> Example:
        """The entity was open when the next instalment was due."""
        days, end = INSTALMENTS[kept.instalment], _STEPS[kept.instalment]
        judging = days >= HORIZON and not kept.judged
        found = self._example(entity, number, kept, "open", kept.due or kept.at, str(kept.learnt), answered=judging)
        kept.instalment += 1
        kept.learnt = max(kept.learnt, end)
        kept.judged = kept.judged or days >= HORIZON
        return found

    def closed(self, entity: str, number: int, kept: KeptQuestion, when: int, outcome: Literal["won", "lost"]) -> Example:
        """The entity closed at ``when`` (ms)."""
        found = self._example(entity, number, kept, outcome, when, f"{outcome}:{when}", answered=True)
        if kept.due is not None:
            end = bucket_of(max(when - kept.at, 0) / DAY_MS)
            if end >= _BEYOND:
                kept.learnt = _BEYOND
            elif end >= kept.learnt:
                kept.lesson = (kept.learnt, end + 1, outcome)
                kept.learnt = end + 1
            kept.instalment = len(_STEPS)
        kept.judged = True
        return found

    def withdrawn(self, entity: str, number: int, kept: KeptQuestion, when: int) -> Example:
        """What was said of the entity's close is taken back: it was reopened, or is gone."""
        found = self._example(entity, number, kept, "withdrawn", when, f"withdrawn:{when}", answered=False)
        kept.lesson = None
        return found

    def _example(
        self, entity: str, number: int, kept: KeptQuestion, kind: Kind, when: int, part: str, *, answered: bool
    ) -> Example:
        return Example(
            id=f"{entity}:{number}:{part}",
            model=self.model,
            kind=kind,
            entity=entity,
            number=number,
            features=self.fingerprint,
            at=kept.at,
            when=when,
            x=kept.x,
            said=kept.said if answered else [],
            curve=kept.curve if answered else b"",
            floor=kept.floor if answered else [],
            learnt=kept.learnt,
            instalment=kept.instalment,
            judged=kept.judged,
            lesson=kept.lesson,
            opinions=kept.opinions,
        )
