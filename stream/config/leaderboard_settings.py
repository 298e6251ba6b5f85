"""What do leaderboards show, and of whom (``leaderboards``)?"""

from pydantic import Field

from stream.config.sections import Section


class LeaderboardSettings(Section):
    """How many are shown to everybody, how many cases a rate takes, and who is left out (owners' ids, names of teams)."""

    show: int = Field(5, ge=1, le=100)
    least: int = Field(10, ge=1, le=1_000_000)
    left_out: tuple[str, ...] = ()
