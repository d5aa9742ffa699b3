"""Accuracy against cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.comparison.record import ParetoFronts
from headstart.reports.comparison.facts import ComparisonFacts, read_comparison_facts
from headstart.reports.comparison.tradeoffs import tradeoffs_section
from page_text import parsed
from report_folders import make_comparison, make_run, with_record


@pytest.fixture
def comparison(tmp_path: Path) -> ComparisonFacts:
    runs = {f"v{i}": [make_run(tmp_path / f"{i}", seed=i)] for i in range(3)}
    return read_comparison_facts(make_comparison(tmp_path / "c", runs))


def test_two_charts_with_their_fronts(comparison: ComparisonFacts):
    section = tradeoffs_section(with_record(comparison, pareto=ParetoFronts(("v0", "v2"), ("v0",))))
    assert section is not None
    read = parsed(f"<div id='all'>{section.body}</div>")
    charts = [a for a, _ in read.all_of("svg") if a.get("class") == "plot"]
    assert [chart["aria-label"].split(".")[0] for chart in charts] == [
        "Accuracy and training time",
        "Accuracy and throughput",
    ]
    assert "On the Pareto front: v0 and v2." in charts[0]["aria-label"]
    spots = [a["class"] for a, _ in read.all_of("circle")]
    assert sorted(spots) == ["spot", "spot", "spot", "spot on", "spot on", "spot on"]
    assert len([a for a, _ in read.all_of("path") if a["class"] == "line front"]) == 1
    assert "1 v0, 2 v1, 3 v2" in read.text_of(id="all")
    assert not [text for _, text in read.all_of("title") if "resnet50" in text]


def test_one_model_of_two_names_is_one_point_where_its_cost_is_one(comparison: ComparisonFacts):
    first, second, *rest = comparison.variants
    variants = (first, replace(second, same_model_as=first.name), *rest)
    section = tradeoffs_section(with_record(comparison, variants=variants))
    assert section is not None
    charts = [
        a["aria-label"] for a, _ in parsed(f"<div>{section.body}</div>").all_of("svg") if a.get("class") == "plot"
    ]
    assert ["2 v1" in chart for chart in charts] == [True, False]


def test_a_single_variant_needs_no_chart(comparison: ComparisonFacts):
    assert tradeoffs_section(with_record(comparison, variants=comparison.variants[:1])) is None
