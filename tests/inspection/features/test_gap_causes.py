from __future__ import annotations

import numpy as np

from headstart.inspection.features.gap_causes import gap_causes


def divided(*, shift: float = 0.0, alike: float = 0.0, mates: int = 1):
    """300 training and 100 test images; `mates` of train are `alike`, and lie in groups of their own."""
    rng = np.random.default_rng(0)
    is_test = np.arange(400) >= 300
    labels = np.arange(400) // 4 % 2
    features = rng.normal(size=(400, 30))
    if mates > 1:
        features[:300] += alike * rng.normal(size=(300 // mates, 30)).repeat(mates, axis=0)
    features[is_test, 0] += shift
    return features.astype(np.float32), labels, is_test


def test_sets_that_are_alike_have_no_cause():
    assert gap_causes(*divided(), np.arange(400)) == []


def test_drift_is_named_with_its_size():
    (cause,) = gap_causes(*divided(shift=3), np.arange(400))
    assert cause.startswith("drift: features tell test from train within a class with AUROC 0.9")


def test_copies_in_train_are_named():
    causes = gap_causes(*divided(alike=4.0, mates=2), np.arange(400))
    assert any(cause.startswith("near duplicates or unnamed groups in train") for cause in causes)


def test_known_groups_are_measured():
    features, labels, is_test = divided(alike=2.0, mates=4)
    groups = np.where(is_test, 1000 + np.arange(400), np.arange(400) // 4)
    causes = gap_causes(features, labels, is_test, groups)
    assert any(cause.startswith("groups in train: a linear probe gains") for cause in causes)
