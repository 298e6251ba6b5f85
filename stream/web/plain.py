"""Pages without a script: the form for a token, the figures of who sees some owners only, what is behind a message's link.

They are told in the language that the browser asks for, where there is such a one, else in the company's.
"""

from html import escape

from fastapi import Request, Response
from starlette.datastructures import Headers

from alert_rules.words.language import SOURCE, Language, languages
from stream.web.context import context


def language_of(headers: Headers, otherwise: str = SOURCE) -> Language:
    """Return the first language of ``Accept-Language`` that there is, by the weights in it."""
    found = []
    for place, part in enumerate(headers.get("accept-language", "")[:500].split(",")):
        name, _, weight = part.strip().partition(";q=")
        try:
            rank = float(weight) if weight else 1.0
        except ValueError:
            rank = 0.0
        code = name.partition("-")[0].lower()
        if code in languages() and rank > 0:
            found.append((-rank, place, code))
    return languages()[min(found)[2] if found else otherwise]


def reader_language(request: Request) -> Language:
    """Return the language of who asks for a page."""
    return language_of(request.headers, context(request).business.language)


def plain(
    words: Language, title: str, body: str, *, up: str = "", status: int = 200, headers: dict[str, str], head: str = ""
) -> Response:
    """Return a page; ``body`` and ``head`` are HTML, ``up`` leads to the root: nothing of ``Host`` is in its addresses."""
    name = title if title == "Vigie" else f"{title} · Vigie"
    html = (
        f'<!doctype html><html lang="{words.code}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">{head}<title>{escape(name)}</title>'
        f'<link rel="stylesheet" href="{up}static/act.css"></head>'
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return Response(html, status, headers, "text/html; charset=utf-8")
