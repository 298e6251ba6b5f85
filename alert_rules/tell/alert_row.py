"""What is kept of an alert that people are, or are to be, notified of?"""

import msgspec

from alert_rules.records.alerts import Transition
from alert_rules.records.message import Acknowledgement


class AlertRow(msgspec.Struct):
    """One alert that stands, or of whose end nobody was notified yet: its last transition that notifies, and who takes care."""

    alert: Transition
    state: str
    ended: bool
    ack: Acknowledgement | None = None


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(AlertRow).decode
