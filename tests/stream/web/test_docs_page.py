"""The API's document and page: of every route, with nothing from elsewhere; errors as problems, answers that one has already."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.metadata import version

import jsonschema
import pytest

from stream.config.settings import SettingsError, load
from stream.metrics import Metrics
from stream.web.schema_examples import EXAMPLES
from stream.web.schema_operations import OPERATIONS
from tests.stream.web.feeds.house import ANN, application_with_feeds, client, guarded
from vigie.up import open_access

APP = application_with_feeds()


class Page(HTMLParser):
    """The elements of a page, and where its addresses lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


async def test_the_document_says_what_it_is_of() -> None:
    async with client(APP) as web:
        tree = (await web.get("/openapi.json")).json()
        assert tree == (await web.get("/api/openapi.json")).json(), "the old address stays"
    assert tree["openapi"].startswith("3.1") and tree["info"]["version"] == version("vigie")
    from schemathesis.specs.openapi.definitions import OPENAPI_31  # takes long to load

    jsonschema.Draft202012Validator(OPENAPI_31).validate(tree)  # the published schema of such documents
    known = {tag["name"] for tag in tree["tags"]}
    for path, operations in tree["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"] and operation["description"] and set(operation["tags"]) <= known, (method, path)


@pytest.mark.parametrize("which", sorted(EXAMPLES))
def test_examples_are_what_the_document_says(which: tuple[str, str]) -> None:
    content = OPERATIONS[which]["responses"]["200"]["content"]["application/json"]
    jsonschema.validate(content["example"], content["schema"])


async def test_the_page_has_every_route_and_nothing_from_elsewhere() -> None:
    async with client(APP) as web:
        answer = await web.get("/docs")
        tree = (await web.get("/openapi.json")).json()
        css = await web.get("/static/docs.css")
    assert answer.headers["content-type"] == "text/html; charset=utf-8" and css.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = Page(answer.text)
    assert not {"script", "style", "iframe", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    links = [value for name, value in page.attributes if name in ("href", "src")]
    names = {value for name, value in page.attributes if name == "id"}
    assert {link for link in links if not link.startswith("#")} == {"static/docs.css", "openapi.json"}
    assert {link[1:] for link in links if link.startswith("#")} == names
    assert len(names) == sum(map(len, tree["paths"].values())) > 12
    assert "url(" not in css.text and "@import" not in css.text


@pytest.mark.parametrize(
    ("path", "status", "member"),
    [
        ("/api/kpis?kpi=nope", 400, "accepted"),
        ("/api/kpis?nope=1", 400, "accepted"),
        ("/api/export?feed=deals&filter=x", 400, None),
        ("/api/nothing-here", 404, None),
        ("/nothing-here", 404, None),
    ],
)
async def test_an_error_is_a_problem(path: str, status: int, member: str | None) -> None:
    async with client(APP) as web:
        answer = await web.get(path)
    problem = answer.json()
    assert answer.status_code == problem["status"] == status and answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "about:blank" and problem["title"] and problem["detail"] == problem["error"]
    assert member is None or problem[member]


async def test_another_method_is_a_problem_and_says_which() -> None:
    async with client(APP) as web:
        answer = await web.request("DELETE", "/api/kpis")
    assert answer.status_code == 405 and answer.json()["status"] == 405 and answer.headers["allow"] == "GET"


async def test_strangers_are_refused_with_a_problem() -> None:
    async with client(guarded(), "http://203.0.113.1") as web:
        answer = await web.get("/api/kpis")
    assert answer.status_code == 401 and answer.headers["content-type"] == "application/problem+json" and answer.json()["detail"]


async def test_what_one_has_is_not_sent_again() -> None:
    async with client(APP) as web:
        for path in ("/api/catalogue", "/openapi.json", "/docs", "/odata/v4/$metadata", "/api/kpis?kpi=revenue"):
            first = await web.get(path)
            tag = first.headers["etag"]
            assert re.fullmatch(r'W/"[0-9a-f]{16}"', tag), path
            for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
                again = await web.get(path, headers={"if-none-match": known})
                assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == tag
                assert "content-length" not in again.headers
            assert (await web.get(path, headers={"if-none-match": '"another"'})).content == first.content
        assert "etag" not in (await web.get("/api/kpis?kpi=nope")).headers


async def test_other_origins_are_let_in_only_where_the_settings_say() -> None:
    asks = {
        "origin": "https://bi.example.com",
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization",
    }
    for origins, said in ([], None), (["https://bi.example.com"], "https://bi.example.com"):
        people = [{"name": "ann", "token": ANN}]
        settings = load(environ={}, web={"host": "0.0.0.0", "operators": people, "cors": origins})
        app = application_with_feeds()
        open_access(app, settings, Metrics())
        async with client(app, "http://203.0.113.1") as web:
            assert (await web.options("/api/kpis", headers=asks)).headers.get("access-control-allow-origin") == said
            answer = await web.get("/api/catalogue", headers={"origin": asks["origin"], "authorization": f"Bearer {ANN}"})
            assert answer.status_code == 200 and answer.headers.get("access-control-allow-origin") == said
            assert "access-control-allow-credentials" not in answer.headers, "no session of a browser goes with it"
            other = await web.get(
                "/api/catalogue", headers={"origin": "https://evil.example.com", "authorization": f"Bearer {ANN}"}
            )
            assert "access-control-allow-origin" not in other.headers
            assert (await web.get("/api/catalogue", headers={"origin": asks["origin"]})).status_code == 401


@pytest.mark.parametrize("origin", ["*", "bi.example.com", "https://bi.example.com/", "null", "https://*.example.com"])
def test_an_origin_that_is_none_is_refused(origin: str) -> None:
    with pytest.raises(SettingsError, match=r"https://bi\.example\.com"):
        load(environ={}, web={"cors": [origin]})
