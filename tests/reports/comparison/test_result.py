"""The top of a comparison's report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.comparison.record import ComparedImages
from headstart.html import wording
from headstart.reports.comparison.facts import ComparisonFacts, read_comparison_facts
from headstart.reports.comparison.result import comparison_kind, comparison_result_card, comparison_title
from page_text import parsed
from report_folders import make_comparison, make_run, with_record


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, list[Path]]:
    return {name: [make_run(tmp_path / f"{name}{s}", seed=s) for s in range(2)] for name in ("gradual", "full")}


def text_of(comparison: ComparisonFacts) -> str:
    return parsed(comparison_result_card(comparison)).text_of(id="result")


def test_the_answer_in_one_paragraph(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison_facts(make_comparison(tmp_path / "c", runs))
    test = comparison.variants[0].test
    text = text_of(comparison)
    for words in (
        "Gradual is the cheapest. ",
        "Recommended: gradual. It has the best accuracy. Validation: 40 images, held-out 20% of train.",
        "full ties with it: no significant difference.",
        f"Test accuracy on 40 images (val): {wording.percent(test.accuracy)}, 95",
        f"{wording.interval_text(test.interval)} (pooled over 2 seeds)",
        "3 variants were compared (gradual, full and resnet50), 2 seeds each",
        "1 trial failed: 090-resnet50-seed0",
        "resnet50 ran with random weights, because the pretrained ones need a download",
        "4 of 5",
    ):
        assert words in text, words
    assert "Not finished" not in text


def test_an_unfinished_one_says_so_with_the_command(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison_facts(make_comparison(tmp_path / "c", runs, finished=False))
    text = text_of(comparison)
    assert "Not finished. 1 trial of 6 is not run yet; all figures may change." in text
    assert f"headstart compare --resume {tmp_path / 'c'}" in text


def test_without_a_choice_or_a_report(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison_facts(make_comparison(tmp_path / "c", runs))
    none = with_record(comparison, chosen=None, finished=False, resume=None)
    assert "No recommendation yet" in text_of(none)
    chosen = replace(comparison.record.chosen, test=None, tied_with=())
    bare = with_record(comparison, chosen=chosen, halving="successive")
    assert "It has no test accuracy" in text_of(bare)
    assert "No other variant ties with it" in text_of(bare)
    assert "successive halving" in text_of(bare)


def test_the_first_line_is_the_headline_and_gives_a_tie_no_figure(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison_facts(make_comparison(tmp_path / "c", runs))
    headline = "no variant is significantly better than the others: gradual and full tie; the cheapest is full"
    test = replace(comparison.variants[1].test, seeds_needed=5)
    chosen = replace(comparison.record.chosen, headline=headline, test=test)
    text = text_of(with_record(comparison, chosen=chosen))
    assert text.startswith(f"N{headline[1:]}. Recommended: ")
    assert 'class="big sentence"' in comparison_result_card(with_record(comparison, chosen=chosen))
    assert "(pooled over 2 seeds; too few seeds: use 5)" in text
    alone = replace(chosen, headline="full is better than gradual", tied_with=())
    text = text_of(with_record(comparison, chosen=alone))
    assert 'class="big"' in comparison_result_card(with_record(comparison, chosen=alone))
    assert text.startswith(f"Full is better than gradual. test accuracy {wording.percent(test.accuracy)}")


def test_what_failed_or_lacks_weights_has_its_way_out(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison_facts(make_comparison(tmp_path / "c", runs))
    assert "To be repeated" not in text_of(comparison)
    *others, last = comparison.variants
    variants = (*others, replace(last, weights_missing="no network; put it at x", dropped_at=0.25))
    resume = {"resume": "headstart compare --resume c", "why_resume": "1 trial failed; try again with"}
    text = text_of(with_record(comparison, variants=variants, **resume))
    for words in (
        "To be repeated. 1 trial failed; try again with:headstart compare --resume c",
        "resnet50: no network; put it at x.",
        "resnet50 dropped for lack of weights; once they are available, a new comparison includes it as well.",
    ):
        assert words in text, words


def test_where_no_trial_could_tell_of_the_images_nothing_is_said_of_them(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison_facts(make_comparison(tmp_path / "c", runs))
    text = text_of(with_record(comparison, chosen=None, data=ComparedImages("photos")))
    assert "2 seeds each, because results differ between seeds, by accuracy." in text
    assert "No variant can be recommended." in text
    assert "training image" not in text


def test_titles(tmp_path: Path, runs: dict[str, list[Path]]):
    comparison = read_comparison_facts(make_comparison(tmp_path / "c", runs))
    assert comparison_title(comparison) == "Three strategies compared"
    assert comparison_kind(comparison).startswith("report of comparison c, begun 20")
