"""``vigie objectives``: what do teams and people want to reach, and how far are they?"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import yaml

from models.config.suggest import meant
from models.config.yaml_text import NotYaml, YamlText
from models.goals.templates import TEMPLATES
from vigie import remote
from vigie.common import Config, plain, refuse
from vigie.kpi_lines import shown

app = typer.Typer(
    name="objectives", invoke_without_command=True, help="What teams and people want to reach, and how far they are."
)
Json = Annotated[bool, typer.Option("--json", help="JSON to standard output.")]
_STATES = {
    "reached": "reached", "on_track": "on track", "behind": "behind", "missed": "missed", "unknown": "not known",
    "guarded": "a guard is broken",
}  # fmt: skip


@app.callback()
def objectives(
    ctx: typer.Context, owner: Annotated[str | None, typer.Option(help="Of one owner (id).")] = None,
    team: Annotated[str | None, typer.Option(help="Of one team.")] = None, json: Json = False, url: remote.Url = None,
    config: Config = None,
) -> None:  # fmt: skip
    """Show the objectives of a running instance, with what has come, what was due by now, and their guards."""
    if ctx.invoked_subcommand is not None:
        return
    from urllib.parse import urlencode

    where = remote.address_of(url, config)
    asked = urlencode({name: value for name, value in (("owner", owner), ("team", team)) if value})
    found = remote.call("GET", f"/api/objectives{'?' if asked else ''}{asked}", url=where)
    if json:
        return _as_json(found)
    if not found["objectives"]:
        print("no objectives (settings: objectives, `vigie objectives set`, `vigie objectives templates`)")
    for one in found["objectives"]:
        print(plain("\n".join(objective_lines(one, found["currency"]))))


@app.command("set")
def set_(
    file: Annotated[Path, typer.Argument(help="A YAML file: an objective as the settings have it, or a list of them.")],
    url: remote.Url = None, token_file: remote.TokenFile = None, config: Config = None,
) -> None:  # fmt: skip
    """Set objectives of a running instance."""
    try:
        tree = YamlText(file.read_text("utf-8")).tree
    except (OSError, UnicodeDecodeError) as error:
        refuse(f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}", 2)
    except NotYaml as error:
        refuse(f"{file}: {error}", 2)
    if not isinstance(tree, dict | list) or not tree:
        refuse(f"{file}: found {type(tree).__name__} (accepted: an objective, or a list of them)", 2)
    where = remote.address_of(url, config)
    for one in tree if isinstance(tree, list) else [tree]:
        _post(where, token_file, one)


@app.command()
def progress(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The objective's id.")],
    share: Annotated[float, typer.Argument(help="How far it is, from 0 to 1.")],
    note: Annotated[str, typer.Option(help="A word to it.")] = "",
    url: remote.Url = None, token_file: remote.TokenFile = None, config: Config = None,
) -> None:  # fmt: skip
    """Say how far an objective is that is no figure."""
    _post(remote.address_of(url, config), token_file, {"id": id_, "progress": share, "note": note})


@app.command()
def remove(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The objective's id.")],
    url: remote.Url = None, token_file: remote.TokenFile = None, config: Config = None,
) -> None:  # fmt: skip
    """Remove an objective that was set over the API."""
    _post(remote.address_of(url, config), token_file, {"id": id_, "remove": True})


@app.command()
def templates(name: Annotated[str | None, typer.Argument(help="One of them.")] = None) -> None:
    """Print objectives to begin with, as the settings have them."""
    if name is not None and name not in TEMPLATES:
        refuse(f"unknown template {name!r}{meant(name, TEMPLATES)}", 2)
    chosen = TEMPLATES if name is None else {name: TEMPLATES[name]}
    for each, tree in chosen.items():
        print(f"# {each}")
        print(yaml.safe_dump([tree], sort_keys=False, allow_unicode=True), end="")


def objective_lines(one: Mapping[str, Any], currency: str) -> list[str]:
    """Return an objective in lines for people."""
    lines = [f"{one['name']} ({one['from']} to {one['until']}): {_STATES.get(one['state'], one['state'])}"]
    for goal in (one["main"], *one["indicators"]):
        lines.append(f"  {_goal(goal, currency)}")
    if one["past"]:
        before = ", ".join(f"{past['from']}: {_STATES.get(past['state'], past['state'])}" for past in one["past"])
        lines.append(f"  before: {before}")
    return lines


def _goal(goal: Mapping[str, Any], currency: str) -> str:
    if goal["kind"] == "text":
        far = (
            goal["why"] if goal["progress"] is None else f"{goal['progress']:.0%}" + (f", {goal['note']}" if goal["note"] else "")
        )
        return f"{goal['text']}: {far}"
    name, unit = goal.get("label", {}).get("en", goal["kpi"]), goal.get("unit", "count")
    if goal["value"] is None:
        return f"{name}: no value ({goal['why']})"
    value = shown(goal["value"], unit, currency if unit == "money" else "")
    if goal["kind"] == "guard":
        sides = (("at most", goal["at_most"]), ("at least", goal["at_least"]))
        limits = " and ".join(f"{side} {shown(limit, unit)}" for side, limit in sides if limit is not None)
        return f"{name}: {value} ({limits}{': BROKEN' if goal['broken'] else ''})"
    parts = [f"of {shown(goal['target'], unit)}"]
    if goal["progress"] is not None:
        parts.append(f"{goal['progress']:.0%}")
    if goal["pace"] is not None:
        parts.append(f"{goal['pace']:.0%} of what was due by now")
    if goal["chance"] is not None:
        parts.append(f"{goal['chance']:.0%} likely to be reached")
    return f"{name}: {value} {', '.join(parts)}"


def _post(where: str, token_file: Path | None, body: Any) -> None:
    answer = remote.call("POST", "/api/objectives", url=where, token=remote.token_of(token_file, where), body=body)
    print(plain(f"{answer['id']}: {'removed' if answer.get('removed') else 'set'}"))


def _as_json(found: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()
