"""What is said in the morning, once a day? The fold from ``readings`` and ``alerts`` to a summary on the ``outbox``.

At a time of the business day those who want it get the figures, what they were at the last summary, and which alerts
stand. That it was said is a row in the transaction that says it: once a day, whoever dies. A first start waits for the next
morning; a summary that is hours late is not sent any more, and a decision says so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import orjson
from msgspec import structs

from alert_rules.records.alerts import Act, AlertRecord, Decision, Transition, decode, encode
from alert_rules.records.facts import gravity
from alert_rules.records.ids import digest as digest_of
from alert_rules.records.message import AlertMessage, DigestFacts, Figure, ForecastFigure, MessageKind, StandingAlert
from alert_rules.records.message import encode as encode_message
from alert_rules.tell.labels import labels_of
from alert_rules.tell.plan import Digest, Recipient
from alert_rules.tell.stages import silence as silences_
from alert_rules.tell.stages.silence import Silence, silenced
from alert_rules.tell.together import ChallengeNews, Together
from alert_rules.words.alert import titled
from alert_rules.words.durations import human
from alert_rules.words.letter import worded
from alert_rules.words.reader import ANYBODY
from models.calendar import epoch_ms, iso
from models.fold import Changes, Output, Record, Row
from models.kpis.reading import Reading

#: A summary later than this is not sent, milliseconds: nobody wants the morning's in the evening.
LATE = 6 * 3_600_000
#: So long after a start the readings are waited for, milliseconds: those from before may be old.
SETTLED = 20_000
#: So many alerts are listed; the others are counted.
LISTED = 20
#: What is to come, of which period (``models/foresight/readings.py``); for so long, milliseconds, it is the present.
FORECAST, PERIOD, FRESH = ("forecast_p10", "forecast_p50", "forecast_p90", "target_probability"), "month", 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def latest(digest: Digest, now: int) -> int:
    """Return the last instant at or before ``now`` at which a summary is due (epoch milliseconds)."""
    zone = ZoneInfo(digest.zone)
    day = (_EPOCH + timedelta(milliseconds=now)).astimezone(zone).date()
    while True:
        due = _instant(day, digest.at, zone)
        weekday = day.isoweekday() % 7
        if due <= now and (not digest.weekdays or any(first <= weekday <= last for first, last in digest.weekdays)):
            return due
        day -= timedelta(days=1)


def _instant(day: date, minutes: int, zone: ZoneInfo) -> int:
    return epoch_ms(datetime(day.year, day.month, day.day, minutes // 60, minutes % 60, tzinfo=zone))


class SendDigest:
    """One partition of readings and alerts. Times are milliseconds since the epoch.

    ``labels`` names the KPIs in people's words, by language; ``resolve`` says who is behind the names of receivers at a
    time; ``began`` is now.
    """

    def __init__(
        self,
        digest: Digest,
        labels: Mapping[str, Mapping[str, str]],
        resolve: Callable[[Iterable[str], int], Sequence[Recipient]],
        *,
        began: int = 0,
    ) -> None:
        self._digest = digest
        self._labels = labels
        self._resolve = resolve
        self._began = began
        self._keys = {f"{kpi}|{digest.window}|total".encode(): kpi for kpi in digest.kpis}
        self._keys |= {f"{kpi}|{PERIOD}|total".encode(): kpi for kpi in FORECAST}
        self._readings: dict[str, Reading] = {}  # by KPI
        self._said: dict[str, float | None] = {}  # by KPI: its value in the last summary
        self._standing: dict[str, dict[str, Any]] = {}  # by incident
        self._silences: dict[str, Silence] = {}
        self._together = Together()
        self._last: int | None = None  # when the last summary was due that is done with
        self._dirty: set[str] = set()
        self._outputs: list[Output] = []

    def restore(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the state back; KPIs that are no longer asked for are left out."""
        for key, value in rows:
            kind, _, name = key.decode().partition("|")
            match kind:
                case "last":
                    self._last = orjson.loads(value)
                case "reading" if name in self._keys.values():
                    reading = Reading.decode(value)
                    if reading.window == (PERIOD if name in FORECAST else self._digest.window):
                        self._readings[name] = reading
                case "said":
                    self._said[name] = orjson.loads(value)
                case "silence":
                    self._silences[name] = silences_.decode(orjson.loads(value))
                case "alert":
                    self._standing[name] = orjson.loads(value)
                case "objective" | "challenge":
                    self._together.restore(kind, name, value)

    def fold(self, records: Sequence[Record]) -> None:
        """Keep the latest readings that are asked for, and the alerts that stand. What cannot be read others have refused."""
        for record in records:
            try:
                if record.topic == "readings":
                    self._reading(record)
                elif record.topic == "standings":
                    self._together.take(record.key or b"", record.value)
                elif record.value is not None:
                    self._alert(decode(record.value))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # the folds that these topics are made for make the dead letter

    def _reading(self, record: Record) -> None:
        kpi = self._keys.get(record.key or b"")
        if kpi is None:
            return
        if record.value is None:
            self._readings.pop(kpi, None)
        else:
            self._readings[kpi] = Reading.decode(record.value)
        self._dirty.add(f"reading|{kpi}")

    def _alert(self, record: AlertRecord | None) -> None:
        if isinstance(record, Act):
            self._act(record)
        if not isinstance(record, Transition) or record.state is None or record.severity is None:
            return
        if record.state.after in ("firing", "recovering"):
            title = titled(record, ANYBODY.words.stamp(record.severity))
            shown = {"severity": record.severity.value, "since": str(record.since), "title": title, "labels": labels_of(record)}
            if record.zone is not None:
                shown["facts"] = msgspec.to_builtins(structs.replace(record, message=None, explanation=None))
            self._standing[record.incident] = shown
        elif self._standing.pop(record.incident, None) is None:
            return
        self._dirty.add(f"alert|{record.incident}")

    def _act(self, act: Act) -> None:
        if act.act == "silence" and act.silence is not None:
            silence = silences_.decode(act.silence | {"by": act.by})
            self._silences[silence.id] = silence
            self._dirty.add(f"silence|{silence.id}")
        elif act.act == "unsilence" and self._silences.pop(str(act.id), None) is not None:
            self._dirty.add(f"silence|{act.id}")

    def tick(self, now: int) -> None:
        """Say it when its time has come."""
        for facts in self._together.news(now):
            self._tell(facts, now)
        due = latest(self._digest, now)
        if self._last is None or due <= self._last:
            if self._last is None:
                self._done(due)
            return
        if now - due > LATE:
            self._decided("suppressed", f"{human(now - due)} late: nobody was there to send it", due, now)
            self._done(due)
        elif now - self._began >= SETTLED:
            self._say(due, now)
            self._done(due)

    def _done(self, due: int) -> None:
        self._last = due
        self._dirty.add("last")

    def _say(self, due: int, now: int) -> None:
        receivers = [one.receiver for one in self._resolve(self._digest.receivers, now)]
        at = (_EPOCH + timedelta(milliseconds=due)).astimezone(ZoneInfo(self._digest.zone))
        message = AlertMessage(
            id=digest_of("digest", str(due)),
            incident=f"digest-{at:%Y-%m-%d}",
            kind=MessageKind.DIGEST,
            at=iso(now),
            group={},
            readings=[reading.as_json() for kpi, reading in self._readings.items() if kpi in self._digest.kpis],
            receivers=receivers,
            digest=self._facts(due, now),
        )
        worded(message)
        self._outputs.append(Output("outbox", message.incident.encode(), encode_message(message)))
        self._decided("notified", str(message.why_now), due, now, message=message.id, kind="digest", receivers=receivers)
        for kpi in self._digest.kpis:
            found = self._readings.get(kpi)
            self._said[kpi] = None if found is None else found.value
            self._dirty.add(f"said|{kpi}")

    def _tell(self, news: ChallengeNews, now: int) -> None:
        """Say what there is to say of a challenge, once."""
        receivers = [one.receiver for one in self._resolve(self._digest.receivers, now)]
        message = AlertMessage(
            id=digest_of("challenge", news.id, news.facts.milestone), incident=f"challenge-{news.id}", kind=MessageKind.DIGEST,
            at=iso(now), group={}, receivers=receivers, challenge=news.facts,
        )  # fmt: skip
        worded(message)
        self._outputs.append(Output("outbox", message.incident.encode(), encode_message(message)))
        self._decided("notified", str(message.why_now), now, now, message=message.id, kind="digest", receivers=receivers)

    def _facts(self, due: int, now: int) -> DigestFacts:
        for id_ in [id_ for id_, silence in self._silences.items() if silence.ends <= now]:
            del self._silences[id_]
            self._dirty.add(f"silence|{id_}")
        silences = self._silences.values()
        shown = [one for one in self._standing.values() if not silenced(one.get("labels", {}), silences, now)]
        standing = sorted(shown, key=lambda one: (-gravity(one["severity"]), one["since"], one["title"]))
        return DigestFacts(
            due=iso(due),
            zone=self._digest.zone,
            window=self._digest.window,
            weekdays=bool(self._digest.weekdays),
            figures=[self._figure(kpi) for kpi in self._digest.kpis],
            standing=len(standing),
            critical=sum(one["severity"] == "critical" for one in standing),
            silenced=len(self._standing) - len(standing),
            alerts=[_standing(one) for one in standing[:LISTED]],
            aims=self._together.aims(),
            forecast=self._forecast(now),
        )

    def _forecast(self, now: int) -> ForecastFigure | None:
        """Return what the month is expected to bring; None where nobody has said so lately."""
        found = {kpi: one for kpi in FORECAST if (one := self._readings.get(kpi)) is not None and now - one.at <= FRESH}
        low, expected, high = (None if kpi not in found else found[kpi].value for kpi in FORECAST[:3])
        if low is None or expected is None or high is None:
            return None
        chance = found.get("target_probability")
        return ForecastFigure(
            low=low, expected=expected, high=high, currency=found["forecast_p50"].currency,
            chance=None if chance is None else chance.value,
        )  # fmt: skip

    def _figure(self, kpi: str) -> Figure:
        reading, labels = self._readings.get(kpi), dict(self._labels.get(kpi, {}))
        label = labels.pop("en", kpi)
        if reading is None:
            return Figure(kpi=kpi, label=label, labels=labels, known=False)
        return Figure(
            kpi=kpi,
            label=label,
            labels=labels,
            value=reading.value,
            unit=reading.unit,
            currency=reading.currency,
            why=reading.why,
            since=None if reading.since is None else iso(reading.since),
            before=self._said.get(kpi),
            unproven=reading.proven is False,
        )

    def _decided(self, outcome: str, reason: str, due: int, now: int, **more: Any) -> None:
        decision = Decision(outcome=outcome, stage="digest", reason=reason, incidents=[], due=iso(due), at=iso(now), **more)
        self._outputs.append(Output("alerts", b"digest", encode(decision)))

    def changes(self) -> Changes:
        """Return the rows and records since the last call."""
        self._dirty |= self._together.changed()
        rows = [Row(key.encode(), self._row(key)) for key in sorted(self._dirty)]
        self._dirty.clear()
        outputs, self._outputs = self._outputs, []
        return Changes(rows, outputs)

    def _row(self, key: str) -> bytes | None:
        kind, _, name = key.partition("|")
        match kind:
            case "last":
                return orjson.dumps(self._last)
            case "reading":
                reading = self._readings.get(name)
                return None if reading is None else reading.encode()
            case "said":
                return orjson.dumps(self._said.get(name))
            case "objective" | "challenge":
                return self._together.row(kind, name)
            case "silence":
                silence = self._silences.get(name)
                return None if silence is None else orjson.dumps(silences_.encode(silence))
            case _:
                alert = self._standing.get(name)
                return None if alert is None else orjson.dumps(alert)


def _standing(row: Mapping[str, Any]) -> StandingAlert:
    """Return an alert that stands; rows of before alerts had facts have its English title alone."""
    facts = row.get("facts")
    return StandingAlert(
        title=row["title"], severity=row["severity"], since=row["since"],
        facts=None if facts is None else msgspec.convert(facts, Transition),
    )  # fmt: skip
