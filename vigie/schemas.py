"""Are the generated documents in ``docs/`` (contract, KPIs, retention, personal data, form of rules,
receivers) those that the code would write, and what is generated inside of others?"""

import argparse
import sys
from pathlib import Path

import orjson
import yaml

from agents.notifiers import BUILT_IN, document, type_of
from alert_rules.judge import life_table
from alert_rules.parse.document import json_schema
from alert_rules.records.schemas import json_schemas as record_schemas
from models.business import Business
from models.events.schemas import asyncapi, json_schemas
from models.kpis.document import markdown
from stream.config.kpi_files import load_catalogue
from stream.engine import register, retention

_HEAD = "# Generated from models/events: change the code, then run `python -m vigie.schemas --write docs`.\n"


#: The form of our own topics, by topic.
_PAYLOADS = {"alerts": "alert-record", "outbox": "outbox-message"}
#: The repository's documents are about its own kinds of receivers, not about those of packages beside it.
_KINDS = {type_of(kind): kind for kind in BUILT_IN}


def documents() -> dict[str, str]:
    """Return the text of each document by its path inside ``docs/``."""
    found = {f"schemas/{name}.json": _json(schema) for name, schema in {**json_schemas(), **record_schemas()}.items()}
    found["asyncapi.yaml"] = _HEAD + yaml.dump(
        asyncapi(_PAYLOADS), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120
    )
    found["kpis.md"] = markdown(load_catalogue())
    found["retention.md"] = retention.markdown(Business())
    found["rule.schema.json"] = _json(json_schema())
    found["receivers.md"] = document.markdown(_KINDS)
    found["receivers.schema.json"] = _json(document.json_schema(_KINDS))
    return found


def _json(tree: object) -> str:
    return orjson.dumps(tree, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def sections() -> dict[str, dict[str, str]]:
    """Return what is generated inside of pages that people write: by path inside ``docs/``, then by the section's name.

    A section lies between ``<!-- generated: NAME -->`` and ``<!-- end -->``, each a line of its own (in YAML a comment).
    """
    receivers = {"an entry of each kind": document.examples(_KINDS)}
    return {
        "alerts.md": {"the life of an alert": life_table.markdown()},
        "privacy.md": {"the register": register.markdown(Business())},
        "../vigie.example.yaml": receivers,
    }


def _filled(text: str, its: dict[str, str]) -> str:
    for name, section in its.items():
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"no section {begin.strip()} … {end}")
        text = f"{before}{begin}{section}{end}{after}"
    return text


def _wanted(directory: Path) -> dict[str, str]:
    """Return all documents; of pages that people write, as they are with their generated sections."""
    pages = {name: _filled(text, its) for name, its in sections().items() if (text := _text(directory / name)) is not None}
    return documents() | pages


def write(directory: Path) -> list[str]:
    """Write the documents into the directory, and remove schemas of types that are no more; return the paths that changed."""
    wanted = _wanted(directory)
    changed = drift(directory)
    for name in changed:
        path = directory / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[name], encoding="utf-8")
        else:
            path.unlink()
    return changed


def drift(directory: Path) -> list[str]:
    """Return the paths of documents that are missing, other than they should be, or left over."""
    wanted = _wanted(directory)
    there = {f"schemas/{path.name}" for path in (directory / "schemas").glob("*.json")}
    wrong = {name for name, text in wanted.items() if _text(directory / name) != text}
    return sorted(wrong | (there - set(wanted)))


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: long texts as blocks, and nothing shared by reference."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _block)


def main(arguments: list[str] | None = None) -> int:
    """Write the documents, or check them: 1 if one is not what it should be."""
    parser = argparse.ArgumentParser(prog="python -m vigie.schemas", description="The event contract's documents.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", type=Path, metavar="DIR", help="write them into DIR")
    action.add_argument("--check", type=Path, metavar="DIR", help="say which in DIR are not up to date")
    chosen = parser.parse_args(arguments)
    if chosen.write is not None:
        for name in write(chosen.write):
            print(f"{chosen.write / name}: written", file=sys.stderr)
        return 0
    wrong = drift(chosen.check)
    for name in wrong:
        print(f"{chosen.check / name}: not what the code says; run with --write {chosen.check}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
