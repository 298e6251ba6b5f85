"""Does a running instance answer as its OpenAPI document says, whatever is asked of it?"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from bench.hubspot import SETTINGS
from stream.web.schema_operations import OPERATIONS
from tests.integration.installation import Installation, Worker

if TYPE_CHECKING:
    import schemathesis
    from schemathesis.checks import CheckFunction

TOKEN = "ann-s-token-of-20-chars"
KEY = "site-key-of-the-tests"
EVERYTHING = {
    **SETTINGS,
    "web": {**SETTINGS["web"], "operators": [{"name": "ann", "token": TOKEN}], "proxies": ["127.0.0.0/8"]},
    "collect": {"sites": {"shop": {"key": KEY, "origins": ["https://shop.example.com"]}}},
}
#: Without end: it has tests of its own (tests/stream/web/test_server.py).
ENDLESS = "/api/stream"

#: Requests of each kind for each route; more by hand.
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "8"))


@functools.cache
def checks() -> list[CheckFunction]:
    """What must hold of every answer.

    Not among them: that every text outside the document is refused with 4xx (a webhook in another form is accepted and
    dead-lettered, as senders ban those who answer errors), and that a text which fits the document is accepted (a webhook needs a
    signature, a silence an end that lies ahead).
    """
    from schemathesis.checks import load_all_checks, not_a_server_error
    from schemathesis.specs.openapi import checks as openapi_checks

    load_all_checks()
    return [
        not_a_server_error,
        openapi_checks.status_code_conformance,
        openapi_checks.content_type_conformance,
        openapi_checks.response_schema_conformance,
        openapi_checks.response_headers_conformance,
        openapi_checks.unsupported_method,
    ]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    directory = tmp_path_factory.mktemp("openapi")
    (directory / "vigie.yaml").write_text(json.dumps(EVERYTHING))
    with Worker(Installation("embedded", "", directory, CONFIG=str(directory / "vigie.yaml")), {}, "up") as up:
        yield up.ready()
        assert up.alive
        assert "Traceback" not in up.log, up.log


@pytest.fixture(scope="module")
def api(instance: Worker) -> schemathesis.BaseSchema:
    import schemathesis  # takes long to load: not before it is needed

    return schemathesis.openapi.from_url(f"{instance.url}/api/openapi.json").exclude(path=ENDLESS)


ASKED = sorted((method, path) for method, path in OPERATIONS if path != ENDLESS)


def ask(api: schemathesis.BaseSchema, method: str, path: str, *, query: dict[str, str] | None = None, **headers: str) -> None:
    """Make requests of all kinds, such that fit the document and such that do not, and hold each answer against it."""
    from schemathesis import GenerationMode

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    @given(
        case=api[path][method.upper()].as_strategy(generation_mode=GenerationMode.POSITIVE)
        | api[path][method.upper()].as_strategy(generation_mode=GenerationMode.NEGATIVE)
    )
    def holds(case: Any) -> None:
        if query:
            case.query = {**(case.query or {}), **query}
        case.call_and_validate(checks=checks(), headers=headers, timeout=20)

    holds()


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_strangers_are_answered_as_documented(api: schemathesis.BaseSchema, method: str, path: str) -> None:
    ask(api, method, path)


@pytest.mark.parametrize(("method", "path"), [one for one in ASKED if one[1].startswith(("/api/alerts", "/api/silences"))])
def test_operators_are_answered_as_documented(api: schemathesis.BaseSchema, method: str, path: str) -> None:
    # From an address of their own: strangers' wrong tokens do not count.
    headers: dict[str, Any] = {"authorization": f"Bearer {TOKEN}", "x-forwarded-for": "203.0.113.5"}
    ask(api, method, path, **headers)


def test_pages_are_answered_as_documented(api: schemathesis.BaseSchema) -> None:
    ask(api, "post", "/collect", query={"site": KEY}, origin="https://shop.example.com")


def test_the_document_has_every_route_and_no_other(instance: Worker) -> None:
    tree = httpx.get(f"{instance.url}/api/openapi.json").json()
    found = {(method, path) for path, operations in tree["paths"].items() for method in operations}
    assert found == set(OPERATIONS), "a route needs its entry in stream/web/schema_operations.py"
    for method, path in found:
        assert tree["paths"][path][method]["responses"] == json.loads(json.dumps(OPERATIONS[method, path]["responses"]))


def test_without_a_token_nothing_is_done(instance: Worker) -> None:
    for method, path in OPERATIONS:
        if OPERATIONS[method, path].get("security"):
            path = path.replace("{incident}", "x").replace("{id_}", "x")
            assert httpx.request(method, instance.url + path, content=b"{}").status_code == 401


def test_the_checks_are_the_library_s_own() -> None:
    from schemathesis.checks import CHECKS

    assert {check.__name__ for check in checks()} <= set(CHECKS.get_all_names())
