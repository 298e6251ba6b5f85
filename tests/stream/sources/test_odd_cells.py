"""What spreadsheets, Windows tools and people of other languages make of a file: understood, or refused with the reason."""

import codecs
import gzip
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.sources.files import ON_PURPOSE, FileEvent, FileReject, ReadOptions, SourceFileError, read_file
from stream.sources.files.base import read_csv
from stream.sources.files.ids import damage, salesforce_id
from stream.sources.files.numbers import currency_of, money, number
from stream.sources.files.times import read_moment
from tests.stream.sources.test_files import SAMPLES

# -- ids --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.23457E+10", "rounded"),
        ("1,23457E+10", "rounded"),
        ("1.23457e10", "rounded"),
        ("1E+10", "rounded"),
        ("12345678901.0", "decimals"),
        ("12345678901,00", "decimals"),
        ("123456789012345000", "15 digits"),
        ("#REF!", "no value"),
        ("#N/A", "no value"),
        ("########", "no value"),
        ("null", "no value"),
        ("NaN", "no value"),
    ],
)
def test_what_a_spreadsheet_made_of_an_id_is_said(text: str, said: str) -> None:
    for whole in (True, False):
        found = damage(text, whole=whole)
        assert found is not None
        assert text in found and said in found


@pytest.mark.parametrize(
    "text", ["12345678901", "D-42", "12E5", "1e10", "1.2", "A.0", "1234567890123450", "#7", "006000000000001"]
)
def test_an_id_of_which_nothing_is_known_to_be_wrong_is_one(text: str) -> None:
    assert damage(text) is None


@pytest.mark.parametrize("text", ["12 345", "12.345", "1234567890123450", "D-42", "", "-5", "²"])
def test_where_ids_are_whole_numbers_nothing_else_is_an_id(text: str) -> None:
    assert damage(text, whole=True) is not None


def test_salesforce_ids_have_one_form_and_get_their_case_back() -> None:
    whole = "0065e00000Gx7Q0AAJ"
    for form in (whole, whole[:15], whole.lower(), whole.upper()):
        assert salesforce_id(form) == whole
    assert salesforce_id("00Q000000000001") == "00Q000000000001EAA"
    assert salesforce_id("Ann Lee") is None
    for wrong in ("0065e00000Gx7Q0AAA", "0065e00000Gx7R0AA0", "0065E00000Gx7Q0AAJ", "0065e00000Gx7Q0AA9"):
        with pytest.raises(ValueError, match="do not fit"):
            salesforce_id(wrong)


@given(st.from_regex(r"[0-9A-Za-z]{15}", fullmatch=True))
def test_a_case_that_was_folded_is_put_right(body: str) -> None:
    whole = salesforce_id(body)
    assert whole is not None
    assert [salesforce_id(whole), salesforce_id(whole.lower()), salesforce_id(whole.upper())] == [whole] * 3


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_format_refuses_such_an_id_or_passes_the_event_as_it_is(name: str, tmp_path: Path) -> None:
    path, options = SAMPLES[name](tmp_path)
    target = path / "sales_pipeline.csv" if path.is_dir() else path
    old = {"bpic12": "7,x", "crm": "A,Moses", "csv": "d1,", "jsonl": '"subject":"d"'}[name]
    target.write_text(target.read_text().replace(old, old.replace(old.strip('",').split(",")[0], "1.23457E+10")))
    found = list(read_file(path, name, options))
    if name == "jsonl":  # what is in an event is for the pipeline to judge
        return
    assert "1.23457E+10" not in {item.event["subject"] for item in found if isinstance(item, FileEvent)}
    assert any("1.23457E+10" in item.reason for item in found if isinstance(item, FileReject))


# -- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "decimal", "expected"),
    [
        ("1250", None, "1250"),
        ("1234.5", None, "1234.5"),
        ("1234,50", None, "1234.50"),
        ("1 234,50", None, "1234.50"),
        ("1\u202f234,50", None, "1234.50"),
        ("1'234.50", None, "1234.50"),
        ("1.234.567", None, "1234567"),
        ("0.125", None, "0.125"),
        ("1,250", ".", "1250"),
        ("1,250", ",", "1.250"),
    ],
)
def test_a_number_shows_its_decimal_sign(text: str, decimal: str | None, expected: str) -> None:
    assert number(text, decimal) == Decimal(expected)


