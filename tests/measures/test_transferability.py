"""LogME and the H-score against direct computations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import ortho_group
from sklearn.covariance import ledoit_wolf

from head_rows import clouds
from headstart.measures.transferability import h_score, ledoit_wolf_share, log_maximum_evidence

Doubles = npt.NDArray[np.float64]


def evidence_by_search(features: Doubles, labels: npt.NDArray[np.int64]) -> float:
    """The density of the targets themselves, maximised over both precisions from many starts."""
    kernel, found = features @ features.T, []
    scale = np.trace(kernel) / min(features.shape)
    for label in np.unique(labels):
        target = (labels == label).astype(float)

        def loss(logs: Doubles, target: Doubles = target) -> float:
            covariance = np.eye(len(kernel)) * np.exp(logs[1]) + kernel / scale * np.exp(logs[0])
            volume = np.linalg.slogdet(2 * np.pi * covariance).logabsdet
            return 0.5 * float(volume + target @ np.linalg.solve(covariance, target))

        starts = [(signal, noise) for signal in (-6, -2, 2) for noise in (-5, -2, 0)]
        runs = [minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-5}) for start in starts]
        found.append(-min(run.fun for run in runs) / len(target))
    return float(np.mean(found))


@pytest.mark.parametrize(("count", "width", "classes"), [(40, 6, 2), (40, 6, 3), (30, 50, 3)])
def test_evidence_is_the_maximum_of_the_density_itself(count: int, width: int, classes: int):
    features, labels = clouds(count, width, classes, spread=2)
    x = features.astype(np.float64)
    assert log_maximum_evidence(x, labels) == pytest.approx(evidence_by_search(x, labels), abs=2e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([1e-3, 0.5, 300.0]))
def test_neither_has_a_unit_nor_a_preferred_axis(seed: int, factor: float):
    features, labels = clouds(40, 12, 3, seed=seed)
    x = features.astype(np.float64)
    turned = factor * x @ ortho_group.rvs(12, random_state=seed)
    assert log_maximum_evidence(turned, labels) == pytest.approx(log_maximum_evidence(x, labels), abs=1e-6)
    for shrinkage in ("ledoit_wolf", "none"):
        expected = h_score(x, labels, shrinkage=shrinkage)
        assert h_score(turned, labels, shrinkage=shrinkage) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 5), count=st.integers(12, 40))
def test_the_order_of_images_and_the_names_of_classes_do_not_matter(seed: int, classes: int, count: int):
    features, labels = clouds(count, 8, classes, seed=seed)
    order = np.random.default_rng(seed).permutation(count)
    renamed = (classes - labels)[order] * 7
    assert log_maximum_evidence(features[order], renamed) == pytest.approx(log_maximum_evidence(features, labels))
    assert h_score(features[order], renamed) == pytest.approx(h_score(features, labels))


def direct_h_score(x: Doubles, labels: npt.NDArray[np.int64], *, share: float) -> float:
    centred = x - x.mean(axis=0)
    means = np.stack([centred[labels == label].mean(axis=0) for label in labels])
    covariance = np.cov(x, rowvar=False, bias=True)
    target = np.trace(covariance) / x.shape[1] * np.eye(x.shape[1])
    shrunk = (1 - share) * covariance + share * target
    return float(np.trace(np.linalg.pinv(shrunk) @ ((1 - share) * means.T @ means / len(x))))


@pytest.mark.parametrize(("count", "width"), [(60, 10), (30, 50)])
def test_h_score_is_its_formula(count: int, width: int):
    features, labels = clouds(count, width, 3)
    x = features.astype(np.float64)
    _, share = ledoit_wolf(x)
    assert ledoit_wolf_share(x - x.mean(axis=0)) == pytest.approx(share, rel=1e-9)
    assert h_score(x, labels) == pytest.approx(direct_h_score(x, labels, share=share), rel=1e-8)
    assert h_score(x, labels, shrinkage="none") == pytest.approx(direct_h_score(x, labels, share=0.0), rel=1e-6)


def test_shrinkage_is_what_tells_networks_apart_with_few_images():
    good, labels = clouds(30, 60, 3, spread=0.5)
    noise = np.random.default_rng(0).normal(0, 1, good.shape)
    for features in (good, noise):
        assert h_score(features, labels, shrinkage="none") == pytest.approx(2, abs=1e-6)  # K - 1 whatever it is of
    assert 0 <= h_score(noise, labels) < h_score(good, labels) < 2


def test_better_features_score_higher():
    scores = []
    for spread in (0.5, 2.0, 8.0):
        features, labels = clouds(200, 24, 4, spread=spread)
        scores.append((log_maximum_evidence(features, labels), h_score(features, labels)))
    assert scores == sorted(scores, reverse=True)
    assert scores[0][1] > scores[1][1] > scores[2][1]


def test_features_that_say_nothing_or_everything_are_no_error():
    labels = np.arange(12) % 3
    nothing = log_maximum_evidence(np.zeros((12, 4)), labels)
    everything = log_maximum_evidence(np.eye(3)[labels], labels)
    assert np.isfinite([nothing, everything]).all()
    assert nothing < everything
    assert h_score(np.zeros((12, 4)), labels) == 0
    assert h_score(np.eye(3)[labels], labels) <= 2


def test_one_class_or_too_few_labels_are_refused():
    with pytest.raises(ValueError, match="1 class in 4 images"):
        h_score(np.ones((4, 2)), np.zeros(4, np.int64))
    with pytest.raises(ValueError, match=r"\(4, 2\) and 3 labels"):
        log_maximum_evidence(np.ones((4, 2)), np.array([0, 1, 0]))
