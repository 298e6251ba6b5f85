"""The page and the stream of somebody who sees the figures of some owners and teams only."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from html import escape
from typing import Any

from fastapi import Response

from alert_rules.words.language import SOURCE, Language
from alert_rules.words.reader import Reader
from models.calendar import iso
from models.kpis.entry import Kpi
from stream.readings.board import Reading, Unavailable
from stream.web.context import Context
from stream.web.live import event
from stream.web.plain import plain
from stream.web.reach import SegmentReach

#: Windows of the page; and how often (s) the stream looks, and says that it is there.
_WINDOWS = ("7d", "30d")
_PERIOD, _BEAT = 1.0, 5


async def readings(ctx: Context, reach: SegmentReach, windows: Sequence[str]) -> Sequence[Reading]:
    """Return the readings of their segments; none while there are no numbers."""
    try:
        return (await ctx.answer(lambda board: board.only(windows, reach.dimensions)))[0]
    except Unavailable:
        return []


def alerts(ctx: Context, reach: SegmentReach) -> list[dict[str, Any]] | None:
    """Return what they see of the alerts that stand; None where they are not known here."""
    known = ctx.alerts()
    return None if known is None else [seen for alert in known if (seen := reach.alert(alert)) is not None]


async def stream(ctx: Context, reach: SegmentReach, window: str) -> AsyncIterator[bytes]:
    """Yield ``readings`` when theirs have changed, at most once a second, and ``beat`` between; until the server stops."""
    with ctx.live.counted():
        yield b"retry: 2000\n\n"
        before: object = None
        number = quiet = 0
        while not ctx.live.stopped:
            found, stand = await readings(ctx, reach, [window]), alerts(ctx, reach)
            shown = [{name: value for name, value in r.items() if name not in ("from", "at")} for r in found], stand
            now = iso(ctx.live_board.now())
            if shown != before:
                before, number, quiet = shown, number + 1, 0
                yield event("readings", {"at": now, "window": window, "readings": found, "alerts": stand}, number)
            elif (quiet := quiet + 1) % _BEAT == 0:
                yield event("beat", {"at": now})
            await asyncio.sleep(_PERIOD)
        yield event("bye", {"reason": "stopping"})


async def page(ctx: Context, reach: SegmentReach, words: Language) -> Response:
    """Return their figures as a plain page, which has no script."""
    by_segment: dict[tuple[str, str], dict[str, dict[str, Reading]]] = {}
    for reading in await readings(ctx, reach, _WINDOWS):
        segment = next(iter(reading["segment"].items()))
        by_segment.setdefault(segment, {}).setdefault(reading["kpi"], {})[reading["window"]] = reading
    parts = []
    for (dimension, value), kpis in by_segment.items():
        head = "".join(f"<th>{escape(words.say(f'windows.{window}', of='page'))}</th>" for window in _WINDOWS)
        rows = "".join(_row(ctx.live_board.source.kpis[kpi], found, words) for kpi, found in kpis.items())
        name = ctx.people.name(value) if dimension == "owner" else value
        title = f"{words.say(f'dimensions.{dimension}', of='page')} {name}"
        parts.append(f"<h2>{escape(title)}</h2><table><tr><th></th>{head}</tr>{rows}</table>")
    for alert in alerts(ctx, reach) or []:
        told = {**alert, **((alert.get("words") or {}).get(words.code) or {})}
        parts.append(f"<p><strong>{escape(str(told.get('title')))}</strong> {escape(str(told.get('summary') or ''))}</p>")
    body = "".join(parts) or f"<p>{escape(words.say('empty', of='plain'))}</p>"
    again = '<meta http-equiv="refresh" content="30">'
    return plain(words, words.say("yours", of="plain"), body, headers={"cache-control": "no-store"}, head=again)


def _row(kpi: Kpi, found: Mapping[str, Reading], words: Language) -> str:
    cells = "".join(f"<td>{_said(found.get(window), words)}</td>" for window in _WINDOWS)
    return f"<tr><td>{escape(kpi.label.get(words.code, kpi.label[SOURCE]))}</td>{cells}</tr>"


def _said(reading: Reading | None, words: Language) -> str:
    value = None if reading is None else reading["value"]
    if reading is None or value is None:
        return "–"
    return escape(Reader(words.code).words.number(value, reading["unit"], reading.get("currency")))