@pytest.mark.parametrize(
    ("text", "decimal", "said"),
    [
        ("1,250", None, "1.250 or 1250; the decimal sign has to be said"),
        ("1.250", None, "1.250 or 1250"),
        ("1,5", ".", "a number with the decimal sign '.'"),
        ("12,34,567", None, "a number"),
        ("1e5", None, "a number"),
        ("(5)", None, "a number"),
        ("-", None, "a number"),
    ],
)
def test_what_is_no_number_or_may_be_two_is_refused(text: str, decimal: str | None, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")) as error:
        number(text, decimal)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("text", "own", "default", "expected"),
    [
        ("1 234,50 €", None, "USD", "EUR"),
        ("$1,234.50", None, "USD", "USD"),
        ("$1,234.50", "CAD", "EUR", "CAD"),
        ("USD 12", None, "EUR", "USD"),
        ("12", None, "EUR", None),
        ("12", "GBP", "EUR", "GBP"),
        ("$1,234.50", None, "EUR", ValueError),
        ("12 €", "USD", None, ValueError),
        ("EUR 12 $", None, None, ValueError),
    ],
)
def test_a_sign_or_code_says_the_currency_and_a_default_only_where_nothing_does(
    text: str, own: str | None, default: str | None, expected: str | type[ValueError] | None
) -> None:
    if not isinstance(expected, type):
        assert currency_of(money(text, None)[1], own, default, text) == expected
    else:
        with pytest.raises(ValueError, match="found"):
            currency_of(money(text, None)[1], own, default, text)


# -- times ------------------------------------------------------------------------------------------------------------


def test_a_day_and_month_that_may_be_the_other_way_round_are_refused() -> None:
    forms = ("%d/%m/%Y", "%m/%d/%Y", "iso")
    assert read_moment("25/03/2026", forms, ZoneInfo("UTC"))[0].isoformat() == "2026-03-25T00:00:00+00:00"
    with pytest.raises(ValueError, match="2026-04-03 or 2026-03-04: only one of the forms"):
        read_moment("03/04/2026", forms, ZoneInfo("UTC"))


def test_a_day_number_is_read_where_it_is_said_and_named_where_not() -> None:
    zone = ZoneInfo("Europe/Paris")
    assert read_moment("46082", ("excel",), zone)[0].isoformat() == "2026-03-01T00:00:00+01:00"
    assert read_moment("46082,4166666667", ("iso", "excel"), zone)[0].isoformat() == "2026-03-01T10:00:00+01:00"
    with pytest.raises(ValueError, match='spreadsheet\'s day number; the form "excel" reads those'):
        read_moment("46082", ("iso",), zone)
    for other in ("1772359200000", "4608", "99999", "46082.x"):
        with pytest.raises(ValueError, match="found"):
            read_moment(other, ("iso", "excel"), zone)


# -- text -------------------------------------------------------------------------------------------------------------

ENCODED = {
    "a byte order mark": codecs.BOM_UTF8,
    "UTF-16, little end first": codecs.BOM_UTF16_LE,
    "UTF-16, big end first": codecs.BOM_UTF16_BE,
}


def encoded(text: str, mark: bytes) -> bytes:
    name = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}[mark]
    return mark + text.encode(name)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", ENCODED.values(), ids=ENCODED)
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_format_reads_what_windows_writes(name: str, mark: bytes, packed: bool, tmp_path: Path) -> None:
    path, options = SAMPLES[name](tmp_path)
    plain = list(read_file(path, name, options))
    for file in path.iterdir() if path.is_dir() else [path]:
        text = file.read_text(encoding="utf-8").replace("\n", "\r\n")
        file.write_bytes(gzip.compress(encoded(text, mark)) if packed else encoded(text, mark))
    assert list(read_file(path, name, options)) == plain


def test_a_separator_of_lines_inside_a_text_is_no_end_of_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(encoded('{"a": "1\u2028\u0085é💥"}\n{"b": 2}\n', codecs.BOM_UTF16_LE))
    events = [item.event for item in read_file(path) if isinstance(item, FileEvent)]
    assert events == [{"a": "1\u2028\u0085é💥"}, {"b": 2}]


@pytest.mark.parametrize(("head", "said"), [(b"PK\x03\x04rest", "Excel workbook"), (b"\xd0\xcf\x11\xe0rest", "Excel workbook")])
@pytest.mark.parametrize("name", ["jsonl", "bpic12", "csv"])
def test_a_workbook_is_named(name: str, head: bytes, said: str, tmp_path: Path) -> None:
    path, options = SAMPLES[name](tmp_path)
    path.write_bytes(head)
    with pytest.raises(SourceFileError, match=said):
        list(read_file(path, name, options))


def test_half_a_character_of_utf_16_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(encoded('{"a": 1}\n', codecs.BOM_UTF16_LE)[:-1])
    with pytest.raises(SourceFileError, match=r"x\.jsonl: .*UTF-16"):
        list(read_file(path))


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b,a\n1,2,3\n")
    with pytest.raises(SourceFileError, match=r'x\.csv:1: column "a" is there more than once'):
        list(read_csv(path, ["a"]))
    assert len(list(read_csv(path, ["b"]))) == 1


