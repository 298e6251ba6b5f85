"""On which topic, and under which key, does an event belong?"""

import orjson

from models.events.catalogue import TOPIC_OF

#: Bytes and lines of one request that brings events over the API.
BODY = 1 << 20
EVENTS = 500

#: Topics by the first word of a type, for types that are not of the contract: the fold says precisely what is wrong with them.
_FAMILIES = {
    "deal": "deals",
    "lead": "leads",
    "web": "engagement",
    "email": "engagement",
    "ad": "engagement",
    "social": "engagement",
    "customer": "customers",
    "spend": "spend",
    "rep": "spend",
}


class NoTopic(ValueError):
    """What was given cannot be told to belong to any topic."""


def address(value: bytes) -> tuple[str, bytes]:
    """Return the topic and key of an event in structured mode; raise :class:`NoTopic` where they cannot be told."""
    try:
        event = orjson.loads(value)
    except ValueError as error:
        raise NoTopic(f"not JSON: {error}") from None
    if not isinstance(event, dict):
        raise NoTopic(f"found {type(event).__name__}; accepted: a CloudEvent, a JSON object")
    kind = event.get("type")
    if not isinstance(kind, str):
        raise NoTopic(f"type: found {kind!r}; accepted: a text such as deal.won")
    topic = TOPIC_OF.get(kind) or _FAMILIES.get(kind.partition(".")[0])
    if topic is None or topic.endswith("-merges"):
        raise NoTopic(f"type: {kind!r} belongs to no topic; accepted begin with {', '.join(_FAMILIES)}")
    subject = event.get("subject")
    return topic, (subject if isinstance(subject, str) else "").encode("utf-8", "surrogatepass")
