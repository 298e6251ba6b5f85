"""Who is behind an owner's id: from settings or a file, and what is said of mistakes."""

import hashlib
from pathlib import Path

import pytest

from models.owners import Owner, Owners
from stream.config.settings import SettingsError, load

HASH = hashlib.sha256(b"ann@example.com").hexdigest()
ANN = Owner("77", "Ann Lee", "north", HASH, "U012AB3CD")


def settings(tmp_path: Path, owners: str) -> Owners:
    path = tmp_path / "vigie.yaml"
    path.write_text(f"owners: {owners}\n")
    return load(path, {}).people


def test_a_table_in_the_settings(tmp_path: Path) -> None:
    table = '{"77": {name: Ann Lee, team: north, email: " Ann@Example.com", slack: U012AB3CD}, bob: Bob}'
    people = settings(tmp_path, table)
    assert list(people) == [ANN, Owner("bob", "Bob")]
    assert (people.get("77"), people.get("78"), people.get(None)) == (ANN, None, None)
    assert (people.name("77"), people.name("78")) == ("Ann Lee", "78")
    assert (people.mention("77"), people.mention("bob"), people.mention("x")) == ("<@U012AB3CD>", "Bob", "x")
    assert "ann@" not in repr(load(tmp_path / "vigie.yaml", {})).lower()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file(delimiter: str, tmp_path: Path) -> None:
    rows = ["Name,ID,Team,Email,Slack", '"Ann Lee",77,north,ann@example.com,U012AB3CD', "Bob,bob,,,", ""]
    file = tmp_path / "owners.csv"
    file.write_text("\ufeff" + "\r\n".join(rows).replace(",", delimiter), "utf-8")
    assert list(settings(tmp_path, str(file))) == [ANN, Owner("bob", "Bob")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,team\n1,x\n", ["owners.csv:1: found the columns id, team (accepted: id, name, team, email, email_hash, slack"]),
        ("id,name,phone\n", ["found the columns id, name, phone"]),
        ("", ["found the columns none"]),
        ("id,name\n1,Ann\n1,Bob\n,Eve\n2,\n", [":3: id: '1' is there twice", ":4: id: empty", ":5: name: Field required"]),
        ("id,name,slack\n1,Ann,@ann\n", [":2: slack: String should match pattern"]),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(text: str, said: list[str], tmp_path: Path) -> None:
    (tmp_path / "owners.csv").write_text(text)
    with pytest.raises(SettingsError) as error:
        settings(tmp_path, str(tmp_path / "owners.csv"))
    assert len(error.value.problems) == len(said)
    for problem, part in zip(error.value.problems, said, strict=True):
        assert part in problem


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nobody.csv: .*accepted: a CSV file in UTF-8"):
        settings(tmp_path, "nobody.csv")
