"""Several problems side by side end where scipy ends with each alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der

from headstart.solvers.lbfgs import DOUBLE_ROUNDING, minimise_together


def quadratics(seed: int = 0, problems: int = 4, width: int = 12):
    """Bowls of very different shapes: (evaluate, their lowest points, numbers of the problems evaluated)."""
    rng = np.random.default_rng(seed)
    bowls = [rng.normal(0, 1, (width, width)) for _ in range(problems)]
    bowls = [bowl @ bowl.T + 0.1 * 10**index * np.eye(width) for index, bowl in enumerate(bowls)]
    lowest = rng.normal(0, 1, (problems, width))
    asked: list[list[int]] = []

    def evaluate(points, which):
        asked.append(which.tolist())
        away = points - lowest[which]
        slopes = np.stack([bowls[number] @ row for number, row in zip(which, away, strict=True)])
        return 0.5 * (away * slopes).sum(axis=1), slopes

    return evaluate, lowest, asked


def test_each_problem_converges_to_its_own_minimum():
    evaluate, lowest, asked = quadratics()
    found = minimise_together(evaluate, np.zeros((4, 12)), tolerance=1e-8, max_evaluations=500)
    assert np.allclose(found.points_PV, lowest, atol=1e-6)
    assert found.evaluations == len(asked) < 500
    assert asked[0] == [0, 1, 2, 3]
    assert len(asked[-1]) < 4  # the others had converged


def test_a_curved_valley_ends_where_scipy_ends():
    start = np.array([[-1.2, 1.0, -0.5, 2.0]])

    def evaluate(points, which):
        return np.array([rosen(points[0])]), rosen_der(points[0])[None]

    found = minimise_together(evaluate, start, tolerance=1e-7, max_evaluations=500)
    expected = minimize(rosen, start[0], jac=rosen_der, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-15})
    assert np.allclose(found.points_PV[0], expected.x, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_in_double_precision_it_ends_at_the_minimum_and_not_where_single_precision_would(seed: int) -> None:
    """Values of 1e6: the rounding of single precision alone would let the loss rise by 0.1 at every step."""
    evaluate, lowest, _ = quadratics(seed)

    def raised(points, which):
        values, slopes = evaluate(points, which)
        return values + 1e6, slopes

    settings = {"tolerance": 1e-6, "max_evaluations": 1000}
    found = minimise_together(raised, np.zeros((4, 12)), rounding=DOUBLE_ROUNDING, **settings)
    assert np.allclose(found.points_PV, lowest, atol=1e-5)
    assert found.evaluations < 1000


def test_together_and_alone_are_the_same_bits():
    evaluate, _, _ = quadratics()
    together = minimise_together(evaluate, np.ones((4, 12)), tolerance=1e-6, max_evaluations=100)
    for number in range(4):

        def alone(points, which, number=number):
            return evaluate(points, which + number)

        single = minimise_together(alone, np.ones((1, 12)), tolerance=1e-6, max_evaluations=100)
        assert np.array_equal(single.points_PV[0], together.points_PV[number])


def test_it_stops_at_the_limit_of_evaluations_with_the_best_points_so_far():
    evaluate, _, asked = quadratics()
    found = minimise_together(evaluate, np.zeros((4, 12)), tolerance=1e-12, max_evaluations=5)
    assert found.evaluations == len(asked) == 5
    before, after = (evaluate(points, np.arange(4))[0] for points in (np.zeros((4, 12)), found.points_PV))
    assert (after < before).all()


def test_values_that_are_rounded_do_not_keep_it_going():
    evaluate, lowest, _ = quadratics()

    def rounded(points, which):
        values, slopes = evaluate(points, which)
        noise = np.random.default_rng(0).normal(0, 1e-7, slopes.shape)
        return (values + 100).astype(np.float32).astype(np.float64), slopes + noise

    found = minimise_together(rounded, np.zeros((4, 12)), tolerance=1e-9, max_evaluations=2000)
    assert found.evaluations < 500
    assert np.allclose(found.points_PV, lowest, atol=1e-2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_ends_it_at_the_last_good_point(value: float):
    def evaluate(points, which):
        good = np.abs(points[:, 0]) < 0.5
        return np.where(good, points[:, 0], value), np.ones_like(points)

    found = minimise_together(evaluate, np.zeros((1, 1)), tolerance=1e-6, max_evaluations=100)
    assert abs(found.points_PV[0, 0]) < 0.5
    assert found.evaluations < 100 or found.points_PV[0, 0] < -0.45


def test_a_start_at_the_minimum_needs_one_evaluation():
    evaluate, lowest, _ = quadratics()
    assert minimise_together(evaluate, lowest.copy(), tolerance=1e-9, max_evaluations=9).evaluations == 1
