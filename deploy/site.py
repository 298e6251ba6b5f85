"""The site of the docs (mkdocs): in which order the pages come, and where links that leave docs/ lead."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#]+)(#[^)]*)?\)")


def on_config(config: Any) -> Any:
    """Give the pages the order of docs/README.md: a tab for each of its sections; a folder's pages come behind its index."""
    nav: list[Any] = [{"All pages": "README.md"}]
    seen = {"README.md"}
    for title, text in re.findall(r"^\*\*(.+?)\*\*(.*?)(?=^\*\*|\Z)", (DOCS / "README.md").read_text("utf-8"), re.M | re.S):
        pages: list[Any] = []
        for _, target, _ in _LINK.findall(text):
            path = target.rstrip("/")
            found = sorted((DOCS / path).glob("*.md")) if (DOCS / path).is_dir() else [DOCS / path]
            pages += _new(found, seen)
        if pages:
            nav.append({title: pages})
    config["nav"] = nav
    return config


def _new(found: list[Path], seen: set[str]) -> list[Any]:
    """Return pages that are not there yet; behind the index of a folder, the folder's."""
    pages: list[Any] = []
    for page in found:
        if DOCS not in page.resolve().parents or page.suffix != ".md" or not page.exists():
            continue
        name = page.resolve().relative_to(DOCS).as_posix()
        if name in seen:
            continue
        seen.add(name)
        folder = sorted(page.parent.glob("*.md")) if page.name == "README.md" else []
        pages.append({_title(page): [name, *_new(folder, seen)]} if folder else name)
    return pages


def _title(page: Path) -> str:
    found = re.search(r"^# (.+)$", page.read_text("utf-8"), re.M)
    return found[1] if found else page.stem


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to what is no page (code, folders, what lies outside docs/) into their text: the site has the pages only."""
    here = (DOCS / page.file.src_uri).parent

    def shown(found: re.Match[str]) -> str:
        text, target, _ = found.groups()
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        there = (here / target).resolve()
        return found[0] if DOCS in there.parents and there.is_file() else text

    return _LINK.sub(shown, markdown)
