"""Intervals of paired accuracies, beside a count by hand and how often they cover the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from paired import difference, share_right


def test_several_runs_are_averaged_image_by_image():
    assert share_right([[0, 1, 2], [0, 0, 2]], [0, 1, 1]).tolist() == [1.0, 0.5, 0.0]


def test_with_one_run_it_is_the_adjusted_wald_interval_of_matched_proportions():
    """Half an image is added to each of the four cells (Agresti & Min 2005), written out in counts."""
    both, ours_only, theirs_only, neither = 80, 12, 5, 3
    ours = np.repeat([1.0, 1.0, 0.0, 0.0], [both, ours_only, theirs_only, neither])
    theirs = np.repeat([1.0, 0.0, 1.0, 0.0], [both, ours_only, theirs_only, neither])
    found = difference(ours, theirs)
    b, c, n = ours_only + 0.5, theirs_only + 0.5, 102
    half = 1.959964 * math.sqrt(b + c - (b - c) ** 2 / n) / n
    assert found.mean == pytest.approx(0.07)
    assert (found.low, found.high) == pytest.approx(((b - c) / n - half, (b - c) / n + half), abs=1e-6)
    assert found.images == 100


def test_intervals_cover_the_true_difference_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    true, covered, tries = 0.03, 0, 2000
    for _ in range(tries):
        kind = rng.choice(4, 150, p=[0.85, 0.06, 0.03, 0.06])
        found = difference(np.isin(kind, (0, 1)).astype(float), np.isin(kind, (0, 2)).astype(float))
        covered += found.low <= true <= found.high
    assert 0.93 < covered / tries < 0.98


def test_two_points_are_the_margin():
    same = np.ones(5000)
    assert difference(same, same).is_non_inferior
    worse = same.copy()
    worse[:150] = 0  # three points
    assert not difference(worse, same).is_non_inferior


def test_other_images_are_refused():
    with pytest.raises(ValueError, match="the same ones"):
        difference(np.ones(3), np.ones(4))
