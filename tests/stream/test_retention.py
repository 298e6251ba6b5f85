"""Is what is kept told in one table, and by no document otherwise?"""

import re
from dataclasses import fields, replace
from pathlib import Path

from typer.testing import CliRunner

from models.business import Business
from models.calendar import DAY_MS
from stream.config.business_settings import BusinessSettings
from stream.engine.retention import state, topics
from stream.engine.topic_list import TOPICS
from vigie.__main__ import app

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_every_topic_and_every_setting_of_time_kept_is_in_it() -> None:
    assert [kept.what for kept in topics()][:-1] == [f"topic {topic.name}" for topic in TOPICS]
    told = " ".join(kept.set_by for kept in state(Business()))
    names = [f.name for f in fields(Business) if f.name.startswith("keep_") or f.name.endswith("_horizon")]
    assert len(names) == 5 and all(f"business.{name}" in told for name in names)


def test_it_has_the_numbers_of_the_settings() -> None:
    told = {kept.what: kept.how_long for kept in state(replace(Business(), keep_days=500 * DAY_MS))}
    assert told["sums by the day"] == "500 d" and "500 d" in told["a deal"]
    assert told["a lead"].startswith("530 d")


def test_defaults_are_said_once() -> None:
    given, plain = BusinessSettings().business(), Business()
    assert {f.name: getattr(given, f.name) for f in fields(plain) if f.name != "rates"} == {
        f.name: getattr(plain, f.name) for f in fields(plain) if f.name != "rates"
    }


def test_topics_alone_prints_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed = CliRunner().invoke(app, ["topics"])
    assert printed.exit_code == 0
    assert re.search(r"sums by the day +800 d", printed.stdout) and re.search(r"topic engagement +35 d", printed.stdout)
    assert "Usage" not in printed.stdout
