"""Has somebody asked for quiet about this alert?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from alert_rules.tell.stages.match import Matcher, all_match, shown
from alert_rules.tell.stages.suppression import Suppression
from models.calendar import iso


@dataclass(frozen=True, slots=True)
class Silence:
    """Quiet about what the matchers say, from ``starts`` (inclusive) to ``ends`` (exclusive), milliseconds since the epoch."""

    id: str
    matchers: tuple[Matcher, ...]
    starts: int
    ends: int
    by: str
    comment: str = ""

    def active(self, now: int) -> bool:
        """Whether it holds at an instant."""
        return self.starts <= now < self.ends


def silenced(labels: Mapping[str, str], silences: Iterable[Silence], now: int) -> Suppression | None:
    """Return why an alert is silenced, None where it is not."""
    for silence in silences:
        if silence.active(now) and all_match(silence.matchers, labels):
            comment = f" ({silence.comment})" if silence.comment else ""
            until = iso(silence.ends)
            return Suppression(
                "silence", f"silenced by {silence.by} until {until}: {shown(silence.matchers)}{comment}, id {silence.id}"
            )
    return None


def encode(silence: Silence) -> dict[str, Any]:
    """Return a silence as JSON can hold it."""
    return {
        "id": silence.id,
        "matchers": [str(matcher) for matcher in silence.matchers],
        "starts": silence.starts,
        "ends": silence.ends,
        "by": silence.by,
        "comment": silence.comment,
    }


def decode(tree: Mapping[str, Any]) -> Silence:
    """Return the silence of an :func:`encode`; raise ``ValueError`` that names what cannot be used."""
    matchers, starts, ends = tree.get("matchers"), tree.get("starts"), tree.get("ends")
    if not isinstance(matchers, list) or not matchers:
        raise ValueError(f"matchers: found {matchers!r} (accepted: a list with at least one; a silence of everything is none)")
    if type(starts) is not int or type(ends) is not int or ends <= starts:
        raise ValueError(
            f"starts, ends: found {starts!r} and {ends!r} (accepted: milliseconds since the epoch, ends after starts)"
        )
    texts = {name: tree.get(name, "") for name in ("id", "by", "comment")}
    for name, text in texts.items():
        if not isinstance(text, str) or (name != "comment" and not text) or len(text) > 1000:
            raise ValueError(f"{name}: found {text!r:.100} (accepted: a text of at most 1000 characters)")
    parsed = tuple(Matcher.parse(matcher) for matcher in matchers)
    if all(matcher.matches({}) for matcher in parsed):
        # Alertmanager refuses these too: they would silence alerts that do not even have the label.
        raise ValueError("matchers: all of them match an empty value (accepted: at least one that does not)")
    return Silence(texts["id"], parsed, starts, ends, texts["by"], texts["comment"])
