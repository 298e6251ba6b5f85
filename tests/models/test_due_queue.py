"""The queue of turns against the plainest one there is, whatever is asked of it."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from models.due_queue import DueQueue

NAMES = st.sampled_from([f"n{n}" for n in range(12)])
TIMES = st.integers(0, 20)


class AgainstADictionary(RuleBasedStateMachine):
    """A dictionary that is looked through each time."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = DueQueue()
        self.plain: dict[str, tuple[int, int]] = {}

    @rule(name=NAMES, due=TIMES, order=st.integers(0, 3))
    def schedule(self, name: str, due: int, order: int) -> None:
        self.queue.schedule(name, due, order)
        if name not in self.plain or self.plain[name][0] != due:
            self.plain[name] = (due, order)

    @rule(name=NAMES)
    def cancel(self, name: str) -> None:
        self.queue.cancel(name)
        self.plain.pop(name, None)

    @rule(now=TIMES)
    def pop(self, now: int) -> None:
        due = sorted((*when, name) for name, when in self.plain.items() if when[0] <= now)
        expected = due[0][2] if due else None
        assert self.queue.pop(now) == expected
        if expected is not None:
            del self.plain[expected]

    @rule()
    def clear(self) -> None:
        self.queue.clear()
        self.plain.clear()

    @invariant()
    def same(self) -> None:
        assert len(self.queue) == len(self.plain)
        assert self.queue.next_due() == min((due for due, _ in self.plain.values()), default=None)
        assert all(self.queue.due_of(name) == when[0] for name, when in self.plain.items())
        assert self.queue.entries <= 2 * len(self.plain) + 64 + 1


TestAgainstADictionary = AgainstADictionary.TestCase
TestAgainstADictionary.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


def test_what_is_scheduled_anew_again_and_again_leaves_little_behind() -> None:
    queue = DueQueue()
    for n in range(60_000):
        queue.schedule(f"deal {n % 1_500}", n)
    assert len(queue) == 1_500 and queue.entries <= 2 * 1_500 + 64
