"""The rule of the range test on synthetic curves whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.training.learning_rates.range_test import (
    HIGHEST_FACTOR,
    LOWEST_FACTOR,
    SAFETY,
    Point,
    factors_for,
    has_diverged,
    suggest,
)

GUESS = math.log(10)
BASELINE = 0.8
STEP = (HIGHEST_FACTOR / LOWEST_FACTOR) ** (1 / 49)
"""From one factor of fifty to the next."""


def curve(
    difference: Callable[[float], float],
    *,
    points: int = 50,
    noise: float = 0.0,
    between: float = 0.3,
    baseline: float = BASELINE,
    seed: int = 0,
) -> list[Point]:
    """A test that goes on to the end. Batches differ by `between`, in loss and baseline alike."""
    rng = np.random.default_rng(seed)
    made = []
    for factor in factors_for(points):
        batch = baseline + between * rng.uniform(-1, 1)
        moved = difference(factor)
        loss = batch + moved + noise * rng.normal()
        made.append(Point(factor, loss, batch, noise + 0.01 * abs(moved)))
    return made


def holds(edge: float, *, gap: float = GUESS - BASELINE) -> Callable[[float], float]:
    """Nothing happens, then the loss grows with the square of the factor; half the way to a guess is lost at `edge`."""
    return lambda factor: 0.5 * gap * (factor / edge) ** 2


def falls(edge: float, *, depth: float, baseline: float) -> Callable[[float], float]:
    """Falls by `depth` around a tenth of the edge, then grows; half the way back to a guess is lost at `edge`."""
    lost = 0.5 * (GUESS - baseline + depth)
    return lambda factor: -depth / (1 + (edge / 40 / factor) ** 2) + lost * (factor / edge) ** 3


def near(factor: float | None, expected: float) -> bool:
    """Within one and a half steps of the sweep."""
    return factor is not None and abs(math.log(factor / expected)) < 1.5 * math.log(STEP)


@pytest.mark.parametrize("edge", [0.05, 0.7, 3.0, 30.0])
def test_a_loss_that_stays_and_then_shoots_up_gives_a_share_of_the_edge(edge: float):
    found = suggest(curve(holds(edge)), guess=GUESS, tested="head")
    assert found.shape == "holds"
    assert near(found.edge, edge)
    assert found.factor == pytest.approx(found.edge / 10, rel=0.05)
    assert found.edge_lies == "inside"
    assert "the last at which less than half of what it knew was lost" in found.why


def test_a_backbone_takes_more_of_the_edge_than_a_head():
    points = curve(holds(3.0))
    found = {tested: suggest(points, guess=GUESS, tested=tested) for tested in SAFETY}
    assert len({one.edge for one in found.values()}) == 1
    for tested, one in found.items():
        assert one.edge is not None
        assert one.factor == pytest.approx(one.edge / SAFETY[tested], rel=0.05)
        assert one.why.startswith(f"1/{SAFETY[tested]:g} of ")
    assert SAFETY["backbone"] < SAFETY["head"]


@pytest.mark.parametrize("edge", [0.5, 10.0])
def test_a_loss_that_falls_first_is_read_from_its_lowest_level(edge: float):
    found = suggest(curve(falls(edge, depth=1.2, baseline=2.2), baseline=2.2, between=0.05), guess=GUESS, tested="head")
    assert found.shape == "falls"
    assert found.edge is not None
    assert edge / 1.5 < found.edge < edge * 1.5
    assert "lowest at" in found.why


@settings(max_examples=60, deadline=None)
@given(edge=st.floats(0.1, 20.0), noise=st.floats(0.0, 0.1), seed=st.integers(0, 10**6), points=st.integers(20, 50))
def test_noise_and_unlike_batches_do_not_move_the_suggestion_far(edge: float, noise: float, seed: int, points: int):
    found = suggest(curve(holds(edge), noise=noise, seed=seed, points=points), guess=GUESS, tested="head")
    assert found.edge is not None
    assert edge / 2.5 < found.edge < edge * 2.5


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(0.2, 5.0))
def test_learning_rates_planned_higher_are_found_lower_by_the_same_factor(scale: float):
    plain, scaled = (suggest(curve(holds(2.0 / by)), guess=GUESS, tested="head").edge for by in (1.0, scale))
    assert plain is not None
    assert scaled is not None
    assert abs(math.log(plain / (scaled * scale))) < 1.1 * math.log(STEP)


@pytest.mark.parametrize("bad", [0, 10, 20])
def test_a_single_bad_batch_decides_nothing(bad: int):
    points = curve(holds(5.0))
    spoilt = [*points[:bad], Point(points[bad].factor, 9.0, BASELINE, 1.0), *points[bad + 1 :]]
    assert suggest(spoilt, guess=GUESS, tested="head").factor == suggest(points, guess=GUESS, tested="head").factor


def test_harm_below_half_is_no_edge_and_a_bump_is_forgiven():
    bump = suggest(curve(lambda f: (1.4 if 0.05 < f < 0.08 else 0.2) + holds(5.0)(f)), guess=GUESS, tested="head")
    assert bump.edge is not None
    assert 3.0 < bump.edge <= 5.0 * STEP


def test_no_reaction_leaves_the_plan():
    found = suggest(curve(lambda _: 0.0, noise=0.01), guess=GUESS, tested="head")
    assert (found.factor, found.edge, found.shape, found.edge_lies) == (None, None, "no_reaction", "above")
    assert "does not react to any learning rate up to 1e+02 times" in found.why


def test_a_loss_that_only_falls_ends_with_the_test():
    found = suggest(curve(lambda f: -0.5 * min(1.0, f / 10)), guess=GUESS, tested="head")
    assert (found.shape, found.edge, found.edge_lies) == ("falls", pytest.approx(HIGHEST_FACTOR), "above")
    assert "the highest that was tried" in found.why


def test_what_is_lost_at_once_leaves_the_plan():
    found = suggest(curve(lambda _: 3.0), guess=GUESS, tested="head")
    assert (found.factor, found.shape, found.edge_lies) == (None, "worse_at_once", "below")
    assert "already at 0.01 times" in found.why
    never = [Point(0.01, math.nan, BASELINE, math.nan)]
    assert suggest(never, guess=GUESS, tested="head").shape == "worse_at_once"


def test_a_loss_that_stops_being_a_number_is_an_edge():
    points = curve(lambda _: 0.0)[:30]
    broken = [*points, Point(factors_for(50)[30], math.inf, BASELINE, math.nan)]
    found = suggest(broken, guess=GUESS, tested="head")
    assert (found.shape, found.edge) == ("holds", points[-1].factor)


def test_who_knows_nothing_has_only_a_material_share_to_lose():
    found = suggest(curve(lambda f: f**2, baseline=GUESS, between=0.0), guess=GUESS, tested="head")
    assert found.shape == "holds"
    assert near(found.edge, math.sqrt(0.05 * GUESS))


def test_a_test_has_diverged_when_it_is_no_number_or_worse_than_a_guess_three_times():
    def points(*losses: float, baseline: float = 0.5) -> list[Point]:
        return [Point(1.0, loss, baseline, 0.1) for loss in losses]

    assert has_diverged(points(0.5, math.nan), guess=1.0)
    assert has_diverged(points(math.inf), guess=1.0)
    assert has_diverged(points(0.5, 1.1, 3.0, 1.1), guess=1.0)
    assert not has_diverged(points(9.0, 9.0), guess=1.0)
    assert not has_diverged(points(9.0, 0.9, 9.0), guess=1.0)
    assert not has_diverged(points(3.0, 3.0, 3.0, baseline=2.0), guess=1.0)


def test_factors_rise_by_the_same_multiple():
    factors = np.array(factors_for(50))
    assert (factors[0], factors[-1]) == (pytest.approx(LOWEST_FACTOR), pytest.approx(HIGHEST_FACTOR))
    assert np.diff(np.log(factors)) == pytest.approx(np.full(49, math.log(STEP)))
    assert factors_for(50, around=1e4) == pytest.approx(factors * 1e4)


def test_a_suggestion_is_plain_json():
    found = suggest(curve(holds(2.0)), guess=GUESS, tested="head").to_dict()
    assert found["factor"] == pytest.approx(2.0 / 10, rel=0.2)
    assert len(found["smoothed"]) == 50
