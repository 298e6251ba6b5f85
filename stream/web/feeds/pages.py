"""Which rows are the answer: filtered, ordered, from the page before on, and no more than a page holds?"""

import asyncio
from typing import NamedTuple

from models.feeds.filter import NotSupported
from models.feeds.tables import Row
from stream.web.feeds.sources import FeedDesk, FeedQuestion

#: Rows that are put in another order than their table's, at most: more would hold up everybody.
SORTED = 200_000


class FeedPage(NamedTuple):
    """Rows of an answer; ``more``: there are further ones; ``total``: how many there are in all, where that was asked for."""

    rows: list[Row]
    more: bool
    total: int | None


async def page(feeds: FeedDesk, ask: FeedQuestion, most: int) -> FeedPage:
    """Return a page of at most so many rows; raise what :meth:`FeedDesk.batches` raises."""
    query = ask.query
    limit = most if query.top is None else min(most, query.top)
    if query.counted and query.after is not None:  # all of them are counted, those of the pages before too
        count = await counted(feeds, ask)
        found = await page(feeds, ask._replace(query=query._replace(counted=False)), most)
        return found._replace(total=count)
    if not query.by_key:
        return await _ordered(feeds, ask, limit)
    rows: list[Row] = []
    passed = count = 0
    async for batch in feeds.batches(ask):
        for row in batch:
            if not query.chosen.test(row) or not query.goes_on(row):
                continue
            count += 1
            if passed < query.skip:
                passed += 1
            elif len(rows) <= limit:  # one more says that there are more
                rows.append(row)
        if len(rows) > limit and not query.counted:
            break
    return FeedPage(rows[:limit], len(rows) > limit, count if query.counted else None)


async def _ordered(feeds: FeedDesk, ask: FeedQuestion, limit: int) -> FeedPage:
    query, rows = ask.query, list[Row]()
    async for batch in feeds.batches(ask):
        rows += filter(query.chosen.test, batch)
        if len(rows) > SORTED:
            raise NotSupported(
                f"$orderby: there are more than {SORTED:,} rows (accepted: a $filter that leaves fewer, or the order of the key: "
                f"{', '.join(query.table.key)})"
            )
    count = len(rows) if query.counted else None
    if query.after is not None:
        rows = [row for row in rows if query.goes_on(row)]
    rows = (await asyncio.to_thread(query.sorted, rows))[query.skip : query.skip + limit + 1]
    return FeedPage(rows[:limit], len(rows) > limit, count)


async def counted(feeds: FeedDesk, ask: FeedQuestion) -> int:
    """Return how many rows fulfil a filter."""
    whole = ask._replace(query=ask.query._replace(after=None))
    return sum([sum(map(ask.query.chosen.test, batch)) async for batch in feeds.batches(whole)])
