"""Is the house as it is drawn: agents, topics, tables, package names, generated documents?

The lists are golden: these names are on the wire and in state that outlives the code. A change here needs a line in the
change log that says what becomes of the state.
"""

import re
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from stream.config.settings import load
from stream.engine.topics import declared
from vigie.__main__ import Commands
from vigie.instance import Instance
from vigie.schemas import drift

ROOT = Path(__file__).parent.parent

#: fold (and Faust agent) -> (topics, lane, whether it has a table).
AGENTS = {
    "fold-deals": (("deals", "deal-merges"), "state", True),
    "fold-leads": (("leads", "lead-merges"), "state", True),
    "fold-engagement": (("engagement",), "state", True),
    "fold-customers": (("customers",), "state", True),
    "fold-spend": (("spend",), "state", True),
    "know-customers": (("customers",), "customers", True),
    "pick-highlights": (("deal-states", "lead-states"), "highlights", True),
    "predict-deals": (("deals", "deal-merges", "acquaintances", "model-snapshots"), "predictions", True),
    "predict-leads": (("leads", "lead-merges", "engagement", "acquaintances", "model-snapshots"), "predictions", True),
    "learn": (("examples",), "lessons", True),
    "roll-kpis": (("panes", "highlights", "objectives"), "readings", False),
    "foresee": (("deal-outlooks", "forecasts"), "forecast", False),
    "watch-entities": (("deal-states", "lead-states", "predictions", "limits"), "watch", True),
    "watch-senders": (("beats",), "watch", True),
    "watch-standings": (("standings",), "watch", True),
    "evaluate-alerts": (("readings", "findings"), "alerts", True),
    "dispatch-alerts": (("alerts",), "dispatch", True),
    "keep-alert-states": (("alerts",), "states", True),
    "deliver-notifications": (("outbox",), "deliveries", True),
}
#: topic -> (partitioned, clean-up policy).
TOPICS = {
    "deals": (True, "delete"),
    "leads": (True, "delete"),
    "engagement": (True, "delete"),
    "customers": (True, "delete"),
    "spend": (True, "delete"),
    "deal-merges": (True, "delete"),
    "lead-merges": (True, "delete"),
    "deal-states": (True, "compact"),
    "lead-states": (True, "compact"),
    "customer-states": (True, "compact"),
    "customer-moves": (True, "delete"),
    "acquaintances": (True, "delete"),
    "examples": (False, "delete"),
    "model-snapshots": (True, "compact"),
    "predictions": (True, "compact"),
    "lead-predictions": (True, "compact"),
    "deal-outlooks": (False, "compact"),
    "forecasts": (False, "compact"),
    "limits": (True, "compact"),
    "findings": (False, "compact"),
    "beats": (False, "delete"),
    "panes": (False, "compact"),
    "highlights": (False, "compact"),
    "readings": (False, "compact"),
    "objectives": (False, "compact"),
    "standings": (False, "compact"),
    "alerts": (False, "delete"),
    "alert-states": (False, "compact"),
    "outbox": (False, "delete"),
    "dead-letters": (False, "delete"),
    "erasures": (False, "compact"),
    "erasure-requests": (False, "delete"),
    "audit": (False, "delete"),
    "vigie-fold-deals-changelog": (True, "compact"),
    "vigie-fold-leads-changelog": (True, "compact"),
    "vigie-fold-engagement-changelog": (True, "compact"),
    "vigie-fold-customers-changelog": (True, "compact"),
    "vigie-fold-spend-changelog": (True, "compact"),
    "vigie-know-customers-changelog": (True, "compact"),
    "vigie-pick-highlights-changelog": (True, "compact"),
    "vigie-predict-deals-changelog": (True, "compact"),
    "vigie-predict-leads-changelog": (True, "compact"),
    "vigie-learn-changelog": (False, "compact"),
    "vigie-watch-entities-changelog": (True, "compact"),
    "vigie-watch-senders-changelog": (False, "compact"),
    "vigie-watch-standings-changelog": (False, "compact"),
    "vigie-evaluate-alerts-changelog": (False, "compact"),
    "vigie-dispatch-alerts-changelog": (False, "compact"),
    "vigie-keep-alert-states-changelog": (False, "compact"),
    "vigie-deliver-notifications-changelog": (False, "compact"),
}
COMMANDS = {
    *("up", "upgrade", "worker", "web", "publish", "backfill", "replay", "simulate", "doctor", "backup", "restore", "check"),
    *("compact", "move"),
    *(
        "kpis",
        "rules",
        "alerts",
        "routes",
        "models",
        "customers",
        "forecast",
        "experiments",
        "leaderboard",
        "objectives",
        "challenges",
        "playbooks",
        "export",
        "journeys",
        "baskets",
        "sources",
        "topics",
        "privacy",
        "audit",
        "dead-letters",
    ),
}
PACKAGES = ("models", "alert_rules", "stream", "agents", "vigie")


