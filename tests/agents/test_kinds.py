"""A kind of receiver is one class: what is written, checked and said of it elsewhere is made of that."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from agents.notifiers import BUILT_IN, document, kinds, type_of
from agents.notifiers.base import ReceiverSettings

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
    assert kind.__doc__ and all(field.description for name, field in kind.model_fields.items() if name != "type")
    assert not kind.GUIDE or (ROOT / "docs" / kind.GUIDE).is_file()


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

    known = {**kinds(), "pager": PagerSettings}
    assert "## pager\nA pager.\n" in document.markdown(known) and "no morning's summary" in document.markdown(known)
    assert "  # - {name: belt, type: pager}\n" in document.examples(known)
    assert "PagerSettings" in {form["title"] for form in document.json_schema(known)["items"]["oneOf"]}
