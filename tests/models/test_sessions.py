"""What does one visit count for, and what do two become that a late event joins? By hand."""

import msgspec
import pytest

from models.folds import sessions
from models.folds.sessions import FORM_BEGUN, FORM_SENT, LAST, Session, cells, join, page_name
from models.measures import ENGAGEMENT


def counted(session: Session) -> dict[str, int]:
    return {ENGAGEMENT[slot].name: number for slot, number in cells(session)}


@pytest.mark.parametrize(("pages", "bounced"), [(0, 0), (1, 1), (2, 0)])
def test_a_visit_of_one_page_has_bounced(pages: int, bounced: int) -> None:
    found = counted(Session("s", 1_000, 61_000, pages))
    assert found == {"sessions": 1, "sessions_bounced": bounced, "session_millis": 60_000, "session_pages": pages}


def test_forms_that_were_begun_and_not_sent_were_left() -> None:
    forms = {"a": FORM_BEGUN, "b": FORM_BEGUN | FORM_SENT, "c": FORM_SENT, "d": FORM_BEGUN}
    found = counted(Session("s", 0, 0, 1, forms=forms))  # c was sent, and nobody told that it was begun
    assert (found["forms_begun"], found["forms_left"]) == (3, 2)


def test_two_visits_are_the_one_that_goes_from_the_first_to_the_last() -> None:
    one = Session("s", 5_000, 9_000, 2, "ads", "spring", (5_000, "e1"), (7_000, "e2"), 9_000, "/b", {"f": FORM_BEGUN})
    other = Session("t", 1_000, 8_000, 1, "web", "autumn", (6_000, "e0"), (6_500, "e3"), 8_000, "/z", {"f": FORM_SENT, "g": 1})
    expected = Session(
        "s", 1_000, 9_000, 3, "ads", "autumn", (5_000, "e1"), (6_500, "e3"), 9_000, "/b", {"f": FORM_BEGUN | FORM_SENT, "g": 1}
    )
    assert join(one, other) == expected
    assert join(other, one) == msgspec.structs.replace(expected, name="t")
    assert (one.pages, other.forms) == (2, {"f": FORM_SENT, "g": 1}), "both are as they were"


def test_the_source_is_that_of_the_earliest_event_that_named_one() -> None:
    silent, late = Session("s", 1, 2, 1), Session("s", 1, 2, 1, "ads", "spring", (9, "e"), (9, "e"))
    for found in (join(silent, late), join(late, silent)):
        assert (found.source, found.source_from) == ("ads", (9, "e"))
        assert (found.campaign, found.campaign_from) == ("spring", (9, "e"))
    nobody = join(silent, silent)
    assert (nobody.source, nobody.source_from, nobody.campaign_from) == (None, LAST, LAST)
    # Of two at one moment the first by id; of two pages at one moment the last by name.
    twins = [
        Session("s", 1, 2, 1, source, source_from=(5, key), exit_at=5, exit_page=key) for source, key in (("b", "2"), ("a", "1"))
    ]
    assert {(found.source, found.exit_page) for found in (join(*twins), join(*reversed(twins)))} == {("a", "2")}


def test_forms_are_those_of_either_and_so_many_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    with_form, without = Session("s", 1, 2, 1, forms={"f": FORM_SENT}), Session("s", 1, 2, 1)
    assert join(with_form, without).forms == join(without, with_form).forms == {"f": FORM_SENT}
    monkeypatch.setattr(sessions, "_MOST_FORMS", 2)
    both = join(Session("s", 1, 2, 1, forms={"c": 1, "b": 1}), Session("s", 1, 2, 1, forms={"a": 2}))
    assert both.forms == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/a/b", "/a/b"),
        ("/a?x=1#top", "/a"),
        ("/a#top?x", "/a"),
        ("?x", ""),
        ("/" + "é" * 200, "/" + "é" * 119),
        ("/" + "a" * 118 + "?x", "/" + "a" * 118),
    ],
)
def test_a_page_is_its_address_without_what_is_asked_of_it(address: str, name: str) -> None:
    assert page_name(address) == name
