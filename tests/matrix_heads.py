"""Linear heads on a matrix of features in one call each: what the tests compare every other way with."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.arrays import Doubles, Floats, Labels
from headstart.solvers.axes import rotated
from headstart.solvers.in_memory import choose_rotated, solve_rotated
from headstart.solvers.linear_head import LinearHead, PenaltyChoice
from headstart.solvers.logistic import L2_PENALTIES


def solve_logistic(
    features_NF: Floats,
    labels_N: Labels,
    num_classes: int,
    *,
    l2_penalty: float,
    weights_N: Doubles | None = None,
) -> LinearHead:
    """Multinomial logistic regression, solved with L-BFGS.

    Minimises mean cross-entropy + l2_penalty / 2 * ||W||^2 over weights of features standardised to mean 0 and
    deviation 1 (the bias is free); standardisation is folded into the returned weights. Equal to scikit-learn's
    LogisticRegression with C = 1 / (N * l2_penalty) on standardised features. With weights the cross-entropy, means and
    deviations are weighted ones: the same as repeating each image as often as its weight says.

    Args:
        features_NF: N images x F features.
        labels_N: Class of each, 0..K-1.
        num_classes: K.
        l2_penalty: Penalty, > 0.
        weights_N: Of the images, 1 on average.
    """
    axes, rotated_NR = rotated(features_NF, weights_N)
    return solve_rotated(axes, rotated_NR, labels_N, num_classes, l2_penalty=l2_penalty, weights_N=weights_N)


def choose_l2_penalty(
    features_NF: Floats,
    labels_N: Labels,
    num_classes: int,
    folds: Sequence[int],
    *,
    l2_penalties: Sequence[float] = L2_PENALTIES,
    weights_N: Doubles | None = None,
) -> PenaltyChoice:
    """Cross-validate the penalty on out-of-fold predictions; the loss decides, and among equals the stronger.

    Args:
        features_NF: N x F.
        labels_N: Class of each.
        num_classes: K.
        folds: Fold of each image, from `splits.deal`, so that groups stay together.
        l2_penalties: Candidates; tried from strong to weak until the loss rises.
        weights_N: Of the images, 1 on average; of the loss that decides too.
    """
    axes, rotated_NR = rotated(features_NF, weights_N)
    return choose_rotated(
        axes, rotated_NR, labels_N, num_classes, folds, l2_penalties=l2_penalties, weights_N=weights_N
    )
