"""What figures give away: silent on healthy sets, loud with numbers where figures mislead."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from headstart.measures.figure_findings import (
    GAP,
    NO_TEST_IMAGES,
    OVERCONFIDENCE,
    Sample,
    overconfidence,
    untested_classes,
    validation_gap,
)
from headstart.measures.metrics import per_class


def sample(
    name: str, correct: int, images: int, *, confidence: float = 0.8, loss: float = 0.5, **values: Any
) -> Sample:
    right = np.arange(images) < correct
    labels = np.arange(images) % 2
    values = {"labels": labels, "together": np.arange(images), **values}
    return Sample(
        name, f"the {name} place", correct=right, confidence=np.full(images, confidence), log_loss=loss, **values
    )


def gap(validation: Sample, test: Sample, **values: Any) -> list[Any]:
    return validation_gap(validation, test, **{"candidates": 1, "num_classes": 2, "divided_by": "user", **values})


def test_a_test_accuracy_far_below_validation_is_said_with_numbers_and_causes():
    (found,) = gap(sample("validation", 4300, 5000), sample("test", 387, 624))
    assert (found.level, found.what) == ("warning", GAP)
    for words in (
        "test accuracy 0.620 (624 images, the test place) is 24.0 points below",
        "validation accuracy 0.860 (5,000 images, the validation place)",
        "beyond chance",
    ):
        assert words in found.evidence, words
    for words in ("trust the test figure", "drift", "--group", "near duplicates"):
        assert words in found.remedy, words


def test_a_gap_by_chance_or_of_no_size_is_not_remarked():
    assert gap(sample("validation", 18, 20), sample("test", 13, 20)) == []
    assert gap(sample("validation", 96_000, 100_000), sample("test", 93_000, 100_000)) == []
    assert gap(sample("validation", 800, 1000), sample("test", 870, 1000)) == [], "more images were learned from"
    assert gap(sample("validation", 136, 200), sample("test", 787, 1000)) == [], "a gain beyond chance, yet usual"
    assert gap(sample("validation", 1, 1), sample("test", 0, 500)) == []


def test_test_images_that_are_far_easier_are_remarked_as_well():
    (found,) = gap(sample("validation", 700, 1000), sample("test", 950, 1000))
    assert "25.0 points above" in found.evidence
    assert "easier" in found.remedy
    assert "drift" not in found.remedy


def test_groups_count_as_one_each():
    """The same shares are beyond chance among images, not among the few patients they are of."""
    few = {"together": np.arange(300) // 50, "counted": "groups"}
    alone = gap(sample("validation", 270, 300), sample("test", 210, 300))
    grouped = gap(sample("validation", 270, 300, **few), sample("test", 210, 300, **few))
    assert alone
    assert grouped == []


def test_the_best_of_many_epochs_is_allowed_to_flatter():
    validation, test = sample("validation", 172, 200), sample("test", 146, 200)
    assert gap(validation, test)
    assert gap(validation, test, candidates=200) == []


def test_where_class_shares_explain_the_gap_that_is_the_first_cause():
    validation_labels = np.repeat([0, 1], (900, 100))
    test_labels = np.repeat([0, 1], (100, 900))
    right = lambda labels: np.where(labels == 0, np.arange(len(labels)) % 100 < 95, np.arange(len(labels)) % 10 < 4)  # noqa: E731
    sides = [
        Sample(name, name, labels, right(labels), np.arange(1000))
        for name, labels in (("validation", validation_labels), ("test", test_labels))
    ]
    (found,) = gap(*sides)
    assert "look at classes have other shares in test: with those, validation accuracy would be 0.45" in found.remedy


def test_between_images_drawn_by_headstart_drift_is_no_cause():
    (found,) = gap(sample("validation", 900, 1000), sample("test", 600, 1000), divided_by="headstart")
    assert "drift" not in found.remedy


@pytest.mark.parametrize(("candidates", "correlation"), [(1, 0.5), (10, 0.0)])
def test_exchangeable_sets_raise_at_most_one_false_alarm_in_a_hundred(candidates: int, correlation: float):
    """Validation and test drawn alike, the best of several candidates taken by validation."""
    rng, alarms, draws = np.random.default_rng(1), 0, 400
    for _ in range(draws):
        groups = [np.repeat(np.arange(25), rng.integers(1, 9, 25)) for _ in range(2)]
        sides = []
        for together in groups:
            skill = np.full(25, 0.8)
            if correlation:
                spread = (1 - correlation) / correlation
                skill = rng.beta(spread * 0.8, spread * 0.2, 25)
            sides.append(rng.random((candidates, len(together))) < skill[together])
        best = int(sides[0].mean(axis=1).argmax())
        samples = [
            Sample(name, "", np.arange(len(together)) % 2, side[best], together, "groups")
            for name, side, together in zip(("validation", "test"), sides, groups, strict=True)
        ]
        alarms += bool(gap(*samples, candidates=candidates))
    assert alarms <= 0.01 * draws


def test_gross_overconfidence_is_said_with_numbers():
    (found,) = overconfidence([sample("test", 225, 400, confidence=0.922, loss=3.29)], num_classes=4)
    assert (found.level, found.what) == ("warning", OVERCONFIDENCE)
    for words in (
        "mean confidence 0.922 but accuracy 0.562 (95 % interval 0.5",
        "on 400 images (test)",
        f"log loss 3.29 where a uniform guess over 4 classes has {math.log(4):.2f}",
    ):
        assert words in found.evidence, words


def test_one_set_that_shows_it_is_enough_and_both_are_told():
    sides = [sample("test", 190, 200, confidence=0.96), sample("validation", 140, 200, confidence=0.95)]
    (found,) = overconfidence(sides, num_classes=2)
    assert "(test)" in found.evidence
    assert "(validation)" in found.evidence
    assert "uniform" not in found.evidence


@pytest.mark.parametrize(
    ("correct", "images", "confidence"),
    [(880, 1000, 0.94), (9, 10, 0.99), (8, 10, 0.97), (500, 1000, 0.4), (1000, 1000, 1.0)],
    ids=["some points", "few images", "few images, large", "underconfident", "perfect"],
)
def test_healthy_probabilities_are_silent(correct: int, images: int, confidence: float):
    assert overconfidence([sample("test", correct, images, confidence=confidence)], num_classes=2) == []


def test_calibrated_probabilities_raise_at_most_one_false_alarm_in_a_hundred():
    rng, alarms, draws = np.random.default_rng(0), 0, 500
    for _ in range(draws):
        confidence = rng.uniform(0.4, 1.0, 40)
        made = Sample("test", "", np.zeros(40, int), rng.random(40) < confidence, np.arange(40), confidence=confidence)
        alarms += bool(overconfidence([made], num_classes=3))
    assert alarms <= 0.01 * draws


def test_without_confidences_nothing_is_said():
    made = Sample("validation", "", np.zeros(50, int), np.zeros(50, bool), np.arange(50))
    assert overconfidence([made], num_classes=2) == []


def test_classes_without_test_images_are_named():
    rows = per_class(np.array([0, 0, 2]), np.array([0, 1, 2]), ["ant", "bee", "cat", "dog"])
    (found,) = untested_classes(rows)
    assert found.what == NO_TEST_IMAGES
    assert found.evidence == (
        "2 of 4 classes have no test images: bee, dog; 1 images of other classes were predicted as one of them"
    )
    assert untested_classes({"ant": rows["ant"]}) == []
