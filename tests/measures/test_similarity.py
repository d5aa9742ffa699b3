"""Figures on features against independent computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm, ortho_group

from headstart.measures.similarity import gaussian_overlap, linear_cka, similarity_of_overlap

FINITE = st.floats(-3, 3)
POSITIVE = st.floats(0.1, 4)


@pytest.mark.parametrize(("a", "b"), [((0.0, 1.0), (0.5, 2.0)), ((-1.0, 0.3), (1.0, 0.4)), ((2.0, 1.0), (2.0, 1.0))])
def test_overlap_is_the_integral_of_the_root_of_both_densities(a: tuple[float, float], b: tuple[float, float]):
    first, second = norm(a[0], a[1] ** 0.5), norm(b[0], b[1] ** 0.5)
    expected, _ = quad(lambda x: (first.pdf(x) * second.pdf(x)) ** 0.5, -20, 20)
    found = gaussian_overlap(*(np.array([value]) for value in (*a, *b)))
    assert found[0] == pytest.approx(expected, abs=1e-6)


@given(mean_a=FINITE, mean_b=FINITE, var_a=POSITIVE, var_b=POSITIVE, scale=POSITIVE, shift=FINITE)
def test_overlap_is_symmetric_and_has_no_unit(
    mean_a: float, mean_b: float, var_a: float, var_b: float, scale: float, shift: float
):
    def overlap(*values: float) -> float:
        return float(gaussian_overlap(*(np.array([value]) for value in values))[0])

    there = overlap(mean_a, var_a, mean_b, var_b)
    assert 0 < there <= 1 + 1e-12
    assert overlap(mean_b, var_b, mean_a, var_a) == pytest.approx(there)
    moved = [mean_a * scale + shift, var_a * scale**2, mean_b * scale + shift, var_b * scale**2]
    assert overlap(*moved) == pytest.approx(there, rel=1e-6)


def test_a_channel_that_never_varies_is_no_error():
    assert gaussian_overlap(np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(2)) == pytest.approx([1, 1])


@given(st.floats(0, 1), st.floats(0, 1))
def test_similarity_never_falls_with_overlap(a: float, b: float):
    low, high = sorted((a, b))
    assert 0 <= similarity_of_overlap(low) <= similarity_of_overlap(high) <= 1
    assert similarity_of_overlap(1.0) == 1


def direct_cka(x: np.ndarray, y: np.ndarray) -> float:
    """By the definition with centred kernels (HSIC), as in the paper's appendix."""
    count = len(x)
    centre = np.eye(count) - 1 / count
    k, m = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre
    return float(np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m)))


@pytest.mark.parametrize(("count", "width"), [(40, 5), (12, 30)])
def test_cka_is_that_of_the_definition(count: int, width: int):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(count, width)) + 3, rng.normal(size=(count, width + 2))
    y[:, :3] += x[:, :3]
    assert linear_cka(x, y) == pytest.approx(direct_cka(x, y))


def test_cka_does_not_see_rotation_scale_and_shift():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 6))
    turned = 3 * x @ ortho_group.rvs(6, random_state=2) + 5
    assert linear_cka(x, turned) == pytest.approx(1)
    assert linear_cka(x, rng.normal(size=(50, 6))) < 0.4
    assert linear_cka(x, np.ones((50, 2))) == 0


def test_cka_needs_the_same_images():
    with pytest.raises(ValueError, match="3 and 4 images"):
        linear_cka(np.zeros((3, 2)), np.zeros((4, 2)))
