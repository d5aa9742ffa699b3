"""Variants, intervals, pairs, rates."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from headstart.html import wording
from headstart.prediction.inference_figures import InferenceFigures
from headstart.reports.comparison.facts import ComparisonFacts, read_comparison_facts
from headstart.reports.comparison.variants import (
    forest_section,
    learning_rates_section,
    pairs_section,
    variants_section,
)
from page_text import PageText, parsed
from report_folders import make_comparison, make_run, with_record


@pytest.fixture
def comparison(tmp_path: Path) -> ComparisonFacts:
    runs = {f"v{i}": [make_run(tmp_path / f"{i}{s}", seed=3 * i + s) for s in range(2)] for i in range(3)}
    rates = {"v0": (1e-2, "diverges"), "v1": (1e-4, "sweet spot"), "v2": (1e-6, "undertrains")}
    return read_comparison_facts(make_comparison(tmp_path / "c", runs, what="learning_rates", rates=rates))


def body_of(section) -> PageText:
    assert section is not None
    return parsed(f"<div id='all'>{section.body}</div>")


def test_the_table_has_a_row_for_each_variant(comparison: ComparisonFacts):
    read = body_of(variants_section(comparison))
    rows = [(a.get("class"), text) for a, text in read.all_of("tr")]
    test = comparison.variants[0].test
    assert rows[1] == (
        "hs-picked",
        f"1 v0{wording.percent(test.accuracy)}{wording.interval_text(test.interval)}"
        f"{wording.percent(comparison.variants[0].validation.accuracy)}212 s9012.5 ms500 MB4.65 M",
    )
    assert rows[4][1].startswith("4 resnet50needs download\u2013")
    assert "by onnxruntime with 2 threads" in read.text_of(id="all")
    assert "v0: strategy: v0" in [text for _, text in read.all_of("li")]
    changes = {"phases[tune].backbone_lr": {"rule": "uniform", "lr": 1e-5}}
    changed = with_record(comparison, variants=(replace(comparison.variants[0], changes=changes),))
    (line,) = [text for _, text in body_of(variants_section(changed)).all_of("li")]
    assert line == "v0: phases[tune].backbone_lr: {rule: uniform, lr: 1e-05}"


def test_one_model_of_two_names_says_so_and_a_speed_that_is_no_figure_has_its_range(comparison: ComparisonFacts):
    speed = InferenceFigures(20.0, 500.0, "torch", 64, 2, "unstable", (2, 40), (83, 2029))
    first, second, *rest = comparison.variants
    variants = (replace(first, inference=speed), replace(second, same_model_as=first.name), *rest)
    told = with_record(comparison, variants=variants)
    rows = [text for _, text in body_of(variants_section(told)).all_of("tr")]
    assert "unstable: 2 to 40" in rows[1]
    assert "unstable: 83 to 2,029 ms" in rows[1]
    assert "same model as v0" in rows[2]
    assert "unstable" not in rows[2]
    forest = [text for a, text in body_of(forest_section(told)).all_of("span") if a.get("class") == "value"]
    assert len(forest) == 2, "one entry, one line"


def test_another_metric_has_its_column(comparison: ComparisonFacts):
    other = with_record(comparison, metric="balanced_accuracy")
    read = body_of(variants_section(other))
    assert "balanced accuracy" in read.all_of("tr")[0][1]
    assert f"{comparison.variants[0].test.value:.3f}" in read.all_of("tr")[1][1]


def test_the_forest_has_the_best_first_on_one_scale(comparison: ComparisonFacts):
    read = body_of(forest_section(comparison))
    shown = [text for a, text in read.all_of("span") if a.get("class") == "value"]
    best = max(one.test.accuracy for one in comparison.variants if one.test)
    assert shown[0].startswith(wording.percent(best))
    assert len(shown) == 3, "what needs a download has no accuracy"
    dots = [float(a["cx"][:-1]) for a, _ in read.all_of("circle") if a["class"] == "dot"]
    assert dots == sorted(dots, reverse=True)
    assert len([a for a, _ in read.all_of("circle") if a["class"] == "seed"]) == 6
    none = tuple(replace(one, test=None) for one in comparison.variants)
    assert forest_section(with_record(comparison, variants=none)) is None


def test_pairs_as_matrix_and_sentences(comparison: ComparisonFacts):
    first = next(pair for pair in comparison.record.pairs if (pair.a, pair.b, pair.on) == ("v0", "v1", "validation"))
    pair = replace(first, verdict="a", sentence="v0 is better than v1")
    tie = replace(pair, b="v2", verdict="tie", sentence="v0 and v2 are tied")
    said = replace(pair, a="v1", b="v2", verdict="b", sentence="As it was <said>.")
    read = body_of(pairs_section(with_record(comparison, pairs=(pair, tie, said))))
    rows = [text for _, text in read.all_of("tr")]
    assert rows == ["row against columnv0v1v2", "v0\u2013bettertie", "v1worse\u2013worse", "v2tiebetter\u2013"]
    assert [text for _, text in read.all_of("li")] == [
        "v0 is better than v1",
        "v0 and v2 are tied",
        "As it was <said>.",
    ]
    assert pairs_section(with_record(comparison, pairs=())) is None


def test_many_variants_have_no_matrix_but_all_sentences(comparison: ComparisonFacts):
    names = [f"v{i}" for i in range(12)]
    variants = tuple(replace(comparison.variants[0], name=name) for name in names)
    pair = replace(comparison.record.pairs_on("validation")[0], verdict="tie", sentence="A tie.")
    many = with_record(comparison, variants=variants, pairs=[replace(pair, a=a, b=b) for a, b in pairwise(names)])
    read = body_of(pairs_section(many))
    assert not read.all_of("table")
    assert read.all_of("summary")[0][1] == "All 11 pairs as sentences"
    assert len(read.all_of("li")) == 11


def test_rates_are_named_with_their_reason(comparison: ComparisonFacts):
    read = body_of(learning_rates_section(comparison))
    rows = [text for _, text in read.all_of("tr")]
    assert [row[:4] for row in rows[1:]] == ["1e-2", "1e-4", "1e-6"]
    assert rows[2].endswith("the rule for sweet spot holds")
    chart = next(a for a, _ in read.all_of("svg") if a.get("class") == "plot")
    assert chart["aria-label"].startswith("Accuracy by learning rate. 1e-6 ")
    marks = [float(a["x"][:-1]) for a, _ in read.all_of("svg") if a.get("class") == "at"]
    assert marks[1] - marks[0] == pytest.approx(marks[2] - marks[1], abs=0.02), "equal factors are equally far apart"
    plain = tuple(replace(one, learning_rate_label=None) for one in comparison.variants)
    assert learning_rates_section(with_record(comparison, variants=plain)) is None
