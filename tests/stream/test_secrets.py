"""Does anything that is said of a settings file quote a value of it? Every secret, misspelt and in other accidents."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel, SecretStr
from typer.testing import CliRunner

from models.kpis.catalogue import CatalogueError
from stream.config.kpi_files import load_catalogue
from stream.config.settings import ReceiverSettings, Settings, SettingsError, load
from stream.ingest.door import sources_of
from stream.sources.crm.settings import SECRET_NAMES, SourceSettings
from tests.stream.web.web import application, client
from vigie.__main__ import app
from vigie.instance import Instance
from vigie.reload import Reloader

MARK = "hunter2-0123456789abcdef0123456789abcdef"


def secrets(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every secret among the settings; ``[]`` for an entry of a list."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        parts = [annotation, *get_args(annotation)]
        if SecretStr in parts:
            yield (*above, name)
        for part in parts:
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from secrets(part, (*above, name, *(["[]"] if "list" in str(annotation) else [])))


PATHS = [*secrets(Settings), *[("sources", "hubspot", name) for name in ("secrets", "password", "token", *SECRET_NAMES)]]
#: Sources are read at the start only, and are all of one section.
LIVE = [path for path in PATHS if path[0] != "sources"]


def placed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    tree: Any = value
    for name in reversed(path):
        tree = [tree] if name == "[]" else {name: tree}
    return tree  # type: ignore[no-any-return]


def cases() -> Iterator[Any]:
    for path in PATHS:
        said = ".".join(path)
        *above, name = path
        for what, wrong in (
            ("misspelt", yaml.safe_dump(placed((*above, name[:-2] + name[-1]), MARK))),
            ("a list", yaml.safe_dump(placed(path, [{"x": [MARK]}]))),
            ("too short or a number", yaml.safe_dump(placed(path, 1234567))),
            ("in place of its section", yaml.safe_dump(placed((*above,), MARK)) if above[-1:] != ["[]"] else f"x: {MARK}"),
            ("no space", yaml.safe_dump(placed((*above,), "HERE")).replace("HERE", f"{{{name}:{MARK}}}")),
            ("a line of no YAML", f"{name}: {MARK}: x"),
            ("a quote left open", f'{name}: "{MARK}'),
            ("an alias", f"{name}: *{MARK}"),
            ("a tag", f"{name}: !{MARK} x"),
            ("a second key on the line", f"web: {{port: 1}}\n{name} {MARK}"),
            ("a control character", f"{name}: {MARK}\x01"),
        ):
            yield pytest.param(wrong, id=f"{said} {what}")
    for where in (
        "metrics.windows",
        "receivers",
        "targets",
        "crm_urls",
        "business.timezone",
        "redis.url",
        "web.port",
        "models.start",
    ):
        yield pytest.param(yaml.safe_dump(placed(tuple(where.split(".")), MARK)), id=f"{where} holds one")
    yield pytest.param(f"redis: {{url: 'redis://:{MARK}/x@host:6379'}}", id="a password with a slash")
    yield pytest.param(f"redis: {{url: 'redis://:{MARK}]@[host'}}", id="a password with a bracket")
    yield pytest.param(f"sources: {{hubspot: {{adapter: {MARK}}}}}", id="an adapter")
    yield pytest.param(f"sources: {{hubspot: {{networks: [{MARK}]}}}}", id="a network")
    yield pytest.param(f"sources: {{own: {{adapter: standard, mapping: {{rules: [{{type: {MARK}}}]}}}}}}", id="a mapping")
    yield pytest.param(f"collect: {{sites: {{x: {{key: {MARK}, origins: [{MARK}]}}}}}}", id="an origin")


def test_there_are_secrets_to_walk() -> None:
    assert len(PATHS) >= 25
    assert ("receivers", "[]", "signing_secret") in PATHS
    assert ("web", "links", "keys", "[]", "key") in PATHS
    assert {name for name, field in ReceiverSettings.model_fields.items() if "Secret" in str(field.annotation)} <= {
        path[-1] for path in PATHS
    }
    assert "token" in SourceSettings.model_fields


def silent(text: str) -> bool:
    return MARK not in text and MARK.swapcase() not in text and "1234567" not in text and not re.search(MARK[:7], text)


def chain(error: BaseException | None) -> Iterator[str]:
    """Yield all that a traceback could show of an error, with what it came of."""
    while error is not None:
        yield f"{error!s} {error!r}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("text", list(cases()))
def test_no_error_quotes_a_value(text: str, tmp_path: Path) -> None:
    config = tmp_path / "vigie.yaml"
    config.write_text(text)
    try:
        settings = load(config, {})
        sources_of(settings)
    except SettingsError as error:
        said = list(chain(error))
        assert all(silent(one) for one in said), said
        assert "vigie.yaml" in said[0] or "sources." in said[0]
    else:  # a value that fits: nothing is said, and the settings do not tell it either
        assert silent(repr(settings))


@pytest.mark.parametrize("path", [*LIVE, PATHS[-1]], ids=".".join)
def test_a_misspelt_key_in_the_doctor_and_at_the_start(path: tuple[str, ...], tmp_path: Path) -> None:
    config = tmp_path / "vigie.yaml"
    config.write_text(yaml.safe_dump(placed((*path[:-1], path[-1][:-2] + path[-1][-1]), MARK)))
    for command in ("doctor", "up"):
        result = CliRunner().invoke(app, [command, "--config", str(config)])
        assert result.exit_code == 1
        assert silent(result.output + result.stderr), result.output
        assert all(silent(one) for one in chain(result.exception))


async def test_a_live_file_that_goes_wrong_tells_nobody_its_values(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = tmp_path / "vigie.yaml"
    known = {"kafka": {"brokers": "127.0.0.1:1", "partitions": 2}}
    config.write_text(yaml.safe_dump(known))
    instance = Instance(load(config, {}), "127.0.0.1:1")
    reloader = Reloader(instance, lambda: load(config, {}), config)
    web = application()
    web.state.vigie.warnings.append(reloader.warnings)
    caplog.set_level(logging.DEBUG)
    async with client(web) as http:
        for path in LIVE:
            config.write_text(yaml.safe_dump(known | placed((*path[:-1], path[-1][:-2] + path[-1][-1]), MARK)))
            reloader.reload()
            said = [(await http.get("/readyz")).text, str(web.state.vigie.live._state()), *reloader.problems]
            assert all(silent(one) for one in said), path
            assert reloader.problems, path
    assert silent(caplog.text)


def test_the_environment_is_not_quoted_either(tmp_path: Path) -> None:
    environ = {
        "VIGIE_KAFKA__SASL_PASWORD": MARK,
        "VIGIE_KAFKA__SASL_PASSWORD_FILE": f"/nowhere/{MARK}",
        "VIGIE_WEB__OPERATORS": f"[{{name: ann, token: {MARK}: }}]",
        "VIGIE_WEB__PORT": MARK,
    }
    with pytest.raises(SettingsError) as error:
        load(environ=environ)
    assert all(silent(one) for one in chain(error.value))
    for name in environ:
        assert f"environment: {name}" in str(error.value)


def test_where_it_is_and_what_may_have_been_meant_is_said(tmp_path: Path) -> None:
    config = tmp_path / "vigie.yaml"
    config.write_text(f"kafka:\n  brokers: a:1\n  sasl_pasword: {MARK}\nreceivers:\n- name: x\n  type: slak\n")
    with pytest.raises(SettingsError) as error:
        load(config, {})
    assert f'{config}:3: kafka.sasl_pasword: there is no such setting (did you mean "sasl_password"?)' in error.value.problems
    assert f"{config}:6: receivers.0.type: " in str(error.value)
    assert '(did you mean "slack"?)' in str(error.value)


def test_a_file_of_kpis_is_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "kpis.yaml"
    file.write_text(f"x: {MARK}: y")
    with pytest.raises(CatalogueError) as error:
        load_catalogue([file])
    assert all(silent(one) for one in chain(error.value))
