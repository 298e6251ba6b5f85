"""Are the pages found from the index, and do their links lead somewhere?"""

import re
from pathlib import Path

import pytest

from vigie.__main__ import Commands

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


def test_each_decision_has_a_number_of_its_own_and_its_page_says_it() -> None:
    pages = sorted((ROOT / "docs/adr").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    assert [page.name for page in pages if not page.read_text("utf-8").startswith(f"# {int(page.name[:4])}. ")] == []
    known = {int(page.name[:4]) for page in pages}
    sources = [page for room in ("models", "alert_rules", "stream", "agents", "vigie") for page in (ROOT / room).rglob("*.py")]
    cited = {int(number) for page in (*PAGES, *sources) for number in re.findall(r"\bADR (\d+)", page.read_text("utf-8"))}
    assert cited <= known


def test_what_shows_that_a_requirement_is_held_is_there() -> None:
    table = (ROOT / "docs/security.md").read_text("utf-8").partition("## ASVS")[2]
    rows = [
        [cell.strip() for cell in line.split(" | ")] for line in table.splitlines() if line.startswith("| ") and " | " in line
    ]
    held = [row for row in rows if len(row) > 4 and row[2] == "held"]
    assert len(held) > 50 and [row[0] for row in held if not re.search(r"`[\w./…-]+`", row[4])] == []
    paths = re.findall(r"`((?:tests|stream|agents|models|deploy|vigie)/[\w./-]+)`", table)
    assert len(paths) > 60 and [path for path in paths if not (ROOT / path).exists()] == []


def test_the_contract_names_what_is_there() -> None:
    text = (ROOT / "docs/contract.md").read_text("utf-8")
    commands = set(re.findall(r"`vigie ([a-z-]+)`", text))
    assert len(commands) > 25 and commands <= set(Commands.places)
    code = "".join(path.read_text("utf-8") for path in (ROOT / "stream").rglob("*.py"))
    metrics = {name for name in re.findall(r"`(vigie_[a-z_]+)`", text) if name != "vigie_kpi"}
    assert len(metrics) > 7 and [name for name in sorted(metrics) if f'"{name.removesuffix("_total")}' not in code] == []
    paths = set(re.findall(r"`(?:POST )?/api(/[a-z{}/]+)`?", text))
    known = re.findall(r'\.(?:get|post)\(\s*"([^"]+)"', code)
    shapes = {re.sub(r"\{\w+(:path)?\}", "{}", path).removeprefix("/api") for path in known}
    assert len(paths) > 10 and [path for path in sorted(paths) if re.sub(r"\{\w+\}", "{}", path) not in shapes] == []


def test_no_page_or_comment_cites_one_that_is_not_here() -> None:
    cited = re.compile(r"\b(DESIGN|ENGINE|STYLE)(\.md|\s*§)")
    kept = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    kept += [
        path for room in ("models", "alert_rules", "stream", "agents", "vigie", "bench") for path in (ROOT / room).rglob("*.py")
    ]
    assert [str(path) for path in kept if cited.search(path.read_text("utf-8"))] == []