@pytest.fixture(scope="module")
def instance() -> Instance:
    return Instance(load(environ={}, kafka__brokers="127.0.0.1:1", kafka__partitions=4), "127.0.0.1:1")


def test_the_agents_are_these(instance: Instance) -> None:
    specs = instance.engine.specs
    assert {spec.name: (spec.topics, spec.lane, not spec.replayed) for spec in specs} == AGENTS
    flow: Any = instance.engine.flow
    assert set(flow.app.agents) == set(AGENTS)
    for name, agent in flow.app.agents.items():
        assert agent.help, f"{name}: `faust agents` prints the docstring"


def test_the_tables_are_these(instance: Instance) -> None:
    flow: Any = instance.engine.flow
    tables = flow.app.tables
    assert set(tables) == {name for name, (_, _, table) in AGENTS.items() if table}
    for name, table in tables.items():
        assert table.changelog_topic.get_topic_name() == f"vigie-{name}-changelog"
        assert table.help


def test_the_topics_are_these(instance: Instance) -> None:
    found = {t.name: (t.partitions == 4, t.config["cleanup.policy"]) for t in declared(instance.options, instance.engine.specs)}
    assert found == TOPICS


def test_topics_create_makes_what_an_instance_needs(instance: Instance) -> None:
    from vigie.topics import plan

    options, folds = plan(instance.settings)
    assert {t.name for t in declared(options, folds)} == {t.name for t in declared(instance.options, instance.engine.specs)}


def test_a_summary_in_the_morning_is_an_agent_where_it_is_asked_for() -> None:
    from vigie.topics import plan

    asked = {"route": {"receiver": "console"}, "digest": {"receivers": ["console"]}}
    instance = Instance(load(environ={}, kafka__brokers="127.0.0.1:1", alerting=asked), "127.0.0.1:1")
    (spec,) = [spec for spec in instance.engine.specs if spec.name == "send-digest"]
    assert (spec.topics, spec.lane, spec.replayed) == (("readings", "alerts", "standings"), "digest", False)
    options, folds = plan(instance.settings)
    assert {t.name for t in declared(options, folds)} == {t.name for t in declared(instance.options, instance.engine.specs)}
    assert ("revenue", "7d", None) in {tuple(one)[:3] for one in instance.roller._wanted}


def test_the_commands_are_these() -> None:
    assert set(Commands.places) == COMMANDS


def test_no_dependency_owns_our_package_names() -> None:
    owners = packages_distributions()
    for name in PACKAGES:
        assert set(owners.get(name, ["vigie"])) == {"vigie"}, f"{name} is also in {owners[name]}"
        assert (ROOT / name / "__init__.py").is_file()


def test_every_package_says_that_it_is_typed() -> None:
    assert [name for name in PACKAGES if not (ROOT / name / "py.typed").is_file()] == []


def test_the_generated_documents_are_those_of_the_code() -> None:
    assert drift(ROOT / "docs") == [], "run: python -m vigie.schemas --write docs"


def test_the_evidence_of_the_security_page_is_there() -> None:
    page = (ROOT / "docs/security.md").read_text("utf-8")
    named = set(re.findall(r"`((?:tests|deploy)/[\w/]+\.(?:py|sh))`", page))
    assert len(named) > 15 and [name for name in sorted(named) if not (ROOT / name).is_file()] == []
