"""Transferability scores of frozen features without training: LogME and the H-score.

Both compare networks on the same images and labels only. Neither is an accuracy, and neither says what fine-tuning
would make of a network.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from headstart.arrays import Doubles, Floats, Labels

Shrinkage: TypeAlias = Literal["ledoit_wolf", "none"]

_GRID = np.logspace(-6, 6, 49)
"""Of noise over prior, in units of the mean energy of the features: where the search for the evidence's top starts."""
_BOUNDS = (1e-8, 1e8)
"""Of the same. Features that hold the labels without any error would ask for zero, at an evidence without end."""
_STEPS = 200
_TOLERANCE = 1e-7


def log_maximum_evidence(features_NF: Floats, labels_N: Labels) -> float:  # noqa: N803 - shapes
    """LogME: log evidence of the labels, per image and averaged over the classes; higher is better.

    Each class is a target y, 1 for its images and 0 for the others. Under w ~ N(0, I / alpha) and
    y ~ N(X w, I / beta) the evidence p(y | X) = N(y; 0, I / beta + X X^T / alpha) is taken at its maximum over both
    precisions (You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning"). Features
    are neither centred nor scaled, as in the paper; a common factor or a rotation changes nothing.

    After one SVD of X only lambda = alpha / beta is left to be found, because the best beta for it is known in closed
    form. From the best of a coarse grid, lambda follows MacKay's fixed point for all classes at once, and the highest
    evidence met is the answer.

    Args:
        features_NF: N images x F features, finite.
        labels_N: Class of each; classes without images do not count.

    Returns:
        A density's logarithm in nats: any real number. Compare it only between networks on the same images.

    Raises:
        ValueError: fewer than two classes, or another number of labels than images.
    """
    x, classes = _checked(features_NF, labels_N)
    # Along the left singular vectors the covariance of the targets is diagonal: the evidence becomes a sum of R
    # numbers.
    left_NR, values_R, _ = np.linalg.svd(x, full_matrices=False)  # noqa: N806
    energy_R = values_R**2  # noqa: N806
    # In units of the features' own energy, so that a common factor changes nothing.
    scale = float(energy_R.mean()) or 1.0
    targets_NK = (labels_N[:, None] == classes).astype(np.float64)  # noqa: N806
    along_RK = (left_NR.T @ targets_NK) ** 2  # noqa: N806
    # |y|^2 less what lies along the directions: the part of the labels that no weights can reach.
    outside_K = np.maximum(targets_NK.sum(axis=0) - along_RK.sum(axis=0), 0)  # noqa: N806 - of y^T y
    spectrum = _Spectrum(energy_R, along_RK, outside_K, len(x))
    # The evidence may have several tops: the grid finds the region, the fixed point its top.
    ratio_K, best_K = spectrum.best_of(scale * _GRID)  # noqa: N806
    low, high = scale * _BOUNDS[0], scale * _BOUNDS[1]
    for _ in range(_STEPS):
        wanted_K = np.clip(spectrum.fixed_point(ratio_K), low, high)  # noqa: N806
        moved = float(np.abs(wanted_K / ratio_K - 1).max())
        ratio_K = wanted_K  # noqa: N806
        # The best met, not the last: the fixed point may overshoot at the bounds.
        best_K = np.maximum(best_K, spectrum.evidence(ratio_K))  # noqa: N806
        if moved < _TOLERANCE:
            break
    return float(best_K.mean() / len(x))


class _Spectrum:
    """Features and targets as the evidence sees them: along R orthogonal directions, and outside all of them."""

    def __init__(self, energy_R: Doubles, along_RK: Doubles, outside_K: Doubles, count: int) -> None:  # noqa: N803
        self._energy, self._along, self._outside, self._count = energy_R[:, None], along_RK, outside_K, count

    def evidence(self, ratio_K: Doubles) -> Doubles:  # noqa: N803
        """(K,) log evidence at lambda = `ratio_K` > 0 and the beta that suits it best."""
        # Share of the target's energy along each direction that the prior shrinks away.
        kept = ratio_K / (ratio_K + self._energy)
        # With beta at its best, N / misfit, the exponent is the constant N / 2.
        misfit = np.maximum((self._along * kept).sum(axis=0) + self._outside, np.finfo(np.float64).tiny)
        # log |I + X X' / alpha * beta|, by eigenvalues.
        spread = np.log1p(self._energy / ratio_K).sum(axis=0)
        return np.asarray(-0.5 * (self._count * (np.log(2 * np.pi * misfit / self._count) + 1) + spread))

    def best_of(self, grid: Doubles) -> tuple[Doubles, Doubles]:
        """(lambda, log evidence) of each class at the best point of a grid."""
        found = np.stack([self.evidence(np.full(self._along.shape[1], ratio)) for ratio in grid])
        return grid[found.argmax(axis=0)], found.max(axis=0)

    def fixed_point(self, ratio_K: Doubles) -> Doubles:  # noqa: N803
        """(K,) the next lambda: alpha = gamma / |m|^2 and beta = (N - gamma) / |y - X m|^2 (MacKay 1992)."""
        shrunk = 1 / (ratio_K + self._energy)
        # gamma = sum of energy / (energy + lambda): the effective number of weights that the data decides.
        gamma = (self._energy * shrunk).sum(axis=0)
        weight = (self._energy * self._along * shrunk**2).sum(axis=0)
        residual = (self._along * (ratio_K * shrunk) ** 2).sum(axis=0) + self._outside
        free = np.maximum(self._count - gamma, 0) * weight
        with np.errstate(divide="ignore", invalid="ignore"):
            # Where the features say nothing of a class there is no next one: it stays.
            return np.where(free > 0, gamma * residual / free, ratio_K)


