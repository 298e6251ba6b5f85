"""``vigie journeys`` and ``vigie baskets``: how people come to a sale, and what is bought together."""

import urllib.parse
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from vigie import remote
from vigie.common import Config, plain, settings_of
from vigie.explain import as_json
from vigie.kpi_lines import shown

_PATIENCE = 120.0  # seconds: all that the folds have written is read

Json = Annotated[bool, typer.Option("--json", help="JSON to standard output.")]
At = Annotated[str | None, typer.Option(help="At a time, or the end of a day, in place of now.")]


def journeys(
    journey: Annotated[str | None, typer.Option(help="Only this funnel (business.journeys; default: all).")] = None,
    window: Annotated[str, typer.Option(help="Who began in this window: 30d, month, quarter.")] = "30d",
    by: Annotated[str | None, typer.Option(help="source: tell it of each source, too.")] = None,
    at: At = None,
    json: Json = False,
    url: remote.Url = None,
    config: Config = None,
) -> None:
    """Show how far people come in each funnel, where they leave it, and how long a step takes."""
    found = _asked("journeys", {"journey": journey, "window": window, "by": by, "at": at}, url, config)
    if json:
        as_json(found)
        return
    for one in found["journeys"]:
        days = one["within_seconds"] / 86_400
        print(plain(f"{one['journey']}, {found['window']}: began {one['from'][:10]} to {one['at'][:10]}, within {days:g} d"))
        _steps(one)
        for source in one.get("sources", ()):
            print(plain(f"\n  {source['source']}"))
            _steps(source)
        print()


def _steps(one: Mapping[str, Any]) -> None:
    width = max(len(step["name"]) for step in one["steps"])
    for step in one["steps"]:
        share = "" if step["of_first"] is None else shown(step["of_first"], "ratio")
        drop = "" if step["drop_off"] is None else f"{shown(step['drop_off'], 'ratio')} leave"
        time = "" if step["median_seconds"] is None else f"median {shown(step['median_seconds'], 'seconds')}"
        print(plain(f"    {step['name']:<{width}}  {step['people']:>9,}  {share:>8}  {drop:>14}  {time}".rstrip()))
    if one["may_still"]:
        print(f"    {one['may_still']:,} have time left")
    if one["median_seconds"] is not None:
        print(f"    all of it: median {shown(one['median_seconds'], 'seconds')}")


def baskets(
    window: Annotated[str, typer.Option(help="What was bought in this window: 90d, year.")] = "year",
    least: Annotated[int, typer.Option(min=1, max=1000, help="In how many baskets both must be.")] = 5,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many pairs to show.")] = 50,
    at: At = None,
    json: Json = False,
    url: remote.Url = None,
    config: Config = None,
) -> None:
    """Show which products the same accounts buy: support, confidence and lift of each pair."""
    asked = {"window": window, "least": str(least), "limit": str(limit), "at": at}
    found = _asked("baskets", asked, url, config)
    if json:
        as_json(found)
        return
    print(plain(f"{found['window']}: {found['baskets']:,} accounts, {found['products']:,} products, {found['count']:,} pairs"))
    for pair in found["pairs"]:
        bounds = f"{pair['low']:.0%}–{pair['high']:.0%}"
        print(
            plain(
                f"  {pair['product']} → {pair['with']}: {pair['confidence']:.0%} ({pair['baskets']:,} of {pair['of']:,}, "
                f"{bounds}), lift {pair['lift']:.2f}, support {pair['support']:.1%}"
            )
        )
    if found["products_left_out"]:
        print(f"  {found['products_left_out']:,} products in few baskets were left out")


def _asked(what: str, query: Mapping[str, str | None], url: str | None, config: Config) -> Any:
    where = remote.checked(url) if url is not None else remote.of_settings(settings_of(config))
    asked = urllib.parse.urlencode({name: text for name, text in query.items() if text is not None})
    return remote.call("GET", f"/api/{what}?{asked}", url=where, timeout=_PATIENCE)
