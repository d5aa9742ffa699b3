"""How much each image counts: scikit-learn's balanced weights, weights by class, and those of the images."""

from __future__ import annotations

import pytest
from sklearn.utils.class_weight import compute_sample_weight

from headstart.data.sources.reading import ImageRecord
from headstart.errors import PlanError
from headstart.workflow.training.image_weights import image_weights

LABELS = ["a"] * 6 + ["b"] * 3 + ["c"]


def records(weights: list[float | None] | None = None) -> list[ImageRecord]:
    given = weights or [None] * len(LABELS)
    return [
        ImageRecord(f"{at}.png", label, "train", weight=weight)
        for at, (label, weight) in enumerate(zip(LABELS, given, strict=True))
    ]


def test_balanced_is_that_of_scikit_learn_and_by_name_too():
    for method in ("class_weight", "balanced_sampling"):  # what samples alike in steps weighs alike in a fit
        found = image_weights(method, None, records())
        assert list(found.values()) == pytest.approx(compute_sample_weight("balanced", LABELS))
    found = image_weights("class_weight", {"b": 3.0}, records())
    assert list(found.values()) == compute_sample_weight({"a": 1, "b": 3.0, "c": 1}, LABELS).tolist()


def test_weights_of_images_multiply_those_of_classes():
    own = [float(at + 1) for at in range(10)]
    assert list(image_weights("none", None, records(own)).values()) == own
    both = image_weights("class_weight", {"c": 2.0}, records(own))
    assert list(both.values()) == [*own[:9], 20.0]


def test_nothing_given_is_no_weights_and_faults_are_named():
    assert image_weights("none", None, records()) == {}
    assert image_weights("logit_adjustment", None, records()) == {}  # it changes the loss, not what an image counts
    assert image_weights("none", None, records([2.0] * 10)) == {}
    with pytest.raises(PlanError, match=r"no class 'aa', only a, b, c; did you mean a\?"):
        image_weights("class_weight", {"aa": 1.0}, records())
