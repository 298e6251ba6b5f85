"""The site of the docs: every page is in it once, in the order of the index, and no link leads out of it."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "deploy/site.py")
assert _spec is not None and _spec.loader is not None
hooks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hooks)


def pages(nav: list[Any]) -> list[str]:
    found: list[str] = []
    for entry in nav:
        if isinstance(entry, str):
            found.append(entry)
        else:
            (below,) = entry.values()
            found += [below] if isinstance(below, str) else pages(below)
    return found


def test_every_page_is_there_once() -> None:
    config = hooks.on_config({})
    found = pages(config["nav"])
    assert len(set(found)) == len(found)
    assert set(found) == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert [next(iter(tab)) for tab in config["nav"]][:4] == ["All pages", "Begin", "Use", "Operate"]


def shown(text: str, page: str = "connect/hubspot.md") -> str:
    return str(hooks.on_page_markdown(text, SimpleNamespace(file=SimpleNamespace(src_uri=page))))


def test_links_to_what_is_no_page_become_text() -> None:
    assert (
        shown("[kept](../retention.md#state) [here](https://x.org/y)") == "[kept](../retention.md#state) [here](https://x.org/y)"
    )
    assert shown("see [`fold.py`](../../models/fold.py), [all](../adr/)") == "see `fold.py`, all"
    assert shown("![a picture](../images/alert.png)") == "![a picture](../images/alert.png)"


def test_nothing_is_fetched_from_elsewhere() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert config["strict"] and config["theme"]["font"] is False and "repo_url" not in config
