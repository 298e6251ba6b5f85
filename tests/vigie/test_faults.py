"""Is a fault of ours told once, with its trace, and not a thousand times?"""

import logging

import pytest

from models.calendar import DAY_MS
from models.faults import Faults
from models.fold import Record
from stream.metrics import Metrics
from vigie.faults import PAUSE, SHOWN, Teller

NOW = 1_780_000_000_000


class Clock:
    at = 0.0

    def __call__(self) -> float:
        return self.at


def record(offset: int) -> Record:
    return Record("deals", 3, offset, NOW, None, b"{}", ())


def counted(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"fold": "fold-deals"})


def test_a_fault_is_logged_with_its_trace_at_most_every_ten_seconds_and_counted_always(caplog: pytest.LogCaptureFixture) -> None:
    clock, metrics, faults = Clock(), Metrics(), Faults()
    teller = Teller(metrics, ["fold-deals"], clock)
    assert counted(metrics, "vigie_fold_faults_total") == 0
    with caplog.at_level(logging.ERROR):
        for second in range(25):
            clock.at = float(second)
            for number in range(40):
                try:
                    raise KeyError("into")
                except KeyError as error:
                    assert faults.add(record(40 * second + number), error) == "KeyError: 'into'"
            teller.tell("fold-deals", 3, faults)
    assert counted(metrics, "vigie_fold_faults_total") == 1_000
    assert len(caplog.messages) == 3 == 1 + 24 // PAUSE
    assert "fold-deals: a fault of Vigie's own at deals-3-39 (and 39 more)" in caplog.messages[0]
    assert "deals-3-439 (and 399 more)" in caplog.messages[1]
    assert 'raise KeyError("into")' in caplog.messages[0], "the trace"
    [line] = teller.warnings()
    assert line.startswith("fold-deals: a fault of Vigie's own, last at deals-3-999: KeyError: 'into'")
    clock.at += SHOWN
    assert teller.warnings() == []


def test_time_that_was_set_back_is_said_with_its_runbook(caplog: pytest.LogCaptureFixture) -> None:
    metrics, faults = Metrics(), Faults()
    teller = Teller(metrics, ["fold-deals"])
    assert faults.runs_ahead(NOW + 400 * DAY_MS, NOW)
    with caplog.at_level(logging.ERROR):
        teller.tell("fold-deals", 3, faults)
        teller.tell("fold-deals", 3, faults)
    assert counted(metrics, "vigie_time_set_back_total") == 1
    [line] = caplog.messages
    assert "fold-deals/3: time had run ahead to 2027-07-" in line
    assert "docs/runbooks/time-ran-ahead.md" in line
    assert "time had run ahead" in teller.warnings()[0]
