"""What may someone have meant who wrote a name that there is not?"""

import difflib
from collections.abc import Collection


def near(word: object, accepted: Collection[str], *, listed: bool = True) -> str:
    """Return `` (did you mean "…"?)`` where something close is accepted, else what is accepted (if that may be ``listed``)."""
    close = difflib.get_close_matches(str(word), accepted, n=1)
    if close:
        return f' (did you mean "{close[0]}"?)'
    return f" (accepted: {', '.join(accepted)})" if accepted and listed else ""
