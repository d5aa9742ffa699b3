"""The probe of depths: scikit-learn's accuracy, honest folds, and a sentence that says what the curve shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from headstart.advice.probe.by_depth import DepthCurve, beats, folds_by_group, probe_depths
from headstart.data.sources.reading import ImageRecord
from headstart.errors import DataError
from headstart.knowledge.transfer import DEPTH_FACTS
from headstart.measures.intervals import wilson_interval
from headstart.solvers import head_solver
from headstart.solvers.head_solver import head_problem
from headstart.solvers.rows import MatrixRows

KEYS = ["group", "position", "count", "detects", "literature_share", "default_action", "accuracy", "accuracy_interval"]
KEYS += ["knn_accuracy", "knn_interval", "cka", "features"]
NAMES = ("stem", "stage1", "stage2", "stage3")
ALONE = np.arange(240)
"""Every image is its own group."""


def record(name: str, label: str) -> ImageRecord:
    return ImageRecord(name, label, "all", Path(name))


def separated(signal: float, *, images: int = 240, classes: int = 3, width: int = 8, seed: int = 0) -> np.ndarray:
    """Features in which the classes lie `signal` deviations apart."""
    rng = np.random.default_rng(seed)
    centres = signal * np.eye(classes, width)
    return (centres[labels_of(images, classes)] + rng.normal(size=(images, width))).astype(np.float32)


def labels_of(images: int = 240, classes: int = 3) -> np.ndarray:
    return np.arange(images) % classes


def folds_of(images: int = 240) -> np.ndarray:
    return np.arange(images) // 3 % 5


def curve_of(signals: Sequence[float], tuned: dict[str, np.ndarray] | None = None) -> DepthCurve:
    features = {name: separated(signal) for name, signal in zip(NAMES, signals, strict=False)}
    return probe_depths(features, labels_of(), folds_of(), ALONE, names=NAMES[: len(signals)], tuned=tuned)


def test_accuracy_is_that_of_scikit_learn_at_the_same_penalty():
    features, labels, folds = separated(1.5), labels_of(), folds_of()
    (found,) = probe_depths({"stem": features}, labels, folds, ALONE, names=["stem"]).groups
    strength = head_problem(MatrixRows(features), labels, 3).choose(folds).l2_penalty
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    right = 0
    for fold in range(5):
        kept = folds != fold
        model = LogisticRegression(C=1 / (kept.sum() * strength), max_iter=2000).fit(standard[kept], labels[kept])
        right += int((model.predict(standard[~kept]) == labels[~kept]).sum())
    assert found.accuracy == pytest.approx(right / 240, abs=1 / 240 + 1e-9)
    assert found.accuracy_interval == pytest.approx(wilson_interval(round(found.accuracy * 240), 240))
    assert found.accuracy_interval[0] < found.accuracy < found.accuracy_interval[1]


def test_rows_are_plain_values_with_the_literature_beside():
    ticks: list[int] = []
    features = {name: separated(1.0, seed=i) for i, name in enumerate(NAMES) if name != "stage1"}
    curve = probe_depths(features, labels_of(), folds_of(), ALONE, names=NAMES, on_group=ticks.append)
    rows = json.loads(json.dumps(curve.rows()))
    assert all(list(row) == KEYS for row in rows)
    assert [(row["group"], row["position"], row["count"]) for row in rows] == [
        *(("stem", 0, 4), ("stage2", 2, 4), ("stage3", 3, 4))
    ]
    assert [row["literature_share"] for row in rows] == [DEPTH_FACTS[i].transfer_share for i in (0, 2, 3)]
    assert [row["detects"] for row in rows] == [DEPTH_FACTS[i].detects for i in (0, 2, 3)]
    assert [row["default_action"] for row in rows] == [DEPTH_FACTS[i].default_action for i in (0, 2, 3)]
    assert rows[0]["cka"] is None
    assert rows[0]["features"] == 8
    assert (curve.images, curve.folds, curve.neighbours) == (240, 5, 10)
    assert curve.majority_share == pytest.approx(1 / 3)
    assert ticks == [1, 1, 1]


def test_a_curve_that_rises_to_the_end_says_so():
    curve = curve_of((0.3, 1.0, 2.0, 4.0))
    accuracies = [one.accuracy for one in curve.groups]
    assert accuracies == sorted(accuracies)
    assert (curve.best, curve.stops_at, curve.falls_from) == ("stage3", "stage3", None)
    assert f"rises from {accuracies[0]:.2f} after stem to {accuracies[-1]:.2f} after stage3" in curve.sentence
    assert "no earlier group is as good" in curve.sentence


def test_a_curve_that_stops_names_where_and_what_adds_nothing():
    curve = curve_of((0.3, 3.0, 3.0, 3.0))
    assert (curve.stops_at, curve.falls_from) == ("stage1", None)
    assert "after stage1 and stops there" in curve.sentence
    assert "so stage2 to stage3 add no significant information" in curve.sentence


def test_a_curve_that_hardly_moves_does_not_rise():
    curve = curve_of((0.3, 3.0, 3.0, 3.0))
    wide = replace(curve.groups[0], accuracy_interval=(0.3, 0.99))
    assert "The probe rises from" in curve.sentence
    assert "The probe goes from" in replace(curve, groups=(wide, *curve.groups[1:])).sentence


def test_a_curve_that_falls_names_from_where():
    curve = curve_of((0.3, 1.0, 4.0, 0.5))
    assert (curve.best, curve.stops_at, curve.falls_from) == ("stage2", "stage2", "stage2")
    assert "falls to" in curve.sentence
    assert "the groups after stage2" in curve.sentence


def test_a_first_group_that_is_as_good_as_any_is_enough():
    assert "reaches 0.9" in curve_of((3.5, 3.5, 3.5, 3.5)).sentence
    assert "after stem already and stops there" in curve_of((3.5, 3.5, 3.5, 3.5)).sentence


def test_noise_is_called_noise_and_one_group_has_no_curve():
    assert "No group is better than always predicting the largest class" in curve_of((0.0, 0.0, 0.0, 0.0)).sentence
    assert "the only group that can be read" in curve_of((3.0,)).sentence


def test_clusters_that_no_line_parts_are_said_to_be_so():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 2, (240, 2))  # exclusive or
    features = (np.array([-4.0, 4.0])[corners] + rng.normal(size=(240, 2))).astype(np.float32)
    labels = corners[:, 0] ^ corners[:, 1]
    curve = probe_depths({"stem": features}, labels, folds_of(), ALONE, names=["stem"])
    assert curve.groups[0].knn_accuracy > 0.95 > 0.7 > curve.groups[0].accuracy


def test_cka_says_what_tuning_has_moved():
    features = {name: separated(2.0, seed=i) for i, name in enumerate(NAMES)}
    tuned = {**features, "stage3": separated(2.0, seed=77)}
    found = probe_depths(features, labels_of(), folds_of(), ALONE, names=NAMES, tuned=tuned)
    assert [one.cka for one in found.groups][:3] == pytest.approx([1, 1, 1])
    assert found.groups[3].cka < 0.9
    assert "Fine-tuning changed stage3 most" in found.sentence
    still = probe_depths(features, labels_of(), folds_of(), ALONE, names=NAMES, tuned=features)
    assert "did not change its backbone" in still.sentence


def test_only_differences_beyond_chance_count():
    right = np.ones(100, bool)
    four, five = right.copy(), right.copy()
    four[:4] = five[:5] = False
    alone = np.arange(100)
    assert not beats(right, four, alone)  # 4 of 4: 1/16
    assert beats(right, five, alone)  # 5 of 5: 1/32
    assert not beats(right, right, alone)
    assert not beats(five, right, alone)
    assert not beats(right, five, alone // 2)  # five images of three patients


def test_where_the_l2_penalty_was_chosen_on_a_sample_all_images_are_evaluated(monkeypatch: pytest.MonkeyPatch):
    expected = curve_of((2.0,)).groups[0]
    monkeypatch.setattr(head_solver, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(head_solver, "SAMPLE_VALUES", 100 * 8)
    found = curve_of((2.0,))
    assert found.images == 240
    assert found.groups[0].accuracy == pytest.approx(expected.accuracy, abs=0.02)


def test_folds_keep_groups_together_and_classes_spread():
    records = [record(f"{label}/{i}", label) for label in "ab" for i in range(30)]
    groups = {one.id: f"{one.label}{int(one.id[2:]) // 3}" for one in records}
    folds = folds_by_group(records, groups, seed=0)
    assert sorted(set(folds)) == [0, 1, 2, 3, 4]
    for name in set(groups.values()):
        assert len({fold for one, fold in zip(records, folds, strict=True) if groups[one.id] == name}) == 1
    for label in "ab":
        counts = np.bincount([fold for one, fold in zip(records, folds, strict=True) if one.label == label])
        assert counts.tolist() == [6] * 5


def test_as_many_folds_as_the_smallest_class_has_groups():
    records = [record(f"a/{i}", "a") for i in range(20)] + [record(f"b/{i}", "b") for i in range(3)]
    own = {one.id: one.id for one in records}
    folds = folds_by_group(records, own, seed=0)
    assert len(set(folds.tolist())) == 3
    assert len(set(folds[20:].tolist())) == 3


def test_a_class_in_one_group_cannot_be_evaluated():
    records = [record(f"a/{i}", "a") for i in range(4)] + [record(f"b/{i}", "b") for i in range(4)]
    groups = {one.id: "same" if one.label == "b" else one.id for one in records}
    with pytest.raises(DataError, match=r"class 'b' lies in a single group.*loosen --group"):
        folds_by_group(records, groups, seed=0)
    with pytest.raises(DataError, match="have 1 classes"):
        folds_by_group(records[:4], groups, seed=0)
