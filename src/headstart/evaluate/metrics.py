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
    picked = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(picked, 1e-12, 1)).mean())


def sign_test(wins: int, losses: int) -> float:
    """One-sided exact sign test: chance of at least this many wins if both were equally good.

    Of two classifiers on the same images, `wins` are images only the challenger has right, `losses` those only
    the incumbent has right (McNemar's discordant pairs).
    """
    discordant = wins + losses
    tail: int = sum(math.comb(discordant, k) for k in range(wins, discordant + 1))
    return float(tail / 2**discordant)


def beats(incumbent: npt.NDArray[np.bool_], challenger: npt.NDArray[np.bool_], *, noise_level: float) -> bool:
    """Whether the challenger is better on the same images beyond noise.

    Args:
        incumbent: (N,) which images it has right.
        challenger: (N,) likewise.
        noise_level: Largest chance of such a lead between equals, 0..1.
    """
    wins = int((challenger & ~incumbent).sum())
    losses = int((incumbent & ~challenger).sum())
    return sign_test(wins, losses) < noise_level


def is_beatable(incumbent: npt.NDArray[np.bool_], *, noise_level: float) -> bool:
    """Whether even a faultless challenger could beat it beyond noise on these images."""
    return beats(incumbent, np.ones_like(incumbent), noise_level=noise_level)


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
