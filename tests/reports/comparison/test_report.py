"""The whole page of a comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.reports.comparison.facts import read_comparison_facts
from headstart.reports.comparison.report import COMPARISON_SECTIONS, comparison_page
from page_text import parsed
from report_folders import make_comparison, make_run, with_record


@pytest.mark.parametrize("finished", [True, False])
def test_it_is_a_whole_page(tmp_path: Path, finished: bool):
    runs = {"a": [make_run(tmp_path / "a")], "b": [make_run(tmp_path / "b", seed=1)]}
    comparison = read_comparison_facts(make_comparison(tmp_path / "c", runs, finished=finished))
    html = comparison_page(comparison)
    read = parsed(html.removeprefix("<!doctype html>\n"))
    titles = [text for _, text in read.all_of("h2")]
    assert titles == [section.title for make in COMPARISON_SECTIONS if (section := make(comparison)) is not None]
    assert len(titles) == 8, "all but the one on rates"
    assert not read.all_of("script")


def test_names_never_become_markup(tmp_path: Path):
    evil = "<script>alert(1)<|script>"
    runs = {evil: [make_run(tmp_path / "a", classes=(evil, '"><img src=x>'))]}
    comparison = read_comparison_facts(make_comparison(tmp_path / "c", runs))
    chosen = replace(comparison.record.chosen, why=evil, headline=evil, tied_with=(evil,))
    html = comparison_page(with_record(comparison, chosen=chosen, command=evil))
    read = parsed(html.removeprefix("<!doctype html>\n"))
    assert not read.all_of("script")
    assert not read.all_of("img")
