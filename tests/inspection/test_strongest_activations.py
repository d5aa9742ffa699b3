"""The strongest positions of channels, whatever the batches, and which channels stand out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.inspection.strongest_activations import StrongestPositions


def filled(values: np.ndarray, positions: np.ndarray, cuts: list[int], kept: int = 4) -> StrongestPositions:
    found = StrongestPositions(values.shape[1], count=kept)
    for rows in np.split(np.arange(len(values)), sorted(cuts)):
        if len(rows):
            found.add(rows, values[rows], positions[rows])
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.lists(st.integers(0, 30), max_size=5), st.integers(1, 5))
def test_in_any_batches_they_are_those_of_all_images_at_once(seed: int, count: int, cuts: list[int], kept: int):
    rng = np.random.default_rng(seed)
    values = rng.integers(-3, 4, (count, 6)).astype(np.float32)  # many are equal
    positions = rng.integers(0, 49, (count, 6))
    channels = filled(values, positions, [min(cut, count) for cut in cuts], kept).most_selective(6)
    for one in channels:
        column = values[:, one.channel]
        order = np.argsort(-column, kind="stable")[:kept]
        assert [peak.image for peak in one.peaks] == order.tolist()
        assert [peak.position for peak in one.peaks] == positions[order, one.channel].tolist()
        assert [peak.activation for peak in one.peaks] == column[order].tolist()
        weakest = column[order[-1]]
        assert one.stands_out == pytest.approx((weakest - column.mean()) / column.std(), abs=1e-5)
    assert {one.channel for one in channels} == set(np.flatnonzero(values.std(axis=0) > 0).tolist())
    scores = [one.stands_out for one in channels]
    assert scores == sorted(scores, reverse=True)


def test_a_channel_that_is_activated_by_a_few_images_only_comes_first():
    rng = np.random.default_rng(0)
    values = rng.normal(1, 0.1, (100, 5)).astype(np.float32)
    values[[3, 17, 44, 90], 2] = [3.0, 6.0, 4.0, 5.0]
    values[7, 4] = 50  # one image alone is no pattern
    first, *others = filled(values, np.zeros((100, 5), np.int64), []).most_selective(5)
    assert first.channel == 2
    assert [peak.image for peak in first.peaks] == [17, 90, 44, 3]
    assert others[-1].channel == 4


def test_channels_that_say_nothing_are_left_out():
    values = np.stack([np.zeros(9), np.full(9, 7.0), np.arange(9)], axis=1).astype(np.float32)
    found = filled(values, np.zeros((9, 3), np.int64), [4]).most_selective(3)
    assert [one.channel for one in found] == [2]


def test_without_images_there_are_none_and_with_few_as_many_as_there_are():
    assert StrongestPositions(3).most_selective(2) == ()
    values = np.array([[1.0], [2.0]], np.float32)
    (found,) = filled(values, np.array([[5], [6]]), []).most_selective(2)
    assert [(peak.image, peak.position) for peak in found.peaks] == [(1, 6), (0, 5)]
