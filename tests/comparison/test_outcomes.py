"""Values and intervals of one variant against the metrics of `evaluate` and against repetition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.comparison.outcomes import (
    Outcomes,
    TrialPredictions,
    estimate_of,
    mean_of,
    outcomes_of,
    strata_of,
    summarize,
    values_by_seed,
)
from headstart.measures.intervals import wilson_interval
from headstart.measures.metrics import balanced_accuracy, confusion_matrix

FAST = settings(max_examples=30, deadline=None)


def answers(right: object, labels: list[str] | None = None, loss: float = 0.5) -> TrialPredictions:
    row = [bool(value) for value in np.asarray(right)]
    return TrialPredictions([f"{i}.png" for i in range(len(row))], labels or ["ant"] * len(row), row, [loss] * len(row))


@FAST
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_means_are_those_of_the_metrics(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, predicted = rng.integers(0, 3, count), rng.integers(0, 3, count)
    of = TrialPredictions(
        [str(i) for i in range(count)], [str(n) for n in labels], list(labels == predicted), [0.7] * count
    )
    expected = balanced_accuracy(confusion_matrix(labels, predicted, 3))
    assert mean_of(outcomes_of("v", {0: of}, "balanced_accuracy")) == pytest.approx(expected)
    assert mean_of(outcomes_of("v", {0: of}, "accuracy")) == pytest.approx(np.mean(labels == predicted))
    assert mean_of(outcomes_of("v", {0: of, 3: of}, "log_loss")) == pytest.approx(0.7)


def test_one_seed_of_accuracy_has_wilsons_interval() -> None:
    found = estimate_of(outcomes_of("v", {4: answers([1] * 83 + [0] * 17)}, "accuracy"))
    assert found.interval == wilson_interval(83, 100)
    assert found.by_seed == (0.83,)


def test_all_right_in_several_seeds_is_about_as_certain_as_wilson_says() -> None:
    found = estimate_of(outcomes_of("v", {0: answers([1] * 200), 1: answers([1] * 200)}, "accuracy"))
    assert found.interval == pytest.approx((wilson_interval(200, 200)[0], 1.0), abs=0.005)


def test_balanced_accuracy_of_a_rare_class_stays_a_share() -> None:
    labels = ["ant"] * 95 + ["bee"] * 5
    found = estimate_of(outcomes_of("v", {0: answers([1] * 94 + [0] + [1] * 5, labels)}, "balanced_accuracy"))
    assert found.interval[1] <= 1.0
    assert 0.6 < found.interval[0] < found.value


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_interval_of_several_seeds_covers_another_seeds_and_images_truth(metric: str) -> None:
    rng, covered = np.random.default_rng(2), 0
    truth = 0.8 if metric == "accuracy" else 1.0
    for _ in range(100):
        means = truth + rng.normal(0, 0.03, 3)
        if metric == "accuracy":
            trials = {s: answers(rng.random(150) < mean) for s, mean in enumerate(means)}
        else:
            losses = {s: rng.exponential(mean, 150) for s, mean in enumerate(means)}
            trials = {
                s: TrialPredictions([str(i) for i in range(150)], ["ant"] * 150, [True] * 150, list(row))
                for s, row in losses.items()
            }
        low, high = estimate_of(outcomes_of("v", trials, metric)).interval  # type: ignore[arg-type]
        covered += low <= truth <= high
    assert covered >= 90


def test_metrics_have_accuracy_beside_the_metric_of_the_comparison() -> None:
    trials = {1: answers([1, 1, 0, 1], loss=0.2), 0: answers([1, 1, 1, 1], loss=0.4)}
    found = summarize(trials, "log_loss")
    assert found.accuracy == 0.875
    assert (found.images, found.predictions) == (4, 8)
    assert found.by_seed == (1.0, 0.75)  # by number of the seed
    assert found.value == pytest.approx(0.3)
    assert found.value_by_seed == pytest.approx((0.4, 0.2))
    assert found.interval[0] < 0.875 < found.interval[1] <= 1.0
    assert summarize(trials, "accuracy").value_interval == found.interval


def test_rows_know_what_was_not_answered() -> None:
    found = values_by_seed(Outcomes("v", "accuracy", {2: {"a": 1.0}, 0: {"b": 0.0}}, {}), ["a", "b"])
    assert list(found) == [0, 2]
    assert np.array_equal(np.stack(list(found.values())), [[math.nan, 0], [1, math.nan]], equal_nan=True)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match=r"columns of \[2, 1, 2, 2\] rows with 2 images; one row an image"):
        TrialPredictions(["a", "b"], ["ant"], [True, False], [0.1, 0.2])
    with pytest.raises(ValueError, match="with 1 images; one row an image is expected"):
        TrialPredictions(["a", "a"], ["ant"] * 2, [True, False], [0.1, 0.2])
    with pytest.raises(ValueError, match="v has no seed"):
        Outcomes("v", "accuracy", {}, {})
    with pytest.raises(ValueError, match="seed 3 of v has no image, or a value that is no finite number"):
        Outcomes("v", "log_loss", {3: {"a": math.nan}}, {})
    with pytest.raises(ValueError, match="1 images of v have no class; balanced accuracy needs it"):
        Outcomes("v", "balanced_accuracy", {0: {"a": 1.0}}, {})
    ant, bee = (Outcomes(name, "balanced_accuracy", {0: {"a": 1.0}}, {"a": name}) for name in ("ant", "bee"))
    with pytest.raises(ValueError, match="bee has another class for an image"):
        strata_of([ant, bee], ["a"])
    with pytest.raises(ValueError, match=r"metrics \['accuracy', 'balanced_accuracy'\] in one comparison"):
        strata_of([ant, Outcomes("v", "accuracy", {0: {"a": 1.0}}, {})], ["a"])


def test_seeds_that_agree_by_luck_are_not_surer_than_their_images_allow():
    """Three seeds have exactly 290 of 400 images right: no spread at all, and yet 1,200 images are only so many."""
    trials = {}
    for seed in range(3):
        images = [f"{seed}/{number}" for number in range(400)]
        right = [number < 290 for number in range(400)]
        trials[seed] = TrialPredictions(images, ["a"] * 400, right, [0.5] * 400)
    low, high = summarize(trials, "accuracy").interval
    expected = 1.96 * np.sqrt(0.725 * 0.275 / 1200)
    assert expected < (high - low) / 2 < 1.5 * expected
