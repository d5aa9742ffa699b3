"""Means over images and seeds, their variance by source, and tests on arrays.

S seeds, N images, B samples, P pairs. A value is what one image gave in one seed (1 correct, 0 misclassified, or a log
loss in nats); the difference of two variants on an image is a value too. Images and seeds are crossed: the same image
is classified in several seeds and a seed classifies many images, so that neither kind of chance can stand for the
other.

Several seeds, the model: value = mean + image + seed + rest, each drawn at random. What images give to the variance of
a mean is estimated here; `seed_variance` has the seeds' part where there are few. Images of one group (a patient, a
scene) are alike, so a variance through images is one through groups where there are any.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles
from headstart.measures.binomial import sign_test
from headstart.measures.seed_variance import SEED_SHARE, SIGNIFICANCE_LEVEL, Spread, half_width

Ints: TypeAlias = npt.NDArray[np.int64]

BOOTSTRAP_SAMPLES = 2_000
SIGN_FLIPS = 9_999

_SEED = 2007
_AT_ONCE = 4_000_000  # random numbers held at a time, about 32 MB


@dataclass(frozen=True, slots=True)
class Crossed:
    """Values of images in seeds, and how much each counts in the mean of its seed."""

    values: Doubles
    """(S, N); 0 where an image was not predicted in a seed."""
    weights: Doubles
    """(S, N), >= 0; a row sums to 1, and is 0 where an image was not predicted."""
    strata: Ints
    """(N,) 0..K-1: images are resampled within their stratum. All 0 where classes do not matter."""
    groups: Ints | None = None
    """(N,) number of the patient or scene of each image; None where every image stands alone."""

    @property
    def seed_means(self) -> Doubles:
        """(S,) weighted means, summed exactly: variants with as many correct predictions must come out equal."""
        heaviest = self.weights.max(axis=1, keepdims=True)  # so that equal weights are 1, and a share is count / count
        shares = self.weights / heaviest
        rows = zip(self.values * shares, shares, strict=True)
        # fsum: variants with the same counts must have equal means, whatever the order of the images.
        return np.array([math.fsum(row.tolist()) / math.fsum(share.tolist()) for row, share in rows])

    @property
    def mean(self) -> float:
        """Mean of the seeds' means: every seed counts the same."""
        return float(self.seed_means.mean())

    @property
    def is_complete(self) -> bool:
        """Whether every image was predicted in every seed."""
        return bool((self.weights > 0).all())


def crossed(values: Doubles, strata: Ints, groups: Ints | None = None) -> Crossed:
    """Equal weights to the strata, and within one to its images, in every seed.

    Args:
        values: (S, N), NaN where an image was not predicted in a seed; every seed predicts at least one.
        strata: (N,) 0..K-1.
        groups: (N,) number of each image's group; None where every image stands alone.
    """
    predicted = ~np.isnan(values)
    members = strata[None, :] == np.arange(int(strata.max()) + 1)[:, None]
    counts = predicted.astype(np.int64) @ members.T.astype(np.int64)  # (S, K)
    occurring = (counts > 0).sum(axis=1, keepdims=True)
    # Every class counts the same in its seed (balanced accuracy), and every image the same in its class.
    weights = predicted / (np.maximum(counts, 1)[:, strata] * occurring)
    if groups is not None:
        groups = np.unique(groups, return_inverse=True)[1].astype(np.int64)
        # Groups of one image each are no groups: the simpler formulas and the bootstrap then apply.
        groups = None if len(groups) == int(groups.max()) + 1 else groups
    return Crossed(np.where(predicted, values, 0.0), weights, strata, groups)


