"""Figures of merit as pure functions of labels and probabilities. Needs numpy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Labels
from headstart.measures.class_means import macro_f1, macro_f1_interval
from headstart.measures.figures import ClassFigures, Counted, EvaluationFigures, Interval
from headstart.measures.intervals import Together, mean_interval, share_interval
from headstart.measures.temperature import best_temperature

Counts: TypeAlias = npt.NDArray[np.int64]

_SHARPNESS = (math.exp(-2), math.exp(2))
"""Bounds of 1 / temperature: a perfect classifier would ask for a temperature of zero."""


def confusion_matrix(labels: Labels, predicted: Labels, num_classes: int) -> Counts:
    """(K, K) counts; row = true class, column = predicted class."""
    # Row and column in one number: one bincount instead of a loop over images.
    flat = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)


def accuracy(confusion: Counts) -> float:
    """Share of images on the diagonal, 0..1."""
    return float(np.trace(confusion) / confusion.sum())


def balanced_accuracy(confusion: Counts) -> float:
    """Mean recall over the classes that occur, 0..1: every class counts the same however many images it has."""
    # Classes without images have no recall, and must not count as 0.
    occurs = confusion.sum(axis=1) > 0
    return float((np.diag(confusion)[occurs] / confusion.sum(axis=1)[occurs]).mean())


def per_class(
    labels: Labels, predicted: Labels, classes: Sequence[str], together: Together | None = None
) -> dict[str, ClassFigures]:
    """Precision, recall and F1 of each class (0..1), 95 % intervals of the first two, and how many images there are.

    A class without images has none of the three, and one that is never predicted no precision: a share of no images
    is no figure.

    Args:
        labels: (N,).
        predicted: (N,) class indices.
        classes: K names.
        together: (N,) number of the group of each image; every image stands alone if None.
    """
    together = np.arange(len(labels)) if together is None else together
    correct = labels == predicted
    found = {}
    for index, name in enumerate(classes):
        of_class, named = labels == index, predicted == index
        hits, images, count = int((of_class & named).sum()), int(of_class.sum()), int(named.sum())
        has_images = images > 0
        found[name] = ClassFigures(
            precision=hits / count if count and has_images else None,
            recall=hits / images if has_images else None,
            f1=2 * hits / (images + count) if has_images else None,
            images=images,
            recall_interval=share_interval(correct[of_class], together[of_class]) if has_images else None,
            predicted=count,
            precision_interval=share_interval(correct[named], together[named]) if count and has_images else None,
        )
    return found


def log_loss(probabilities: npt.NDArray[np.floating[Any]], labels: Labels) -> float:
    """Mean negative log-likelihood in nats of (N, K) probabilities."""
    return float(log_losses(probabilities, labels).mean())


def log_losses(probabilities: npt.NDArray[np.floating[Any]], labels: Labels) -> npt.NDArray[np.float64]:
    """(N,) negative log-likelihood of each image in nats; proper, and far more sensitive than counting errors."""
    picked = probabilities[np.arange(len(labels)), labels]
    # Clipped as everywhere: one probability rounded to 0 would make the mean infinite.
    return np.asarray(-np.log(np.clip(picked, 1e-12, 1)), np.float64)


def sharpened_log_losses(
    probabilities: npt.NDArray[np.floating[Any]], labels: Labels, weights: Doubles | None = None
) -> npt.NDArray[np.float64]:
    """(N,) log losses at the temperature that suits these images best.

    Two classifiers compared so are compared by what they tell apart, not by how confident their training made
    them (label smoothing dulls probabilities, long training sharpens them). Temperature: Guo et al. 2017.

    Args:
        probabilities: (N, K).
        labels: (N,).
        weights: (N,) of the images in what the temperature suits, 1 on average; None: all alike.
    """
    logits = np.log(np.clip(probabilities, 1e-12, 1)).astype(np.float64)
    temperature, _ = best_temperature(logits, labels, _SHARPNESS, weights)
    scaled = logits / temperature
    top = scaled.max(axis=1)
    sums = np.exp(scaled - top[:, None]).sum(axis=1)
    return np.asarray(top + np.log(sums) - scaled[np.arange(len(labels)), labels], np.float64)


def paired_p_value(incumbent: npt.NDArray[np.float64], challenger: npt.NDArray[np.float64]) -> float:
    """One-sided paired t-test: chance of at least this drop of the mean loss if both were equally good.

    Args:
        incumbent: (N,) losses.
        challenger: (N,) losses on the same images.
    """
    from scipy.stats import ttest_rel

    drop = incumbent - challenger
    # Equal losses on every image (or a single one) leave the t-test without a variance.
    if len(drop) < 2 or float(drop.std()) < 1e-9:
        return 0.0 if len(drop) and float(drop.min()) > 0 else 1.0
    return float(ttest_rel(incumbent, challenger, alternative="greater").pvalue)


def evaluation_figures(
    probabilities: npt.NDArray[np.floating[Any]],
    labels: Labels,
    classes: Sequence[str],
    *,
    together: Together | None = None,
    counted: Counted = "images",
) -> EvaluationFigures:
    """All figures of `headstart evaluate`.

    Args:
        probabilities: (N, K).
        labels: (N,).
        classes: K names in the order of the columns.
        together: (N,) number of the group of each image, which intervals count; every image stands alone if None.
        counted: What the groups are.
    """
    alone = np.arange(len(labels))
    together = alone if together is None else together
    predicted = probabilities.argmax(axis=1).astype(np.int64)
    confusion, correct = confusion_matrix(labels, predicted, len(classes)), labels == predicted
    of_class = confusion.sum(axis=1)
    confidence = probabilities.max(axis=1).astype(np.float64)
    return EvaluationFigures(
        images=len(labels),
        accuracy=accuracy(confusion),
        accuracy_interval=share_interval(correct, together),
        counted=counted,
        groups=None if counted == "images" else len(np.unique(together)),
        balanced_accuracy=balanced_accuracy(confusion),
        # Weight 1 / class size: the mean of class recalls is a weighted share of images, and has its interval.
        balanced_accuracy_interval=share_interval(correct, together, weights_N=1 / of_class[labels]),
        macro_f1=macro_f1(labels, predicted),
        macro_f1_interval=macro_f1_interval(labels, predicted, together),
        log_loss=log_loss(probabilities, labels),
        log_loss_interval=_finite(mean_interval(log_losses(probabilities, labels), together)),
        uniform_log_loss=math.log(len(classes)),
        mean_confidence=float(confidence.mean()),
        per_class=per_class(labels, predicted, classes, together),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def _finite(interval: Interval) -> Interval | None:
    """None where nothing is known: JSON has no infinity."""
    return interval if all(map(math.isfinite, interval)) else None
