"""The pages name files that exist, and the order of packages that the architecture test enforces."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from checkout import ROOT
from test_architecture import FLOORS, PACKAGE

PAGES = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/glossary.md"]
PLACES = [ROOT, PACKAGE, ROOT / "docs"]
NAMES = {
    path.name for folder in ("src", "tests", "scripts", "docs", "benchmarks") for path in (ROOT / folder).rglob("*")
}
RUN_FILES = {"plan.yaml", "plan.resolved.yaml", "bundle/"}
"""Of a run folder."""


def named(page: str) -> set[str]:
    """Files and folders in code marks; a name in capitals (`knowledge/NAME.py`) stands for others."""
    spans = re.findall(r"`([\w./-]+)`", (ROOT / page).read_text(encoding="utf-8"))
    paths = {span for span in spans if re.fullmatch(r"([\w-]+/)+|[\w./-]+\.(py|md|txt|svg|ipynb|yaml|toml)", span)}
    return {path for path in paths if "NAME" not in path} - RUN_FILES


def is_there(path: str) -> bool:
    """A path from the root, the package or the docs; a bare name anywhere."""
    if "/" not in path.rstrip("/"):
        return path.rstrip("/") in NAMES or (ROOT / path).exists()
    return any((place / path).exists() for place in PLACES)


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str):
    assert {path for path in named(page) if not is_there(path)} == set()


@pytest.mark.parametrize("page", [*PAGES, *(f"docs/guide/{p.name}" for p in (ROOT / "docs" / "guide").glob("*.md"))])
def test_every_link_leads_to_a_file(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [target for target in targets if target and "://" not in target]
    assert [target for target in local if not ((ROOT / page).parent / target).exists()] == []


def test_the_page_lists_the_packages_in_the_order_that_is_enforced():
    table = (
        (ROOT / "docs" / "architecture.md")
        .read_text(encoding="utf-8")
        .partition("## Packages")[2]
        .partition("\n## ")[0]
    )
    listed = re.findall(r"^\| `(\w+)/` \|", table, re.MULTILINE)
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert set(listed) == folders
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    assert [floor[name] for name in listed] == sorted((floor[name] for name in listed), reverse=True)


def test_the_drawing_names_every_package():
    root = ElementTree.parse(ROOT / "docs" / "images" / "architecture.svg").getroot()
    words = re.findall(r"\w+", " ".join(text for text in root.itertext()))
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(words)


def test_the_pictures_are_small():
    pictures = sorted((ROOT / "docs" / "images").iterdir())
    assert pictures
    assert all(path.stat().st_size < 150_000 for path in pictures)


def test_the_architecture_is_read_in_ten_minutes():
    """At 250 words a minute, tables included."""
    assert len((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split()) <= 2500
