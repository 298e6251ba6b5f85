"""How is an error told? As problem details (RFC 9457), with ``error`` beside them, which says the same in one text."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA = "application/problem+json"


def problem(status: int, text: str, more: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error: what is wrong in words, and further members."""
    about = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    body = {**about, "detail": text, "error": text, **(more or {})}
    return Response(orjson.dumps(body), status, {"cache-control": "no-store", **(headers or {})}, MEDIA)


def install(app: FastAPI) -> None:
    """Have the routes that are not there, or not for this method, refused in the same form."""

    async def refused(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        texts = {
            404: "there is no such page (accepted: what /docs lists)",
            405: "not with this method (accepted: what /docs lists)",
        }
        return problem(error.status_code, texts.get(error.status_code, str(error.detail)), headers=error.headers)

    app.add_exception_handler(HTTPException, refused)
