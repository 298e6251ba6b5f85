"""Is this record of the ``readings`` topic a reading that a rule can judge?"""

import math

from models.kpis.reading import Reading


def observe(value: bytes) -> Reading:
    """Return the reading; raise ``ValueError`` that names the field that cannot be used."""
    reading = Reading.decode(value)
    for name in ("kpi", "window", "unit"):
        found = getattr(reading, name)
        if not isinstance(found, str) or not found:
            raise ValueError(f"{name}: found {found!r} (accepted: a text)")
    for name in ("value", "numerator", "denominator", "low", "high", "sample"):
        found = getattr(reading, name)
        if found is None:
            continue
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            raise ValueError(f"{name}: found {found!r} (accepted: a finite number or null)")
    if len(reading.segment) > 1 or not all(isinstance(place, str) for place in reading.segment.values()):
        raise ValueError(f"segment: found {reading.segment!r} (accepted: an object of at most one dimension)")
    return reading


def dimension(reading: Reading) -> str | None:
    """Return what the reading is told by, None for the total."""
    return next(iter(reading.segment), None)
