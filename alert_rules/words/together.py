"""What is said of objectives and challenges."""

from collections.abc import Mapping
from typing import Any

from alert_rules.records.message import Aim, ChallengeFacts, ChallengePlace
from alert_rules.words.inert import inert
from alert_rules.words.language import SOURCE
from alert_rules.words.parts import Letter, Line
from alert_rules.words.reader import Reader


def aim(found: Aim, reader: Reader) -> Line:
    """Return how far an objective is, in the digest."""
    words = reader.words
    far = "" if found.progress is None else words.number(found.progress, "ratio")
    state = words.language.say(f"aims.{found.state}")
    return Line(inert(found.name) + words.BEFORE_COLON, ", ".join(part for part in (far, state) if part))


def todo(book: Mapping[str, Any], reader: Reader) -> str:
    """Return what a playbook says is to be done, by whom and when."""
    steps = "; ".join(f"{number}. {inert(str(step), 300)}" for number, step in enumerate(book["steps"], 1))
    who = f"{inert(str(book['owner']))}, " if book.get("owner") else ""
    return reader.words.language.say("todo", steps=steps, who=who, due=reader.words.numbers.date(book["due"]))


def challenge(facts: ChallengeFacts, reader: Reader) -> Letter:
    """Return what there is to say of a challenge."""
    words = reader.words
    label, name, say = facts.labels.get(words.language.code) or facts.label, inert(facts.name), words.language.say
    title = say(f"challenge.{facts.milestone}.title", name=name)
    guard = facts.guard.get(words.language.code) or facts.guard.get(SOURCE, "")
    measured, limit = (words.number(value, facts.guard_unit, facts.currency) for value in (facts.measured, facts.limit))
    lead = say(
        f"challenge.{facts.milestone}.lead", label=label, until=facts.until, guard=inert(guard), value=measured, limit=limit
    )
    lines = [Line(f"{place.rank}", f"{inert(place.name)}{words.COLON}{_place(place, facts, reader)}") for place in facts.places]
    if facts.more:
        lines.append(Line("", words.more(facts.more)))
    return Letter(title, title, lead, tuple(lines), why_now=say("challenge.why_now"))


def _place(place: ChallengePlace, facts: ChallengeFacts, reader: Reader) -> str:
    words = reader.words
    value = words.number(place.value, facts.unit, facts.currency)
    if place.share is None:
        return value
    return words.language.say("challenge.share", value=value, share=words.number(place.share, "ratio"))