def test_excels_line_on_the_delimiter_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("sep=;\r\na;b\r\n1;2\r\n")
    (row,) = read_csv(path, ["a", "b"], delimiter=";")
    assert not isinstance(row, FileReject)
    assert (row.line, row.fields) == (3, {"a": "1", "b": "2"})


# -- a mapping --------------------------------------------------------------------------------------------------------


def mapped(tmp_path: Path, text: str, mapping: str) -> list[FileEvent | FileReject]:
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    (tmp_path / "m.yaml").write_text(mapping, encoding="utf-8")
    return list(read_file(tmp_path / "x.csv", "csv", ReadOptions(mapping=tmp_path / "m.yaml")))


WON = "events: [{type: {value: deal.won}, time: at, subject: s, data: {amount: worth, account_id: account, currency: c}}]\n"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ('1,2026-03-01,"1 234,50 €",,', {"amount": "1234.50", "currency": "EUR"}),
        ('1,2026-03-01,"$1,234.50",,USD', {"amount": "1234.50", "currency": "USD"}),
        ('1,2026-03-01,"1,234",,', "worth: found '1,234', which is 1.234 or 1234; the decimal sign has to be said"),
        ('1,2026-03-01,"$5",,EUR', "worth: found '$5', but the currency of it is said to be EUR"),
        ("1,2026-03-01,5,1.2E+11,", "account: found '1.2E+11', an id that a spreadsheet has rounded"),
        ("1,46082,5,,", "at: found '46082', accepted is ISO 8601 (it looks like a spreadsheet's day number"),
        ("1,2026-03-01,5,,Euro", "deal.won: data.currency: found 'Euro', accepted is a code as in EUR"),
    ],
)
def test_a_mapped_row_is_understood_or_refused(row: str, expected: dict[str, str] | str, tmp_path: Path) -> None:
    (only,) = mapped(tmp_path, f"s,at,worth,account,c\n{row}\n", WON)
    if isinstance(expected, str):
        assert isinstance(only, FileReject)
        assert only.reason.startswith(expected)
    else:
        assert isinstance(only, FileEvent)
        assert only.event["data"] == expected


def test_words_are_known_in_any_case_and_a_closed_list_refuses_others(tmp_path: Path) -> None:
    mapping = (
        "events:\n"
        "- {type: {column: k, values: {Won: deal.won}, otherwise: skip}, when: {open: 'No'}, time: t, subject: s}\n"
        "- {type: {value: lead.qualified}, time: t, subject: s, data: {level: level}, when: {level: '*'}}\n"
    )
    found = mapped(tmp_path, "k,t,s,open,level\nWON,2026-01-01,a,no,\nwon,2026-01-02,b,NO,mql\nx,2026-01-03,c,no,warm\n", mapping)
    assert [(item.event["subject"], item.event["type"]) for item in found if isinstance(item, FileEvent)] == [
        ("a", "deal.won"),
        ("b", "deal.won"),
        ("b", "lead.qualified"),
    ]
    (reject,) = [item for item in found if isinstance(item, FileReject)]
    assert "'warm'" in reject.reason and "mql" in reject.reason


def test_a_scale_holds_for_every_form_of_a_number(tmp_path: Path) -> None:
    mapping = "events: [{type: {value: deal.won}, time: t, subject: s, data: {amount: {column: cents, scale: 0.01}}}]\n"
    found = mapped(tmp_path, "t,s,cents\n2026-01-01,a,125050\n2026-01-02,b,125 050\n", mapping)
    assert [item.event["data"]["amount"] for item in found if isinstance(item, FileEvent)] == ["1250.50", "1250.50"]


def test_what_vigie_writes_of_merged_entities_is_no_event_of_a_mapping(tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match=r'found "deal\.absorbed"; skip or an event type'):
        mapped(tmp_path, "t,s\n", "events: [{type: {value: deal.absorbed}, time: t, subject: s}]\n")


def test_a_row_that_is_left_out_on_purpose_is_told_from_one_that_is_wrong(tmp_path: Path) -> None:
    mapping = "events: [{type: {column: k, values: {W: deal.won}, otherwise: skip}, time: t, subject: s}]\n"
    found = mapped(tmp_path, "k,t,s\nO,2026-01-01,a\nW,soon,b\n", mapping)
    assert [(item.line, item.reason in ON_PURPOSE) for item in found if isinstance(item, FileReject)] == [(2, True), (3, False)]