def image_covariance(table: Crossed) -> Doubles:
    """(S, S) covariance of the seeds' means through their images: the diagonal has one seed's own sampling error.

    Of two seeds it has what the images they share give to both. Deviations are from the mean of the stratum, with
    n / (n - 1) for its n images. Images of one group deviate together: their sum counts, and n is the number of groups
    (cluster-robust variance, Liang & Zeger 1986).
    """
    members = (table.strata[:, None] == np.arange(int(table.strata.max()) + 1)).astype(np.float64)  # (N, K)
    predicted = (table.weights > 0).astype(np.float64)
    counts = predicted @ members
    if table.groups is not None:
        counts = np.stack(
            [(by_group(predicted * column, table.groups) > 0).sum(axis=1) for column in members.T], axis=1
        ).astype(np.float64)
    totals = np.maximum(table.weights @ members, 1e-300)
    centres = ((table.values * table.weights) @ members) / totals
    # (n / (n - 1))^(1/2) on each factor gives n / (n - 1) on their product.
    small_sample = np.sqrt(np.where(counts > 1, counts / np.maximum(counts - 1, 1), 1.0))
    deviations = table.weights * (table.values - centres[:, table.strata]) * small_sample[:, table.strata]
    if table.groups is not None:
        # Images of a group deviate together: their sum is one observation.
        deviations = by_group(deviations, table.groups)
    return np.asarray(deviations @ deviations.T)


def by_group(values: Doubles, groups: Ints) -> Doubles:
    """(S, G) sums over the images of each group of (S, N) values."""
    return np.stack([np.bincount(groups, weights=row, minlength=int(groups.max()) + 1) for row in values])


def spread_of(table: Crossed, unseen: float = 0.0) -> Spread:
    """Spread of the mean of one variant.

    Args:
        table: S >= 1 seeds.
        unseen: Images that may have come out otherwise where none did: without them, five right of five would be a
            share known exactly. 2 for a share (Agresti & Coull 1998), 1 for a difference of two (Agresti & Min 2005),
            0 for losses.
    """
    own, shared = _own_and_shared(table)
    seeds = len(table.values)
    spread = float(table.seed_means.var(ddof=1)) if seeds > 1 else 0.0
    return _spread(table, shared + _unseen_variance(table, unseen), [spread], [own], [_image_variance(table)])


def spread_of_difference(a: Crossed, b: Crossed, unseen: float = 0.0) -> Spread:
    """Spread of the difference of two means, a minus b, on the same images and seeds.

    Images are always taken in pairs. Seeds are not where all of them have the same images: seed 1 of one variant has
    then little in common with seed 1 of another, and two variances of S seeds each are known better than one (Welch
    1947). Where seeds split the images anew, pairs share the luck of the split, and seeds are paired.
    """
    difference = Crossed(a.values - b.values, a.weights, a.strata, a.groups)
    images = [_image_variance(side) for side in (a, b)]
    own, shared = _own_and_shared(difference)
    shared += _unseen_variance(difference, unseen)
    # Seeds on other images (new splits) share the luck of their split: then differences are formed seed by seed.
    if len(a.values) == 1 or not a.is_complete:
        spread = float(difference.seed_means.var(ddof=1)) if len(a.values) > 1 else 0.0
        return _spread(difference, shared, [spread], [own], images)
    spreads = [float(side.seed_means.var(ddof=1)) for side in (a, b)]
    return _spread(difference, shared, spreads, [_own_and_shared(side)[0] for side in (a, b)], images)


def _own_and_shared(table: Crossed) -> tuple[float, float]:
    """Mean sampling variance of a seed that it shares with no other, and the part that all share."""
    covariance, seeds = image_covariance(table), len(table.values)
    # The diagonal is the whole sampling variance of a seed, what lies off it is shared by seeds on the same images.
    total = float(np.trace(covariance)) / seeds
    if seeds == 1:
        return 0.0, total
    # Estimates of covariances may come out negative; a variance cannot.
    shared = max((float(covariance.sum()) - total * seeds) / (seeds * (seeds - 1)), 0.0)
    return max(total - shared, 0.0), shared


def _image_variance(table: Crossed) -> float:
    """Variance of the values of one image about the mean of its seed."""
    return float((table.weights * (table.values - table.seed_means[:, None]) ** 2).sum(axis=1).mean())


