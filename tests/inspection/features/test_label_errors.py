"""Label errors that are planted among clear and among overlapping classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.data.checks.image_checks import FileFacts
from headstart.data.sources.dataset import ImageRecord
from headstart.input_spec import Decoding
from headstart.inspection.features.checked_features import CheckedFeatures
from headstart.inspection.features.label_errors import estimate_label_errors, find_label_errors


def features(distance: float, *, count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features and classes of images: three classes, `distance` deviations apart in some of 30 directions."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    centres = distance * np.linalg.qr(rng.normal(size=(30, 3)))[0].T
    return (rng.normal(size=(count, 30)) + centres[labels]).astype(np.float32), labels


def checked(rows: np.ndarray, labels: np.ndarray, *, names: str = "abc") -> CheckedFeatures:
    records = tuple(
        ImageRecord(id=f"{number}.png", label=names[label] if names else "", split="all", path=Path("x"))
        for number, label in enumerate(labels)
    )
    return CheckedFeatures(records, rows, FileFacts(records), {r.id: r.id for r in records}, Decoding())


def planted(labels: np.ndarray, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    which = rng.choice(len(labels), count, replace=False)
    changed = labels.copy()
    changed[which] = (changed[which] + rng.integers(1, 3, count)) % 3
    return changed, which


def test_planted_errors_are_listed_with_their_true_class():
    rows, labels = features(6)
    changed, which = planted(labels, 20)
    (found,) = find_label_errors(checked(rows, changed))
    listed = {int(name.removesuffix(".png")) for name in found.images[0]}
    assert len(listed & set(which)) >= 18
    assert len(listed - set(which)) <= 2
    assert found.level == "warning"
    first = int(found.images[0][0].removesuffix(".png"))
    assert f"{first}.png is labelled {'abc'[changed[first]]}, looks like {'abc'[labels[first]]}" in found.evidence


@pytest.mark.parametrize("distance", [1, 2.5, 6])
def test_clean_labels_give_no_finding_however_much_classes_overlap(distance):
    for seed in range(3):
        rows, labels = features(distance, seed=seed)
        assert not [f for f in find_label_errors(checked(rows, labels)) if len(f.images[0]) > 2]


def test_stated_probabilities_do_not_promise_too_much():
    rows, labels = features(4, count=1500)
    changed, which = planted(labels, 150)
    found = estimate_label_errors(rows, changed, np.arange(1500))
    listed = found.listed()
    assert len(listed) > 75
    assert np.isin(listed, which).mean() >= found.wrong[listed].mean() - 0.05
    assert (np.diff(found.wrong[listed]) <= 0).all()
    assert found.share == pytest.approx(0.1, abs=0.03)


def test_images_without_labels_or_of_one_class_have_no_finding():
    rows, labels = features(6)
    assert not find_label_errors(checked(rows, labels, names=""))
    assert not find_label_errors(checked(rows, labels * 0))
    assert not find_label_errors(checked(rows[:10], labels[:10]))
