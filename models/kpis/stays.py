"""How long do deals usually stay in each stage? What those who watch single deals must know of all of them."""

from collections.abc import Mapping

from models.view import PanesExpired, View
from models.windows import Window

QUANTILES = (0.5, 0.75, 0.9, 0.95)
#: Below so many stays nobody knows what is usual.
LEAST = 20
#: The stays that ended in so much time.
WINDOW = Window.parse("90d")
#: A quantile that has moved by less is not news: whoever hears of it looks at all deals of the stage again.
NEWS = 0.05

Stays = dict[str, list[int]]


def usual_stays(view: View, at: int) -> Stays:
    """Return, by stage, the quantiles (ms) of the stays that ended in the 90 business days before an instant."""
    found: Stays = {}
    for stage in view.segments("stage", frozenset(("deals",))):
        try:
            counts = view.total("deals", f"stage={stage}", WINDOW, at).values.get("stage_stays", {})
        except PanesExpired:
            continue
        if sum(counts.values()) >= LEAST:
            found[stage] = [quantile(counts, q) for q in QUANTILES]
    return found


def quantile(counts: Mapping[int, int], q: float) -> int:
    """Return the least value that at least the share ``q`` of a multiset does not exceed."""
    rank, seen = q * sum(counts.values()), 0
    value = 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= rank:
            break
    return value


def is_news(before: Stays, now: Stays) -> bool:
    """Whether the quantiles have changed enough to be told."""
    return before.keys() != now.keys() or any(
        abs(a - b) > NEWS * max(a, b) for stage, values in now.items() for a, b in zip(before[stage], values, strict=True)
    )
