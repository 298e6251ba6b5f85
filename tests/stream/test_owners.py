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
        ("id,team\n1,x\n", ["owners.csv:1: no column name (accepted: the columns id, name, team, email, email_hash, slack"]),
        ("id,name,phone\n", [":1: the name of column 3 is not known"]),
        ("id,name,id\n", [":1: id is there twice"]),
        ("", [":1: no column id; no column name (accepted"]),
        ("77,Ann Secret\n", [":1: no column id; no column name; the name of column 1, 2 is not known (accepted"]),
        ("id,name\n1,Ann\n1,Bob\n,Eve\n2,\n", [":3: id: the same as in line 2", ":4: id: empty", ":5: name: Field required"]),
        ("id,name,slack\n1,Ann,@ann\n", [":2: slack: String should match pattern"]),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(text: str, said: list[str], tmp_path: Path) -> None:
    (tmp_path / "owners.csv").write_text(text)
    with pytest.raises(SettingsError) as error:
        settings(tmp_path, str(tmp_path / "owners.csv"))
    assert len(error.value.problems) == len(said)
    for problem, part in zip(error.value.problems, said, strict=True):
        assert part in problem and "Secret" not in problem


@pytest.mark.parametrize(
    ("owners", "said"),
    [
        (
            '{"77": {nmae: Secret}}',
            ["owners.77.name: Field required", 'owners.77.nmae: there is no such setting (did you mean "name"?)'],
        ),
        ('{"77": {name: Ann, slack: "@secret"}}', ["owners.77.slack: String should match pattern '^[UW][A-Z0-9]{2,20}$'"]),
        ("{77: Secret}", ["owners.77: a key that is no text (accepted: text, in quotation marks)"]),
        ("[Secret]", ["owners: found a list (accepted: a table, or the path of a file)"]),
        ("7", ["owners: found a number (accepted: a table, or the path of a file)"]),
    ],
)
def test_what_is_wrong_with_a_table_is_said_once_without_its_values(owners: str, said: list[str], tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        settings(tmp_path, owners)
    assert [problem.split(": ", 1)[1] for problem in error.value.problems] == said


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nobody.csv: .*accepted: a CSV file in UTF-8"):
        settings(tmp_path, "nobody.csv")
