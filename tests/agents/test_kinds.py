"""A kind of receiver is one class: what is written, checked and said of it elsewhere is made of that."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from aiohttp import web

from agents.notifiers import BUILT_IN, document, kinds, type_of
from agents.notifiers.base import ReceiverSettings
from alert_rules.tell.outcome import Rejected, Retry, Sent
from tests.agents.doubles import delivery, receiver

ROOT = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("kind", BUILT_IN, ids=type_of)


@EACH
def test_its_example_is_an_entry_of_its_own_type(kind: type[ReceiverSettings]) -> None:
    found = yaml.safe_load(f"- {kind.EXAMPLE}")[0]
    assert found["type"] == type_of(kind) and set(found) <= set(kind.model_fields)
    assert {name for name, field in kind.model_fields.items() if field.is_required()} <= set(found)
    schema = document.json_schema({type_of(kind): kind})
    jsonschema.validate([found | {"place": "abc1"} if "place" in found else found], schema)
    assert f"- {kind.EXAMPLE}" in (ROOT / "vigie.example.yaml").read_text("utf-8")


@EACH
def test_what_it_takes_is_described_and_its_guide_is_there(kind: type[ReceiverSettings]) -> None:
    assert kind.__doc__ and set(document.described(kind)) == set(kind.model_fields) - {"type"}
    assert not kind.GUIDE or (ROOT / "docs" / kind.GUIDE).is_file()


@EACH
def test_its_guide_is_found_from_the_index_and_from_the_page_on_alerts(kind: type[ReceiverSettings]) -> None:
    for page in ("README.md", "alerts.md"):
        assert not kind.GUIDE or f"]({kind.GUIDE})" in (ROOT / "docs" / page).read_text("utf-8"), page


def test_what_is_a_secret_is_marked_as_one() -> None:
    words = {"token", "secret", "password", "key", "url", "routing_key", "signing_secret"}
    for kind in BUILT_IN:
        for name, field in kind.model_fields.items():
            assert (name in words) == ("SecretStr" in str(field.annotation)), f"{type_of(kind)}.{name}"


def test_a_new_kind_is_in_every_document() -> None:
    class PagerSettings(ReceiverSettings):
        """A pager."""

        type: "str" = "pager"
        EXAMPLE = "{name: belt, type: pager}"
        READS_SUMMARIES = False

        def notifier(self) -> None:  # type: ignore[override]
            """Nothing."""

    known: dict[str, Any] = {**kinds(), "pager": PagerSettings}
    assert "## pager\nA pager.\n" in document.markdown(known) and "no morning's summary" in document.markdown(known)
    assert "  # - {name: belt, type: pager}\n" in document.examples(known)
    assert "PagerSettings" in {form["title"] for form in document.json_schema(known)["items"]["oneOf"]}


async def test_the_one_of_the_page_for_contributors_works_as_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "class PagerSettings" in block]
    (tmp_path / "printed_pager.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    settings: Any = import_module("printed_pager").PagerSettings
    async with receiver(body=b"beeped") as server:
        pager = settings(name="belt", type="pager", url=server.url, token="t0psecret", beeps=10)
        notifier = pager.notifier()
        assert await notifier.send(delivery()) == Sent()
        server.body = b"<html>"
        assert isinstance(await notifier.send(delivery()), Retry)
        server.answers = [web.Response(status=404)]
        assert await notifier.send(delivery()) == Rejected("there is no such pager")
        await notifier.close()
    assert server.received[0].body.startswith(b"10 [CRITICAL] Win rate")
    assert [doubt.found for doubt in pager.doubts()] == ["it beeps more than nine times"]
    assert "t0psecret" not in repr(pager) + repr(notifier)
    assert type_of(settings) == "pager" and "`beeps` | `3` | how often it beeps" in document.markdown({"pager": settings})
