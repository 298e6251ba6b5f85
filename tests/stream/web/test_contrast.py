"""Can the page's text be read? WCAG 2 contrast of the style sheet's own colours, by day and by night."""

import re
from importlib.resources import files

import pytest

CSS = (files("stream.web") / "static" / "vigie.css").read_text("utf-8")
BLOCKS = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
DAY = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", BLOCKS[0]))
NIGHT = DAY | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", BLOCKS[1]))
#: Text on ground.
PAIRS = [
    (text, ground)
    for text, grounds in {
        "ink": ("paper", "card", "flash", "warn-wash", "port-wash"),
        "soft": ("paper", "card", "flash", "warn-wash", "port-wash"),
        "amber": ("paper", "warn-wash"),
        "port": ("card", "port-wash", "flash"),
        "starboard": ("card", "flash"),
        "sea-ink": ("sea",),
        "sea-soft": ("sea",),
    }.items()
    for ground in grounds
]


def luminance(colour: str) -> float:
    def linear(part: str) -> float:
        value = int(part, 16) / 255
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(colour[i : i + 2]) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def greyed(colour: str) -> str:
    """Return what CSS's ``grayscale(1)`` makes of a colour: the sum of Filter Effects' matrix, in sRGB as it stands."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + f"{round(0.2126 * red + 0.7152 * green + 0.0722 * blue):02x}" * 3


@pytest.mark.parametrize(("colours", "when"), [(DAY, "day"), (NIGHT, "night")], ids=["day", "night"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_contrast_is_aa(colours, when, text, ground):
    shown = [(colours[text], colours[ground])]
    if ground != "sea":  # what is stale is grey, but for the head
        shown.append((greyed(colours[text]), greyed(colours[ground])))
    for ink, paper in shown:
        high, low = sorted((luminance(ink), luminance(paper)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{text} {ink} on {ground} {paper} by {when}"
