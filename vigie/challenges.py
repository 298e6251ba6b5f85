"""``vigie challenges``: who leads in the challenges, and are they fair?"""

import sys
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
import typer

from vigie import remote
from vigie.common import Config, plain
from vigie.kpi_lines import shown


def command(
    everybody: Annotated[bool, typer.Option("--all", help="Everybody's place, and not the upper half alone.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Those that are tried out, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON to standard output.")] = False,
    url: remote.Url = None,
    config: Config = None,
) -> None:
    """Challenges: who leads, and whether they are fair."""
    asked = urlencode({"all": str(everybody).lower(), "dry_run": str(dry_run).lower()})
    found = remote.call("GET", f"/api/challenges?{asked}", url=remote.address_of(url, config))
    if json:
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.buffer.flush()
        return
    if not found["challenges"]:
        print("no challenges (settings: challenges)")
    for one in found["challenges"]:
        print(plain("\n".join(challenge_lines(one, found["currency"]))))


def challenge_lines(one: Mapping[str, Any], currency: str) -> list[str]:
    """Return a challenge in lines for people."""
    tried = ", tried out" if one["dry_run"] else ""
    lines = [f"{one['name']} ({one['label']['en']}, {one['from']} to {one['until']}): {one['state']}{tried}"]
    if one["annulled"] is not None:
        lines.append(f"  annulled on {one['annulled']['on']}: {one['annulled']['why']}")
    unit = one["unit"]
    for place in one["places"]:
        value = shown(place["value"], unit, currency if unit == "money" else "")
        quota = "" if place["quota"] is None else f"  {place['score']:.0%} of {shown(place['quota'], unit)}"
        lines.append(f"  {place['rank']}{'=' if place['shared'] else ' '}  {place['name']}  {value}{quota}")
    if hidden := one["of"] - len(one["places"]):
        lines.append(f"  {hidden} more have a place")
    for guard in one["guards"]:
        value = "no value" if guard["value"] is None else shown(guard["value"], guard["unit"])
        said = f": {guard['why']}" if guard["why"] else ""
        lines.append(f"  guard {guard['label']['en']}: {guard['status']}, {value}{said}")
    pulled = one["pulled"]
    if pulled is not None and pulled["deals"]:
        lines.append(
            f"  {pulled['deals']} of {pulled['wins']} wins were expected after its end, {pulled['below_list']} of "
            f"{pulled['listed']} with a list amount were sold below it{': they look pulled in' if pulled['suspected'] else ''}"
        )
    return lines
