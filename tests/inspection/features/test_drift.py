from __future__ import annotations

import numpy as np

from headstart.data.checks.image_checks import FileFacts
from headstart.data.sources.reading import ImageRecord
from headstart.input_spec import Decoding
from headstart.inspection.features.checked_features import CheckedFeatures
from headstart.inspection.features.drift import find_drift


def divided(*, shift: float = 0.0, share: float = 0.5, splits: tuple[str, str] = ("train", "test")) -> CheckedFeatures:
    """400 images of two splits; `shift` moves test, `share` of its images are of class b."""
    rng = np.random.default_rng(0)
    is_test = np.arange(400) % 2 == 1
    labels = np.where(rng.random(400) < np.where(is_test, share, 0.5), "b", "a")
    features = rng.normal(size=(400, 6)).astype(np.float32)
    features[is_test, 0] += shift
    records = tuple(
        ImageRecord(f"{splits[int(test)]}/{label}/{index}", str(label), splits[int(test)])
        for index, (test, label) in enumerate(zip(is_test, labels, strict=True))
    )
    return CheckedFeatures(records, features, FileFacts(records), {r.id: r.id for r in records}, Decoding())


def test_splits_that_are_alike_raise_nothing():
    assert find_drift(divided()) == []


def test_images_without_a_training_split_raise_nothing():
    assert find_drift(divided(shift=3, splits=("all", "all"))) == []


def test_drift_is_named_with_its_size_and_its_classes():
    (found,) = find_drift(divided(shift=3))
    assert (found.what, found.level) == ("drift", "warning")
    assert "images of test differ from those of train" in found.evidence
    assert "AUROC 0.9" in found.evidence
    assert "most in" in found.evidence
    assert all(name.startswith("test/") for name in found.images[0])


def test_small_drift_is_no_warning():
    (found,) = find_drift(divided(shift=0.7))
    assert (found.what, found.level) == ("drift", "info")


def test_other_class_shares_have_a_finding_of_their_own():
    (found,) = find_drift(divided(share=0.9))
    assert found.what == "class_shares"
    assert "b 86 % against 44 %" in found.evidence
