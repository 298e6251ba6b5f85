"""What does a message look like in Slack? Blocks within Block Kit's limits, in which nothing that people wrote is markup."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from alert_rules.delivery import Action
from alert_rules.explain import BEHIND, behind_items
from alert_rules.note import TOLD, is_many, item_title

#: Block Kit's limits: characters of a section's text, elements of a context, blocks of a message, characters of a button's
#: text, of its value, and of a URL.
SECTION = 3000
CONTEXT = 10
BLOCKS = 50
BUTTON = 75
VALUE = 2000
URL = 2000
#: Nothing in a text becomes a link or a name by itself, and no page is shown for one.
INERT = {"unfurl_links": False, "unfurl_media": False, "link_names": False, "parse": "none"}
_MARKS = {"critical": ":red_circle:", "warn": ":large_yellow_circle:"}
_NEWS = {
    "resolved": "Resolved",
    "repeated": "Still firing",
    "escalated": "Escalated",
    "upgraded": "Has grown worse",
    "downgraded": "Has eased",
    "updated": "Some have ended",
    "fired": "New",
    "acknowledged": "Taken care of",
    "unacknowledged": "Nobody takes care of it any more",
}


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


def render(alert: Mapping[str, Any], actions: Sequence[Action] = (), *, pressed: bool = False) -> dict[str, Any]:
    """Return a message as Slack's ``chat.postMessage`` and webhooks take it: how the incident stands.

    ``actions`` become buttons: with ``pressed`` those that Slack sends back to us, else links.
    """
    words = alert.get("message") or {}
    title, text = str(words.get("title") or alert.get("rule")), str(words.get("text") or "")
    mark = ":large_green_circle:" if alert.get("kind") == "resolved" else _MARKS.get(str(alert.get("severity")), "")
    first, _, rest = text.partition("\n\n")
    blocks: list[dict[str, Any]] = [_section(f"{mark} *{escape(title, 500)}*".strip())]
    if is_many(alert):
        items, rest = [_item(item) for item in (alert.get("alerts") or ())[:TOLD]], text.rpartition("\n")[2]
        parts = [escape(first, SECTION), *items, escape(rest, SECTION) if rest.startswith("and ") else ""]
        blocks += [_section(part) for part in parts if part.strip()]
    else:
        behind = _behind(alert)
        if behind:
            rest = rest.partition(f"\n\n{BEHIND}\n")[0]  # told with links instead
        blocks += [_section(escape(part, SECTION)) for part in (first, rest) if part.strip()]
        blocks += behind
    told = [("why now", alert.get("why_now")), ("incident", alert.get("incident"))]
    ack = alert.get("acknowledged")
    if isinstance(ack, Mapping):
        told.insert(0, ("taken care of by", ack.get("by")))
    elements = [
        {"type": "mrkdwn", "text": f"{name}: {escape(str(value), 300)}", "verbatim": True} for name, value in told if value
    ]
    if elements:
        blocks.append({"type": "context", "elements": elements[:CONTEXT]})
    if buttons := _buttons(alert, actions, pressed=pressed):
        blocks.append({"type": "actions", "elements": buttons})
    # `text` is what a notification shows.
    return {"text": escape(title, SECTION) or "-", "blocks": blocks[:BLOCKS]} | INERT


def _item(item: Mapping[str, Any]) -> str:
    """Return what tells one alert of a group; its title is a link to its page where the settings know it."""
    words, url = escape(item_title(item), 300).replace("|", "¦"), str(item.get("url") or "")
    linked = f"<{url.replace('&', '&amp;')}|{words}>" if url and len(url) <= URL and not set(url) & set("<>| ") else words
    why = f"\n_Why: {escape(str(item['why']), 300)}_" if item.get("why") else ""
    return f"*{linked}*\n{escape(str(item.get('text') or ''), 1500)}{why}"


def _behind(alert: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the deals or leads behind an alert, each a link to its page where the settings know it."""
    lines = []
    for line, url in behind_items(alert.get("explanation") or {}):
        words = escape(line, 300)
        lines.append(
            f"<{url.replace('&', '&amp;')}|{words.replace('|', '¦')}>"
            if url and len(url) <= URL and not set(url) & set("<>| ")
            else words
        )
    return [_section(text)] if lines and len(text := "\n".join([f"*{BEHIND}*", *lines])) <= SECTION else []


def news(alert: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is answered in an incident's thread: only what is new, as the message itself shows how it stands."""
    words = alert.get("message") or {}
    title, why = str(words.get("title") or alert.get("rule")), str(alert.get("why_now") or "")
    what = _NEWS.get(str(alert.get("kind")), "News")
    first = str(words.get("text") or "").partition("\n\n")[0]
    lines = [f"*{what}*{f': {escape(why, 300)}' if why else ''}", escape(title, 500)]
    if alert.get("kind") not in ("acknowledged", "unacknowledged", "repeated") and first.strip():
        lines.append(escape(first, 1500))
        if is_many(alert):
            lines += [_item(item) for item in (alert.get("alerts") or ())[:TOLD] if item.get("news")]
            lines += [escape(rest, 1000) for rest in [str(words.get("text")).rpartition("\n")[2]] if rest.startswith("and ")]
    return {
        "text": f"{what}: {escape(title, 2900)}",
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


def _buttons(alert: Mapping[str, Any], actions: Sequence[Action], *, pressed: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for action in actions:
        button: dict[str, Any] = {"type": "button", "text": {"type": "plain_text", "text": action.text[:BUTTON]}}
        button["action_id"] = f"vigie_{action.name}"
        if pressed and action.token:
            if len(action.token) > VALUE:
                continue
            found.append(button | {"value": action.token})
        elif len(action.url) <= URL:
            found.append(button | {"url": action.url})
    runbook = str(alert.get("runbook") or "")
    if runbook.startswith(("http://", "https://")) and len(runbook) <= URL:
        text = {"type": "plain_text", "text": "Runbook"}
        found.append({"type": "button", "text": text, "url": runbook, "action_id": "runbook"})
    return found


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
