"""The small form of ``python -m bench.ledger_kills --power``: the power is cut under a whole Vigie."""

from pathlib import Path

from bench.ledger_kills import Run


async def test_a_power_cut_loses_and_doubles_nothing_and_everything_is_told(tmp_path: Path) -> None:
    run = Run(tmp_path, 5, power=True)
    await run.go(2, batches=30)
    assert run.faults == [], (tmp_path / "up.log").read_text()[-5000:]
    facts = run.facts()
    assert facts["incidents"] == 2 and facts["events"] > 60, facts
    assert facts["cuts that took something"] >= 1, facts
