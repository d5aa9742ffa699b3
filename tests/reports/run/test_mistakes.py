"""Confusion matrix, classes, misclassified images."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.html import wording
from headstart.reports.run.mistakes import classes_section, confusion_section, worst_section
from headstart.runs.record import RunRecord, read_run
from page_text import PageText, parsed
from report_folders import make_run


@pytest.fixture
def run(tmp_path: Path) -> RunRecord:
    return read_run(make_run(tmp_path / "run", classes=("ants", "bees", "flies"), report_images=90))


def body_of(section) -> PageText:
    assert section is not None
    return parsed(f"<div id='all'>{section.body}</div>")


def test_every_cell_leads_to_exactly_its_images(run: RunRecord):
    read = body_of(confusion_section(run))
    places = {a["id"]: text for a, text in read.all_of("div") if a.get("id", "").startswith("cell-")}
    assert run.metrics is not None
    counts = run.metrics.test.confusion
    cells = [(a, text) for a, text in read.all_of("td")]
    assert [int(text) for _, text in cells] == [count for row in counts for count in row]
    links = iter(read.all_of("a"))
    for i, label in enumerate(run.classes):
        for j, predicted in enumerate(run.classes):
            if not counts[i][j]:
                continue
            target, text = next(links)
            assert int(text) == counts[i][j]
            shown = set(re.findall(r"val/\w+/\d+\.png", places[target["href"][1:]]))
            wanted = {p.image for p in run.predictions if (p.label, p.predicted) == (label, predicted)}
            assert shown <= wanted
            assert len(shown) == min(len(wanted), 24 if i == j else 200)


def test_names_are_limited_and_the_rest_is_counted(run: RunRecord):
    read = body_of(confusion_section(replace(run, most_names=5)))
    assert len(re.findall(r"val/\w+/\d+\.png", read.text_of(id="all"))) == 5
    hidden = sum(int(n) for n in re.findall(r"and (\d+) more, see predictions", read.text_of(id="all")))
    assert hidden == 85


def test_many_classes_are_listed_as_pairs(tmp_path: Path):
    names = [f"class{i:02d}" for i in range(30)]
    run = read_run(make_run(tmp_path / "run", classes=names, report_images=300))
    read = body_of(confusion_section(run))
    assert "A matrix of 30 classes would be too large to read" in read.text_of(id="all")
    assert not [a for a, _ in read.all_of("table") if a.get("class") == "matrix"]
    counts = [int(text) for a, text in read.all_of("a")]
    assert counts == sorted(counts, reverse=True)
    assert "more cells" in read.text_of(id="all")


def test_the_most_confident_misclassifications_come_first(run: RunRecord):
    read = body_of(worst_section(run))
    wrong = [p for p in run.predictions if not p.is_correct]
    shown = [text for _, text in read.all_of("li")]
    assert len(shown) == min(12, len(wrong))
    surest = max(wrong, key=lambda p: p.probability)
    assert shown[0] == (
        f"predicted {surest.predicted} ({wording.percent(surest.probability)})"
        f"true class {surest.label} ({wording.percent(run.label_probability(surest))}){surest.image}"
    )
    assert f"{len(wrong)} of 90 test images are misclassified" in read.text_of(id="all")


def test_without_mistakes_or_predictions(run: RunRecord):
    right = tuple(p for p in run.predictions if p.is_correct)
    assert "Every test image is classified correctly" in body_of(
        worst_section(replace(run, predictions=right))
    ).text_of(id="all")
    assert worst_section(replace(run, predictions=())) is None
    assert confusion_section(replace(run, metrics=None)) is None
    assert classes_section(replace(run, metrics=None)) is None
    bare = body_of(confusion_section(replace(run, predictions=())))
    assert not bare.all_of("details")


def test_classes_with_their_intervals(run: RunRecord):
    read = body_of(classes_section(run))
    assert run.metrics is not None
    figures = run.metrics.test.per_class["bees"]
    row = next(text for _, text in read.all_of("tr") if text.startswith("bees"))
    assert row == (
        f"bees30{wording.percent(figures.recall)}{wording.interval_text(figures.recall_interval)}"
        f"{wording.percent(figures.precision)}{wording.percent(figures.f1)}"
    )
    spans = [a for a, _ in read.all_of("line") if a["class"] == "span"]
    assert len(spans) == 3
