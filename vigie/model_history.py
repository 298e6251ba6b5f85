"""What did a history say of deals, or of leads? Its facts in the order of their time, each once, not all in memory."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import orjson

from models.events.catalogue import TOPIC_OF
from models.events.decode import decoder
from models.events.refused import Refused
from stream.config.settings import Settings
from vigie.publish import lines

if TYPE_CHECKING:
    from models.learners.evaluation import DealFact

Entity = Literal["deal", "lead"]


class History:
    """The events of files about one kind of entity, sorted by time and id, each once; counts what is something else.

    Among them are those of whom the entities know something beside their own events: of a deal the lead behind it, and of both
    the visits and e-mails of their people. Of nobody else's.

    They are sorted in a temporary database on disk (SQLite's, gone with the process), so memory does not grow with them.
    """

    def __init__(self, settings: Settings, files: list[Path], format: str, mapping: Path | None, entity: Entity = "deal") -> None:
        self._source = files, format, mapping, settings.business.timezone
        self._stage_kinds = settings.business.business().stage_kinds
        self._topic = f"{entity}s"
        self._beside = ("engagement",) if entity == "lead" else ("leads", "engagement")
        self._entity = entity
        self._database = sqlite3.connect("")
        self._database.execute(
            "CREATE TABLE facts (id TEXT, topic TEXT, at INTEGER, entity TEXT, kind TEXT, data TEXT, PRIMARY KEY (id, topic))"
            " WITHOUT ROWID"
        )
        # Who is an acquaintance: the leads in question, and the visitors who were named as one.
        self._database.execute("CREATE TABLE known (topic TEXT, id TEXT, PRIMARY KEY (topic, id)) WITHOUT ROWID")
        self.skipped = 0  # events of other entities, and repeated ones
        self.rejects: Counter[str] = Counter()
        self.examples: dict[str, int] = {}

    def read(self) -> int:
        """Read the files; return how many facts there are."""
        run = self._database.execute
        for row in self._read():
            self.skipped += not run("INSERT OR IGNORE INTO facts VALUES (?, ?, ?, ?, ?, ?)", row).rowcount
        named = "entity" if self._entity == "lead" else "json_extract(data, '$.lead_id')"
        run(f"INSERT OR IGNORE INTO known SELECT 'leads', {named} FROM facts WHERE topic = ? AND {named} <> ''", (self._topic,))
        run(
            "INSERT OR IGNORE INTO known SELECT 'engagement', entity FROM facts WHERE topic = 'engagement' AND"
            " (entity IN (SELECT id FROM known WHERE topic = 'leads')"
            " OR json_extract(data, '$.lead_id') IN (SELECT id FROM known WHERE topic = 'leads'))"
        )
        self.skipped += run("DELETE FROM facts WHERE topic <> ? AND (topic, entity) NOT IN known", (self._topic,)).rowcount
        count: int = run("SELECT count(*) FROM facts WHERE topic = ?", (self._topic,)).fetchone()[0]
        return count

    def __iter__(self) -> "Iterator[DealFact]":
        from models.learners.evaluation import DealFact

        for at, entity, kind, data in self._database.execute("SELECT at, entity, kind, data FROM facts ORDER BY at, id"):
            yield DealFact(at, entity, kind, orjson.loads(data))

    def facts(self) -> "list[DealFact]":
        """Read and sort; all of them at once, in memory."""
        self.read()
        return list(self)

    def _read(self) -> Iterator[tuple[str, str, int, str, str, str]]:
        decoders = {topic: decoder(topic) for topic in (self._topic, *self._beside)}
        arrival = int(time.time() * 1000)
        for line, value, why in lines(*self._source):
            if not why:
                try:
                    kind = orjson.loads(value).get("type")
                    topic = TOPIC_OF.get(kind, self._topic)
                    if topic not in decoders:
                        self.skipped += 1
                        continue
                    event, at, _ = decoders[topic](value, (), arrival)
                    said: dict[str, Any] = msgspec.to_builtins(event.data)
                    told = kind if topic != self._topic else self._own(kind, said)
                    yield event.id, topic, at, event.subject, told, orjson.dumps(said).decode()
                    continue
                except Refused as refused:
                    why = str(refused)
                except (orjson.JSONDecodeError, AttributeError, TypeError):
                    why = "not a CloudEvent in JSON"
            self.rejects[why] += 1
            self.examples.setdefault(why, line)

    def _own(self, kind: str, said: dict[str, Any]) -> str:
        # A stage that stands for an outcome closes the deal, as it does for the KPIs.
        means = self._stage_kinds.get(str(said.get("stage")), "open")
        told = kind.removeprefix(f"{self._entity}.") if means == "open" else means
        return str(said["level"]) if told == "qualified" else told
