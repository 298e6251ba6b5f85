"""What is to be done about an alert, as pages for people: the runbooks that come with Vigie. They tell nothing of the company."""

import functools
import re
from html import escape

from fastapi import APIRouter, Request, Response
from markdown_it import MarkdownIt

from alert_rules.words.language import SOURCE, languages
from alert_rules.words.runbooks import pages
from stream.web.plain import plain, reader_language

router = APIRouter()

_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS = {
    "content-security-policy": _POLICY,
    "cache-control": "no-cache",
}
_LINK = re.compile(r"\[([^\]]+)\]\(([^)]*)\)")


@router.get("/runbooks/{name}", include_in_schema=False)
async def runbook(name: str, request: Request) -> Response:
    """Return the page; it is in English, which others are told."""
    words = reader_language(request)
    back = f'<p lang="{words.code}"><a href="../">{escape(words.say("back", of="plain"))}</a></p>'
    if name not in pages():
        body = f"<p>{escape(words.say('no_runbook', of='plain'))}</p>{back}"
        return plain(words, words.say("facts.runbook", of="page"), body, up="../", status=404, headers=_HEADERS)
    title, html = _page(name)
    told = "" if words.code == SOURCE else f'<p lang="{words.code}">{escape(words.say("in_english", of="plain"))}</p>'
    return plain(languages()[SOURCE], title, f"{told}<article>{html}</article>{back}", up="../", headers=_HEADERS)


@functools.cache
def _page(name: str) -> tuple[str, str]:
    """Return a page's title, and what is under it as HTML."""
    text = pages()[name].read_text("utf-8")
    title, _, rest = text.removeprefix("# ").partition("\n")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    return title.strip(), str(markdown.render(_LINK.sub(_within, rest)))


def _within(link: re.Match[str]) -> str:
    """Return a link to another runbook as it leads there; of one to what is not served, its words."""
    other = link[2].removesuffix(".md")
    return f"[{link[1]}]({other})" if other in pages() else link[1]
