"""Messages as chats show them, for pictures: what the notifiers really send, laid out as each of the chats would."""

import re
from collections.abc import Callable
from html import escape
from typing import Any

import orjson

from agents.notifiers import google_chat, mattermost, teams, telegram
from alert_rules.tell.delivery import Delivery

_LOOK = """body{margin:0;padding:16px;background:#f5f5f5;color:#1f1f1f;font:14px/1.4 'Segoe UI',Roboto,Arial,sans-serif}
a{color:#1264a3;text-decoration:none}p{margin:0}main{max-width:600px;background:#fff;border:1px solid #ddd;border-radius:8px;
padding:12px 16px;overflow-wrap:anywhere}.row{display:flex;gap:8px}.row>:first-child{flex:0 0 110px}.quiet{color:#616161}
.line{border-top:1px solid #e0e0e0;padding-top:8px}.small{font-size:12px}.large{font-size:18px}.button{display:inline-block;
border:1px solid #c4c4c4;border-radius:4px;background:#fff;color:#1f1f1f;padding:5px 12px;margin:8px 8px 0 0;font-weight:600}"""
_TELEGRAM = """body{background:#d0d9b9}
blockquote{margin:6px 0;border-left:3px solid #c9463d;background:#fbeeed;padding:4px 8px}"""
#: The signs before titles there; what draws the pictures has no font with them.
_MARKS = {"🔴": "#d72b3f", "🟡": "#f2c744", "🟢": "#2eb67d", "📊": "#3a7bd5"}
_STYLES = {"attention": "#fbe9eb", "warning": "#fff6df", "good": "#e8f5ec", "accent": "#e8effa"}
_COLOURS = {"Attention": "#b3263c", "Warning": "#835b00", "Good": "#1a7f37"}
_SPACINGS = {"None": 0, "Small": 4, "Medium": 12}


def shown(chat: str, told: Delivery) -> str:
    """Return a page with a message in a chat: teams, google-chat, telegram or mattermost."""
    return f'<!doctype html><meta charset="utf-8"><style>{_LOOK}</style>{CHATS[chat](told)}'


def _teams(told: Delivery) -> str:
    card = orjson.loads(teams.render(told))["attachments"][0]["content"]
    buttons = "".join(f"<span class=button>{escape(one['title'])}</span>" for one in card.get("actions", ()))
    return f"<main style='padding-top:0'>{''.join(map(_element, card['body']))}{buttons}</main>"


def _element(one: dict[str, Any]) -> str:
    """Return an Adaptive Card's element."""
    above = _SPACINGS.get(one.get("spacing", ""), 8)
    match one["type"]:
        case "Container":
            style = f"margin-top:{above}px;"
            if "style" in one:
                style = f"background:{_STYLES[one['style']]};margin:0 -16px 8px;padding:12px 16px;border-radius:8px 8px 0 0"
            line = " class=line" if one.get("separator") else ""
            return f'<div{line} style="{style}">{"".join(map(_element, one["items"]))}</div>'
        case "ColumnSet":
            columns = "".join(f"<div>{''.join(map(_element, column['items']))}</div>" for column in one["columns"])
            return f'<div class=row style="margin-top:{above - 4}px">{columns}</div>'
        case "RichTextBlock":
            return f'<p style="margin-top:{above // 2}px">{"".join(map(_run, one["inlines"]))}</p>'
        case other:
            raise ValueError(f"no picture of {other}")


def _run(one: dict[str, Any]) -> str:
    classes = " ".join(
        name for name, there in (("quiet", one.get("isSubtle")), (str(one.get("size", "")).lower(), "size" in one)) if there
    )
    colour = f' style="color:{_COLOURS[one["color"]]}"' if "color" in one else ""
    text = f'<span class="{classes}"{colour}>{escape(one["text"])}</span>'
    text = f"<b>{text}</b>" if one.get("weight") == "Bolder" else text
    return f'<a href="{escape(one["selectAction"]["url"])}">{text}</a>' if "selectAction" in one else text


def _google_chat(told: Delivery) -> str:
    parts = []
    for section in orjson.loads(google_chat.render(told))["cardsV2"][0]["card"]["sections"]:
        head = f"<p class=quiet><b>{escape(section['header'])}</b></p>" if "header" in section else ""
        parts.append(f"<div>{head}{''.join(map(_widget, section['widgets']))}</div>")
    return f"<main style='border-radius:12px'>{'<div class=line style=margin-top:8px></div>'.join(parts)}</main>"


def _widget(one: dict[str, Any]) -> str:
    match one:
        case {"textParagraph": {"text": text}}:
            return f'<p style="margin-top:6px">{text}</p>'
        case {"buttonList": {"buttons": buttons}}:
            return "".join(f"<span class=button style='border-radius:16px'>{escape(one['text'])}</span>" for one in buttons)
    raise ValueError(f"no picture of {sorted(one)}")


def _telegram(told: Delivery) -> str:
    body = telegram.render(told, answer=told.memo is not None)
    # A block of its own ends its line.
    text = body["text"].replace("</blockquote>\n", "</blockquote>").replace("<blockquote expandable>", "<blockquote>")
    text = re.sub("|".join(_MARKS), lambda at: f'<span style="color:{_MARKS[at[0]]}">●</span>', text.replace("\n", "<br>"))
    head = "<p style='border-left:3px solid #3a7bd5;padding-left:8px;margin-bottom:4px'>Vigie<br>…</p>" if told.memo else ""
    rows = "".join(
        "<div style='display:flex;gap:4px;margin-top:4px'>"
        + "".join(f"<span style='flex:1;background:#7f8d64;color:#fff;text-align:center;padding:8px;border-radius:8px'>"
                  f"{escape(one['text'])}</span>" for one in row) + "</div>"
        for row in body.get("reply_markup", {}).get("inline_keyboard", ())
    )  # fmt: skip
    return f"<style>{_TELEGRAM}</style><div style='max-width:440px'><main style='border:0'>{head}{text}</main>{rows}</div>"


def _mattermost(told: Delivery) -> str:
    made = mattermost.render(told)["attachments"][0]
    fields = "".join(
        f'<div style="width:{"48%" if one["short"] else "100%"}"><b>{escape(one["title"])}</b><br>{_markdown(one["value"])}</div>'
        for one in made.get("fields", ())
    )
    foot = f'<p class="small quiet" style="margin-top:8px">{escape(made["footer"])}</p>' if "footer" in made else ""
    return (
        f'<b>Vigie</b> <span class="small quiet">BOT</span><main style="border-left:4px solid {made.get("color", "#bbb")}">'
        f"{_markdown(made['text'])}<div style='display:flex;flex-wrap:wrap;gap:8px;margin-top:8px'>{fields}</div>{foot}</main>"
    )


def _markdown(text: str) -> str:
    """Return the little Markdown that our posts have as HTML; entities in it are HTML's own."""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[1])
        return f"\0{len(kept) - 1}\0"

    text = re.sub(r"\\([\\`*_\[\]~|])", keep, text)
    text = re.sub(r"\[([^\]]*)\]\(([^)]*)\)", r'<a href="\2">\1</a>', text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text).replace("\n", "<br>")
    return re.sub("\0([0-9]+)\0", lambda at: kept[int(at[1])], text)


CHATS: dict[str, Callable[[Delivery], str]] = {
    "teams": _teams, "google-chat": _google_chat, "telegram": _telegram, "mattermost": _mattermost,
}  # fmt: skip
