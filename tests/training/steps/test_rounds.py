"""Rounds of a step: their images, and when the images so far decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.training.checkpoint import Candidate
from headstart.training.steps.rounds import (
    at_rows,
    hopeless_above,
    level_at,
    on_same_images,
    rounds_of,
    rows_so_far,
    verdict,
)


@pytest.fixture
def task(prepare: Callable):
    return prepare(strategy="progressive")


def test_each_image_validates_one_network_and_the_last_round_has_them_all(task):
    phase, images = task.plan.phases[1], task.images
    count = len(images.roles.train)
    *folds, last = rounds_of(phase, images, seed=1)
    assert len(folds) == 3
    for one in folds:
        assert sorted([*one.training_rows, *one.validation_rows]) == list(range(count))
    assert list(rows_so_far(folds, 3)) == list(range(count))
    assert list(last.training_rows) == list(range(count))
    assert last.validation_rows is None


def test_later_steps_take_the_folds_that_the_step_before_has_networks_of(task):
    whole = rounds_of(task.plan.phases[1], task.images, seed=1)
    some = rounds_of(task.plan.phases[1], task.images, seed=1, folds=1)
    assert np.array_equal(some[0].validation_rows, whole[0].validation_rows)
    assert len(some) == 2


def test_images_of_a_group_stay_in_one_fold(task):
    groups = {record.id: f"patient {number // 3}" for number, record in enumerate(task.images.roles.train)}
    *folds, _ = rounds_of(task.plan.phases[1], replace(task.images, groups=groups), seed=0)
    names = [{groups[task.images.roles.train[row].id] for row in one.validation_rows} for one in folds]
    assert sum(map(len, names)) == len(set.union(*names))


def test_held_out_images_validate_in_place_of_folds(task):
    images = replace(task.images, roles=replace(task.images.roles, validation=task.images.roles.test))
    (only,) = rounds_of(task.plan.phases[1], images, seed=0)
    assert len(only.training_rows) == len(images.roles.train)
    assert list(only.validation_rows) == list(range(len(images.roles.test)))


@pytest.mark.parametrize(("of", "published"), [(2, (0.0089, 0.0467)), (3, (0.0016, 0.0184, 0.0451))])
def test_the_levels_are_those_of_o_brien_and_fleming(of: int, published: tuple[float, ...]):
    """One-sided 0.05; from their constants 1.678 and 1.710 times sqrt(of / look)."""
    found = [level_at(look, of=of, significance_level=0.05) for look in range(1, of + 1)]
    assert found == pytest.approx(published, rel=0.06)


@pytest.mark.parametrize("of", [1, 2, 3, 5])
def test_all_looks_together_find_a_gain_by_chance_as_often_as_said(of: int):
    rng = np.random.default_rng(0)
    sums = rng.normal(size=(40_000, of)).cumsum(axis=1) / np.sqrt(np.arange(1, of + 1))
    from statistics import NormalDist

    bounds = [NormalDist().inv_cdf(1 - level_at(look, of=of, significance_level=0.05)) for look in range(1, of + 1)]
    share = (sums > bounds).any(axis=1).mean()
    assert 0.04 <= share <= 0.055


@pytest.mark.parametrize(("of", "levels"), [(3, (0.162, 0.082, 0.044)), (1, (0.05,))])
def test_a_lead_is_given_up_where_its_trend_misses_the_last_level(of: int, levels: tuple[float, ...]):
    """From 1.645 x 1.04 standard deviations on all of three folds: 0.99 on one, 1.40 on two."""
    found = [hopeless_above(look, of=of, significance_level=0.05) for look in range(1, of + 1)]
    assert found == pytest.approx(levels, rel=0.01)
    assert found[-1] == pytest.approx(level_at(of, of=of, significance_level=0.05))


def candidate(losses: np.ndarray, correct: np.ndarray | None = None) -> Candidate:
    return Candidate("x", np.ones(len(losses), bool) if correct is None else correct, losses, {})


def test_a_clear_gain_decides_at_once_a_loss_too_and_the_rest_waits():
    rng = np.random.default_rng(1)
    before = candidate(rng.uniform(0.5, 1.5, 200))
    looks = {"looks": 1, "of": 3, "significance_level": 0.05}
    better, worse = candidate(before.losses - 0.3), candidate(before.losses + 0.1)
    little = candidate(before.losses + rng.normal(-0.02, 0.2, 200))
    assert verdict(better, before, **looks) == "better"
    assert verdict(worse, before, **looks) == "not better"
    assert verdict(little, before, **looks) == "open"
    assert verdict(little, before, looks=3, of=3, significance_level=1e-6) == "not better"


def test_a_small_lead_goes_on_unless_its_trend_must_decide():
    """p = 0.24 on one fold of three."""
    before = candidate(np.full(200, 1.0))
    small = candidate(before.losses - 0.01 + np.tile([0.2, -0.2], 100))
    looks = {"looks": 1, "of": 3, "significance_level": 0.05}
    assert 0.162 < small.loss_p_value_against(before) < 0.5
    assert verdict(small, before, **looks) == "open"
    assert verdict(small, before, **looks, give_up="no trend") == "not better"


@given(st.sets(st.integers(0, 49), min_size=1))
def test_rows_of_a_candidate_that_has_not_seen_all_are_found(seen: set[int]):
    rows = np.array(sorted(seen))
    losses = np.arange(50.0)
    partial = Candidate("x", np.ones(len(rows), bool), losses[rows], {}, rows=rows)
    some = rows[::2]
    assert np.array_equal(at_rows(partial, some).losses, losses[some])


@given(st.sets(st.integers(0, 49), min_size=1), st.sets(st.integers(0, 49), min_size=1))
def test_a_step_is_compared_on_the_images_that_validated_both(seen: set[int], sample: set[int]):
    """A head on all depths is validated on a sample where there are many images; a step, on its folds."""
    losses = np.arange(50.0)
    step, whole = (Candidate(name, losses > 25, losses, {}) for name in ("step", "whole"))
    rows = np.array(sorted(seen))
    step = at_rows(step, rows)
    assert [list(one.losses) for one in on_same_images(step, whole)] == [list(losses[rows])] * 2
    other = at_rows(whole, np.array(sorted(sample)))
    shared = sorted(seen & sample)
    for one in on_same_images(step, other):
        assert list(one.losses) == list(losses[shared])
        assert list(one.rows) == shared
