"""Intervals of few seeds cover the truth as often as they say, with fixed random numbers."""

from __future__ import annotations

import numpy as np
import pytest
from seed_coverage import Setting, coverage


@pytest.mark.parametrize(
    ("setting", "widest"),
    [
        (Setting(2, 100, 0.0), 11.0),
        (Setting(2, 300, 1.5), 9.0),
        (Setting(3, 300, 1.5, "anew"), 8.0),
        (Setting(3, 300, 1.5, lopsided=True), 6.0),
        (Setting(5, 300, 4.0), 8.0),
    ],
)
def test_intervals_of_few_seeds_cover_the_truth_and_are_of_use(setting: Setting, widest: float) -> None:
    """Of 80 runs 76 are expected to cover; fewer than 70 (87.5 %) would be a chance of 1 in 300."""
    found = coverage(setting, 80, np.random.default_rng(5))
    assert found.pair >= 0.875
    assert found.single >= 0.875
    assert 0 < found.pair_half < widest, "points"
    assert 0 < found.single_half < widest
