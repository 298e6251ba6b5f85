"""Do times, amounts, dates and currencies mean what RFC 3339, decimal arithmetic and ISO 4217 say?"""

from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events import scalars
from models.events.refused import Reason, Refused
from models.events.scalars import check_currency, check_date, check_score, check_time, clean_text, parse_amount, parse_time

DAY = 86_400_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-03-01T09:30:00Z", 1_772_357_400_000),
        ("2026-03-01t09:30:00z", 1_772_357_400_000),
        ("2026-03-01T09:30:00.1Z", 1_772_357_400_100),
        ("2026-03-01T09:30:00.123Z", 1_772_357_400_123),
        ("2026-03-01T09:30:00.123999999999Z", 1_772_357_400_123),
        ("2026-03-01T10:30:00+01:00", 1_772_357_400_000),
        ("2026-03-01T03:45:00.5-05:45", 1_772_357_400_500),
        ("2026-03-01T09:30:00-00:00", 1_772_357_400_000),
        ("2024-02-29T23:59:59.999Z", 1_709_251_199_999),
        ("1969-12-31T23:59:59.9996Z", -1),
    ],
)
def test_time(text: str, expected: int) -> None:
    assert parse_time(text) == expected
    assert parse_time(text) == expected  # the second time from the tables


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2026-03-01T09:30:00", Reason.NAIVE_TIME),
        ("2026-03-01T09:30:00.123", Reason.NAIVE_TIME),
        ("", Reason.BAD_TIME),
        ("2026-03-01", Reason.BAD_TIME),
        ("2026-03-01 09:30:00Z", Reason.BAD_TIME),
        ("20260301T093000Z", Reason.BAD_TIME),
        ("2026-W09-7T09:30:00Z", Reason.BAD_TIME),
        ("2026-03-01T09:30Z", Reason.BAD_TIME),
        ("2026-03-01T09:30:00,5Z", Reason.BAD_TIME),
        ("2026-03-01T09:30:00.Z", Reason.BAD_TIME),
        ("2026-03-01T09:30:60Z", Reason.BAD_TIME),
        ("2026-03-01T24:00:00Z", Reason.BAD_TIME),
        ("2026-02-29T09:30:00Z", Reason.BAD_TIME),
        ("0000-01-01T00:00:00Z", Reason.BAD_TIME),
        ("2026-03-01T09:30:00+24:00", Reason.BAD_TIME),
        ("2026-03-01T09:30:00+01", Reason.BAD_TIME),
        ("2026-03-01T09:30:00+0100", Reason.BAD_TIME),
        (" 2026-03-01T09:30:00Z", Reason.BAD_TIME),
        ("2026-03-01T09:30:00Z\n", Reason.BAD_TIME),
        ("٢٠٢٦-03-01T09:30:00Z", Reason.BAD_TIME),
        ("1772357400000", Reason.BAD_TIME),
        ("2026-03-01T09:30:00." + "1" * 60 + "Z", Reason.BAD_TIME),
    ],
)
def test_time_refused(text: str, reason: Reason) -> None:
    parse_time("2026-03-01T09:30:00Z")  # so that the tables know the minute
    with pytest.raises(Refused) as refused:
        parse_time(text)
    assert refused.value.reason is reason


@given(
    st.datetimes(timezones=st.just(UTC), min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),  # noqa: DTZ001
    st.integers(-1439, 1439),
    st.text("0123456789", max_size=9),
)
def test_time_equals_datetime(moment: datetime, offset: int, fraction: str) -> None:
    moment = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset)))
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    text += f".{fraction}" if fraction else ""
    text += f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    milliseconds = int(fraction[:3].ljust(3, "0")) if fraction else 0
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) + milliseconds
    assert parse_time(text) == expected


def test_tables_stay_bounded() -> None:
    for number in range(3 * scalars._MEMO):
        parse_time(f"{1000 + number}-01-01T00:00:00.{number:06}Z"[-28:] if number < 9000 else f"2026-01-01T00:00:00.{number:06}Z")
    assert len(scalars._minutes) <= scalars._MEMO
    assert len(scalars._fractions) <= scalars._MEMO