def h_score(features_NF: Floats, labels_N: Labels, *, shrinkage: Shrinkage = "ledoit_wolf") -> float:  # noqa: N803
    """H-score: how much of the features' variance lies between classes, in the features' own units; higher is better.

    tr(S^-1 B) with S the covariance of the features and B that of the class means (Bao et al. 2019, "An
    Information-Theoretic Approach to Transferability in Task Transfer Learning"). With fewer images than features S
    fits every labelling, and the score is the same for all. So S is shrunk towards a multiple of the identity, by the
    share a of Ledoit & Wolf 2004, and B by 1 - a (Ibrahim et al. 2022, "Newer is not always better"). Both
    covariances are divided by N.

    Args:
        features_NF: N images x F features, finite.
        labels_N: Class of each.
        shrinkage: none takes the pseudo-inverse of S, as first published.

    Returns:
        0..K - 1 for K classes. A common factor or a rotation of the features changes nothing.

    Raises:
        ValueError: fewer than two classes, or another number of labels than images.
    """
    x, classes = _checked(features_NF, labels_N)
    x = x - x.mean(axis=0)
    left_NR, values_R, _ = np.linalg.svd(x, full_matrices=False)  # noqa: N806
    variances_R = values_R**2 / len(x)  # noqa: N806
    if shrinkage == "none":
        share, target = 0.0, 0.0
        # Directions at rounding level would be divided by nothing: numpy's rank criterion leaves them out.
        solid = values_R > values_R[0] * max(x.shape) * np.finfo(np.float64).eps
    else:
        share, target = ledoit_wolf_share(x), float(variances_R.sum() / x.shape[1])
        solid = variances_R > 0
    # In the eigenvectors of S both S and its shrunk form are diagonal, so its inverse is a division.
    shrunk_R = (1 - share) * variances_R + share * target  # noqa: N806
    between = 0.0
    for label in classes:
        mine = labels_N == label
        # tr(S^-1 B) = sum over classes of their share times the squared distance of their mean in units of S.
        mean_R = left_NR[mine].mean(axis=0) * values_R  # noqa: N806 - of the class, along the features' own axes
        between += float(mine.mean() * (mean_R[solid] ** 2 / shrunk_R[solid]).sum())
    return (1 - share) * between


def ledoit_wolf_share(centred_NF: Floats) -> float:  # noqa: N803
    """Share 0..1 of the identity in the covariance estimate with the least expected error (Ledoit & Wolf 2004).

    Args:
        centred_NF: N x F features of mean 0.
    """
    x = np.asarray(centred_NF, np.float64)
    count, width = x.shape
    lengths_N = (x**2).sum(axis=1)  # noqa: N806
    # |S|^2 of the covariance S = X^T X / N, from whichever product is smaller.
    product = x @ x.T if count < width else x.T @ x
    square = float((product**2).sum()) / count**2
    from_target = square - float(lengths_N.mean()) ** 2 / width
    noise = (float((lengths_N**2).mean()) - square) / count
    return min(max(noise, 0.0), from_target) / from_target if from_target > 0 else 0.0


def _checked(features_NF: Floats, labels_N: Labels) -> tuple[Doubles, Labels]:  # noqa: N803
    """The features in double precision, and the classes that occur."""
    x = np.asarray(features_NF, np.float64)
    if x.ndim != 2 or len(x) != len(labels_N):
        raise ValueError(f"features of shape {x.shape} and {len(labels_N)} labels: (N, F) and N are needed")
    classes = np.unique(labels_N)
    if len(classes) < 2:
        raise ValueError(f"{len(classes)} class in {len(x)} images: at least two are needed")
    return x, classes
