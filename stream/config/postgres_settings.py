"""Where is the PostgreSQL that the tables are written to (``postgres.*``)?"""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from stream.config.sections import Duration, Section, parse_duration


class PostgresSettings(Section):
    """A database that the tables are written to, for tools that read SQL; without ``url`` there is none."""

    url: SecretStr = SecretStr("")
    """``postgresql://user:password@host:5432/database``; ``?sslmode=verify-full`` asks for TLS."""
    namespace: str = Field("vigie", pattern="^[a-z_][a-z0-9_]{0,62}$")
    """The schema that the tables are in; it is made where it is missing."""
    every: Duration = parse_duration("15m")
    """How often readings, customers and the catalogue are written; deals, leads and alerts are as they change."""
    history: Duration = parse_duration("90d")
    """How far back daily readings are written where there are none yet."""
    again: Duration = parse_duration("3d")
    """So far back they are written each time: what came late changes them."""
    windows: tuple[str, ...] = ("day",)
    dimensions: tuple[str, ...] = ()
    """What readings are split by, beside the total; empty: by everything."""

    @model_validator(mode="after")
    def _address(self) -> "PostgresSettings":
        url = self.url.get_secret_value()
        parts = urlsplit(url)
        if url and (parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/")):
            raise ValueError("url: accepted is postgresql://user:password@host:5432/database")
        return self
