"""Trials, their curves, and how to do it again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.comparison.record import ComparedImages
from headstart.reports.comparison.facts import ComparisonFacts, read_comparison_facts
from headstart.reports.comparison.trials import (
    comparison_again_section,
    comparison_data_section,
    trials_section,
    variant_curves_section,
)
from page_text import parsed
from report_folders import make_comparison, make_run, with_record


@pytest.fixture
def comparison(tmp_path: Path) -> ComparisonFacts:
    runs = {f"v{i}": [make_run(tmp_path / f"{i}{s}", seed=s, epochs=2 + i) for s in range(2)] for i in range(2)}
    return read_comparison_facts(make_comparison(tmp_path / "c", runs, finished=False))


def test_curves_of_each_variant_have_bands_and_common_axes(comparison: ComparisonFacts):
    section = variant_curves_section(comparison)
    assert section is not None
    read = parsed(f"<div id='all'>{section.body}</div>")
    charts = [a for a, _ in read.all_of("svg") if a.get("class") == "plot"]
    assert len(charts) == 4
    assert "Lines are means over 2 seeds, bands their range." in read.text_of(id="all")
    ticks = [text for a, text in read.all_of("text") if a["class"] == "tick" and text.endswith("%")]
    assert len(set(ticks)) * 2 == len(ticks), "both charts of accuracy have the same ticks"
    assert any(a["class"] == "band two" for a, _ in read.all_of("path"))
    assert variant_curves_section(replace(comparison, runs={})) is None


def test_every_trial_has_its_state_and_error(comparison: ComparisonFacts):
    read = parsed(f"<div id='all'>{trials_section(comparison).body}</div>")
    rows = [text for _, text in read.all_of("tr")]
    assert len(rows) == 1 + 6
    assert rows[1].startswith("001-v0-seed0v00100 %done")
    assert "to come" in rows[-1]
    assert "090-resnet50-seed0: RunError: <out> of memory" in read.text_of(id="all")


def test_the_images_and_the_command(comparison: ComparisonFacts):
    section = comparison_data_section(comparison)
    assert section is not None
    read = parsed(f"<div id='all'>{section.body}</div>")
    text = read.text_of(id="all")
    assert (
        "Training set: 32 images. Validation: held-out 20% of train. Test set: 40 images (val), used for nothing else."
        in text
    )
    assert "2 files are the same. Look." in text
    assert "1 image could not be read" in text
    assert len(read.all_of("tr")) == 3
    bare = comparison_data_section(replace(comparison, runs={}))
    assert bare is not None
    assert "Classes: ants and bees." in bare.body
    assert comparison_data_section(with_record(comparison, data=ComparedImages("photos"))) is None
    again = comparison_again_section(comparison).body
    assert "headstart compare strategies photos --seeds 2" in again
    assert "comparison.yaml" in again
    assert "numpy" in again
