"""What does a time, an amount, a date or a currency on the wire mean, and when is it refused?

Both ways of decoding (``decode.py``) call these functions, so that they cannot disagree. None looks at the clock: the time of
arrival is an argument. Each raises :class:`Refused`.
"""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

from models.events.refused import Reason, Refused
from models.money import UNIT

#: 2000-01-01T00:00:00Z: what claims to be older is a mistake (a zero, a two-digit year), not history.
EARLIEST = 946_684_800_000
#: How far a sender's clock may run ahead of the broker's, in milliseconds.
AHEAD = 86_400_000
#: The largest amount, in units of its currency.
LARGEST_AMOUNT = 10**12

ID_LENGTH = 200
SUBJECT_LENGTH = 256
SOURCE_LENGTH = 512
TEXT_LENGTH = 512
URL_LENGTH = 2048
AMOUNT_LENGTH = 64
LARGEST_COUNT = 10**9
LARGEST_SECONDS = 10**10  # some three centuries
LARGEST_SCORE = 10**9

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:)(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))?",
    re.ASCII,
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_AMOUNT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
#: What is not seen, or turns the direction of what is: soft hyphens, zero widths, bidi marks, byte order marks, tags. The two
#: joiners (200C, 200D) are part of how some scripts, and emoji, are written: there they stay.
_UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
)
# Wide enough that the one rounding is the last one, and not the thread's context, which anybody may change.
_EXACT = Context(prec=AMOUNT_LENGTH + 16, rounding=ROUND_HALF_EVEN)
_ONE, _UNIT = Decimal(1), Decimal(UNIT)
_CENT = UNIT // 100
_EXACT_FLOAT = 10.0**10

# Most times repeat a recent minute, every one a second and a fraction: three look-ups in small tables replace the parsing.
# Bounded, as senders choose what is in them.
_MEMO = 4096
_minutes: dict[str, int] = {}
_fractions: dict[str, int] = {}
_SECONDS = {f"{second:02}": second * 1000 for second in range(60)}


