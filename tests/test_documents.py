"""Are the pages found from the index, and do their links lead somewhere?"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/receivers").glob("*.md"))]


def links(page: Path) -> list[str]:
    """The relative links of a page."""
    found = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    return [link for link in found if "://" not in link and "…" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in links(page) if not (page.parent / link).exists()] == []


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs/README.md"
    named = {(index.parent / link).resolve() for link in links(index)}
    assert [page.name for page in PAGES if page.resolve() not in named and page != index] == []


def test_the_files_that_contributors_are_sent_to_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    paths = re.findall(r"`((?:models|alert_rules|stream|agents|vigie|tests|docs|bench|judge|parse|words)/[\w./-]+?)`", text)
    rooms = (ROOT, ROOT / "alert_rules")
    made = {"agents/notifiers/pager.py", "docs/receivers/pager.md", "alert_rules/kinds/share_of_usual.py"}
    assert len(paths) > 20
    assert [path for path in paths if path not in made and not any((room / path).exists() for room in rooms)] == []
