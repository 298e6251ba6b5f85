"""In which language, and on whose clock, is somebody told?"""

from datetime import UTC, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from alert_rules.words.language import SOURCE, languages
from alert_rules.words.words import Words

#: The words of the languages there are, by their code.
LANGUAGES: dict[str, Words] = {code: Words(language) for code, language in languages().items()}


class Reader(NamedTuple):
    """How somebody reads. ``zone`` None: on the clock of the rule, which is the business's. ``home`` is the address at which
    they reach Vigie's page, "" where nobody has said it."""

    language: str = SOURCE
    zone: tzinfo | None = None
    home: str = ""

    @property
    def words(self) -> Words:
        """The language's words; English where nobody knows it."""
        return LANGUAGES.get(self.language, LANGUAGES[SOURCE])

    def clock(self, zone: str | None) -> tzinfo:
        """Return the time zone in which a record that names ``zone`` is told."""
        return self.zone or zone_of(zone)


#: Who reads the topics.
ANYBODY = Reader()


def zone_of(name: str | None) -> tzinfo:
    """Return a zone by its name, UTC where nobody knows it."""
    try:
        return UTC if name in (None, "UTC") else ZoneInfo(name or "")
    except (KeyError, ValueError, OSError):
        return UTC
