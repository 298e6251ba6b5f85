"""Is nothing lost or doubled, whatever happens when? Seeds of ``bench.simulate``, and whether they find faults that are there."""

import logging
from collections.abc import Iterator

import pytest

from alert_rules.tell.deliver_notifications import DeliverNotifications
from bench.simulate.mutants import MUTANTS
from bench.simulate.telling import TellingWorld
from bench.simulate.world import run
from models.fold import Changes

#: Seeds that found something once: what it was.
FOUND: dict[int, str] = {}


@pytest.fixture(autouse=True)
def unheard() -> Iterator[None]:
    """What the engine says of thousands of faults is of no use, and takes longer than they do."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_nothing_is_lost_or_doubled_whatever_happens() -> None:
    wrong = {}
    seen: set[str] = set()
    for seed in (*range(1, 71), *FOUND):
        outcome = run(seed)
        seen.update(outcome.done)
        if outcome.wrong:
            wrong[seed] = outcome.wrong
    assert not wrong
    assert seen >= {"kill", "stop", "freeze", "guest", "slow", "retry", "abort", "stuck"}, "these seeds show too little"


def test_a_seed_is_one_run() -> None:
    first, again, other = run(7), run(7), run(8)
    assert (first.trace, first.steps, first.done) == (again.trace, again.steps, again.done)
    assert first.trace != other.trace


@pytest.mark.parametrize("name", MUTANTS)
def test_seeds_find_a_fault_that_is_there(name: str) -> None:
    for seed in range(1, 400):
        with MUTANTS[name]():
            found = run(seed, harsh=True).wrong
        if found:
            assert not run(seed, harsh=True).wrong, "without the fault nothing is wrong"
            return
    pytest.fail(f"no seed finds {name}")


def test_every_incident_is_told_under_one_id_whatever_happens() -> None:
    wrong = {seed: found for seed in range(1, 21) if (found := run(seed, kind=TellingWorld).wrong)}
    assert not wrong


def test_seeds_find_a_message_that_is_sent_before_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = DeliverNotifications.changes

    def faulty(self: DeliverNotifications) -> Changes:
        found = changes(self)
        self.durable()
        return found

    monkeypatch.setattr(DeliverNotifications, "changes", faulty)
    assert any("before the intent is on the broker" in wrong for wrong in run(1, kind=TellingWorld).wrong)
