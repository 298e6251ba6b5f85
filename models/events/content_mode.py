"""Where are an event's attributes in a record? CloudEvents' binding to Kafka has two ways."""

from collections.abc import Sequence


def binary(headers: Sequence[tuple[str, bytes | None]]) -> bool:
    """Tell whether the headers hold the event's attributes (CloudEvents' binary content mode)."""
    mode = False
    for name, value in headers:
        if name.startswith("ce_"):
            mode = True
        elif name.lower() == "content-type" and (value or b"").startswith(b"application/cloudevents"):
            return False
    return mode
