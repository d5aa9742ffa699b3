"""Candidates on the same images: the order by each metric, and tests that count every class the same."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from headstart.measures.figures import METRIC_WORDS
from headstart.measures.metrics import paired_p_value, sharpened_log_losses
from headstart.measures.selection import BY_CLASS, Scored

LABELS = np.repeat([0, 1], [180, 20])


def predictions(*, of_rare: float, of_common: float = 0.9, seed: int = 0) -> np.ndarray:
    """(200, 2) probabilities whose mean of the true class is given by class."""
    rng = np.random.default_rng(seed)
    mean = np.where(LABELS == 1, of_rare, of_common)
    own = np.clip(mean + rng.uniform(-0.15, 0.15, 200), 0.01, 0.99)
    return np.stack([np.where(LABELS == 0, own, 1 - own), np.where(LABELS == 1, own, 1 - own)], axis=1)


def test_values_are_those_of_scikit_learn() -> None:
    given = predictions(of_rare=0.5)
    predicted = given.argmax(axis=1)
    value = {metric: Scored.of(given, LABELS, metric).value for metric in METRIC_WORDS}
    assert value["accuracy"] == (predicted == LABELS).mean()
    assert value["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(LABELS, predicted))
    assert value["macro_f1"] == pytest.approx(f1_score(LABELS, predicted, average="macro"))
    assert value["log_loss"] == -sharpened_log_losses(given, LABELS).mean()


def test_accuracy_compares_as_without_classes() -> None:
    one, other = predictions(of_rare=0.6), predictions(of_rare=0.4, seed=1)
    scored = [Scored.of(each, LABELS, "accuracy") for each in (one, other)]
    expected = paired_p_value(sharpened_log_losses(other, LABELS), sharpened_log_losses(one, LABELS))
    assert scored[0].p_value_against(scored[1]) == expected
    assert scored[1].p_value_against(scored[0]) == 1.0


@pytest.mark.parametrize("metric", BY_CLASS)
def test_a_gain_in_the_small_class_outweighs_a_loss_in_the_large_one(metric: str) -> None:
    """15 more of 20 against 15 fewer of 180: as accurate, and better by class."""
    rare, common = (np.isin(LABELS, [name]) for name in (1, 0))
    before, after = np.zeros(200, np.int64), np.zeros(200, np.int64)
    after[np.flatnonzero(rare)[:15]] = 1
    after[np.flatnonzero(common)[:15]] = 1
    losses = [
        np.where(one == LABELS, 0.2, 1.5) + np.random.default_rng(1).uniform(0, 0.1, 200) for one in (before, after)
    ]
    was, now = (
        Scored(one == LABELS, loss, metric, LABELS, one) for one, loss in zip((before, after), losses, strict=True)
    )
    assert now.is_better_than(was)
    assert now.p_value_against(was) < 0.001
    assert was.loss_p_value_against(now) == 1.0
    plain = [Scored(one.correct, one.losses) for one in (was, now)]
    assert plain[0].value == plain[1].value
    assert plain[1].p_value_against(plain[0]) == 1.0


def test_log_loss_asks_for_no_fewer_errors() -> None:
    was, now = (
        Scored(np.arange(100) >= wrong, np.full(100, loss) + np.linspace(0, 0.008 * loss, 100), "log_loss")
        for wrong, loss in ((5, 1.0), (9, 0.5))
    )
    assert now.is_better_than(was)
    assert now.p_value_against(was) < 0.01
    assert now.loss_p_value_against(was) < 0.01
    assert now.figures_against(was) == "log loss at its best temperature 0.502 against 1.004"


def test_the_temperature_suits_the_classes_alike() -> None:
    """Of predictions that are far too sure of the large class, the small one asks for softer ones."""
    given = predictions(of_rare=0.2, of_common=0.97)
    plain, by_class = (Scored.of(given, LABELS, metric).losses for metric in ("accuracy", "balanced_accuracy"))
    assert by_class[LABELS == 1].mean() < plain[LABELS == 1].mean()


def test_some_of_the_images_and_the_words() -> None:
    whole = Scored.of(predictions(of_rare=0.6), LABELS, "balanced_accuracy")
    some = whole.at(np.arange(170, 200))
    assert len(some.correct) == len(some.labels) == len(some.predicted) == 30
    text = whole.figures_against(some)
    assert text.startswith("balanced accuracy 0.")
    assert "class-balanced log loss at its best temperature" in text
