"""Are the documents in docs/ those of the code, and is a difference noticed?"""

from pathlib import Path

import pytest
import yaml

from vigie.schemas import documents, drift, main, write

DOCS = Path(__file__).parents[2] / "docs"


def test_docs_are_up_to_date() -> None:
    assert drift(DOCS) == [], "run: python -m vigie.schemas --write docs"


def test_every_difference_is_noticed_and_mended(tmp_path: Path) -> None:
    assert write(tmp_path) == sorted(documents())
    assert drift(tmp_path) == []
    (tmp_path / "schemas/deal.won.json").write_text("{}", encoding="utf-8")
    (tmp_path / "schemas/deal.lost.json").unlink()
    (tmp_path / "schemas/deal.old.json").write_bytes(b"\xff")
    (tmp_path / "asyncapi.yaml").write_bytes(b"\xff")
    expected = ["asyncapi.yaml", "schemas/deal.lost.json", "schemas/deal.old.json", "schemas/deal.won.json"]
    assert drift(tmp_path) == expected
    assert write(tmp_path) == expected
    assert drift(tmp_path) == []


def test_the_document_is_plain_yaml() -> None:
    text = documents()["asyncapi.yaml"]
    assert yaml.safe_load(text)["asyncapi"] == "3.0.0"
    assert "&id" not in text


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(tmp_path)]) == 1
    assert "asyncapi.yaml: not what the code says" in capsys.readouterr().err
    assert main(["--write", str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0
