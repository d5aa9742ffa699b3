"""The whole page of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.reports.run.report import run_page, run_sections
from headstart.runs.record import read_run
from page_text import parsed
from report_folders import make_run


@pytest.mark.parametrize("ends", ["finished", "budget", "signal", "killed"])
def test_every_state_is_a_whole_page(tmp_path: Path, ends: str):
    run = read_run(make_run(tmp_path / "run", ends=ends))
    read = parsed(run_page(run).removeprefix("<!doctype html>\n"))
    titles = [text for _, text in read.all_of("h2")]
    wanted = [section.title for section in run_sections(run)]
    assert titles == wanted
    assert len(titles) == (10 if ends in ("finished", "budget") else 6)
    assert all(
        a.get("aria-hidden") == "true" or a.get("role") == "img" or a.get("class") in ("at", "stretched")
        for a, _ in read.all_of("svg")
        if not a.get("class", "").startswith("line") and a
    )


def test_names_never_become_markup(tmp_path: Path):
    evil = "<script>alert(1)</script>"
    classes = (evil.replace("/", "|"), '"><img src=x onerror=alert(1)>')
    html = run_page(read_run(make_run(tmp_path / "run", classes=classes, source=f"photos{evil}")))
    read = parsed(html.removeprefix("<!doctype html>\n"))
    assert not read.all_of("script")
    assert not read.all_of("img")
    assert "<script" not in html
    assert not [a for _, a in read.tags if any(name.startswith("on") for name in a)]


def test_without_asking_no_image_is_inside(tmp_path: Path):
    html = run_page(read_run(make_run(tmp_path / "run")))
    assert "data:image" not in html
    assert "--with-images puts small copies" in html
