"""Is all that article 30 asks for in the record, of this installation, and nothing that is secret?"""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from models.privacy.fields import FIELDS, Personal
from stream.config.settings import load
from stream.engine import register
from vigie.__main__ import app
from vigie.processing import record, text

SETTINGS: dict[str, Any] = {
    "privacy": {
        "controller": {"name": "Acme SAS", "contact": "privacy@acme.example", "transfers": "none"},
        "minimise": {"name": 1}, "objections": ["L-1017"],
    },
    "web": {"operators": [{"name": "ann", "role": "read", "token": "a-token-of-20-chars-x"}]},
    "receivers": [{"name": "sales", "type": "slack", "url": "https://hooks.slack.com/services/T0/B0/secret-of-slack"}],
    "postgres": {"url": "postgresql://vigie:secret-of-postgres@db/bi"},
}  # fmt: skip


def test_all_of_the_register_is_in_it_and_no_secret_and_no_id() -> None:
    settings = load(environ={}, **SETTINGS)
    tree = record(settings)
    told = {name for one in tree["activities"] for name in one["fields"]}
    assert told == {name for name, field in FIELDS.items() if field.personal is not Personal.NO}
    assert [one["where"] for one in tree["places"]] == [place.what for place, _ in register.places(settings.business.business())]
    assert tree["controller"]["name"] == "Acme SAS" and tree["transfers"] == "none"
    assert [one["who"] for one in tree["recipients"]] == [
        "sales (slack)",
        "ann (read)",
        "the PostgreSQL of postgres.url",
        "whoever scrapes /metrics",
    ]
    assert (tree["minimised"], tree["objections"]) == ({"name": "1"}, 1)
    for said in (json.dumps(tree), text(settings)):
        assert not [secret for secret in ("secret-of", "a-token-of", "L-1017", "hooks.slack") if secret in said]


def test_what_only_its_operator_knows_is_said_to_be_missing() -> None:
    tree = record(load(environ={}))
    assert {tree["controller"]["name"], tree["controller"]["legal_basis"], tree["transfers"]} == {
        "to be filled in (privacy.controller)"
    }


@pytest.mark.parametrize("command", ["record", "register"])
def test_it_can_be_read_at_a_terminal(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(app, ["privacy", command])
    assert shown.exit_code == 0 and max(map(len, shown.stdout.splitlines())) <= 80
