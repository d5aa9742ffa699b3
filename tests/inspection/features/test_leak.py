from __future__ import annotations

import numpy as np
import pytest

from headstart.data.checks.image_checks import FileFacts
from headstart.data.sources.reading import ImageRecord
from headstart.input_spec import Decoding
from headstart.inspection.features.checked_features import CheckedFeatures
from headstart.inspection.features.leak import find_leaks, measure_inflation


def patients(*, alike: float, seed: int = 0):
    """50 patients of four images of one class each; features of a patient are `alike`, and hardly tell the class."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(50), 4)
    labels = rng.permutation(np.arange(50) % 2)[groups]
    features = rng.normal(size=(200, 40)) + alike * rng.normal(size=(50, 40))[groups]
    features[:, 0] += labels
    return features.astype(np.float32), labels, groups


def test_groups_that_a_head_remembers_inflate():
    found = measure_inflation(*patients(alike=2.0))
    assert found.value > 0.1
    assert found.interval[0] > 0
    assert found.shared == 200


def test_groups_that_nothing_connects_inflate_nothing():
    values = [measure_inflation(*patients(alike=0.0, seed=seed), repeats=2) for seed in range(20)]
    assert np.mean([found.value for found in values]) == pytest.approx(0, abs=0.02)
    assert np.mean([found.interval[0] <= 0 <= found.interval[1] for found in values]) >= 0.8


def checked(features, labels, groups) -> CheckedFeatures:
    records = tuple(ImageRecord(str(index), "ab"[label], "all") for index, label in enumerate(labels))
    named = {record.id: str(group) for record, group in zip(records, groups, strict=True)}
    return CheckedFeatures(records, features, FileFacts(records), named, Decoding())


def test_the_finding_names_both_figures():
    (found,) = find_leaks(checked(*patients(alike=2.0)))
    assert (found.what, found.level) == ("leaking_split", "warning")
    assert "a split by images inflates by +" in found.evidence
    assert "200 of 200 images share a group" in found.evidence


def test_no_inflation_is_said_as_such():
    (found,) = find_leaks(checked(*patients(alike=0.0)))
    assert found.level == "info"
    assert "no inflation beyond chance" in found.evidence


def test_images_that_stand_alone_raise_nothing():
    features, labels, _ = patients(alike=2.0)
    assert find_leaks(checked(features, labels, np.arange(200))) == []
