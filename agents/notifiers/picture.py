"""What does the course of a figure look like? A small PNG, drawn here: no library, no font; words are beside it as text.

Drawn at once where it is sent, in some milliseconds, of what the message holds: the same message has the same picture.
"""

import struct
import zlib
from typing import TYPE_CHECKING, Any

from alert_rules.records.message import AlertMessage
from alert_rules.words.course import Course

if TYPE_CHECKING:  # it takes a tenth of a second to import
    import numpy as np

WIDTH, HEIGHT = 1120, 240
"""Twice what it is shown at: screens are fine."""

#: The colours of what is grave, less so, and over; of what is neither.
COLOURS = {"critical": "#b3261e", "warn": "#9a6700", "resolved": "#1a7f37"}
GREY = "#57606a"

_EDGE = 16
_GROUND, _AREA, _GRID = (255, 255, 255), (240, 236, 226), (208, 215, 222)


def colour_of(message: AlertMessage) -> str:
    """Return the colour of a message, and of what is drawn in it."""
    return COLOURS.get("resolved" if message.kind == "resolved" else message.severity or "", GREY)


def png(course: Course, colour: str) -> bytes:
    """Return the picture: the course in a colour (``#b3261e``), its threshold dashed in grey."""
    import numpy as np

    ink = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
    known = [value for value in course.values if value is not None]
    marks = known if course.threshold is None else [*known, course.threshold]
    low, high = min(marks), max(marks)
    low, high = (0.0, high) if 0 <= low < 0.5 * high else (low - 0.1 * (high - low), high + 0.1 * (high - low))
    size = high - low or abs(high) or 1.0

    def y_of(value: float) -> float:
        return HEIGHT - _EDGE - (value - low) / size * (HEIGHT - 2 * _EDGE)

    places = [
        (_EDGE + at / (len(course.values) - 1) * (WIDTH - 2 * _EDGE), y_of(value))
        for at, value in enumerate(course.values)
        if value is not None
    ]
    canvas = np.empty((HEIGHT, WIDTH, 3), np.float64)
    canvas[:] = _GROUND
    columns = np.arange(WIDTH) + 0.5
    xs, ys = (np.array(axis) for axis in zip(*places, strict=True))
    line = np.interp(columns, xs, ys)
    rows = (np.arange(HEIGHT) + 0.5)[:, None]
    inside = (columns >= xs[0]) & (columns <= xs[-1])
    _blend(canvas, np.clip(rows - line, 0, 1) * inside * (rows < HEIGHT - _EDGE), _AREA)
    _blend(canvas, np.clip(1.5 - abs(rows - (HEIGHT - _EDGE)), 0, 1) * np.ones(WIDTH), _GRID)
    if course.threshold is not None:
        dashes = (np.arange(WIDTH) // 12 % 2 == 0).astype(np.float64)
        _blend(canvas, np.clip(2 - abs(rows - y_of(course.threshold)), 0, 1) * dashes, (87, 96, 106))
    # As thick where it is steep: the distance to the line, not the height above it.
    slope = np.gradient(line)
    away = abs(rows - line) / np.sqrt(1 + slope**2)
    _blend(canvas, np.clip(3.0 - away, 0, 1) * inside, ink)
    _blend(canvas, np.clip(9.0 - np.hypot(columns - xs[-1], rows - ys[-1]), 0, 1), ink)
    return _packed(canvas)


def _blend(canvas: "np.ndarray[Any, Any]", cover: "np.ndarray[Any, Any]", colour: tuple[int, ...]) -> None:
    """Lay a colour over the canvas, as much as ``cover`` (0 to 1) says of each pixel."""
    canvas += cover[:, :, None] * ([float(part) for part in colour] - canvas)


def _packed(canvas: "np.ndarray[Any, Any]") -> bytes:
    import numpy as np

    pixels = np.clip(canvas + 0.5, 0, 255).astype(np.uint8)
    raw = np.zeros((HEIGHT, 1 + 3 * WIDTH), np.uint8)  # each line begins with its filter: none
    raw[:, 1:] = pixels.reshape(HEIGHT, 3 * WIDTH)
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