def shown(value: object) -> str:
    """Return a value as an error message quotes it: one line, at most 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def parse_time(text: str) -> int:
    """Return an RFC 3339 time as milliseconds since the epoch; finer fractions are cut off.

    A time without an offset is refused (``naive_time``), as is whatever is not RFC 3339 (``bad_time``).
    """
    try:
        return _minutes[text[:17]] + _SECONDS[text[17:19]] + _fractions[text[19:]]
    except KeyError:
        return _parse_time(text)


def _parse_time(text: str) -> int:
    found = _TIME.fullmatch(text) if len(text) <= 64 else None
    if found is None:
        raise Refused(Reason.BAD_TIME, f"time: found {shown(text)}, accepted is RFC 3339 as in 2026-03-01T09:30:00Z")
    day, clock, second, fraction, utc, sign, hours, minutes = found.groups()
    if utc is None and sign is None:
        raise Refused(Reason.NAIVE_TIME, f"time: {shown(text)} has no offset; end it with Z or +01:00")
    try:
        start = (datetime.fromisoformat(f"{day}T{clock}00+00:00") - _EPOCH) // _MS
    except ValueError as error:
        raise Refused(Reason.BAD_TIME, f"time: {shown(text)} is not in the calendar ({error})") from None
    if second not in _SECONDS:
        raise Refused(Reason.BAD_TIME, f"time: {shown(text)} has a second beyond 59")
    rest = 0 if fraction is None else int(fraction[:3].ljust(3, "0"))
    if sign is not None:
        if int(hours) > 23 or int(minutes) > 59:
            raise Refused(Reason.BAD_TIME, f"time: {shown(text)} has an offset beyond 23:59")
        rest -= (int(hours) * 60 + int(minutes)) * (-60_000 if sign == "-" else 60_000)
    for memo, key, value in ((_minutes, text[:17], start), (_fractions, text[19:], rest)):
        if len(memo) >= _MEMO:
            memo.clear()
        memo[key] = value
    return start + _SECONDS[second] + rest


def check_time(at: int, arrival: int, name: str = "time") -> int:
    """Return the time if it lies between 2000-01-01 and a day after its arrival (both epoch milliseconds)."""
    if EARLIEST <= at <= arrival + AHEAD:
        return at
    found = (_EPOCH + timedelta(milliseconds=at)).isoformat() if -(10**13) < at < 10**14 else str(at)
    raise Refused(Reason.TIME_OUT_OF_RANGE, f"{name}: found {found}, accepted is 2000-01-01 to one day after arrival")


def parse_amount(raw: str | int | float) -> int:
    """Return an amount in 1/10,000 of its unit, rounded half to even; beyond ±10^12 units or not finite is refused.

    A float means its shortest decimal (0.1 is 0.1).
    """
    if raw.__class__ is str:
        # The common forms, "1234.56" and "1234", without a Decimal. isdigit() alone would let "²" and other digits in.
        digits, scale = (raw.replace(".", "", 1), _CENT) if len(raw) > 3 and raw[-3] == "." else (raw, UNIT)
        if len(digits) <= 12 and digits.isdigit() and digits.isascii():
            return int(digits) * scale
        if len(raw) > AMOUNT_LENGTH or _AMOUNT.fullmatch(raw) is None:
            raise Refused(Reason.BAD_AMOUNT, f'amount: found {shown(raw)}, accepted is a decimal as in "1234.56" or 1234.56')
        number = Decimal(raw)
    elif raw.__class__ is int:
        if -LARGEST_AMOUNT <= raw <= LARGEST_AMOUNT:
            return raw * UNIT
        raise Refused(Reason.BAD_AMOUNT, "amount: found a number beyond 10^12, accepted is -10^12 to 10^12")
    elif raw.__class__ is float:
        if -_EXACT_FLOAT < raw < _EXACT_FLOAT:
            parts = round(raw * UNIT)
            if parts / UNIT == raw:  # at most 15 digits: no other decimal of four places gives this float
                return parts
        number = Decimal(repr(raw))
    else:
        raise Refused(Reason.BAD_AMOUNT, f"amount: found {shown(raw)}, accepted is a decimal string or a number")
    if not (number.is_finite() and -LARGEST_AMOUNT <= number <= LARGEST_AMOUNT):
        raise Refused(Reason.BAD_AMOUNT, f"amount: found {shown(raw)}, accepted is finite and from -10^12 to 10^12")
    return int(_EXACT.quantize(_EXACT.multiply(number, _UNIT), _ONE))


def check_not_negative(parts: int, name: str) -> int:
    """Return an amount (in 1/10,000 of its unit) if it is not below 0."""
    if parts < 0:
        raise Refused(Reason.BAD_AMOUNT, f"{name}: found {parts / UNIT:,.2f}, accepted is 0 or more")
    return parts


def check_currency(code: str, known: frozenset[str] | None) -> str:
    """Return the currency code if it has ISO 4217's form and, where ``known`` is given, a rate."""
    if known is not None and code in known:
        return code
    if len(code) != 3 or not (code.isascii() and code.isalpha() and code.isupper()):
        raise Refused(Reason.UNKNOWN_CURRENCY, f"currency: found {shown(code)}, accepted is a code as in EUR")
    if known is not None:
        raise Refused(Reason.UNKNOWN_CURRENCY, f"currency: no rate for {code}, known are {', '.join(sorted(known))}")
    return code


def check_date(text: str, name: str = "date") -> str:
    """Return the text if it is a calendar date as in 2026-03-31. A time is not a date: which day it is depends on the zone."""
    if _DATE.fullmatch(text) is not None:
        try:
            date.fromisoformat(text)
        except ValueError:
            pass
        else:
            return text
    raise Refused(Reason.INVALID_DATA, f"{name}: found {shown(text)}, accepted is a date as in 2026-03-31")


def check_score(kind: str, score: float) -> None:
    """Refuse a survey's score outside the range of its kind: nps 0 to 10, csat 1 to 5."""
    low, high = (0, 10) if kind == "nps" else (1, 5)
    if not low <= score <= high:
        raise Refused(Reason.INVALID_DATA, f"score: found {score}, accepted for {kind} is {low} to {high}")


def clean_text(text: str) -> str:
    """Return a text for people on one line: control characters and line breaks are blanks, what is invisible is gone.

    For names and words, not for ids: those stay as they are, or are refused (:func:`has_control`).
    """
    if text.isprintable():  # whatever is taken out is not
        return text
    return _UNSEEN.sub("", _BREAK.sub(" ", text)).strip()


def has_control(text: str) -> bool:
    """Tell whether the text has a control character (C0, DEL or C1), which no identifier may have."""
    return _CONTROL.search(text) is not None
