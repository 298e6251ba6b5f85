"""What does a message look like in Slack? Blocks within Block Kit's limits, in which nothing that people wrote is markup."""

import re
from collections.abc import Sequence
from typing import Any

from alert_rules.tell.delivery import Delivery
from alert_rules.words.parts import Letter, LetterItem

#: Block Kit's limits: characters of a section's text, elements of a context, blocks of a message, characters of a button's
#: text, of its value, and of a URL.
SECTION = 3000
CONTEXT = 10
BLOCKS = 50
BUTTON = 75
VALUE = 2000
URL = 2000
#: Alerts of a group up to so many are told with all that is said of them.
SPACIOUS = 5
#: Nothing in a text becomes a link or a name by itself, and no page is shown for one.
INERT = {"unfurl_links": False, "unfurl_media": False, "link_names": False, "parse": "none"}
_MARKS = {"critical": ":red_circle:", "warn": ":large_yellow_circle:"}


#: Signs of Slack's markup and what stands for them; a colon before a name is how an emoji begins.
_MARKUP = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ"})
_EMOJI = re.compile(r":(?=[\w+'-]+:)")


def escape(text: str, limit: int) -> str:
    """Return a text for Slack's markup, in which nothing is a link, a mention, an emoji or bold; at most ``limit`` long."""
    kept = _EMOJI.sub("∶", text.translate(_MARKUP))
    while len(escaped := kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) > limit:
        # Cut before escaping: half of an "&amp;" would be shown as it is.
        kept = kept[: max(0, len(kept) - max(1, (len(escaped) - limit) // 5)) - 1].rstrip() + "…"
    return escaped


def render(delivery: Delivery, *, pressed: bool = False) -> dict[str, Any]:
    """Return a message as Slack's ``chat.postMessage`` and webhooks take it: how the incident stands.

    Its actions become buttons: with ``pressed`` those that Slack sends back to us, else links.
    """
    message, letter = delivery.message, delivery.letter
    mark = ":large_green_circle:" if message.kind == "resolved" else _MARKS.get(message.severity or "", "")
    blocks: list[dict[str, Any]] = [_section(f"{mark} *{escape(letter.title, 500)}*".strip())]
    if letter.many:
        parts = [
            escape(letter.lead, SECTION),
            *_items(letter),
            _linked(escape(letter.rest, SECTION - URL), _opened(delivery)),
        ]
        blocks += [_section(part) for part in parts if part.strip()]
    else:
        behind = _behind(letter)
        plain = [letter.facts_text] if behind else [letter.facts_text, letter.behind_text]
        rest = "\n\n".join(part for part in plain if part)
        blocks += [_section(escape(part, SECTION)) for part in (letter.lead, rest) if part.strip()]
        blocks += behind
    words = delivery.reader.words
    notes = [(words.note("why_now"), letter.why_now or message.why_now), (words.note("incident"), message.incident)]
    if message.acknowledged is not None:
        notes.insert(0, (words.note("care"), message.acknowledged.by))
    elements = [
        {"type": "mrkdwn", "text": f"{name}: {escape(str(value), 300)}", "verbatim": True} for name, value in notes if value
    ]
    if elements:
        blocks.append({"type": "context", "elements": elements[:CONTEXT]})
    if buttons := _buttons(delivery, pressed=pressed):
        blocks.append({"type": "actions", "elements": buttons})
    # `text` is what a notification shows.
    return {"text": escape(letter.title, SECTION) or "-", "blocks": blocks[:BLOCKS]} | INERT


def _items(letter: Letter) -> list[str]:
    """Return the alerts of a group; of many not why each stands: it says what it has come to."""
    many = len(letter.items) > SPACIOUS
    return [_item(item._replace(why="") if many else item) for item in letter.items]


def _item(item: LetterItem) -> str:
    """Return what tells one alert of a group; its title is a link to its page where the settings know it."""
    why = f"\n_{escape(item.why, 300)}_" if item.why else ""
    return f"*{_linked(escape(item.title, 300), item.url)}*\n{escape(item.text, 1500)}{why}"


def _opened(delivery: Delivery) -> str:
    """Return the address of the page that has all of a group; "" where none is known."""
    return next((action.url for action in delivery.actions if action.name == "open"), "")


def _linked(escaped: str, url: str) -> str:
    """Return words that are escaped as a link, where there is an address that can be one."""
    if not url or len(url) > URL or set(url) & set("<>| "):
        return escaped
    return f"<{url.replace('&', '&amp;')}|{escaped.replace('|', '¦')}>"


def _behind(letter: Letter) -> list[dict[str, Any]]:
    """Return the deals or leads behind an alert, each a link to its page where the settings know it."""
    lines = [_linked(escape(line.text, 300), line.url) for line in letter.behind]
    text = "\n".join([f"*{letter.behind_heading}*", *lines])
    return [_section(text)] if lines and len(text) <= SECTION else []


def news(delivery: Delivery) -> dict[str, Any]:
    """Return what is answered in an incident's thread: only what is new, as the message itself shows how it stands."""
    message, letter = delivery.message, delivery.letter
    what, why = delivery.reader.words.news(message.kind), letter.why_now or message.why_now or ""
    lines = [f"*{what}*{f': {escape(why, 300)}' if why else ''}", escape(letter.title, 500)]
    if message.kind not in ("acknowledged", "unacknowledged", "repeated") and letter.lead.strip():
        lines.append(escape(letter.lead, 1500))
        lines += [_item(item) for item in letter.items if letter.many and item.news]
        lines += [escape(letter.rest, 1000)] * bool(letter.rest)
    return {
        "text": f"{what}: {escape(letter.title, 2900)}",
        "blocks": [_section(part) for part in _parts(lines)],
    } | INERT


def _parts(lines: Sequence[str]) -> list[str]:
    """Return lines as texts that a section can hold."""
    parts = [""]
    for line in lines:
        if parts[-1] and len(parts[-1]) + 1 + len(line) > SECTION:
            parts.append(line)
        else:
            parts[-1] = f"{parts[-1]}\n{line}" if parts[-1] else line
    return parts


def _buttons(delivery: Delivery, *, pressed: bool) -> list[dict[str, Any]]:
    words, runbook = delivery.reader.words, delivery.runbook
    found: list[dict[str, Any]] = []
    for action in delivery.actions:
        text = {"type": "plain_text", "text": words.button(action.name)[:BUTTON]}
        button: dict[str, Any] = {"type": "button", "text": text}
        button["action_id"] = f"vigie_{action.name}"
        if pressed and action.token:
            if len(action.token) > VALUE:
                continue
            found.append(button | {"value": action.token})
        elif len(action.url) <= URL:
            found.append(button | {"url": action.url})
    if runbook and len(runbook) <= URL:
        text = {"type": "plain_text", "text": words.button("runbook")}
        found.append({"type": "button", "text": text, "url": runbook, "action_id": "runbook"})
    return found


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
