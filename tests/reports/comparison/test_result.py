"""The top of a comparison's report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.html import wording
from headstart.reports.comparison.facts import ComparisonFacts, read_comparison
from headstart.reports.comparison.result import comparison_answer, comparison_kind, comparison_title
from page_text import parsed
from report_folders import make_comparison, make_run


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, list[Path]]:
    return {name: [make_run(tmp_path / f"{name}{s}", seed=s) for s in range(2)] for name in ("gradual", "full")}


def text_of(comparison: ComparisonFacts) -> str:
    return parsed(comparison_answer(comparison)).text_of(id="answer")


def test_the_answer_in_one_paragraph(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison(make_comparison(tmp_path / "c", runs))
    report = comparison.variants[0]["report"]
    text = text_of(comparison)
    for words in (
        f"gradual {wording.percent(report['accuracy'])} right",
        "Recommended: gradual. It names most of them rightly. Choices were made on: 40 images, held-out 20% of train.",
        "full ties with it: these images cannot tell them apart.",
        f"On 40 images that chose nothing (val) it names {wording.percent(report['accuracy'])} rightly",
        f"{wording.interval(report['interval'])} (pooled over 2 seeds)",
        "Compared were 3 variants (gradual, full and resnet50), each with 2 seeds",
        "1 trial failed: 090-resnet50-seed0",
        "resnet50 ran with random weights, because the real ones need a download",
        "4 of 5",
    ):
        assert words in text, words
    assert "Not finished" not in text


def test_an_unfinished_one_says_so_with_the_command(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison(make_comparison(tmp_path / "c", runs, finished=False))
    text = text_of(comparison)
    assert "Not finished. 1 trial of 6 is still to come; all figures may change." in text
    assert f"headstart compare --resume {tmp_path / 'c'}" in text


def test_without_a_choice_or_a_report(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison(make_comparison(tmp_path / "c", runs))
    none = replace(comparison, answer={**comparison.answer, "chosen": None, "finished": False, "resume": None})
    assert "No choice yet" in text_of(none)
    chosen = {**comparison.answer["chosen"], "report": None, "tied_with": []}
    bare = replace(comparison, answer={**comparison.answer, "chosen": chosen, "halving": "successive"})
    assert "no figure on images that chose nothing" in text_of(bare)
    assert "Nothing else ties with it" in text_of(bare)
    assert "successive halving" in text_of(bare)


def test_the_first_line_is_the_headline_and_gives_a_tie_no_figure(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison(make_comparison(tmp_path / "c", runs))
    headline = "no variant can be told from the others: gradual and full tie; the cheapest is full"
    chosen = {**comparison.answer["chosen"], "headline": headline, "report": comparison.variants[1]["report"]}
    chosen["report"] = {**chosen["report"], "seeds_needed": 5}
    text = text_of(replace(comparison, answer={**comparison.answer, "chosen": chosen}))
    assert text.startswith(f"N{headline[1:]}. Recommended: ")
    assert "(pooled over 2 seeds; too few seeds: use 5)" in text
    alone = {**chosen, "headline": "full is better than gradual", "tied_with": []}
    text = text_of(replace(comparison, answer={**comparison.answer, "chosen": alone}))
    assert text.startswith(f"Full is better than gradual. {wording.percent(chosen['report']['accuracy'])} right")


def test_what_failed_or_lacks_weights_has_its_way_out(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison(make_comparison(tmp_path / "c", runs))
    assert "What is left" not in text_of(comparison)
    variants = [{**one, "weights_missing": None} for one in comparison.variants]
    variants[-1] |= {"weights_missing": "no network; put it at x", "dropped_at": 0.25}
    resume = {"resume": "headstart compare --resume c", "why_resume": "1 trial failed; once more with"}
    text = text_of(replace(comparison, answer={**comparison.answer, **resume, "variants": variants}))
    for words in (
        "What is left. 1 trial failed; once more with:headstart compare --resume c",
        "resnet50: no network; put it at x.",
        "resnet50 left the race for lack of weights; once they can be had, a new comparison judges it as well.",
    ):
        assert words in text, words


def test_where_no_trial_could_tell_of_the_images_nothing_is_said_of_them(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison(make_comparison(tmp_path / "c", runs))
    unknown = {"source": "photos", "classes": [], "fit_images": None, "select_images": None, "report_images": None}
    text = text_of(replace(comparison, answer={**comparison.answer, "chosen": None, "data": unknown}))
    assert "each with 2 seeds, because another seed gives another figure, by accuracy." in text
    assert "No variant could be chosen." in text
    assert "to learn from" not in text


def test_titles(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison(make_comparison(tmp_path / "c", runs))
    assert comparison_title(comparison) == "Three strategies compared"
    assert comparison_kind(comparison).startswith("report of comparison c, begun 20")
