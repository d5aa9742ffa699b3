"""Class predictions of images by linear heads that never saw them or their group, in closed form: numbers only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.arrays import Floats, Labels
from headstart.measures.figures import Interval
from headstart.measures.intervals import share_interval
from headstart.solvers.head_solver import head_problem
from headstart.solvers.rows import MatrixRows

FOLD_COUNT = 5
_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Predictions of N images, each by a head that was fitted on other groups."""

    labels_N: Labels  # noqa: N815 - shapes
    groups_N: Labels  # noqa: N815
    probabilities_NK: Floats  # noqa: N815
    """With classes of equal weight."""
    weights_N: Floats | None = None  # noqa: N815
    """Of the images in shares; None: every class weighs the same, and every image the same in its class."""

    @property
    def predicted_N(self) -> Labels:  # noqa: N802
        """(N,) predicted classes."""
        return np.asarray(self.probabilities_NK.argmax(axis=1), np.int64)

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes, 0..1."""
        return float(np.average(self.predicted_N == self.labels_N, weights=self._weights()))

    def balanced_accuracy_interval(self, level: float = 0.95) -> Interval:
        """Interval over groups.

        Args:
            level: Share of such intervals that hold the truth, 0..1.
        """
        correct = self.predicted_N == self.labels_N
        return share_interval(correct, self.groups_N, weights_N=self._weights(), level=level)

    def recall(self, label: int) -> float:
        """Share of the images of a class that are predicted as it, 0..1."""
        return float((self.predicted_N[self.labels_N == label] == label).mean())

    def false_share(self, label: int) -> float:
        """Share of the images of other classes, each of the same weight, that are predicted as this one, 0..1."""
        others = self.labels_N != label
        return float(np.average(self.predicted_N[others] == label, weights=self._weights()[others]))

    def _weights(self) -> Floats:
        own = np.ones(len(self.labels_N)) if self.weights_N is None else self.weights_N
        return np.asarray(own / np.bincount(self.labels_N, weights=own)[self.labels_N])


def grouped_folds(labels_N: Labels, groups_N: Labels, *, count: int = FOLD_COUNT, seed: int = 0) -> Labels:  # noqa: N803
    """Fold (N,) of each image, 0..count-1: whole groups, each class spread as evenly as the groups allow.

    Args:
        labels_N: Class of each.
        groups_N: Group of each.
        count: Number of folds.
        seed: Of the order in which groups of one size are dealt.
    """
    labels = np.unique(labels_N, return_inverse=True)[1]
    groups = np.unique(groups_N, return_inverse=True)[1]
    of_group = np.zeros((groups.max() + 1, labels.max() + 1), np.int64)
    np.add.at(of_group, (groups, labels), 1)
    sizes = of_group.sum(axis=1)
    # The largest first, because the small ones can even out what these leave.
    order = np.lexsort((np.random.default_rng(seed).random(len(sizes)), -sizes))
    fold_of = np.empty(len(sizes), np.int64)
    held = np.zeros((count, of_group.shape[1]), np.int64)
    for group in order:
        main = int(of_group[group].argmax())
        # The fold with the fewest images of the group's main class, then with the fewest images.
        fold = min(range(count), key=lambda number: (held[number, main], held[number].sum()))
        fold_of[group] = fold
        held[fold] += of_group[group]
    return fold_of[groups]


def held_out_predictions(
    rows_NF: Floats,  # noqa: N803
    labels_N: Labels,  # noqa: N803
    groups_N: Labels,  # noqa: N803
    folds_N: Labels,  # noqa: N803
) -> HeldOut:
    """Predictions of every image by ridge regression on the other folds, classes weighted alike.

    Args:
        rows_NF: N rows of F features.
        labels_N: Class of each, 0..K-1, each of which occurs.
        groups_N: Group of each.
        folds_N: Fold of each; see `grouped_folds`.
    """
    counts = np.bincount(labels_N)
    weights = (len(labels_N) / (len(counts) * counts))[labels_N]
    problem = head_problem(MatrixRows(rows_NF), labels_N, len(counts), solver="ridge", weights_N=weights)
    return HeldOut(labels_N, groups_N, problem.choose(folds_N, _PENALTIES).out_of_fold_NK)
