"""How is what outsiders wrote told to people, so that it is words and nothing else?

Names of sources, owners, stages and deals come from forms, trackers and CRMs: whoever can write there must not be able to write
a line, a link or a direction of our messages. The contract cleans texts as they come in (``models/events/scalars.py``); ids stay
as they are, and what was kept before that was so is cleaned here.
"""

import json
import re

from models.events.scalars import clean_text

#: What mail programs, chats and task boards make a link of by themselves.
_LINK = re.compile(r"(?i)\b(https?|ftp|file|mailto|javascript|data|tel|slack)(:)(?=\S)|\b(www)(\.)(?=\S)")
#: So much of a text is told.
LONGEST = 200


def inert(text: str, limit: int = LONGEST) -> str:
    """Return a text of outsiders as words: one line, nothing invisible, and no link (``https[:]//…``), cut to ``limit``."""
    words = " ".join(clean_text(text).split())
    words = _LINK.sub(lambda found: f"{found[1] or found[3]}[{found[2] or found[4]}]", words)
    return words if len(words) <= limit else words[: limit - 1] + "…"


def visible(text: str) -> str:
    """Return JSON in which what cannot be seen is escaped: the same value, and nothing that a terminal obeys. Its lines stay."""
    if text.isprintable():
        return text
    return "".join(sign if sign == "\n" or sign.isprintable() else json.dumps(sign)[1:-1] for sign in text)
