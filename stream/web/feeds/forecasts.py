"""What will the running periods bring, as rows of the table ``forecasts``?"""

from models.feeds.tables import Row
from models.panes.store import TOTAL
from stream.config.forecast_settings import EXPECTED
from stream.readings.board import Unavailable
from stream.web.context import Context
from stream.web.forecast import AWAY, BY, OFF, PERIODS, Forecasts, forecast_document


async def forecast_rows(ctx: Context, source: Forecasts | None, as_of: int, *, people: bool) -> list[Row]:
    """Return the rows in the order of the table's key; without ``people`` none of single owners. Raise :class:`Unavailable`."""
    if source is None:
        raise Unavailable(OFF)
    from models.foresight.foresee import Asked, target_of  # numpy takes a while to import
    from models.foresight.kept import Slice
    from models.foresight.scenario import BASE

    slices = [Slice(period, by) for period in PERIODS for by in (None, *BY) if people or by != "owner"]
    found, fold = await source.outlooks([Asked(where, BASE) for where in slices]), source.owned()
    if found is None or fold is None:
        raise Unavailable(AWAY)
    rows = list[Row]()
    for where, outlook in zip(slices, found, strict=True):
        span, segments = outlook.span, outlook.segments[:1] if where.by is None else outlook.segments[1:]
        for segment in segments:
            one = forecast_document(
                ctx, EXPECTED, where.by, segment, target_of(fold.targets, where, segment.value, span.start, fold.business)
            )
            parts, value = one["parts"], segment.value or ""
            rows.append(
                (
                    where.period, where.by or TOTAL, value, one["name"] or value, span.start, span.end, one["mean"],
                    one["p10"], one["p50"], one["p90"], parts["won"]["value"], parts["won"]["deals"], parts["open"]["mean"],
                    parts["open"]["deals"], parts["new"]["mean"], one["target"], one["target_probability"],
                    fold.business.currency, as_of,
                )
            )  # fmt: skip
    return sorted(rows, key=lambda row: row[:3])
