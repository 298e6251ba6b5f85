"""Are the generated documents in ``docs/`` (contract, KPIs, retention, form of rules) those that the code would write?"""

import argparse
import sys
from pathlib import Path

import orjson
import yaml

from alert_rules.document import json_schema
from models.business import Business
from models.events.schemas import asyncapi, json_schemas
from models.kpis.document import markdown
from stream.config.kpi_files import load_catalogue
from stream.engine import retention

_HEAD = "# Generated from models/events: change the code, then run `python -m vigie.schemas --write docs`.\n"


def documents() -> dict[str, str]:
    """Return the text of each document by its path inside ``docs/``."""
    found = {
        f"schemas/{name}.json": orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
        for name, schema in json_schemas().items()
    }
    found["asyncapi.yaml"] = _HEAD + yaml.dump(asyncapi(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    found["kpis.md"] = markdown(load_catalogue())
    found["retention.md"] = retention.markdown(Business())
    found["rule.schema.json"] = orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
    return found


def write(directory: Path) -> list[str]:
    """Write the documents into the directory, and remove schemas of types that are no more; return the paths that changed."""
    wanted = documents()
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
    wanted = documents()
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
