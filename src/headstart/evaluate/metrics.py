"""Figures of merit as pure functions of labels and probabilities. Needs numpy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Labels: TypeAlias = npt.NDArray[np.int64]
"""(N,) class indices 0..K-1."""
Counts: TypeAlias = npt.NDArray[np.int64]

_LOG_TEMPERATURES = (-2.0, 2.0)  # a perfect classifier would ask for zero
_Z95 = 1.959963984540054  # 97.5 % point of the standard normal


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927): honest near 0 and 1 and for few trials, unlike p +- 2 s.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} successes of {trials} trials is no share")
    share = successes / trials
    spread = _Z95**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = _Z95 / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def confusion_matrix(labels: Labels, predicted: Labels, num_classes: int) -> Counts:
    """(K, K) counts; row = true class, column = predicted class."""
    flat = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)


def accuracy(confusion: Counts) -> float:
    """Share of images on the diagonal, 0..1."""
    return float(np.trace(confusion) / confusion.sum())


def balanced_accuracy(confusion: Counts) -> float:
    """Mean recall over the classes that occur, 0..1: every class counts the same however many images it has."""
    occurs = confusion.sum(axis=1) > 0
    return float((np.diag(confusion)[occurs] / confusion.sum(axis=1)[occurs]).mean())


def per_class(confusion: Counts, classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Precision, recall, F1 (each 0..1; 0 where undefined), number of images and a 95 % interval of recall."""
    found = {}
    for index, name in enumerate(classes):
        hits, images, named = (
            int(confusion[index, index]),
            int(confusion[index].sum()),
            int(confusion[:, index].sum()),
        )
        precision = hits / named if named else 0.0
        recall = hits / images if images else 0.0
        both = precision + recall
        found[name] = {
            "precision": precision,
            "recall": recall,
            "f1": 2 * precision * recall / both if both else 0.0,
            "images": images,
            "recall_interval": list(wilson_interval(hits, images)) if images else None,
        }
    return found


def log_loss(probabilities: npt.NDArray[np.floating[Any]], labels: Labels) -> float:
    """Mean negative log-likelihood in nats of (N, K) probabilities."""
    return float(log_losses(probabilities, labels).mean())


def log_losses(probabilities: npt.NDArray[np.floating[Any]], labels: Labels) -> npt.NDArray[np.float64]:
    """(N,) negative log-likelihood of each image in nats; proper, and far more sensitive than counting errors."""
    picked = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.clip(picked, 1e-12, 1)), np.float64)


def sharpened_log_losses(probabilities: npt.NDArray[np.floating[Any]], labels: Labels) -> npt.NDArray[np.float64]:
    """(N,) log losses at the temperature that suits these images best.

    Two classifiers compared so are compared by what they tell apart, not by how confident their training made
    them (label smoothing dulls probabilities, long training sharpens them). Temperature: Guo et al. 2017.

    Args:
        probabilities: (N, K).
        labels: (N,).
    """
    from scipy.optimize import minimize_scalar

    logits = np.log(np.clip(probabilities, 1e-12, 1)).astype(np.float64)
    rows = np.arange(len(labels))

    def losses(log_temperature: float) -> npt.NDArray[np.float64]:
        scaled = logits / math.exp(log_temperature)
        top = scaled.max(axis=1)
        sums = np.exp(scaled - top[:, None]).sum(axis=1)
        return np.asarray(top + np.log(sums) - scaled[rows, labels], np.float64)

    best = minimize_scalar(lambda t: losses(t).mean(), bounds=_LOG_TEMPERATURES, method="bounded")
    return losses(float(best.x))


def paired_p_value(incumbent: npt.NDArray[np.float64], challenger: npt.NDArray[np.float64]) -> float:
    """One-sided paired t-test: chance of at least this drop of the mean loss if both were equally good.

    Args:
        incumbent: (N,) losses.
        challenger: (N,) losses on the same images.
    """
    from scipy.stats import ttest_rel

    drop = incumbent - challenger
    if len(drop) < 2 or float(drop.std()) < 1e-9:
        return 0.0 if len(drop) and float(drop.min()) > 0 else 1.0
    return float(ttest_rel(incumbent, challenger, alternative="greater").pvalue)


def judge(probabilities: npt.NDArray[np.floating[Any]], labels: Labels, classes: Sequence[str]) -> dict[str, Any]:
    """All figures of `headstart evaluate`, as plain values.

    Args:
        probabilities: (N, K).
        labels: (N,).
        classes: K names in the order of the columns.
    """
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1).astype(np.int64), len(classes))
    hits = int(np.trace(confusion))
    return {
        "images": len(labels),
        "accuracy": accuracy(confusion),
        "accuracy_interval": list(wilson_interval(hits, len(labels))),
        "balanced_accuracy": balanced_accuracy(confusion),
        "log_loss": log_loss(probabilities, labels),
        "ece": None,
        "per_class": per_class(confusion, classes),
        "confusion": confusion.tolist(),
    }
