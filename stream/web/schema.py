"""How is ``/openapi.json`` made? What FastAPI knows of the routes, and what ``schema_operations.py`` says of them."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from stream.web.schema_operations import OPERATIONS

#: How the routes are grouped, by what their paths begin with.
_TAGS = {
    "figures": (
        "Figures",
        (
            "/api/kpis",
            "/api/objectives",
            "/api/challenges",
            "/api/trend",
            "/api/catalogue",
            "/api/leaderboard",
            "/api/experiments",
            "/api/stream",
        ),
    ),
    "deals": (
        "Deals, leads, customers",
        ("/api/deals", "/api/pipeline", "/api/waiting", "/api/entities", "/api/counted", "/api/customer"),
    ),
    "predictions": ("What is expected", ("/api/predictions", "/api/leads", "/api/models", "/api/forecast")),
    "alerts": ("Alerts", ("/api/alerts", "/api/silences", "/slack")),
    "tables": ("Tables for other tools", ("/odata", "/api/export")),
    "events": ("What comes in", ("/api/events", "/webhooks", "/collect", "/api/dead-letters")),
    "privacy": ("Personal data", ("/api/privacy", "/privacy.json")),
    "service": ("The service itself", ("",)),
}
_ABOUT = """Reads figures of sales, and takes events in. This is version 1: what is here stays; what comes is added.

Who may read shows a token, ``Authorization: Bearer TOKEN`` (``docs/security.md``), but on the machine's own address. Errors are
problem details (RFC 9457): ``detail`` says what was found and what is accepted. Answers have an ``ETag``: ask again with
``If-None-Match``, and what has not changed is not sent again (304). Times are UTC, money is in units of the business currency."""


def _tag(path: str) -> str:
    return next(tag for tag, (_, begins) in _TAGS.items() if path.startswith(begins))


def document(app: FastAPI) -> None:
    """Make ``/openapi.json`` say what is written here, of the routes that the application has when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            found = get_openapi(title="The API of Vigie", version=version("vigie"), description=_ABOUT, routes=app.routes)
            found["tags"] = [{"name": name, "description": said} for name, (said, _) in _TAGS.items()]
            for path, operations in found["paths"].items():
                for method, operation in operations.items():
                    operation |= {"tags": [_tag(path)], **OPERATIONS.get((method, path), {})}
            found["components"] = {"securitySchemes": {"operator": {"type": "http", "scheme": "bearer"}}}
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