def test_time_range() -> None:
    arrival = parse_time("2026-03-01T09:30:00Z")
    for good in (scalars.EARLIEST, arrival, arrival + DAY):
        assert check_time(good, arrival) == good
    for bad in (0, scalars.EARLIEST - 1, arrival + DAY + 1, 10**18, -(10**18)):
        with pytest.raises(Refused, match="2000-01-01") as refused:
            check_time(bad, arrival)
        assert refused.value.reason is Reason.TIME_OUT_OF_RANGE


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("0", 0),
        ("1234.56", 12_345_600),
        ("1234.5678", 12_345_678),
        ("007", 70_000),
        ("-1.5", -15_000),
        ("+1.5", 15_000),
        (".5", 5_000),
        ("5.", 50_000),
        ("-0", 0),
        ("1e3", 10_000_000),
        ("1E-4", 1),
        ("1e-400", 0),
        ("0.00005", 0),
        ("0.00015", 2),
        ("0.00025", 2),
        ("0.000050000000000000000000000000000000000000000000000001", 1),
        ("1000000000000", 10**16),
        ("-1000000000000.0000", -(10**16)),
        (12, 120_000),
        (-12, -120_000),
        (0.1, 1_000),
        (1234.56, 12_345_600),
        (-0.0, 0),
        (1e12, 10**16),
        (5e-324, 0),
    ],
)
def test_amount(raw: str | int | float, expected: int) -> None:
    found = parse_amount(raw)
    assert found == expected
    assert type(found) is int


@pytest.mark.parametrize(
    "raw",
    [
        *("", " 1", "1 ", "1,5", "1_000", "$5", "NaN", "nan", "Infinity", "-inf", "1e400", "-1e400", "1e999999999", "0x10"),
        *("٣", "²", "1.²", "1.2.3", "--1", "1e", ".", "1000000000000.01", "1000000000001", "1" * 65, "1\n"),
        *(10**12 + 1, -(10**12) - 1, 10**4000, 1e400, float("nan"), 1.0000001e12, True, None, [], {}),
    ],
    ids=lambda raw: repr(raw)[:20] if not isinstance(raw, int) else "number",
)
def test_amount_refused(raw: object) -> None:
    with pytest.raises(Refused) as refused:
        parse_amount(raw)  # type: ignore[arg-type]
    assert refused.value.reason is Reason.BAD_AMOUNT
    assert len(refused.value.detail) < 300


@given(st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False))
def test_amount_is_rounded_once_half_to_even(number: Decimal) -> None:
    text = format(number, "f")[:64]
    wide = Context(prec=200, rounding=ROUND_HALF_EVEN)
    expected = int(wide.quantize(wide.multiply(Decimal(text), Decimal(10_000)), Decimal(1)))
    with localcontext(Context(prec=3)):  # whatever the thread's own arithmetic is
        assert parse_amount(text) == expected


@given(st.floats(-1e12, 1e12))
def test_float_means_its_shortest_decimal(number: float) -> None:
    assert parse_amount(number) == parse_amount(repr(number))


def test_currency() -> None:
    assert check_currency("EUR", None) == "EUR"
    assert check_currency("EUR", frozenset({"EUR"})) == "EUR"
    for code, known in (("USD", {"EUR", "GBP"}), ("eur", None), ("EURO", None), ("", None), ("É€R", None), ("E1R", None)):
        with pytest.raises(Refused) as refused:
            check_currency(code, None if known is None else frozenset(known))
        assert refused.value.reason is Reason.UNKNOWN_CURRENCY
    with pytest.raises(Refused, match="no rate for USD, known are EUR, GBP"):
        check_currency("USD", frozenset({"EUR", "GBP"}))


def test_date() -> None:
    assert check_date("2024-02-29") == "2024-02-29"
    for text in ("2026-02-29", "20260228", "2026-2-8", "2026-02-28T00:00:00Z", "", "2026-W09-7", "٢٠٢٦-02-28", "0000-01-01"):
        with pytest.raises(Refused, match="due: found"):
            check_date(text, "due")


def test_score() -> None:
    for kind, low, high in (("nps", 0, 10), ("csat", 1, 5)):
        for good in (low, high, (low + high) / 2):
            check_score(kind, good)
        for bad in (low - 0.1, high + 0.1, float("nan")):
            with pytest.raises(Refused, match=kind):
                check_score(kind, bad)


def test_a_quoted_value_stays_short() -> None:
    assert scalars.shown("x" * 10_000).endswith("(10002 characters)")
    assert len(scalars.shown("x" * 10_000)) < 100
    assert "\n" not in scalars.shown("a\nb")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", "web"),
        (" two  blanks ", " two  blanks "),
        ("ann\nRunbook: x", "ann Runbook: x"),
        ("a\x1b[2J\x00b", "a [2J b"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("\u202egpj.exe\u202c", "gpj.exe"),
        ("an\u200bn\ufeff\u2060", "ann"),
        ("a\u200db", "ab"),
        ("👩\u200d💻 علی\u200cرضا", "👩\u200d💻 علی\u200cرضا"),
        ("tag\U000e0041\U000e007f", "tag"),
        ("\u200b\u200b", ""),
    ],
)
def test_a_text_for_people_is_one_line_that_can_be_seen(text: str, expected: str) -> None:
    assert clean_text(text) == expected
    assert clean_text(expected) == expected
