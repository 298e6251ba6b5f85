"""What may someone have meant who wrote a name that there is not?"""

import difflib
from collections.abc import Iterable


def meant(word: object, accepted: Iterable[str]) -> str:
    """Return `` (did you mean "…"?)`` where something close to a text is accepted, else nothing."""
    close = difflib.get_close_matches(word, list(accepted), n=1) if isinstance(word, str) else []
    return f' (did you mean "{close[0]}"?)' if close else ""


def near(word: object, accepted: Iterable[str], *, listed: bool = True) -> str:
    """Return `` (did you mean "…"?)`` where something close is accepted, else what is accepted (if that may be ``listed``)."""
    accepted = list(accepted)
    return meant(str(word), accepted) or (f" (accepted: {', '.join(accepted)})" if accepted and listed else "")
