"""Does an import by ``vigie publish`` say which deals it has understood?"""

from pathlib import Path
from typing import Any

import pytest

from stream.config.settings import Settings
from vigie import publish
from vigie.imported import Imported


class Acknowledging:
    """A publisher whose broker has everything at once."""

    def __init__(self, *_: object, **__: object) -> None:
        self.sent = self.acknowledged = self.failed = 0
        self.errors: list[str] = []

    def publish(self, value: bytes) -> None:
        self.sent += 1
        self.acknowledged += 1

    def poll(self) -> None:
        """Nothing is under way."""

    def flush(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("word", "code", "said"),
    [
        ("Gagnée", 0, "deals: 2 created, 1 won, 0 lost, 1 open, 0 unmapped"),
        ("Perdue", 0, "no deal is won or lost: does the mapping know the file's words for it?"),
    ],
)
def test_the_counts_are_said(
    word: str, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, mapping = tmp_path / "x.csv", tmp_path / "m.yaml"
    path.write_text(f"s,made,closed,k\nA,2026-01-01,2026-02-01,{word}\nB,2026-01-02,,En cours\n")
    mapping.write_text(
        "events:\n"
        "- {type: {value: deal.created}, time: made, subject: s}\n"
        "- {type: {column: k, values: {gagnée: deal.won}, otherwise: skip}, when: {closed: '*'}, time: closed, subject: s}\n"
    )
    assert publish.publish(Settings(), [path], "csv", mapping, 0, Acknowledging()) == code  # type: ignore[arg-type]
    assert said in capsys.readouterr().err


def event(kind: str, subject: str = "1") -> dict[str, Any]:
    return {"type": kind, "subject": subject}


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["deal.created", "deal.won", "deal.reopened"], {"created": 1, "won": 0, "lost": 0, "open": 1}),
        (["deal.created", "deal.lost", "deal.updated", "deal.activity"], {"created": 1, "won": 0, "lost": 1, "open": 0}),
        (["deal.won", "deal.created"], {"created": 1, "won": 1, "lost": 0, "open": 0}),
        (["deal.created", "deal.deleted"], {"created": 1, "won": 0, "lost": 0, "open": 0}),
        (["deal.stage_changed"], {"created": 0, "won": 0, "lost": 0, "open": 0}),
    ],
)
def test_a_deal_counts_as_it_stands_at_the_end(kinds: list[str], expected: dict[str, int]) -> None:
    imported = Imported()
    for kind in kinds:
        imported.take(event(kind))
    assert imported.counts()["deals"] == expected
    assert imported.none_closed is (expected["created"] == 1 and not {"deal.won", "deal.lost"} & set(kinds))
