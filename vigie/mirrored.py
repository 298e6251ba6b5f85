"""What of the tables is written to PostgreSQL every so often: readings of days, customers of today, the catalogue?"""

from collections.abc import AsyncIterator, Sequence

from agents.mirror_tables import Periodic
from models.calendar import iso
from models.feeds.query import parse_query
from models.feeds.tables import FeedTable, Row
from models.panes.store import TOTAL
from stream.config.postgres_settings import PostgresSettings
from stream.web.feeds.sources import ELSEWHERE, FeedDesk, FeedQuestion


def periodic(feeds: FeedDesk, settings: PostgresSettings) -> Periodic:
    """Return what gives the rows of a table; none where another worker has what they are made of: that one writes them."""

    async def rows(table: FeedTable, since: int | None) -> AsyncIterator[Sequence[Row]]:
        now = feeds.now()
        beside: dict[str, str] = {}
        if table.name == "readings":
            begin = now - settings.history if since is None else min(since, now) - settings.again
            beside = {"from": iso(max(begin, 0)), "every": "1d", "window": ",".join(settings.windows)}
            if settings.dimensions:
                beside["by"] = ",".join((TOTAL, *settings.dimensions))
        try:
            async for batch in feeds.batches(FeedQuestion(parse_query({}, table), beside, None, now)):
                yield batch
        except ELSEWHERE:
            return

    return rows