def _spread(
    table: Crossed, images: float, spreads: Sequence[float], own: Sequence[float], variances: Sequence[float]
) -> Spread:
    """Spread of a mean; `variances` are those of one image's value, one for each side of a difference."""
    seeds, total = len(table.values), sum(spreads)
    squares = sum(spread**2 for spread in spreads)
    independent = len(table.strata) if table.groups is None else int(table.groups.max()) + 1
    return Spread(
        seeds=total / seeds,
        # Welch-Satterthwaite: degrees of freedom of a sum of variances.
        seed_dof=(seeds - 1) * total**2 / squares if squares > 0 else max(seeds - 1.0, 1.0),
        images=images,
        image_dof=max(independent - 1.0, 1.0),
        sampling=sum(own) / seeds,
        seed_scale=SEED_SHARE * math.sqrt(sum(variances) / seeds) if seeds > 1 else 0.0,
        seed_count=seeds,
        image_deviation=math.sqrt(sum(variances) / len(variances)),
    )


def _unseen_variance(table: Crossed, unseen: float) -> float:
    """Variance of images that may have come out otherwise; a group counts as one image."""
    strata = table.strata
    if table.groups is not None:
        strata = np.unique(np.stack([table.strata, table.groups]), axis=1)[0]
    counts = np.bincount(strata)
    counts = counts[counts > 0]
    # Each stratum might hold `unseen` images that come out otherwise (Agresti & Coull 1998), strata weigh the same.
    return float(((unseen / (counts + 2 * unseen)) ** 2).sum()) / len(counts) ** 2


def _quantile(tail: float, dof: float) -> float:
    from scipy.special import stdtrit

    return -float(stdtrit(min(dof, 1e9), tail))


def mcnemar_p_value(only_a: int, only_b: int) -> float:
    """Exact two-sided test that two sets of predictions are equally often right (McNemar 1947).

    Of the images where exactly one is right, each side has the same chance. It assumes nothing but independent images,
    and speaks of these two trained networks: of another seed it knows nothing.

    Args:
        only_a: Images that only a has right.
        only_b: Images that only b has right.
    """
    return min(1.0, 2 * sign_test(max(only_a, only_b), min(only_a, only_b)))


def sign_flip_p_values(contributions: Doubles) -> Doubles:
    """(P,) two-sided p-values: how often random signs make a sum at least as large as the one seen.

    If two variants are equally good on every image, the sign of each image's difference is chance. The smallest p is
    1e-4 with 9,999 flips. Of another seed it knows nothing.

    Args:
        contributions: (P, N) difference of each image times its weight; 0 where a pair lacks it.
    """
    pairs, images = contributions.shape
    flips = max(SIGN_FLIPS, 100 * pairs - 1)  # so that Holm's smallest level stays in reach
    seen = np.abs(contributions.sum(axis=1))
    # Sums that should be equal differ by rounding; counting those as "as large" keeps the test exact.
    rounding = 1e-9 * np.abs(contributions).sum(axis=1)
    rng, beyond = np.random.default_rng(_SEED), np.zeros(pairs, np.int64)
    for count in _portions(flips, images):
        signs = rng.integers(0, 2, (count, images), np.int8) * 2.0 - 1.0
        beyond += (np.abs(signs @ contributions.T) >= seen - rounding).sum(axis=0)
    # Plus one for the signs that were observed: a permutation test never gives p = 0 (Phipson & Smyth 2010).
    return np.asarray((beyond + 1) / (flips + 1))


