"""How are people taken out of all that is kept, wherever it is kept? What a ledger and a Kafka do alike.

Whoever keeps it gives its cells (``models/privacy/subject.py``), puts each back as it is to be, and writes the certificates.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from alert_rules.records.ids import digest
from models.calendar import iso
from models.privacy.certificate import TOPIC, Certificate
from models.privacy.finder import Finder, everybody
from models.privacy.refusals import Refusals
from models.privacy.requests import TOPIC as REQUESTS
from models.privacy.rewrite import Rewriter, Rewritten, without_digests
from models.privacy.subject import Cell, Scan, Subject, tree_of
from models.privacy.traces import ANONYMOUS, Traces, traces_of_all
from stream.engine.backend import Message
from stream.engine.options import EngineOptions
from stream.engine.topics import partition_for

#: Kinds whose topics and states say that an entity is gone.
_STATES = {"deal": ("deal-states", "predictions", "deal-outlooks"), "lead": ("lead-states", "lead-predictions")}


class AskedBy(NamedTuple):
    """Who asked for it (a token's name), and why; ``left`` is what is not in Vigie's hands."""

    by: str
    why: str = ""
    left: tuple[str, ...] = ()


class ErasureResult(NamedTuple):
    """What came of an erasure, in the order asked; ``events`` are the ids under which events were known elsewhere (Redis)."""

    certificates: list[Certificate]
    events: list[str]

    @property
    def certificate(self) -> Certificate:
        """That of one who was asked for alone."""
        [found] = self.certificates
        return found


class Names:
    """What topics and changelogs are called without the installation's prefix; a changelog is called as its fold."""

    def __init__(self, options: EngineOptions) -> None:
        self._begin, self._end = f"{options.name}-", "-changelog"
        self._topics = {options.physical(topic.name): topic.name for topic in options.topics}

    def where(self, topic: str) -> str:
        """Return the name by which the register has it."""
        if self.changelog(topic):
            return topic[len(self._begin) : -len(self._end)]
        return self._topics.get(topic, topic)

    def changelog(self, topic: str) -> bool:
        """Whether it is the state of one of the installation's folds."""
        return topic not in self._topics and topic.startswith(self._begin) and topic.endswith(self._end)


class Person:
    """One who is erased: under which ids, and where they were found. ``asked`` are the subjects that meant them."""

    def __init__(self, known: set[Subject], traces: Traces, asked: Sequence[Subject]) -> None:
        self.known, self.traces, self.asked = known, traces, asked
        self.found: Counter[str] = Counter()
        self.rewriter = Rewriter(traces)

    @property
    def held(self) -> bool:
        """Whether there was anything of them, but that they were to be erased."""
        return bool(self.found.keys() - {REQUESTS})


class Erasure:
    """Takes people out of cells, one after the other: all of dead letters after what came before them."""

    def __init__(self, options: EngineOptions, refusals: Refusals, subjects: Sequence[Subject], scan: Scan) -> None:
        self._options = options
        self._refusals = refusals
        groups = everybody(subjects, scan)
        traces = traces_of_all([known for known, _ in groups], scan, digest, self._draw)
        self.people = [Person(known, found, asked) for (known, asked), found in zip(groups, traces, strict=True)]
        self._needles: dict[bytes, list[int]] = {}
        for number, person in enumerate(self.people):
            for needle in person.traces.needles():
                self._needles.setdefault(needle, []).append(number)
        self._finder = Finder(self._needles)
        self._letters: set[str] = set()  # digests of what was sent, by which it is known when it is sent again

    def needles(self) -> set[bytes]:
        """Return the bytes one of which is in every cell that says anything of them; a dead letter's are encoded."""
        return set(self._needles)

    def __call__(self, cell: Cell, *, again: bool = False) -> Rewritten | None:
        """Return a cell without them, None where it says nothing of them; ``again``: it has been counted already."""
        new: Rewritten | None = None
        for number in self._finder(cell):
            person = self.people[number]
            found = person.rewriter(cell)
            if found is None:
                continue
            if not again:
                person.found[cell.where] += 1
            if cell.where == "dead-letters":
                self._letters.add(str((tree_of(cell.value) or {}).get("sha256", "")))
            cell = cell._replace(key=found.key, value=found.value, headers=found.headers)
            new = found
        if new is None and cell.where == "dead-letters" and self._letters:
            said = without_digests(cell, frozenset(self._letters - {""}))
            return None if said is None else Rewritten(cell.key, said, cell.headers)
        return new

    def certificates(self, asked: AskedBy, at: int, known: Sequence[Certificate]) -> list[Certificate]:
        """Return what is kept of it; ``at`` is when it was asked (epoch ms).

        Of who was erased before (``known``) there is another one where there was something of them again.
        """
        found = []
        for person in self.people:
            earlier = [before(self._refusals, known, subject) for subject in person.asked]
            if person.held or None in earlier:
                found.append(self._certificate(person, asked, at))
            elif person.found:  # that they are to be erased, again: it is what there was, and is to be gone
                ids = {one.id: one for one in earlier if one is not None}
                found += [msgspec.structs.replace(one, gone=None) for one in ids.values()]
        return found

    def _certificate(self, person: Person, asked: AskedBy, at: int) -> Certificate:
        # What a lead does is told under its own id, too, as if it were a visitor's.
        ids = Counter(one.kind for one in person.known if one.kind != "visitor" or Subject("lead", one.id) not in person.known)
        return Certificate(
            id=secrets.token_hex(8), kind=person.asked[0].kind, hashes=sorted(map(self._refusals.hash, person.known)),
            outcome="erased" if person.held else "nothing held", asked=iso(at), by=asked.by, why=asked.why,
            known_as=dict(sorted(ids.items())), found=dict(sorted(person.found.items())), erased=iso(self._options.clock()),
            left=list(asked.left),
        )  # fmt: skip

    def events(self) -> list[str]:
        """Return the ids of all their events, as they were."""
        return sorted({event for person in self.people for event in person.traces.events})

    def gone(self) -> Iterator[Message]:
        """Say to who watches single deals and leads that these are none any more: their figures stay."""
        for person in self.people:
            for subject, name in person.traces.ids.items():
                for topic in _STATES.get(subject.kind, ()):
                    partition = partition_for(name.encode(), self._options.partitions_of(topic))
                    yield Message(self._options.physical(topic), None, name.encode(), partition)

    def _draw(self, subject: Subject) -> str:
        """Return a drawn name that lives in the partition where the id did: there its facts and state are."""
        count = self._options.partitions
        home = partition_for(subject.id.encode(), count)
        while True:
            name = ANONYMOUS + secrets.token_hex(8)
            if partition_for(name.encode(), count) == home:
                return name


def refused(certificates: Iterable[Certificate]) -> list[str]:
    """Return the hashes by which late events are refused. An owner of whom nothing was held may yet be hired."""
    return [one for certificate in certificates if _final(certificate) for one in certificate.hashes]


def _final(certificate: Certificate) -> bool:
    return certificate.kind != "owner" or certificate.outcome == "erased"


def before(refusals: Refusals, certificates: Sequence[Certificate], subject: Subject) -> Certificate | None:
    """Return the latest certificate of who was erased before."""
    name = refusals.hash(subject)
    return next((one for one in reversed(certificates) if name in one.hashes and _final(one)), None)


def record(options: EngineOptions, certificate: Certificate) -> Message:
    """Return the record of a certificate."""
    return Message(options.physical(TOPIC), certificate.encode(), certificate.id.encode(), 0)


def latest_certificates(
    subjects: Iterable[Subject], refusals: Refusals, certificates: Sequence[Certificate]
) -> list[Certificate]:
    """Return the latest certificate of each."""
    found: dict[str, Certificate] = {name: one for one in certificates for name in one.hashes}
    return [found[refusals.hash(subject)] for subject in subjects]
