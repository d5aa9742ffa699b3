"""Pages name files and public names that are there: a file that moves takes its mention along."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from checkout import ROOT

PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
    if page.name != "CHANGELOG.md"  # tells what was, too
)
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[\w.*-]+(/[\w.*-]+)*/?")
NAME = re.compile(r"headstart(\.[A-Za-z_]\w*)+")
PACKAGE = ROOT / "src" / "headstart"
TOP = {"tests", "src", "docs", "scripts", "benchmarks", "examples"}
PACKAGES = {path.name for path in PACKAGE.iterdir() if path.is_dir()}


def is_file_name(text: str) -> bool:
    """Whether a span of code names a file or folder of the repository; NAME stands for one that a reader makes."""
    first, slash, _ = text.partition("/")
    if not slash or not FILE.fullmatch(text) or "NAME" in text:
        return False
    return first in TOP or (first in PACKAGES and text.endswith((".py", "/")))


def has_file(text: str) -> bool:
    return any(any(base.glob(text.rstrip("/"))) for base in (ROOT, PACKAGE))


def has_name(dotted: str) -> bool:
    """Whether a dotted name is a module of headstart, something in one, or a field of a class there."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            owner: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if part in getattr(owner, "__annotations__", {}):
                return True
            owner = getattr(owner, part, None)
            if owner is None:
                return False
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_files_and_names_of_a_page_are_there(page: Path):
    spans = [text.split("(")[0] for text in CODE.findall(page.read_text(encoding="utf-8"))]
    missing = [text for text in spans if is_file_name(text) and not has_file(text)]
    missing += [text for text in spans if NAME.fullmatch(text) and not has_name(text)]
    assert not [text for text in missing if not text.endswith((".md", ".json", ".yaml"))]


@pytest.mark.parametrize(("text", "there"), [("headstart.train", True), ("headstart.trian", False)])
def test_names_are_looked_up(text: str, there: bool):
    assert has_name(text) is there


@pytest.mark.parametrize(("text", "there"), [("training/loop.py", True), ("training/pool.py", False)])
def test_files_are_looked_up(text: str, there: bool):
    assert is_file_name(text)
    assert has_file(text) is there
