"""Which alerts stand? Keeps that of the stream of transitions, for processes that have not followed it (``vigie web``)."""

from alert_rules.alert_states import AlertStates
from stream.engine.options import FoldSpec

NAME = "keep-alert-states"
#: A lane of its own: no message waits for what a page shows.
LANE = "states"


def keep_alert_states() -> FoldSpec:
    """Return the fold as the engine runs it."""
    return FoldSpec(
        name=NAME,
        topics=("alerts",),
        make=lambda partition: AlertStates(),
        lane=LANE,
        doc="Keep the alerts that stand, with who takes care of each, and tell them on a compacted topic.",
    )
