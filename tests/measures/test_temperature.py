import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from headstart.measures.temperature import ONE_IMAGE_A_CLASS, best_temperature

BOUNDS = (1e-2, 1e4)


def _softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_the_temperature_is_scipys_but_for_the_softened_targets():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 3000)
    scores = (np.eye(4)[labels] * 0.4 + rng.normal(0, 0.3, (3000, 4))).astype(np.float32)

    def loss(log_sharpness: float) -> float:
        return float(-np.log(_softmax(scores * np.exp(log_sharpness))[np.arange(3000), labels]).mean())

    best = minimize_scalar(loss, bounds=(-3, 5), method="bounded")
    temperature, found = best_temperature(scores, labels, BOUNDS, soften=ONE_IMAGE_A_CLASS)
    assert temperature == pytest.approx(np.exp(-best.x), rel=0.02)
    assert found == pytest.approx(best.fun, abs=1e-4)


def test_scores_without_a_mistake_leave_a_doubt_and_those_against_the_labels_say_nothing():
    labels = np.arange(60) % 3
    temperature, loss = best_temperature(np.eye(3, dtype=np.float32)[labels], labels, BOUNDS, soften=ONE_IMAGE_A_CLASS)
    assert 0.05 < temperature < 1
    assert 0 < loss < 0.1
    _, loss = best_temperature(-np.eye(3, dtype=np.float32)[labels], labels, BOUNDS, soften=ONE_IMAGE_A_CLASS)
    assert loss == pytest.approx(np.log(3), abs=0.02)
    _, loss = best_temperature(np.zeros((60, 3), np.float32), labels, BOUNDS, soften=ONE_IMAGE_A_CLASS)
    assert loss == pytest.approx(np.log(3))


@pytest.mark.parametrize("spread", [0.5, 2.0, 6.0])
def test_without_softening_it_is_scipys(spread: float) -> None:
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 5, 500)
    logits = np.eye(5)[labels] * spread + rng.normal(0, spread, (500, 5))

    def loss(log_sharpness: float) -> float:
        return float(-np.log(_softmax(logits * np.exp(log_sharpness))[np.arange(500), labels]).mean())

    best = minimize_scalar(loss, bounds=(-5, 5), method="bounded")
    temperature, found = best_temperature(logits, labels, (np.exp(-5), np.exp(5)))
    assert temperature == pytest.approx(np.exp(-best.x), rel=1e-3)
    assert found == pytest.approx(best.fun, abs=1e-9)


def test_scores_without_a_mistake_end_at_the_bound_unless_targets_are_softened() -> None:
    labels = np.arange(60) % 3
    assert best_temperature(np.eye(3)[labels], labels, (0.1, 7.0))[0] == pytest.approx(1 / 7)
