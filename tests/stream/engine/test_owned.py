"""Does a fold that was being restored while the rules were reloaded hear of the new ones?"""

import pytest

from agents.watch_senders import SenderWatcher
from models.calendar import calendar
from stream.engine.fold_partition import FoldPartition, go_live
from stream.engine.in_memory import InMemoryEngine
from stream.engine.owned import Owned
from tests.stream.engine.counting import Adder


class Holder:
    """Folds by (name, partition)."""

    def __init__(self, folds: dict[tuple[str, int], object]) -> None:
        self.folds = folds

    def fold_of(self, name: str, partition: int) -> object:
        return self.folds.get((name, partition))

    def partitions_of(self, name: str) -> int:
        return 4


def test_what_is_at_hand() -> None:
    owned: Owned[Adder] = Owned("add")
    assert (owned(), list(owned)) == (None, [])
    one, other = Adder(1), Adder(3)
    owned.bind(Holder({("add", 1): one, ("add", 3): other, ("else", 0): Adder(0)}))
    assert owned() is None
    assert owned(3) is other
    assert list(owned) == [one, other]


def test_who_is_at_hand_is_told_and_who_is_being_restored_later() -> None:
    told: list[Adder] = []
    owned: Owned[Adder] = Owned("add", told.append)
    here = Adder(0)
    owned.bind(Holder({("add", 0): here}))
    spec = owned.spec(Adder, topics=("numbers",))
    slow, late = FoldPartition(spec, 1, None, spec.make(1)), None
    owned.brief()  # while partition 1 is being restored, and before 2 is
    assert told == [here]
    late = FoldPartition(spec, 2, None, spec.make(2))
    go_live([slow, late])
    assert told == [here, slow.fold], "2 was made with what is in force"


def test_rules_reloaded_during_a_restore_are_those_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = SenderWatcher([], calendar("UTC"))
    spec = watcher.spec()
    being_restored = spec.make(0)
    heard = []
    monkeypatch.setattr(type(being_restored), "use", lambda fold, rules: heard.append((fold, rules)))
    watcher.use([])  # a reload, while the restoring thread is at work
    assert heard == []
    go_live([FoldPartition(spec, 0, None, being_restored)])
    assert heard == [(being_restored, watcher.rules)]


def test_in_memory_too() -> None:
    told: list[object] = []
    spec = Owned("add", told.append).spec(Adder, topics=("numbers",))
    InMemoryEngine([spec], lambda topic: 2)
    assert told == []
