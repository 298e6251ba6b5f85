"""``vigie playbooks``: what is to be done about alerts, and did the figures move afterwards?"""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
import typer

from vigie import remote
from vigie.common import Config, plain


def command(
    json: Annotated[bool, typer.Option("--json", help="JSON to standard output.")] = False,
    url: remote.Url = None,
    config: Config = None,
) -> None:
    """Playbooks: what is to be done about alerts, and whether it helped."""
    found = remote.call("GET", "/api/playbooks", url=remote.address_of(url, config))
    if json:
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.buffer.flush()
        return
    if not found["playbooks"]:
        print("no playbooks (settings: playbooks)")
    for one in found["playbooks"]:
        print(plain("\n".join(playbook_lines(one))))


def playbook_lines(one: Mapping[str, Any]) -> list[str]:
    """Return a playbook in lines for people."""
    record = one["record"]
    lines = [f"{one['name']} ({', '.join(one['rules'])})", *(f"  {n}. {step}" for n, step in enumerate(one["steps"], 1))]
    if not record["judged"]:
        lines.append(f"  {record['runs']} alerts, none judged yet")
    else:
        better = f"{record['better']} of {record['judged']} better than was to be expected"
        sure = "more than chance" if record["earned"] else f"chance alone makes {record['by_chance']:.0%}"
        lines.append(
            f"  {better} ({record['share']:.0%}, {record['low']:.0%} to {record['high']:.0%}; {sure}), {record['worse']} worse"
        )
    return lines
