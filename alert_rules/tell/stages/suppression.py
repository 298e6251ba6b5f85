"""Why is an alert suppressed?"""

from typing import NamedTuple


class Suppression(NamedTuple):
    """The reason for which nobody is notified of an alert now: the stage that said so, and its words."""

    stage: str  # silence | inhibit | mute | active
    reason: str
