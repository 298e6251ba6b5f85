"""Does a feature say how a deal will end before it has ended? Then it is likely to be the outcome itself, under another name.

Of each feature the outcome is guessed that most of the earlier deals with the same value had, at the first question about a deal.
Where hardly any such guess is wrong, people are told: nothing that is honestly known at creation says that much.
"""

import math
from collections.abc import Mapping
from typing import Any

#: Guesses after which something is said, how many of them are to be of the rarer outcome, and the share that may be wrong.
_GUESSES, _RARER, _WRONG = 60, 10, 0.01
_VALUES = 50  # of one feature that are remembered
_LONGEST = 48


class Giveaways:
    """What guesses by one feature alone have come to, feature by feature; pairs of features are not looked at."""

    def __init__(self, kept: Mapping[str, Any] | None = None) -> None:
        """``kept`` is what :meth:`dump` gave."""
        #: Feature -> value -> how many with it were won, and lost.
        self._seen: dict[str, dict[str, list[int]]] = {}
        self._guesses: dict[str, list[int]] = {}  # right ones of won, of lost, and wrong ones
        for name, (seen, guesses) in (kept or {}).items():
            self._seen[name] = {str(value): [int(won), int(lost)] for value, (won, lost) in seen.items()}
            self._guesses[name] = [int(count) for count in guesses]

    def learn_one(self, x: Mapping[str, str | float], won: bool) -> None:
        """Guess, then learn, how a deal has ended of which these were the features when it was first asked about."""
        for name, value in x.items():
            if " × " in name:
                continue
            seen = self._seen.setdefault(name, {})
            key = _step(value)
            found = seen.get(key)
            if found is None:
                if len(seen) < _VALUES:
                    seen[key] = [int(won), int(not won)]
                continue
            if found[0] != found[1]:
                guesses = self._guesses.setdefault(name, [0, 0, 0])
                guesses[2 if (found[0] > found[1]) != won else 0 if won else 1] += 1
            found[0 if won else 1] += 1

    def found(self) -> list[dict[str, Any]]:
        """Return the features that give the outcome away: ``feature``, ``guesses`` and how many of these were ``wrong``."""
        return [
            {"feature": name, "guesses": won + lost + wrong, "wrong": wrong}
            for name, (won, lost, wrong) in sorted(self._guesses.items())
            if won + lost + wrong >= _GUESSES and min(won, lost) >= _RARER and wrong <= _WRONG * (won + lost + wrong)
        ]

    def dump(self) -> dict[str, Any]:
        """Return what is to be kept, ready for JSON."""
        return {name: [seen, self._guesses.get(name, [0, 0, 0])] for name, seen in self._seen.items()}


def giveaway_sentence(one: Mapping[str, Any]) -> str:
    """Return one of :meth:`Giveaways.found` as a sentence."""
    wrong = f"{one['wrong']} were" if one["wrong"] > 1 else "1 was" if one["wrong"] else "none was"
    return (
        f"{one['feature']} says how it will end before it has ended: of {one['guesses']} guesses by it alone {wrong} wrong. "
        "If it is only known with the outcome, leave it out of the events before."
    )


def _step(value: str | float) -> str:
    """Return a category's value, or of a number its sign and power of two: finer steps would hardly be met twice."""
    if isinstance(value, str):
        return value[:_LONGEST]
    if not math.isfinite(value):
        return ""
    return f"{math.copysign(1, value):.0f}·{math.frexp(value)[1]}" if value else "0"
