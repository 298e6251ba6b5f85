"""How is it said in English? Every word of the messages; what is said, and in which order, is ``letter.py``'s.

Numbers come here with their units, instants as epoch milliseconds with the zone in which they are told. What people wrote
(names of deals, campaigns, owners) is made harmless before (``inert.py``).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from alert_rules.records.facts import AlertFacts, CauseKind, Ends, Severity
from alert_rules.records.message import DigestFacts, Figure, GroupFacts, MessageKind
from alert_rules.words.durations import day_of, human, moment, plural
from alert_rules.words.inert import inert
from alert_rules.words.quantities import number
from models.kpis.earlier import PREVIOUS, SEASONAL, TARGET

_AGAIN = {
    MessageKind.REPEATED: "STILL",
    MessageKind.ESCALATED: "ESCALATED",
    MessageKind.ACKNOWLEDGED: "ACKNOWLEDGED",
    MessageKind.UNACKNOWLEDGED: "NO LONGER ACKNOWLEDGED",
}
#: Facts whose name is not what people say.
_LABELS = {
    "stage_age": "Time in stage",
    "usual": "Usual there",
    "win": "Win probability",
    "win_before": "It was",
    "silence": "Silent for",
    "counted_from": "Counted from",
    "previous": "Period before",
    "total": "Over everything",
    "parts": "Made of",
}


class English:
    """English, with numbers and times as the English write them. Another language says the same in a subclass's words."""

    BEHIND = "Behind it:"
    NOTHING = "nothing"
    UNKNOWN = "unknown"
    TOTAL = "total"
    RESOLVED = "RESOLVED"
    RULE_GONE = "The rule is no longer there; its alert has ended."
    SUMMARY = "Summary"

    # ── numbers and times ──

    number = staticmethod(number)
    human = staticmethod(human)
    moment = staticmethod(moment)
    day_of = staticmethod(day_of)

    # ── names ──

    def label(self, name: str, of: str = "") -> str:
        """Return what stands before a fact: ``Value``, ``Moved by owner``."""
        return f"Moved by {of}" if name == "moved_by" else _LABELS.get(name) or name.capitalize()

    def place(self, dimension: str, value: str) -> str:
        """Return what people call a segment: ``lost reason price``."""
        return f"{dimension.replace('_', ' ')} {value}"

    def spaced(self, rule: str) -> str:
        """Return the id of a rule whose title nobody knows as words: ``Lead unanswered``."""
        return rule.replace("-", " ").capitalize()

    # ── one alert ──

    def stamp(self, severity: Severity | None, before: Severity | None = None, *, changed: bool = False) -> str:
        """Return how grave it is, at the beginning of a title: ``WARN``, or ``WARN → CRITICAL`` where it has ``changed``."""
        now = (severity or "").upper()
        return f"{before.upper() if before else '?'} → {now}" if changed else now

    def again(self, kind: str) -> str:
        """Return how the title of a message begins that is not about a transition of this moment, else nothing."""
        return _AGAIN.get(kind, "")  # type: ignore[call-overload, no-any-return]  # a StrEnum is its text

    def ended(self, kind: str, which: str, reason: str) -> str:
        """Return why what was said of one deal or lead is over."""
        return f"{kind.capitalize()} {which}: {reason}"

    def lasting(self, milliseconds: float, where: str = "") -> str:
        """Return how long something has lasted: ``for 3 h``, or ``12 d in legal``."""
        return f"{human(milliseconds)} in {where}" if where else f"for {human(milliseconds)}"

    def fallen(self, before: float, now: float) -> str:
        """Return a probability's way."""
        return f"{before:.0%} → {now:.0%}"

    def measured(self, facts: AlertFacts, value: float | None, unit: str, limit: str) -> str:
        """Return what was measured: ``23.4 %``, ``−34 % (9,200 EUR, 14,000 EUR in the period before)``.

        ``unit`` is that of the KPI, ``limit`` that of what is measured of it.
        """
        against, currency = facts.against or {}, facts.currency
        words = number(value, limit, currency)
        match facts.condition:
            case "change":
                versus = facts.versus or PREVIOUS
                when = "in the period before" if versus == PREVIOUS else "a week before"
                before = number((against.get(versus) or {}).get("value"), unit, currency)
                return f"{words} ({number(facts.value, unit, currency)}, {before} {when})"
            case "anomaly":
                period = against.get(SEASONAL) or {}
                got, expected = (number(period.get(name), unit, currency) for name in ("value", "expected"))
                return f"{words} from what is usual ({got}, {expected} expected)"
            case "target":
                due = number((against.get(TARGET) or {}).get("due"), unit, currency)
                return f"{words} of the pace ({number(facts.value, unit, currency)} of the {due} due by now)"
        return words

    def interval(self, value: str, low: str, high: str) -> str:
        """Return a value with its 95 % interval."""
        return f"{value} (95 % interval {low} to {high})"

    def window(self, name: str, start: str, end: str) -> str:
        """Return a window with its bounds."""
        return f"{name}, {start} to {end}"

    def side(self, direction: str | None) -> str:
        """Return on which side of a level all is well."""
        return "at or above" if direction == "below" else "at or below"

    def threshold(self, facts: AlertFacts, unit: str) -> str:
        """Return where the alert's severity begins, and where it is clear."""
        if facts.condition == "absent":
            return f"{facts.severity} after nothing for {human(facts.wait or 0)}"
        limit, clear = number(facts.threshold, unit), number(facts.clear, unit)
        return f"{facts.severity} {facts.direction} {limit}, clears {self.side(facts.direction)} {clear}"

    def cause(self, facts: AlertFacts) -> str:
        """Return why it happened."""
        cause, unit, limit = facts.cause, facts.spoken or facts.unit or "", facts.spoken_limit or facts.threshold_unit or ""
        if cause is None:
            return facts.reason or ""
        words = self.measured(facts, facts.measured, unit, limit)
        level, clear = (number(one, limit, facts.currency) for one in (cause.level, cause.clear))
        for_so_long = f" for {human(cause.lasted)}" if cause.lasted else ""
        match cause.kind:
            case CauseKind.BEYOND:
                sure = f" ({number(cause.sure, 'ratio')} sure)" if cause.sure is not None else ""
                return f"{words} is {facts.direction} {level}{sure}{for_so_long}"
            case CauseKind.NOT_CLEAR:
                return f"{words} is no longer {facts.direction} {level}, not yet at {clear}"
            case CauseKind.KEPT:
                return f"{words} is clear; kept{for_so_long}"
            case CauseKind.CLEAR:
                return f"{words} is {self.side(facts.direction)} {level}{for_so_long}"
            case CauseKind.UNSURE:
                doubt = f"only {number(cause.sure, 'ratio')} sure" if cause.sure is not None else "nobody knows how sure"
                return f"{words} is {facts.direction} {level}, but it is {doubt}, not {number(cause.needed, 'ratio')}"
            case CauseKind.NOTHING:
                return f"nothing{for_so_long}"
            case CauseKind.AGAIN:
                return f"there is something again: {number(facts.value, unit, facts.currency)}"
            case CauseKind.OTHER:
                return cause.text

    def since(self, began: str, lasted: int) -> str:
        """Return when it began, and how long ago that was."""
        return f"{began} ({human(lasted)})" if lasted else began

    def resolves(self, ends: Ends, direction: str | None, unit: str, currency: str | None) -> str:
        """Return what would end an alert, in the unit of its thresholds."""
        if ends.clear is None:
            return "as soon as something is counted again"
        words = f"{self.side(direction)} {number(ends.clear, unit, currency)}"
        words += f" for {human(ends.keep)}" if ends.keep else ""
        if ends.severity is not None:
            words += f"; no longer {ends.severity} from {number(ends.severity_clear, unit, currency)} on"
        if needed := ends.cases:
            words += (
                f"; that is {needed:,} more case{'s' if needed > 1 else ''} in a row that go{'' if needed > 1 else 'es'} well"
            )
        return words

    # ── what explains it ──

    def explained(self, why: Mapping[str, Any], unit: str, currency: str | None) -> Iterator[tuple[str, str, str]]:
        """Yield the facts (name, of what, words) that explain a value; ``why`` is the record's ``explanation``."""
        if "since" in why:
            yield "counted_from", "", f"{why['since'][:10]} on, not in all of the period"
        previous = why.get("previous")
        if previous:
            when = f"{previous['from'][:10]} to {previous['at'][:10]}"
            words = f"{number(previous.get('value'), unit, currency)} ({when})"
            if previous.get("value") is None and previous.get("why"):
                words += f": {previous['why']}"
            if "change" in why:
                words += f", so {self.moved(why['change'], unit, currency)}"
            yield "previous", "", words
        if "total" in why:
            now, before = (number(why["total"].get(name), unit, currency) for name in ("value", "previous"))
            yield "total", "", f"{now}, {before} in the period before"
        target = why.get("target") or {}
        if target.get("value") is not None:
            due = number(target.get("due"), unit, currency)
            yield "target", "", f"{number(target['value'], unit, currency)} by {str(target.get('to'))[:10]}, {due} due by now"
        parts = why.get("parts")
        if parts and not why.get("moved_by"):
            top, bottom = (self.moved(parts[name], unit, currency) for name in ("numerator", "denominator"))
            yield "parts", "", f"{top} by what is counted, {bottom} by what it is counted of"
        for one in why.get("moved_by") or ():
            yield "moved_by", str(one["dimension"]), "; ".join(self._part(part, unit, currency) for part in one["segments"])

    def _part(self, part: Mapping[str, Any], unit: str, currency: str | None) -> str:
        name = f"{part['others']} others" if "others" in part else inert(str(part["segment"]))
        words = f"{name} {self.moved(part['effect'], unit, currency)}"
        if part.get("mix"):
            rate, mix = (self.moved(part[key], unit, currency) for key in ("rate", "mix"))
            words += f" ({rate} by its own rate, {mix} by its weight)"
        return words

    def moved(self, value: float, unit: str, currency: str | None) -> str:
        """Return a difference with its sign: ``−6 points``, ``+12,400 EUR``."""
        sign = "−" if value < 0 else "+"
        return sign + (number(abs(value), "points") if unit == "ratio" else number(abs(value), unit, currency))

    # ── several alerts ──

    def several(self, group: GroupFacts) -> str:
        """Return the title of a message about several alerts, from its stamp on."""
        warn = group.standing - group.critical
        counts = [f"{group.critical} CRITICAL"] * bool(group.critical) + [f"{warn} WARN"] * bool(warn)
        counts += [f"{group.ended} RESOLVED"] * bool(group.ended)
        more = f" and {len(group.titles) - 3} more" if len(group.titles) > 3 else ""
        return f"[{', '.join(counts)}] {', '.join(group.titles[:3])}{more}"

    def lead(self, group: GroupFacts) -> str:
        """Return the first sentence: how many there are, and what is new."""
        stands = plural(group.standing, "alert stands", "alerts stand") if group.standing else "All have ended"
        news = [f"{count} {mark}" for mark, count in group.news]
        return f"{stands}: {', '.join(news)}." if news and group.standing else f"{stands}."

    def rest(self, group: GroupFacts) -> str:
        """Return how many more there are, and which of them are news; nothing where all are told in full."""
        if not group.rest:
            return ""
        if not group.named:
            return f"and {group.rest} more"
        more = f"and {group.rest} more, {group.fresh} of them news" if group.fresh < group.rest else f"and {group.rest} more"
        left = f", and {group.fresh - len(group.named)} others" if group.fresh > len(group.named) else ""
        return f"{more}: {', '.join(group.named)}{left}"

    def subject(self, common: str) -> str:
        """Return what a group's messages are about, given what its alerts have in common."""
        return f"Alerts: {common}" if common else "Alerts"

    def why(self, reason: str) -> str:
        """Return the line of one alert of a group that says why it fires."""
        return f"Why: {reason}"

    # ── Vigie's own ──

    def receiver(self, name: str, works: bool, lasted: int) -> tuple[str, str, str]:
        """Return title, subject and first sentence about a receiver that cannot be notified, or ``works`` again."""
        about, span = f"Vigie cannot notify {name}", human(lasted)
        if works:
            title = f"[RESOLVED] Vigie can notify {name} again"
            return title, about, f"The receiver {name} takes messages again, after {span}."
        lead = f"Nothing has reached the receiver {name} for {span}. What it was to be told waits, or is in the dead letters."
        return f"[CRITICAL] {about}", about, lead

    def attempts(self, attempts: int, given_up: int) -> str:
        """Return how often it was tried to notify a receiver."""
        return f"{attempts}, {plural(given_up, 'message')} became dead letters" if given_up else str(attempts)

    # ── the digest ──

    def digest(self, facts: DigestFacts, due: int, zone: tzinfo) -> tuple[str, str]:
        """Return its title and first sentence."""
        critical = f"{plural(facts.standing, 'alert stands', 'alerts stand')}, {facts.critical} critical"
        lead = critical if facts.standing else "No alert stands"
        quiet = facts.silenced
        at = datetime.fromtimestamp(due / 1000, zone)
        title = f"Sales on {at:%A}, {at.day} {at:%B %Y}"
        return title, lead + (f"; {plural(quiet, 'more is', 'more are')} silenced." if quiet else ".")

    def figure(self, figure: Figure) -> str:
        """Return a KPI's value, and what it was in the digest before."""
        if not figure.known:
            return "no reading"
        value, before, unit, currency = figure.value, figure.before, figure.unit, figure.currency
        words = number(value, unit, currency)
        if value is None:
            return f"{words} ({figure.why})" if figure.why else words
        if figure.since is not None:
            return f"{words} (counted from {figure.since[:10]} on)"
        if before is None:
            return words
        change = f", {(value - before) / abs(before):+.0%}" if before and unit not in ("ratio", "score") else ""
        return f"{words} (at the last summary {number(before, unit, currency)}{change})"

    def stands(self, title: str, since: str) -> str:
        """Return an alert that stands, in the digest."""
        return f"{title} (since {since})"

    def more(self, count: int) -> str:
        """Return how many more there are than are listed."""
        return f"… and {count} more"
