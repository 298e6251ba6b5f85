"""How is it said in a language? Every word of the messages; what is said, and in which order, is ``letter.py``'s.

The words themselves are the language's file (``languages/``). Numbers come here with their units, instants as epoch milliseconds
with the zone in which they are told. What people wrote (names of deals, campaigns) is made harmless before (``inert.py``).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any

from alert_rules.kinds import kpi_kind
from alert_rules.records.facts import AlertFacts, CauseKind, Ends, Severity
from alert_rules.records.message import DigestFacts, Figure, ForecastFigure, GroupFacts, MessageKind, Occasion
from alert_rules.words.inert import inert
from alert_rules.words.language import SOURCE, Language
from alert_rules.words.numbers import numbers_of
from models.calendar import DAY_MS, epoch_ms

_MONEY, _DAY = re.compile(r"(-?[\d,]+) ([A-Z]{3})"), re.compile(r"\d{4}-\d\d-\d\d")


class Words:
    """What messages say in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.numbers = numbers = numbers_of(language)
        self._say = say = language.say
        self.number, self.human, self.moment, self.day_of = numbers.number, numbers.human, numbers.moment, numbers.day_of
        self.BEHIND, self.NOTHING, self.UNKNOWN, self.TOTAL = say("behind"), say("nothing"), say("unknown"), say("total")
        self.RESOLVED, self.RULE_GONE, self.COLON = say("resolved"), say("rule_gone"), say("colon")
        self.SEMICOLON = say("semicolon")
        self.BEFORE_COLON = self.COLON.rstrip()[:-1]  # what a language has between a word and a colon

    def sentence(self, english: str) -> str:
        """Return what was written in English before it came here, where the language's file knows it."""
        return english if self.language.code == SOURCE else self.language.sentence(english, self._part_of)

    def _part_of(self, name: str, english: str) -> str:
        """Return what varies in a sentence: an amount, a day (RFC 3339), or a sentence itself."""
        if name == "money" and (found := _MONEY.fullmatch(english)) is not None:
            return self.number(float(found[1].replace(",", "")), "money", found[2])
        if name == "day" and _DAY.fullmatch(english):
            return self.numbers.date(english)
        return self.sentence(english)

    def phrase(self, key: str, english: str = "", **values: Any) -> str:
        """Return the words under a key, filled in; ``english`` where the language has none."""
        return self._say(key, otherwise=english, **values)

    def _known(self, key: str, otherwise: str) -> str:
        return str(self.language.find(key) or otherwise)

    # ── names ──

    def label(self, name: str, of: str = "") -> str:
        """Return what stands before a fact: ``Value``, ``Moved by owner``."""
        if name == "moved_by":
            return self._say("moved_by", dimension=self.language.dimension(of)) + self.BEFORE_COLON
        return self._known(f"labels.{name}", name.replace("_", " ").capitalize()) + self.BEFORE_COLON

    def course(self, start: str, end: str, first: str, last: str) -> str:
        """Return what a picture of a figure's course shows, from when to when."""
        return self._say("course", start=start, end=end, first=first, last=last)

    def place(self, dimension: str, value: str) -> str:
        """Return what people call a segment: ``lost reason price``."""
        return self._say("place", dimension=self.language.dimension(dimension), value=value)

    def spaced(self, rule: str) -> str:
        """Return the id of a rule whose title nobody knows as words: ``Lead unanswered``."""
        return self.sentence(rule.replace("-", " ").capitalize())

    def grade(self, severity: str | None) -> str:
        """Return a severity within a sentence."""
        return self._known(f"grades.{severity}", str(severity or ""))

    def mark(self, news: str) -> str:
        """Return what is new about one alert of a group."""
        return self._known(f"marks.{news}", news)

    def news(self, kind: str) -> str:
        """Return what has happened, as the first words of an answer in an incident's thread."""
        return self._known(f"news.{kind}", self._say("news.other"))

    def button(self, name: str) -> str:
        """Return what is on a button."""
        return self._known(f"buttons.{name}", name)

    # ── one alert ──

    def stamp(self, severity: Severity | None, before: Severity | None = None, *, changed: bool = False) -> str:
        """Return how grave it is, at the beginning of a title: ``WARN``, or ``WARN → CRITICAL`` where it has ``changed``."""
        now, was = (self._known(f"severities.{one}", (one or "").upper()) for one in (severity, before))
        return self._say("stamp", before=was or "?", now=now) if changed else now

    def again(self, kind: str) -> str:
        """Return how the title of a message begins that is not about a transition of this moment, else nothing."""
        return self._known(f"again.{kind}", "")

    def ended(self, kind: str, which: str, reason: str) -> str:
        """Return why what was said of one deal or lead is over."""
        return self._say("ended", kind=self._known(f"kinds.{kind}", kind.capitalize()), which=which, reason=reason)

    def over(self, lasted: float, reason: str) -> str:
        """Return that what was said of a figure is over, after how long and why."""
        return self._say("over", span=self.human(lasted), reason=reason)

    def lasting(self, milliseconds: float, where: str = "") -> str:
        """Return how long something has lasted: ``for 3 h``, or ``12 d in legal``."""
        span = self.human(milliseconds)
        return self._say("lasting_in", span=span, where=inert(where)) if where else self._say("lasting", span=span)

    def fallen(self, before: float, now: float) -> str:
        """Return a probability's way."""
        return self._say("fallen", before=self.numbers.percent(before), now=self.numbers.percent(now))

    def measured(self, facts: AlertFacts, value: float | None, unit: str, limit: str) -> str:
        """Return what was measured: ``23.4 %``, ``−34 % (9,200 EUR, 14,000 EUR in the period before)``.

        ``unit`` is that of the KPI, ``limit`` that of what is measured of it.
        """
        currency = facts.currency
        words, now = self.number(value, limit, currency), self.number(facts.value, unit, currency)
        return kpi_kind(facts.condition).said(facts, self, words, now)

    def interval(self, value: str, low: str, high: str) -> str:
        """Return a value with its 95 % interval."""
        return self._say("interval", value=value, low=low, high=high)

    def window(self, name: str, start: str, end: str) -> str:
        """Return a window with its bounds."""
        return self._say("window", name=self.stretch(name), start=start, end=end)

    def window_name(self, name: str) -> str:
        """Return what people call a window; the topics have it as the rules do."""
        return name if self.language.code == SOURCE else self.language.window(name)

    def stretch(self, window: str) -> str:
        """Return a window as a sentence has it: ``90d`` is "90 days"."""
        found = (self.language.find("stretches", "messages") or {}).get(window)
        return self.window_name(window) if found is None else str(found)

    def side(self, direction: str | None) -> str:
        """Return on which side of a level all is well."""
        return self._say("side.below" if direction == "below" else "side.above")

    def beyond(self, direction: str | None) -> str:
        """Return on which side of a level the trouble lies."""
        return self._known(f"sides.{direction}", str(direction))

    def threshold(self, facts: AlertFacts, unit: str) -> str:
        """Return where the alert's severity begins, and where it is clear."""
        grade = self.grade(facts.severity)
        if (limit_words := kpi_kind(facts.condition).limit(facts, self, grade)) is not None:
            return limit_words
        limit, clear = self.number(facts.threshold, unit), self.number(facts.clear, unit)
        side, beyond = self.side(facts.direction), self.beyond(facts.direction)
        return self._say("threshold", severity=grade, direction=beyond, limit=limit, side=side, clear=clear)

    def cause(self, facts: AlertFacts) -> str:
        """Return why it happened."""
        cause, unit, limit = facts.cause, facts.spoken or facts.unit or "", facts.spoken_limit or facts.threshold_unit or ""
        if cause is None:
            return self.sentence(facts.reason or "")
        if cause.kind is CauseKind.OTHER:
            return self.sentence(cause.text)
        key = str(cause.kind)
        if cause.kind is CauseKind.BEYOND and cause.sure is not None:
            key = "sure"
        elif cause.kind is CauseKind.UNSURE and cause.sure is None:
            key = "unknown"
        level, clear = (self.number(one, limit, facts.currency) for one in (cause.level, cause.clear))
        sure, needed = (None if one is None else self.number(one, "ratio") for one in (cause.sure, cause.needed))
        words = self._say(
            f"cause.{key}",
            measured=self.measured(facts, facts.measured, unit, limit),
            value=self.number(facts.value, unit, facts.currency),
            direction=self.beyond(facts.direction),
            side=self.side(facts.direction),
            level=level,
            clear=clear,
            sure=sure,
            needed=needed,
        )
        lasts = cause.kind in (CauseKind.BEYOND, CauseKind.KEPT, CauseKind.CLEAR, CauseKind.NOTHING) and cause.lasted
        return f"{words} {self._say('for', span=self.human(cause.lasted))}" if lasts else words

    def since(self, began: str, lasted: int) -> str:
        """Return when it began, and how long ago that was."""
        return self._say("since", began=began, span=self.human(lasted)) if lasted else began

    def resolves(self, ends: Ends, direction: str | None, unit: str, currency: str | None) -> str:
        """Return what would end an alert, in the unit of its thresholds."""
        if ends.clear is None:
            return self._say("resolves.anything")
        words = self._say("resolves.level", side=self.side(direction), clear=self.number(ends.clear, unit, currency))
        words += f" {self._say('for', span=self.human(ends.keep))}" if ends.keep else ""
        if ends.severity is not None:
            level = self.number(ends.severity_clear, unit, currency)
            words += f"{self.SEMICOLON}{self._say('resolves.no_longer', severity=self.grade(ends.severity), level=level)}"
        return f"{words}{self.SEMICOLON}{self._counted('resolves.cases', ends.cases)}" if ends.cases else words

    def _counted(self, key: str, count: int, **values: Any) -> str:
        """Return words with a count in them, in the plural that it takes."""
        found = self.language.find(key)
        form = (found.get(self.language.plural(count)) or found["other"]) if isinstance(found, Mapping) else str(found)
        for name, value in (("n", self.numbers.count(count)), *values.items()):
            form = form.replace(f"{{{name}}}", str(value))
        return str(form)

    # ── what explains it ──

    def explained(
        self, why: Mapping[str, Any], unit: str, currency: str | None, zone: tzinfo = UTC
    ) -> Iterator[tuple[str, str, str]]:
        """Yield the facts (name, of what, words) that explain a value; ``why`` is the record's ``explanation``."""
        date = partial(self.numbers.date, zone=zone)
        if "since" in why:
            yield "counted_from", "", self._say("counted_from", day=date(why["since"]))
        if why.get("proven") is False:
            yield "unproven", "", self._say("unproven")
        previous = why.get("previous")
        if previous:
            value = self.number(previous.get("value"), unit, currency)
            start, end = self._bounds(previous["from"], previous["at"], zone)
            words = self._say("previous_fact", value=value, start=start, end=end)
            if previous.get("value") is None and previous.get("why"):
                words += f": {self.sentence(previous['why'])}"
            if "change" in why:
                words += f", {self._say('so', moved=self.moved(why['change'], unit, currency))}"
            yield "previous", "", words
        if "total" in why:
            now, before = (self.number(why["total"].get(name), unit, currency) for name in ("value", "previous"))
            yield "total", "", self._say("total_fact", value=now, before=before)
        target = why.get("target") or {}
        if target.get("value") is not None and target.get("to"):
            value, due = (self.number(target.get(name), unit, currency) for name in ("value", "due"))
            yield "target", "", self._say("target_fact", value=value, end=date(target["to"]), due=due)
        parts = why.get("parts")
        if parts and not why.get("moved_by"):
            top, bottom = (self.moved(parts[name], unit, currency) for name in ("numerator", "denominator"))
            yield "parts", "", self._say("parts", top=top, bottom=bottom)
        for one in why.get("moved_by") or ():
            yield (
                "moved_by",
                str(one["dimension"]),
                self.SEMICOLON.join(self._part(part, unit, currency) for part in one["segments"]),
            )

    def _bounds(self, start: str, end: str, zone: tzinfo) -> tuple[str, str]:
        """Return the days of a window's bounds (RFC 3339); of a short window their times."""
        first, last = (epoch_ms(datetime.fromisoformat(at)) for at in (start, end))
        if last - first > 2 * DAY_MS:
            return self.numbers.date(start, zone), self.numbers.date(end, zone)
        return self.moment(first, zone), self.moment(last, zone)

    def _part(self, part: Mapping[str, Any], unit: str, currency: str | None) -> str:
        others = part.get("others")
        name = self._counted("others", others) if others is not None else inert(str(part.get("name") or part["segment"]))
        moved = self.moved(part["effect"], unit, currency)
        if not part.get("mix"):
            return self._say("part", name=name, moved=moved)
        rate, mix = (self.moved(part[key], unit, currency) for key in ("rate", "mix"))
        return self._say("part_of", name=name, moved=moved, rate=rate, mix=mix)

    def moved(self, value: float, unit: str, currency: str | None) -> str:
        """Return a difference with its sign: ``−6 points``, ``+12,400 EUR``."""
        sign = "−" if value < 0 else "+"
        return sign + (self.number(abs(value), "points") if unit == "ratio" else self.number(abs(value), unit, currency))

    # ── why now ──

    def why_now(self, kind: str, occasion: Occasion) -> str:
        """Return why a message of its kind is sent now."""
        match kind:
            case MessageKind.FIRED:
                return self._say("why_now.first" if occasion.first else "why_now.more")
            case MessageKind.ESCALATED:
                return self._say("why_now.escalated", step=occasion.step)
            case MessageKind.ACKNOWLEDGED | MessageKind.UNACKNOWLEDGED:
                return self._say(f"why_now.{kind}", by=occasion.by)
        return self._known(f"now.{kind}", "")

    def receiver_now(self, name: str, works: bool, lasted: int) -> str:
        """Return why people hear of a receiver now."""
        return self._say("why_now.works", name=name) if works else self._say("why_now.failed", name=name, span=self.human(lasted))

    def digest_now(self, due: int, zone: tzinfo, weekdays: bool) -> str:
        """Return when the digest is sent; ``weekdays``: on some only."""
        return self._say("why_now.some_days" if weekdays else "why_now.every_day", time=self.numbers.time(due, zone))

    # ── several alerts ──

    def several(self, group: GroupFacts) -> str:
        """Return the title of a message about several alerts, from its stamp on."""
        counted = {"critical": group.critical, "warn": group.standing - group.critical, "resolved": group.ended}
        counts = ", ".join(self._counted(f"counts.{name}", count) for name, count in counted.items() if count)
        titles, more = ", ".join(map(self.sentence, group.titles[:3])), len(group.titles) - 3
        return (
            self._say("several_more", counts=counts, titles=titles, more=more)
            if more > 0
            else self._say("several", counts=counts, titles=titles)
        )

    def lead(self, group: GroupFacts) -> str:
        """Return the first sentence: how many there are, and what is new."""
        stands = self._counted("stand", group.standing) if group.standing else self._say("all_ended")
        news = ", ".join(self._marked(mark, count) for mark, count in group.news)
        return f"{stands}{self.COLON}{news}." if news and group.standing else f"{stands}."

    def _marked(self, mark: str, count: int) -> str:
        known = self.language.find(f"news_counts.{mark}") is not None
        return self._counted(f"news_counts.{mark}", count) if known else f"{count} {self.mark(mark)}"

    def rest(self, group: GroupFacts) -> str:
        """Return how many more there are, and which of them are news; nothing where all are told in full."""
        if not group.rest:
            return ""
        fresh = bool(group.named) and group.fresh < group.rest
        more = self._counted("rest_news" if fresh else "rest", group.rest, fresh=group.fresh)
        if not group.named:
            return more
        left, names = group.fresh - len(group.named), ", ".join(group.named)
        return (
            self._say("rest_others", rest=more, names=names, left=left)
            if left > 0
            else self._say("rest_named", rest=more, names=names)
        )

    def subject(self, common: str) -> str:
        """Return what a group's messages are about, given what its alerts have in common."""
        return self._say("subject", common=common) if common else self._say("subject_all")

    def why(self, reason: str) -> str:
        """Return the line of one alert of a group that says why it fires."""
        return self._say("why", reason=reason)

    # ── Vigie's own ──

    def receiver(self, name: str, works: bool, lasted: int) -> tuple[str, str, str]:
        """Return title, subject and first sentence about a receiver that cannot be notified, or ``works`` again."""
        key, span = "works" if works else "fails", self.human(lasted)
        lead = self._say(f"receiver.{key}_lead", name=name, span=span)
        return self._say(f"receiver.{key}", name=name), self._say("receiver.about", name=name), lead

    def attempts(self, attempts: int, given_up: int) -> str:
        """Return how often it was tried to notify a receiver."""
        return self._counted("given_up", given_up, attempts=attempts) if given_up else str(attempts)

    # ── the digest ──

    def digest(self, facts: DigestFacts, due: int, zone: tzinfo) -> tuple[str, str]:
        """Return its title and first sentence."""
        lead = self._say("digest.none")
        if facts.standing:
            lead = self._say("digest.critical", stands=self._counted("stand", facts.standing), critical=facts.critical)
        quiet = self._counted("digest.silenced", facts.silenced) if facts.silenced else ""
        return self._say("digest.title", day=self.numbers.long_day(due, zone)), f"{lead}{quiet}."

    def digest_label(self, figure: Figure, window: str) -> str:
        """Return what stands before a figure."""
        label = figure.labels.get(self.language.code) or figure.label
        return self._say("digest.line", label=label, window=self.stretch(window)) + self.BEFORE_COLON

    def figure(self, figure: Figure) -> str:
        """Return a KPI's value, and what it was in the digest before."""
        if not figure.known:
            return self._say("digest.no_reading")
        value, before, unit, currency = figure.value, figure.before, figure.unit, figure.currency
        words = self.number(value, unit, currency)
        if figure.unproven:
            words = self._say("digest.unproven", value=words)
        if value is None:
            return self._say("digest.no_value", value=words, why=self.sentence(figure.why)) if figure.why else words
        if figure.since is not None:
            return self._say("digest.counted_from", value=words, day=self.numbers.date(figure.since))
        if before is None:
            return words
        was = self.number(before, unit, currency)
        if not before or unit in ("ratio", "score"):
            return self._say("digest.before", value=words, before=was)
        change = self.numbers.signed((value - before) / abs(before))
        return self._say("digest.before_change", value=words, before=was, change=change)

    def forecast(self, found: ForecastFigure) -> tuple[str, str]:
        """Return what the month is expected to bring, in the digest: what stands before it, and the words."""
        low, expected, high = (self.number(value, "money", found.currency) for value in (found.low, found.expected, found.high))
        said = self._say("digest.forecast", expected=expected, low=low, high=high)
        if found.chance is not None:
            chance = self._odds(found.chance)
            said = self._say("digest.forecast_chance", forecast=said, chance=chance)
        return self._say("digest.forecast_label") + self.BEFORE_COLON, said

    def _odds(self, chance: float) -> str:
        """Return a probability, which a simulation never knows to be none or all."""
        sign = "< " if chance < 0.005 else "> " if 0.995 < chance < 1 else ""
        return sign + self.number(min(max(chance, 0.01), 0.99) if sign else round(chance, 2), "ratio")

    def stands(self, title: str, lasted: int) -> str:
        """Return an alert that stands for so long (ms), in the digest."""
        return self._say("digest.stands", title=title, span=self.human(lasted))

    def more(self, count: int) -> str:
        """Return how many more there are than are listed."""
        return self._counted("digest.more", count)

    # ── around the words ──

    def note(self, name: str) -> str:
        """Return the name of what only the curious read."""
        return self._say(f"notes.{name}")

    def footer(self, incident: str, why_now: str) -> str:
        """Return the last line of a mail."""
        return self._say("footer", incident=incident, why=f" · {why_now}" if why_now else "")
