"""Which alerts stand, for whoever has not followed the topic ``alerts`` since its beginning?

The topic tells what happened, for 400 days; what stands is the last of it about each incident that has not ended. It is kept
here, and told on the compacted topic ``alert-states``: an incident's state under its id, and nothing once it has ended.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from alert_rules.records.alerts import Transition
from alert_rules.words.alert import in_words
from alert_rules.words.language import SOURCE
from alert_rules.words.reader import LANGUAGES, Reader
from models.fold import Changes, Output, Record, Row

TOPIC = "alert-states"
#: What is shown of a transition; ``state`` and the words are put together below.
_SAME = (
    *("rule", "kpi", "window", "segment", "severity", "since", "fired", "value", "sample", "at"),
    *("unit", "currency", "threshold", "threshold_unit", "direction", "runbook", "explanation"),
)


def worded(found: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return title and first sentence of a transition in the languages beside English, by code."""
    try:
        facts = msgspec.convert(found, Transition)
    except msgspec.ValidationError:
        return {}
    if facts.zone is None:  # of before records had facts: there is English only
        return {}
    return {code: in_words(facts, Reader(code)) for code in LANGUAGES if code != SOURCE}


class AlertStates:
    """The last transition of each incident that has not ended, and who takes care of it (a pure fold)."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, Any]] = {}
        self._published: set[str] = set()  # incidents of which there is a row, and a record on the topic
        self._changed: dict[str, None] = {}

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the incidents back."""
        self._open = {key.decode(): orjson.loads(value) for key, value in rows}
        self._published = set(self._open)

    def fold(self, records: Sequence[Record]) -> None:
        """Take transitions and acknowledgements; what is something else (results of notifications) is passed over."""
        for record in records:
            try:
                found = orjson.loads(record.value or b"null")
                match found["type"]:
                    case "transition":
                        self._transition(found)
                    case "act" if found["act"] in ("ack", "unack"):
                        self._acknowledge(found)
            except (ValueError, KeyError, TypeError):
                # The fold that dispatches alerts makes the dead letter; one is enough.
                continue

    def _transition(self, found: Mapping[str, Any]) -> None:
        after, incident = str(found["state"]["after"]), str(found["incident"])
        words = found.get("message") or {}
        shown = {"id": incident, **{name: found.get(name) for name in _SAME}, "state": after}
        title = words.get("title") or found["rule"]
        shown |= {"title": title, "summary": str(words.get("text") or title).split("\n", 1)[0], "words": worded(found)}
        before = self._open.pop(incident, None)
        self._changed[incident] = None
        if after == "inactive":
            return
        graver = before is not None and shown["severity"] == "critical" != before["severity"]
        # A warning was taken care of; that it became critical is another matter.
        shown["acknowledged"] = None if before is None or graver else before["acknowledged"]
        self._open[incident] = shown

    def _acknowledge(self, found: Mapping[str, Any]) -> None:
        known = self._open.get(str(found["incident"]))
        if known is not None:
            taken = found["act"] == "ack"
            known["acknowledged"] = {"by": str(found["by"]), "at": str(found["at"])} if taken else None
            self._changed[known["id"]] = None

    def tick(self, now: int) -> None:
        """Nothing here depends on the clock."""

    def changes(self) -> Changes:
        """What has begun or changed under its id; what has ended is removed, if it was ever told."""
        rows, outputs = [], []
        for incident in self._changed:
            found = self._open.get(incident)
            if found is None and incident not in self._published:
                continue  # it began and ended since the last checkpoint
            key, value = incident.encode(), None if found is None else orjson.dumps(found)
            rows.append(Row(key, value))
            outputs.append(Output(TOPIC, key, value))
            (self._published.discard if found is None else self._published.add)(incident)
        self._changed.clear()
        return Changes(rows, outputs)
