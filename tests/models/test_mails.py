"""What does one e-mail count for, in whatever order it is told what became of it?"""

from itertools import permutations
from typing import Any

import msgspec
import pytest

from models.events import engagement as events
from models.folds import mails
from models.folds.mails import Mail, Mails, note
from models.measures import ENGAGEMENT

SENT, OPENED, CLICKED, BOUNCED = events.EmailSent, events.EmailOpened, events.EmailClicked, events.EmailBounced


def told(cls: Any, **data: Any) -> Any:
    """An event of an e-mail to a lead."""
    kind = {SENT: "sent", OPENED: "opened", CLICKED: "clicked", BOUNCED: "bounced"}[cls]
    body = {
        "specversion": "1.0",
        "id": "e1",
        "source": "test",
        "type": f"email.{kind}",
        "time": "2026-11-21T10:00:00Z",
        "subject": "L1",
        "data": {"message_id": "m1", **data},
    }
    return msgspec.convert(body, cls, strict=False)


def counted(mail: Mail) -> list[str]:
    return [ENGAGEMENT[slot].name.removeprefix("mails_") for slot, number in mail.cells if number == 1]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ((SENT,), ["delivered"]),
        ((SENT, OPENED), ["delivered", "opened"]),
        ((SENT, CLICKED), ["delivered", "opened", "clicked"]),  # who has clicked has opened
        ((SENT, OPENED, CLICKED), ["delivered", "opened", "clicked"]),
        ((SENT, BOUNCED), []),
        ((SENT, OPENED, BOUNCED), []),
        ((OPENED, CLICKED), []),  # nobody has told yet that it was sent
    ],
)
def test_it_counts_once_whatever_is_told_of_it_first(classes: tuple[Any, ...], expected: list[str]) -> None:
    for order in permutations(classes):
        kept: Mails = {}
        for cls in (*order, *order):
            before = kept.get("m1", Mail())
            assert note(kept, told(cls), 120_000) == (before, kept["m1"])
        assert counted(kept["m1"]) == expected
        assert kept["m1"].minute == (2 if SENT in classes else 0)


def test_it_was_sent_the_first_time_that_it_was_told() -> None:
    for order in permutations(((180_000, "ads", "b"), (120_000, "mail", "a"))):
        kept: Mails = {}
        for at, channel, campaign in order:
            note(kept, told(SENT, channel=channel, campaign=campaign), at)
        assert kept == {"m1": Mail(120_000, 0, "mail", "a")}
    kept = {}
    note(kept, told(SENT), 120_000)
    assert kept == {"m1": Mail(120_000, 0, "", "")}


@pytest.mark.parametrize("data", [{"count": 2}, {"message_id": None}, {"message_id": ""}])
def test_what_stands_for_several_is_no_single_one(data: dict[str, Any]) -> None:
    kept: Mails = {}
    assert note(kept, told(SENT, **data), 120_000) is None and kept == {}


def test_a_machine_opens_nothing_and_a_visit_is_no_mail() -> None:
    kept: Mails = {}
    assert note(kept, told(OPENED, machine=True), 120_000) is None and kept == {}
    assert note(kept, told(OPENED, machine=False), 120_000) is not None
    ad = msgspec.convert({**msgspec.to_builtins(told(SENT)), "type": "ad.clicked"}, events.AdClicked, strict=False)
    assert note(kept, ad, 120_000) is None


def test_so_many_are_kept_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mails, "_KEPT", 2)
    kept: Mails = {}
    for name, at in (("b", 200), ("c", 100), ("a", 100), ("d", 300)):
        note(kept, told(SENT, message_id=name), at)
    # With the third there are too many: of the two oldest a goes, by name, and c when d comes.
    assert kept.keys() == {"b", "d"}
