"""The binomial tail against scipy's own distribution and against counting in whole numbers."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headstart.measures.binomial import binomial_tail, sign_test


@given(trials=st.integers(1, 500), share=st.floats(0.01, 0.99), part=st.floats(0, 1))
def test_the_tail_is_that_of_scipys_distribution(trials: int, share: float, part: float):
    successes = round(part * trials)
    expected = stats.binom.cdf(successes, trials, share)
    assert binomial_tail(successes, trials, share=share) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(wins=st.integers(0, 120), losses=st.integers(0, 120))
def test_the_sign_test_counts_the_throws_of_fair_coins(wins: int, losses: int):
    total = wins + losses
    ways = sum(comb(total, count) for count in range(wins, total + 1))
    assert sign_test(wins, losses) == pytest.approx(float(Fraction(ways, 2**total)), rel=1e-11)


def test_fractions_of_trials_lie_between_their_neighbours():
    found = [binomial_tail(0.9 * trials, trials, share=0.95) for trials in (40.0, 40.5, 41.0)]
    assert found[0] > found[1] > found[2]


@pytest.mark.parametrize(("successes", "trials"), [(3, 2), (-1, 2), (0, 0)])
def test_what_is_no_share_is_refused(successes: int, trials: int):
    with pytest.raises(ValueError, match="is no share"):
        binomial_tail(successes, trials, share=0.5)
