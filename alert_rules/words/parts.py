"""What does a letter consist of?"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from alert_rules.words.course import Course
from alert_rules.words.inert import inert

#: So many alerts of a group are told in full, what is new first.
TOLD = 10


class Line(NamedTuple):
    """A fact: what it is of ("" where the words say it themselves), in words, with the page behind it where there is one."""

    label: str
    text: str
    url: str = ""

    @property
    def plain(self) -> str:
        """The line as text."""
        words = f"{self.label}: {self.text}" if self.label else self.text
        return f"{words}: {self.url}" if self.url and self.url != self.text else words


class LetterItem(NamedTuple):
    """One alert of a group; ``level`` is resolved, critical or warn, ``news`` what is new about it."""

    title: str
    text: str
    why: str = ""
    url: str = ""
    level: str = ""
    news: str = ""

    @property
    def lines(self) -> list[str]:
        """The item as lines of a text."""
        return [f"• {self.title}", f"  {self.text}", *(f"  {one}" for one in (self.why, self.url) if one)]


class Letter(NamedTuple):
    """A message in words, in its parts. No part has markup; every receiver escapes what its own markup is made of.

    ``subject`` stays the same for as long as the conversation lasts. A message about one alert has ``facts`` and what is
    ``behind`` it (each with a link where its page is known); one about several (``many``) has ``items``, those told in full,
    and ``rest``, which counts and names the others.
    """

    title: str
    subject: str
    lead: str
    facts: tuple[Line, ...] = ()
    behind: tuple[Line, ...] = ()
    behind_heading: str = ""
    items: tuple[LetterItem, ...] = ()
    rest: str = ""
    many: bool = False
    headline: str = ""
    why_now: str = ""  # why it comes at this moment
    whole: str = ""  # the text of a record that was written as prose
    course: Course | None = None  # how the figure came to where it is, for who draws it
    course_words: str = ""  # the same, for who does not

    @property
    def facts_text(self) -> str:
        """The facts, a line each."""
        return "\n".join(line.plain for line in self.facts)

    @property
    def behind_text(self) -> str:
        """What is behind it, a line each, under its heading; nothing where there is nothing."""
        return "\n".join([self.behind_heading, *(line.plain for line in self.behind)]) if self.behind else ""

    @property
    def text(self) -> str:
        """All of it but the title, as plain text."""
        if self.whole:
            return self.whole
        if self.many:
            lines = [line for item in self.items for line in item.lines]
            return "\n".join([self.lead, "", *lines, *([self.rest] if self.rest else [])])
        parts = [part for part in (self.facts_text, self.behind_text) if part]
        return "\n\n".join([self.lead, *parts])


def called(id: str, name: object) -> str:
    """Return what people call a deal or lead: its name with the id behind it, or the id."""
    return f"{inert(str(name))} ({inert(id)})" if name else inert(id)


def behind_lines(why: Mapping[str, Any], sentence: Callable[[str], str] = str) -> list[Line]:
    """Return the deals or leads behind an alert, each with the address of its page where it is known."""
    lines = []
    for place, one in enumerate(why.get("behind") or (), start=1):
        who = called(str(one["id"]), one.get("name"))
        text = ", ".join([who, *(sentence(str(one[name])) for name in ("what", "said") if one.get(name))])
        lines.append(Line("", f"{place}. {inert(text)}", str(one.get("url") or "")))
    return lines
