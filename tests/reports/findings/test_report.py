"""The page of findings: what it says of a result, in which order, and how much of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.data.checks.check_result import CheckResult, FeatureNote, PixelSides
from headstart.findings import Finding, by_level
from headstart.input_spec import ViewFacts
from headstart.reports.findings.report import MOST_GROUPS, findings_page

RESULT = CheckResult(
    source="/data/photos",
    images=120,
    classes={"ants": 70, "<bees>": 50},
    splits={"train": {"ants": 50, "<bees>": 40}, "test": {"ants": 20, "<bees>": 10}},
    unreadable={},
    pixels=PixelSides((10, 20, 30), (11, 21, 31)),
    view=ViewFacts(224, "crop", None, None),
    findings=(),
    features=FeatureNote(120),
)
ERROR = Finding("error", "several_labels", "2 images carry several labels", "keep one", (("a/1.png", "b/1.png"),))
REMARK = Finding("info", "outliers", "5 images are unlike all others", "look", tuple((f"a/{i}.png",) for i in range(5)))


def test_a_clean_folder_says_so_first():
    text = findings_page(RESULT)
    assert text.index("Nothing suspicious was found") < text.index("Images by class")
    assert "<bees>" not in text
    assert "&lt;bees&gt;" in text


def test_errors_come_before_remarks_each_with_evidence_remedy_and_images():
    text = findings_page(
        replace(RESULT, findings=by_level((REMARK, ERROR))), next_command="headstart train /data/photos"
    )
    assert "1 error and 1 remark" in text
    assert text.index("Errors (1)") < text.index("Good to know (1)")
    for part in ("2 images carry several labels", "keep one", "a/1.png", "b/1.png", "a/4.png"):
        assert part in text
    assert "headstart train /data/photos" in text


def test_very_many_groups_are_counted_and_not_all_shown():
    groups = tuple((f"a/{i}.png", f"b/{i}.png") for i in range(MOST_GROUPS + 7))
    text = findings_page(replace(RESULT, findings=(replace(ERROR, images=groups),)))
    assert f"a/{MOST_GROUPS - 1}.png" in text
    assert f"a/{MOST_GROUPS}.png" not in text
    assert "and 7 more, which --json lists" in text


@pytest.mark.parametrize(
    ("features", "says"),
    [(None, "--checks files"), (FeatureNote(0, "torch is not installed"), "not compared: torch is not installed")],
)
def test_what_was_not_compared_is_said(features: FeatureNote | None, says: str):
    assert says in findings_page(replace(RESULT, features=features))
