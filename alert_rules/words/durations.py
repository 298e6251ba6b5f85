"""How are durations and instants told to people, in English?"""

from datetime import UTC, datetime, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def human(milliseconds: float) -> str:
    """Return a duration as its two largest units: ``2 d 3 h``, ``30 min``, ``450 ms``."""
    if milliseconds < 0:
        return f"−{human(-milliseconds)}"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = round(milliseconds / 1000)
    parts: list[str] = []
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
        elif parts:
            break  # "2 d 5 s" would be a false precision
        if len(parts) == 2:
            break
    return " ".join(parts)


def plural(count: float | str, one: str, many: str = "") -> str:
    """Return a count with its noun: ``1 alert``, ``2 alerts``."""
    return f"{count} {one if str(count) in ('1', '-1') else many or one + 's'}"


def working(seconds: float, day: int) -> str:
    """Return working time as people say it, given the seconds of a working day: ``5 working hours``, ``20 working days``."""
    if seconds < 0:
        return f"−{working(-seconds, day)}"
    if seconds < 3600:
        return f"{human(seconds * 1000)} of working time"
    days, rest = divmod(round(seconds), day)
    hours, minutes = rest // 3600, rest % 3600 // 60
    if days:  # beyond some days nobody counts hours
        return plural(days, "working day") + (f" {hours} h" if hours and days < 3 else "")
    return plural(hours, "working hour") + (f" {minutes} min" if minutes else "")


def short_day(at: datetime) -> str:
    """Return a day without its weekday: ``1 Jan 2026``."""
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def day_of(milliseconds: float, zone: tzinfo) -> str:
    """Return the day of an instant on the calendar of a zone: ``Thu 1 Jan 2026``."""
    local = (_EPOCH + timedelta(milliseconds=milliseconds)).astimezone(zone)
    return f"{_WEEKDAYS[local.weekday()]} {short_day(local)}"


def moment(milliseconds: float, zone: tzinfo) -> str:
    """Return an instant on the clock on the wall of a zone: ``Thu 1 Jan 2026, 09:30 CET``."""
    local = (_EPOCH + timedelta(milliseconds=milliseconds)).astimezone(zone)
    return f"{day_of(milliseconds, zone)}, {local:%H:%M} {local.tzname()}"
