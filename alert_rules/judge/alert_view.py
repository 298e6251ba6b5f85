"""How is an alert that stands shown to operators and programs?"""

from collections.abc import Mapping
from typing import Any

from alert_rules.judge.explanation import PageLink, standing
from alert_rules.judge.lifecycle import AlertState
from alert_rules.judge.observation import Observation
from alert_rules.judge.rule import Rule
from alert_rules.judge.transition_record import facts_of, summary
from alert_rules.records.facts import AlertFacts
from alert_rules.words.alert import in_words
from alert_rules.words.language import SOURCE
from alert_rules.words.reader import LANGUAGES, Reader
from models.calendar import iso
from models.owners import Owners
from models.panes.store import TOTAL

#: Alerts whose words are kept at hand.
_KEPT = 2_000


class AlertWords:
    """Titles and summaries of alerts in the languages beside English: made once, as the page asks each second."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[tuple[Any, ...], dict[str, dict[str, str]]]] = {}

    def __call__(self, incident: str, facts: AlertFacts, seen: Observation | None) -> dict[str, dict[str, str]]:
        """Return the words of one alert, by language."""
        key = (facts.severity, facts.template, facts.rule_title, seen and (seen.at, seen.value))
        kept = self._kept.get(incident)
        if kept is not None and kept[0] == key:
            return kept[1]
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        found = {code: in_words(facts, Reader(code)) for code in LANGUAGES if code != SOURCE}
        self._kept[incident] = key, found
        return found


def shown(
    state: AlertState,
    rule: Rule | None,
    seen: Observation | None,
    because: Mapping[str, Any] | None,
    link: PageLink,
    people: Owners,
    alert_words: AlertWords,
) -> dict[str, Any]:
    """Return an alert as ``GET /api/alerts`` shows it. What its rule says is null where the rule is gone."""
    name, _, place = state.segment.partition("=")
    facts = None if rule is None else facts_of(rule, state.segment, state.severity, state.started, seen, people)
    return {
        "id": state.incident,
        "rule": state.rule,
        "kpi": facts and facts.kpi,
        "title": facts and facts.rule_title,
        "summary": facts and summary(facts),
        "window": facts and facts.window,
        "segment": {} if state.segment == TOTAL else {name: place},
        "state": state.phase.value,
        "severity": state.severity.value,
        "since": iso(state.started),
        "fired": None if state.fired is None else iso(state.fired),
        "value": seen and seen.value,
        "sample": facts and facts.sample,
        "at": iso(seen.at if seen else state.at),
        "unit": facts and facts.unit,
        "condition": facts and facts.condition,
        "measured": facts and facts.measured,
        "threshold_unit": facts and facts.threshold_unit,
        "threshold": facts and facts.threshold,
        "direction": facts and facts.direction,
        "labels": (facts and facts.labels) or {},
        "runbook": facts and facts.runbook,
        "words": {} if facts is None else alert_words(state.incident, facts, seen),
        "explanation": None if rule is None else standing(rule, state, seen, because, link, people),
    }
