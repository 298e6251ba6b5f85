"""Is all that an operator writes read in one way: file, line, key, found, accepted, and no key twice?"""

from collections.abc import Callable
from pathlib import Path

import pytest

from models.config.problem import FileProblem
from models.config.yaml_text import NotYaml, YamlText
from models.kpis.catalogue import CatalogueError
from stream.config.kpi_files import load_catalogue
from stream.config.settings import SettingsError, load
from stream.config.yaml_file import open_yaml
from stream.sources.files.mapping import load_mapping
from stream.sources.files.text import SourceFileError
from vigie.routes import load_alerting
from vigie.rule_files import check
from vigie.scenario import RuleScenarioError
from vigie.scenario import _read as read_scenario


def _settings(file: Path) -> str:
    with pytest.raises(SettingsError) as error:
        load(file, {})
    return str(error.value)


def _plan(file: Path) -> str:
    settings = load(None, {}, receivers=[{"name": "c", "type": "console"}], alerting=file)
    with pytest.raises(SettingsError) as error:
        load_alerting(settings)
    return str(error.value)


def _kpis(file: Path) -> str:
    with pytest.raises(CatalogueError) as error:
        load_catalogue([file])
    return str(error.value)


def _rules(file: Path) -> str:
    return "\n".join(map(str, check(load_catalogue(), [file.parent]).problems))


def _scenario(file: Path) -> str:
    with pytest.raises(RuleScenarioError) as error:
        read_scenario(file)
    return str(error.value)


def _mapping(file: Path) -> str:
    with pytest.raises(SourceFileError) as error:
        load_mapping(file)
    return str(error.value)


READERS: dict[str, Callable[[Path], str]] = {
    "settings": _settings, "a plan": _plan, "KPIs": _kpis, "rules": _rules, "a scenario": _scenario, "a mapping": _mapping,
}  # fmt: skip


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_key_that_is_there_twice_is_refused_with_its_line(read: Callable[[Path], str], tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("one: {a: 1,\n  b: 2,\n  a: 3}\ntwo: 1\none: 2\n")
    said = read(file)
    assert f"{file}:3: one.a: given twice (accepted: each key once)" in said
    assert f"{file}:5: one: given twice (accepted: each key once)" in said


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_cannot_be_read_is_said_and_not_quoted(read: Callable[[Path], str], tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("token: [hunter2\n")
    assert f"{file}: not YAML: line 2" in (said := read(file)) and "hunter2" not in said
    file.write_bytes(b"a: \xff\n")
    assert f"{file}: cannot be read: not UTF-8" in read(file)


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (_settings, "kafka:\n  brokesr: x\n", '{file}:2: kafka.brokesr: there is no such setting (did you mean "brokers"?)'),
        (_plan, "route: {receiver: c}\nrouts: 1\n", '{file}:2: alerting.routs: unknown key "routs" (did you mean "route"?)'),
        (
            _plan,
            "alerting:\n  route:\n    receiver: c\n    group_wiat: 1s\n",
            '{file}:4: alerting.route.group_wiat: unknown key "group_wiat" (did you mean "group_wait"?)',
        ),
        (_kpis, "x:\n  formulla: leads\n", '{file}:2: x: formulla: unknown key "formulla" (did you mean "formula"?)'),
        (_rules, "id: mine\nkpii: leads\n", '{file}:2: kpii: unknown key "kpii" (did you mean "kpi"?)'),
        (_scenario, "events: []\nexpct: []\n", '{file}: : unknown key "expct" (did you mean "expect"?)'),
        (_mapping, "evnts: []\n", '{file}:1: evnts: there is no such setting (did you mean "events"?)'),
    ],
)
def test_an_unknown_key_is_said_with_its_line_and_what_was_meant(
    read: Callable[[Path], str], text: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert said.format(file=file) in read(file)


def test_lines_of_what_is_merged_and_named_in_messages(tmp_path: Path) -> None:
    text = YamlText("base: &b\n  a: 1\nuse:\n  <<: *b\n  list:\n    - x: 1\n    - y: 2\n")
    assert text.tree["use"]["a"] == 1 and text.repeated == []
    assert [text.line(place) for place in ("use.list[1].y", ("use", "list", 0), "use.nothing", "")] == [7, 6, 3, None]
    again: dict[str, object] = YamlText("a: &a\n  b: *a\n").tree
    assert again["a"] is again["a"]["b"]  # type: ignore[index]
    problems: list[FileProblem] = []
    assert open_yaml(tmp_path / "none.yaml", problems).tree is None
    assert str(problems[0]) == f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory"
    with pytest.raises(NotYaml, match="not YAML"):
        YamlText("[" * 5000)
