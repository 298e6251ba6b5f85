"""The API as a page for people, made of its OpenAPI document: no script, and nothing from elsewhere."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<title>Vigie: the API</title><link rel="stylesheet" href="static/docs.css"></head><body><main><h1>{title} {version}</h1>'
)


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter()

    @routes.get("/docs", summary="The API as a page for people")
    async def docs(request: Request) -> Response:
        """Return the page: each route, what it takes and what it answers."""
        return Response(page(request.app.openapi()), headers={"cache-control": "no-cache"}, media_type="text/html; charset=utf-8")

    @routes.get("/api/openapi.json", include_in_schema=False)
    async def document(request: Request) -> Response:
        """Return the OpenAPI document, which is at ``/openapi.json`` too."""
        return Response(orjson.dumps(request.app.openapi()), media_type="application/json")

    return routes


def page(tree: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    by_tag: defaultdict[str, list[str]] = defaultdict(list)
    links: defaultdict[str, list[str]] = defaultdict(list)
    for path, operations in tree["paths"].items():
        for method, operation in operations.items():
            name, tag = _name(method, path), operation["tags"][0]
            by_tag[tag].append(_operation(name, method, path, operation))
            links[tag].append(
                f'<li><a href="#{name}"><b>{method.upper()}</b> {escape(path)}</a> {escape(operation["summary"])}</li>'
            )
    info = tree["info"]
    about = "".join(f"<p>{_prose(part)}</p>" for part in info["description"].split("\n\n"))
    told = {tag["name"]: tag["description"] for tag in tree["tags"]}
    nav = "".join(f"<h2>{escape(told[tag])}</h2><ul>{''.join(lines)}</ul>" for tag, lines in links.items())
    body = "".join(f"<section><h2>{escape(told[tag])}</h2>{''.join(parts)}</section>" for tag, parts in by_tag.items())
    head = _HEAD.format(title=escape(info["title"]), version=escape(info["version"]))
    return f'{head}{about}<p><a href="openapi.json">openapi.json</a></p><nav>{nav}</nav>{body}</main></body></html>'


def _name(method: str, path: str) -> str:
    return method + "".join(one if one.isalnum() else "-" for one in path)


def _operation(name: str, method: str, path: str, operation: Mapping[str, Any]) -> str:
    token = "<p>Needs an operator's token: <code>Authorization: Bearer …</code></p>" if operation.get("security") else ""
    parameters = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}</td>"
        f"<td>{'needed' if one.get('required') else ''}</td></tr>"
        for one in operation.get("parameters", ())
    )
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td>"
        f"<td><code>{escape(', '.join(answer.get('content', ())))}</code></td></tr>"
        for status, answer in sorted(operation["responses"].items())
    )
    return (
        f'<article id="{name}"><h3><b>{method.upper()}</b> <code>{escape(path)}</code></h3>'
        f"<p><strong>{escape(operation['summary'])}</strong></p><p>{_prose(operation.get('description', ''))}</p>{token}"
        + (f"<table><tr><th>takes</th><th>in</th><th></th></tr>{parameters}</table>" if parameters else "")
        + f"<table><tr><th>answers</th><th></th><th>as</th></tr>{answers}</table>{_examples(operation)}</article>"
    )


def _examples(operation: Mapping[str, Any]) -> str:
    found = [
        content["example"]
        for one in (operation.get("requestBody", {}), *operation["responses"].values())
        for content in one.get("content", {}).values()
        if "example" in content
    ]
    return "".join(f"<pre>{escape(text)}</pre>" for text in map(_shown, found))


def _shown(example: Any) -> str:
    return example if isinstance(example, str) else orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()


def _prose(text: str) -> str:
    """Return a docstring as HTML: what stands in double backticks is code."""
    parts: Iterable[str] = escape(text).split("``")
    return "".join(f"<code>{part}</code>" if odd % 2 else part for odd, part in enumerate(parts))
