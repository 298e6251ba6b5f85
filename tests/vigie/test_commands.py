"""What do the commands answer to a person: help, wrong usage, refusals? No broker is needed here."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import typer
from typer.testing import CliRunner, Result

from alert_rules.words.language import SOURCE
from alert_rules.words.reader import LANGUAGES
from models.events.refused import Reason
from stream.ledger.store import Ledger
from vigie import common, kpis, publish
from vigie.__main__ import Commands, app

WHOLE = {name: place.load(name) for name, place in Commands.places.items()}


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but the test's own: neither a vigie.yaml nor variables of whoever runs the tests."""
    for name in os.environ:
        if name.startswith("VIGIE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def vigie(*arguments: object, **environment: str) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], env={f"VIGIE_{k}": v for k, v in environment.items()})


def every_command() -> Iterator[list[str]]:
    def below(command: object, path: list[str]) -> Iterator[list[str]]:
        for name, sub in getattr(command, "commands", {}).items():
            yield [*path, name]
            yield from below(sub, [*path, name])

    for name, sub in WHOLE.items():
        yield [name]
        yield from below(sub, [name])


@pytest.mark.parametrize("command", [pytest.param(c, id=" ".join(c)) for c in every_command()])
def test_help_says_what_every_command_does(command: list[str]) -> None:
    found = WHOLE[command[0]]
    for name in command[1:]:
        found = found.commands[name]
    result = vigie(*command, "--help")
    assert result.exit_code == 0
    sentence = (found.help or "").split("\n")[0]
    assert len(sentence) > 15, "a sentence, at least"
    assert sentence.split()[0] in result.output
    for option in found.params:
        assert getattr(option, "help", "x"), f"{' '.join(command)} {option.name}: no help"


def test_the_help_says_of_each_command_what_it_says_itself_and_imports_none() -> None:
    for name, place in Commands.places.items():
        assert " ".join((WHOLE[name].help or "").split("\n\n")[0].split()) == place.help, name
    code = "import sys, vigie.__main__ as m; m.app(['--help'], standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "sources" in found.stdout
    assert not {"stream", "agents", "models", "faust", "fastapi", "confluent_kafka", "scipy"} & set(found.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ([], {}, "Usage"),
        (["no-such-command"], {}, "No such command"),
        (["up", "--port", "many"], {}, "--port"),
        (["publish"], {}, "Missing argument"),
        (["publish", "nothing.jsonl"], {}, "does not exist"),
        (["worker"], {}, "kafka.brokers: found 'embedded'; a worker needs a Kafka (VIGIE_KAFKA__BROKERS=host:9092)"),
        (["publish", ".", "--format", "xml"], {"KAFKA__BROKERS": "k:9"}, "--format: found 'xml'; accepted: jsonl"),
        (["topics", "create"], {}, "'embedded', which makes its own topics"),
        (["topics", "check"], {}, "'embedded', which makes its own topics"),
        (["dead-letters", "list", "--reason", "bad"], {"KAFKA__BROKERS": "k:9"}, f"accepted: {Reason.NO_VALUE}"),
        (["dead-letters", "redrive"], {"KAFKA__BROKERS": "k:9"}, "say which: ids, --reason or --all"),
        (["dead-letters", "show"], {}, "Missing argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], environment: dict[str, str], said: str) -> None:
    result = vigie(*arguments, **environment)
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize("command", ["up", "worker", "web", "publish .", "topics create", "dead-letters list", "doctor"])
def test_every_problem_of_the_settings_is_said_with_its_path(command: str) -> None:
    result = vigie(*command.split(), KAFKA__PARTITIONS="none", BUSINESS__CURRENCY="euro", WEB__PORT="99999")
    assert result.exit_code == 1
    for path in ("kafka.partitions", "business.currency", "web.port"):
        assert path in result.output
    assert "Traceback" not in result.output


def test_an_empty_variable_is_an_empty_text() -> None:
    assert vigie("doctor", "--json", KAFKA__TOPIC_PREFIX="", WEB__PORT="1").exit_code == 0


def test_messages_are_one_line_each_however_narrow_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("TERM", "dumb")
    result = vigie("worker")
    assert len(result.stderr.splitlines()) == 1
    assert "\x1b" not in result.stderr


# -- doctor ----------------------------------------------------------------------------------------------------------------


def test_doctor_tells_one_machine_from_kafka_and_needs_no_instance(tmp_path: Path) -> None:
    settings = {"WEB__PORT": "1", "DATA_DIR": str(tmp_path / "data")}
    result = vigie("doctor", "--json", **settings)
    report = orjson.loads(result.stdout)
    assert result.exit_code == 0 and report["ok"]
    found = {finding["check"]: finding for finding in report["findings"]}
    assert found["ledger"]["level"] == "OK" and "not there yet" in found["ledger"]["found"]
    assert found["instance"]["level"] == "WARN" and "vigie up" in found["instance"]["do"]
    assert found["redis"]["level"] == "OK"
    text = vigie("doctor", **settings).stdout
    assert all(line.startswith(("OK ", "WARN ", "FAIL ", "   ")) for line in text.splitlines())


def test_doctor_says_what_is_wrong_with_the_ledger(tmp_path: Path) -> None:
    (tmp_path / "vigie.db").write_bytes(b"no database" * 1000)
    result = vigie("doctor", "--json", WEB__PORT="1", DATA_DIR=str(tmp_path))
    found = {finding["check"]: finding for finding in orjson.loads(result.stdout)["findings"]}
    assert found["ledger"]["level"] == "FAIL" and "vigie restore" in found["ledger"]["do"]


def test_a_ledger_is_checked_copied_and_put_back(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy.vigie"
    assert "no such file" in vigie("check", DATA_DIR=str(data)).stderr
    ledger = Ledger(data / "vigie.db")
    assert vigie("backup", copy, DATA_DIR=str(data)).exit_code == 0
    assert vigie("backup", copy, DATA_DIR=str(data)).exit_code == 1, "nothing is overwritten"
    assert "held by process" in vigie("restore", copy, DATA_DIR=str(data)).stderr
    ledger.close()
    assert vigie("restore", copy, DATA_DIR=str(data)).exit_code == 0
    assert vigie("check", DATA_DIR=str(data)).exit_code == 0
    assert vigie("backup", copy, KAFKA__BROKERS="kafka:9092").exit_code == 2


def test_doctor_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "kpis.yaml").write_text("win_rate: 3\n")
    environment = {
        "KPI_FILES": f"[{tmp_path / 'kpis.yaml'}]",
        "REDIS__URL": "redis://:secret@127.0.0.1:1/0",
        "RECEIVERS": "[{name: ops, type: http, url: 'http://user:hidden@example.com/x'}]",
        "DATA_DIR": "/proc/nothing",
        "WEB__PORT": "1",
    }
    result = vigie("doctor", "--json", **environment)
    assert result.exit_code == 1
    assert (
        "secret" not in result.stdout.replace("receivers.secret", "").replace("no secret", "") and "hidden" not in result.stdout
    )
    report = orjson.loads(result.stdout)
    found = {(finding["check"], finding["level"]) for finding in report["findings"]}
    assert {("kpis", "FAIL"), ("redis", "WARN"), ("receivers", "WARN"), ("disk", "WARN")} <= found
    assert all(finding["do"] for finding in report["findings"] if finding["level"] != "OK")


# -- logging and publishing ------------------------------------------------------------------------------------------------


def test_services_of_the_engine_do_not_chatter(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        common.log_to_stderr("info")
        log = logging.getLogger("stream.engine.store")
        log.info("[^-%s]: Starting...", "FoldTables")
        log.warning("[^-FoldTables]: something is wrong")
        log.info("restored %d partitions", 3)
        logging.getLogger("aiokafka").info("joined")
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("Z ", 1)[1] for line in lines] == [
        "WARNING stream.engine.store: [^-FoldTables]: something is wrong",
        "INFO stream.engine.store: restored 3 partitions",
    ]


def test_a_refusal_inside_a_running_command_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        common.refuse("no", 2)

    with pytest.raises(typer.Exit) as left:
        common.run(main())
    assert left.value.exit_code == 2
    assert capsys.readouterr().err == "vigie: no\n"


def test_lines_of_a_file_are_events_or_reasons(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_bytes(b'{"type":"deal.won","id":"1"}\n\n{broken\n')
    found = list(publish.lines([file], "jsonl", None, "UTC"))
    assert [(line, bool(why)) for line, _, why in found] == [(1, False), (3, True)]


HOSTILE = "[/] \x1b[2J\x9b31m\u202eann\n2026-01-01T00:00:00Z ERROR forged"


def test_a_hostile_name_is_text_in_tables_and_refusals(capsys: pytest.CaptureFixture[str]) -> None:
    reading = {"kpi": "sales", "window": "7d", "segment": {"source": HOSTILE}, "value": 1, "unit": "count", "why": HOSTILE}
    kpis._print([reading], LANGUAGES[SOURCE])
    with pytest.raises(typer.Exit):
        common.refuse(f"source {HOSTILE}")
    out, err = capsys.readouterr()
    assert "[/]" in out and "[/]" in err
    assert not any(sign in out + err for sign in "\x1b\x9b\u202e")


def test_a_hostile_name_makes_no_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    common.log_to_stderr("info")
    logging.getLogger("vigie.test").warning("source %s", HOSTILE)
    first, second = capsys.readouterr().err.splitlines()
    assert "WARNING vigie.test: source [/]" in first and second.startswith("    2026")
    assert not any(sign in first + second for sign in "\x1b\x9b\u202e")
