"""How is a record sent on whose producer has put it into another partition than its entity's (another key, or partitioner)?

In two partitions it would be two entities.
"""

import orjson

from models.fold import Output, Record


def readdressed(record: Record, subject: str) -> Output:
    """Return the same record, to where the entity lives."""
    value, headers = record.value, record.headers
    attributes = {name[3:]: body.decode() for name, body in headers if body is not None and name.startswith("ce_")}
    if attributes:  # binary mode becomes structured: there may be attributes that are no header's
        value = orjson.dumps({**attributes, "data": orjson.loads(record.value or b"null")})
        headers = [header for header in headers if not header[0].startswith("ce_") and header[0] != "content-type"]
    # The others stay: they count how often the record was sent again, and from which dead letter.
    return Output(record.topic, subject.encode(), value, headers=headers)
