"""Metrics in which every class counts the same however many images it has: intervals and paired tests.

Classes are those that the labels hold: a class without images has no recall. Pure functions of arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Labels
from headstart.measures.figures import Interval
from headstart.measures.intervals import Together, independent_images, wilson_bounds

_SMALLEST_DEVIATION = 1e-9


def class_weights(labels_N: Labels) -> Doubles:  # noqa: N803 - shapes
    """(N,) weights, 1 on average, with which every class counts the same."""
    classes, class_of, sizes = np.unique(labels_N, return_inverse=True, return_counts=True)
    return np.asarray(len(labels_N) / (len(classes) * sizes[class_of]), np.float64)


def class_mean(values_N: npt.NDArray[Any], labels_N: Labels) -> float:  # noqa: N803
    """Mean over the classes of their mean values; of correct or not it is the balanced accuracy."""
    _, class_of, sizes = np.unique(labels_N, return_inverse=True, return_counts=True)
    return float((np.bincount(class_of, weights=values_N) / sizes).mean())


def macro_f1(labels_N: Labels, predicted_N: Labels) -> float:  # noqa: N803
    """Mean over the classes of F1 = 2 TP / (images + predicted), 0..1."""
    return macro_f1_by_image(labels_N, predicted_N)[0]


def macro_f1_by_image(labels_N: Labels, predicted_N: Labels) -> tuple[float, Doubles]:  # noqa: N803
    """(macro F1, (N,) what each image adds to its deviation from the truth, to first order).

    The second is the derivative of macro F1 by the weight of an image (the infinitesimal jackknife). It sums to 0, and
    its sum of squares is the variance of macro F1 over samples of independent images; its difference between two
    classifiers gives that of a paired bootstrap without the resampling.
    """
    found, parts = [], np.zeros(len(labels_N))
    classes = np.unique(labels_N)
    for name in classes:
        of_class, named = labels_N == name, predicted_N == name
        size = int(of_class.sum()) + int(named.sum())
        f1 = 2 * int((of_class & named).sum()) / size
        found.append(f1)
        # d (2 TP / size) = (2 dTP - F1 dsize) / size.
        parts += (2.0 * (of_class & named) - f1 * (of_class.astype(np.float64) + named)) / size
    return float(np.mean(found)), parts / len(classes)


def macro_f1_interval(labels_N: Labels, predicted_N: Labels, together_N: Together) -> Interval:  # noqa: N803
    """95 % interval of macro F1: Wilson's for the number of images that its variance by groups stands for.

    Where hardly anything is misclassified the variance cannot be estimated; the interval is then never narrower than
    that of a balanced accuracy on these images.

    Args:
        labels_N: Class of each image.
        predicted_N: The predicted one.
        together_N: Number of the group of each image.
    """
    value, parts = macro_f1_by_image(labels_N, predicted_N)
    of_group = np.bincount(np.unique(together_N, return_inverse=True)[1], weights=parts)
    groups = len(of_group)
    variance = float((of_group**2).sum()) * groups / max(1, groups - 1)
    # As many images as give a mean recall: with equal classes a misclassified image costs both figures the same.
    count = independent_images(labels_N == predicted_N, together_N, weights_N=class_weights(labels_N))
    if variance > 0:
        count = min(count, max(1.0, value * (1 - value) / variance))
    return wilson_bounds(value, count)


def stratified_p_value(incumbent_N: Doubles, challenger_N: Doubles, labels_N: Labels) -> float:  # noqa: N803
    """One-sided chance of at least this drop of the class-balanced mean loss if both were equally good.

    Mean over K classes of the mean drops d_c; its variance is the sum of s_c^2 / n_c over K^2, with the degrees of
    freedom of Welch (1947). A class with one image takes the spread of all drops about their class means.

    Args:
        incumbent_N: Losses.
        challenger_N: Losses on the same images.
        labels_N: Class of each image.
    """
    from scipy.special import stdtr

    drops = incumbent_N - challenger_N
    classes, class_of, sizes = np.unique(labels_N, return_inverse=True, return_counts=True)
    means = np.bincount(class_of, weights=drops) / sizes
    squares = np.bincount(class_of, weights=(drops - means[class_of]) ** 2)
    free = np.maximum(sizes - 1, 0)
    pooled = float(squares.sum()) / max(1, int(free.sum()))
    variances = np.where(free > 0, squares / np.maximum(free, 1), pooled) / sizes / len(classes) ** 2
    mean, variance = float(means.mean()), float(variances.sum())
    if len(drops) < 2 or math.sqrt(variance) < _SMALLEST_DEVIATION / math.sqrt(len(drops)):
        return 0.0 if len(drops) and float(drops.min()) > 0 else 1.0
    freedom = variance**2 / float((variances**2 / np.maximum(free, 1)).sum())
    return float(stdtr(freedom, -mean / math.sqrt(variance)))
