"""Tails of the binomial distribution and the sign test, exact; scipy inside the function."""

from __future__ import annotations


def binomial_tail(successes: float, trials: float, *, share: float) -> float:
    """Chance of at most so many successes, 0..1: the regularised incomplete beta function.

    Both counts may be fractions: of images that are alike in groups, the number of independent ones is no whole number.

    Args:
        successes: 0..trials.
        trials: > 0.
        share: Chance of a success in one trial, 0..1.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    from scipy.special import betainc

    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes of {trials} trials is no share")
    # The formula divides by zero at the upper end, where the answer is certain.
    if successes == trials:
        return 1.0
    # P(X <= k) = I_{1-p}(n - k, k + 1).
    return float(betainc(trials - successes, successes + 1, 1 - share))


def sign_test(wins: int, losses: int) -> float:
    """Chance of at least so many wins if each of wins + losses were a fair coin, 0..1; 1 without any."""
    # Under "both equally good" each disagreement is a fair coin.
    return binomial_tail(losses, wins + losses, share=0.5) if wins + losses else 1.0