def pigeonhole(tables: Sequence[Crossed]) -> list[Doubles]:
    """(B,) means of bootstrap samples of every table, with images and seeds drawn anew (Owen 2007).

    An image that is drawn twice counts twice in every seed, a seed twice in every image. The same draws serve all
    tables with the same number of images in the same strata, always the same ones. Empty for a table with groups.
    """
    groups: dict[bytes, list[int]] = {}
    for place, table in enumerate(tables):
        if table.groups is None:  # images of a group are not drawn one by one; their interval is symmetric
            # One set of draws for all tables of the same strata, so that their differences are paired.
            groups.setdefault(table.strata.tobytes(), []).append(place)
    samples: list[Doubles] = [np.empty(0)] * len(tables)
    for places in groups.values():
        for place, means in zip(places, _seed_samples([tables[place] for place in places]), strict=True):
            seeds = means.shape[1]
            # Weighted counts of seeds instead of copies of rows: the same mean, without building each sample.
            drawn = np.random.default_rng(_SEED).multinomial(seeds, np.full(seeds, 1 / seeds), BOOTSTRAP_SAMPLES)
            samples[place] = (means * drawn).sum(axis=1) / seeds
    return samples


def _seed_samples(tables: Sequence[Crossed]) -> list[Doubles]:
    """(B, S) means of the seeds of every table, with images drawn anew."""
    found: list[list[Doubles]] = [[] for _ in tables]
    for counts in _image_counts(tables[0].strata):
        for table, parts in zip(tables, found, strict=True):
            weighted = counts @ (table.values * table.weights).T
            # Incomplete seeds: weights of the drawn images no longer sum to 1; a sample without any image of a seed
            # takes its mean.
            if not table.is_complete:
                total = counts @ table.weights.T
                weighted = np.where(total > 0, weighted / np.maximum(total, 1e-300), table.seed_means)
            parts.append(weighted)
    return [np.concatenate(parts) for parts in found]


def _image_counts(strata: Ints) -> Iterator[Doubles]:
    """Portions of (B, N): how often each image is drawn, with as many draws in a stratum as it has images."""
    images = len(strata)
    order = np.argsort(strata, kind="stable")
    sizes = np.bincount(strata)
    starts, mine = (np.cumsum(sizes) - sizes)[strata[order]], sizes[strata[order]]
    rng = np.random.default_rng(_SEED)
    for count in _portions(BOOTSTRAP_SAMPLES, images):
        # Draw within strata: offsets into the images sorted by stratum.
        picked = order[starts + np.minimum((rng.random((count, images)) * mine).astype(np.int64), mine - 1)]
        # (sample, image) as one number, so that one bincount counts all samples of a portion.
        flat = (picked + np.arange(count)[:, None] * images).ravel()
        yield np.bincount(flat, minlength=count * images).reshape(count, images).astype(np.float64)


def _portions(rows: int, columns: int) -> Iterator[int]:
    most = max(1, _AT_ONCE // columns)
    for start in range(0, rows, most):
        yield min(most, rows - start)


def interval(mean: float, samples: Doubles, spread: Spread) -> tuple[float, float]:
    """95 % interval in the shape of the bootstrap samples, with the width that `spread` gives.

    The quantiles of few resampled seeds are too near, so they are scaled about their mean until a normal one would have
    the half width of `spread`; with one seed and many images that changes next to nothing.
    """
    half, deviation = half_width(spread), float(samples.std()) if len(samples) else 0.0
    if deviation < 1e-12:
        return mean - half, mean + half
    scale = half / (_quantile(SIGNIFICANCE_LEVEL / 2, math.inf) * deviation)
    low, high = np.quantile(samples, [SIGNIFICANCE_LEVEL / 2, 1 - SIGNIFICANCE_LEVEL / 2]) - samples.mean()
    return mean + scale * float(low), mean + scale * float(high)


def holm(p_values: Sequence[float]) -> tuple[Doubles, Doubles]:
    """p-values corrected for their number (Holm 1979), and the level at which each is tested.

    The k-th smallest of m (k from 0) is multiplied by m - k, is never below the one before, and never above 1. Holds
    however the tests depend on each other.

    Args:
        p_values: m numbers 0..1.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    factors = len(values) - np.arange(len(values))
    corrected, levels = np.empty(len(values)), np.empty(len(values))
    # Holm: once a p-value fails, larger ones fail too, which the running maximum expresses.
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    levels[order] = SIGNIFICANCE_LEVEL / factors
    return corrected, levels
