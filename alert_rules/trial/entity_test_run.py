"""Does a rule on deals or leads do what its own tests say? Its entity is heard of as live, through the same folds."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import orjson

from alert_rules.judge.evaluate_alerts import EvaluateAlerts
from alert_rules.judge.finding import TOPIC as FINDINGS
from alert_rules.judge.rule import EntityRule, SenderRule, StandingRule, Timeline, TimelineMoment
from alert_rules.judge.watch_entities import LIMITS, PREDICTIONS, WatchEntities
from alert_rules.judge.watch_senders import WatchSenders
from alert_rules.judge.watch_standings import STANDINGS, WatchStandings
from alert_rules.kinds.entity_condition import QUANTILES
from alert_rules.kinds.silent import WEEKS
from models.beats import BEATS
from models.calendar import HOUR_MS, calendar
from models.fold import Record
from models.folds.entity_snapshots import DEAL_STATES, LEAD_STATES, DealState, LeadState

_ID = "D-1"


def play(rule: EntityRule | SenderRule | StandingRule, test: Timeline, base: int) -> Iterator[tuple[TimelineMoment, str, str]]:
    """Yield each moment with the state that follows it, and what has been said."""
    if isinstance(rule, SenderRule):
        yield from _play_sender(rule, test, base)
        return
    if isinstance(rule, StandingRule):
        yield from _play_standing(rule, test, base)
        return
    watch, alerts = WatchEntities([rule]), EvaluateAlerts([rule])
    if test.limits:
        stages = {stage: [stay] * len(QUANTILES) for stage, stay in test.limits.items()}
        watch.fold([_record(LIMITS, "stages", {"stages": stages}, base)])
    known: dict[str, Any] = {"status": "open", "created": base + test.moments[0].at}
    for moment in test.moments:
        at = base + moment.at
        watch.tick(at)
        watch.fold(list(_heard(rule.by, known, moment.facts or {}, at)))
        watch.tick(at)
        found = [o for o in watch.changes().outputs if o.topic == FINDINGS]
        alerts.fold([Record(FINDINGS, 0, 0, at, o.key, o.value, ()) for o in found])
        said = [orjson.loads(o.value or b"") for o in alerts.changes().outputs]
        standing = alerts.current()
        yield moment, standing[0]["severity"] if standing else "inactive", "\n".join(one["message"]["text"] for one in said)


def _play_sender(rule: SenderRule, test: Timeline, base: int) -> Iterator[tuple[TimelineMoment, str, str]]:
    """Play a sender that has sent in each hour that is usual for it, in the four weeks before."""
    watch, alerts = WatchSenders([rule], calendar("UTC")), EvaluateAlerts([rule])
    begin = base + test.moments[0].at - WEEKS * 7 * 24 * HOUR_MS - HOUR_MS
    hours = [at for at in range(begin, base + test.moments[0].at, HOUR_MS) if any(one.holds(at) for one in test.usual)]
    watch.fold([_record(BEATS, _ID, {"at": at, "topic": "deals"}, at) for at in hours])
    for moment in test.moments:
        at = base + moment.at
        if (moment.facts or {}).get("event"):
            watch.fold([_record(BEATS, _ID, {"at": at, "topic": "deals"}, at)])
        watch.tick(at)
        found = [o for o in watch.changes().outputs if o.topic == FINDINGS]
        alerts.fold([Record(FINDINGS, 0, 0, at, o.key, o.value, ()) for o in found])
        said = [orjson.loads(o.value or b"") for o in alerts.changes().outputs]
        standing = alerts.current()
        yield moment, standing[0]["severity"] if standing else "inactive", "\n".join(one["message"]["text"] for one in said)


def _play_standing(rule: StandingRule, test: Timeline, base: int) -> Iterator[tuple[TimelineMoment, str, str]]:
    """Play a test, an objective, a challenge or a customer that is said to stand so at each moment."""
    watch, alerts = WatchStandings([rule]), EvaluateAlerts([rule])
    heard: dict[str, Any] = {}
    for moment in test.moments:
        at = base + moment.at
        heard |= moment.facts or {}
        watch.tick(at)
        watch.fold([_record(STANDINGS, f"{rule.by}|{_ID}", _standing(rule.by, heard), at)])
        watch.tick(at)
        found = [o for o in watch.changes().outputs if o.topic == FINDINGS]
        alerts.fold([Record(FINDINGS, 0, 0, at, o.key, o.value, ()) for o in found])
        said = [orjson.loads(o.value or b"") for o in alerts.changes().outputs]
        standing = alerts.current()
        yield moment, standing[0]["severity"] if standing else "inactive", "\n".join(one["message"]["text"] for one in said)


def _standing(kind: str, heard: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``standings`` has of one, of what a test says is heard of it."""
    match kind:
        case "experiment":
            status = heard.get("guard_status", "ok")
            worse = [heard.get("variant", "B")] if status == "warning" else []
            guard = {"kpi": heard.get("guard", "a guard"), "status": status, "worse": worse}
            return {"name": _ID, "evidence": 1.0, "guards": [guard], **heard}
        case "objective":
            main = {"pace": heard.get("pace"), "progress": heard.get("pace")}
            shown = {"name": _ID, "main": main, "period": heard.get("period"), "who": heard.get("team")}
            return {**shown, "state": heard.get("state", "on_track")}
        case "challenge":
            annulled = heard.get("annulled")
            return {"name": _ID, "annulled": {"on": annulled, "kpi": heard.get("guard")} if annulled else None}
    return {"customer": _ID, "name": _ID, "worth": 0.0, **heard}


def _heard(entity: str, known: dict[str, Any], heard: Mapping[str, Any], at: int) -> Iterator[Record]:
    if heard.get("stage") not in (None, known.get("stage")):
        known["stage_since"] = at
    if heard.get("contacted"):
        known["contacted"] = at
    known |= {name: value for name, value in heard.items() if name not in ("win", "contacted", "amount")}
    if "amount" in heard:
        known["amount"] = None if heard["amount"] is None else round(heard["amount"] * 10_000)
    state: DealState | LeadState = (
        DealState(_ID, changed=at, **known) if entity == "deal" else LeadState(_ID, changed=at, **known)
    )
    topic = DEAL_STATES if entity == "deal" else LEAD_STATES
    gone = known["status"] == "gone"
    yield Record(topic, 0, 0, at, _ID.encode(), None if gone else msgspec.json.encode(state), ())
    if "win" in heard:
        yield _record(PREDICTIONS, _ID, {"deal": _ID, "at": at, "win": heard["win"]}, at)


def _record(topic: str, key: str, value: Any, at: int) -> Record:
    return Record(topic, 0, 0, at, key.encode(), orjson.dumps(value), ())
