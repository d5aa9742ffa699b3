"""Successive halving on images: all networks are evaluated on a few images, the better half on more.

A round evaluates the features of each remaining network with a cross-validated ridge probe, and with LogME, the H-score
and nearest neighbours. Pure functions of features: no network is run here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.data.sources.reading import ImageRecord
from headstart.data.splits import deal, order_key
from headstart.measures.intervals import Together, mean_interval, share_difference_interval, share_interval
from headstart.measures.neighbours import nearest_out_of_fold, neighbours_for
from headstart.measures.transferability import h_score, log_maximum_evidence
from headstart.solvers.head_solver import head_problem
from headstart.solvers.rows import MatrixRows

FeatureArray: TypeAlias = npt.NDArray[np.float32]
LabelArray: TypeAlias = npt.NDArray[np.int64]
Float64Array: TypeAlias = npt.NDArray[np.float64]

FIRST_IMAGES = 64
"""Images of the first round; more where there are many classes."""
USUAL_IMAGES = 512
"""Images of the last round by default."""
FIRST_OF_A_CLASS, USUAL_OF_A_CLASS = 4, 8
"""Least number of images of each class in the first and last round, as far as there are so many."""
FOLDS = 5
_BARELY_MORE = 1.5
"""A round is skipped if the last one has less than so many times its images."""
_SMALLEST = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class NetworkScores:
    """Scores of one network in one round; all but LogME and the H-score are out of fold."""

    model: str
    losses_N: Float64Array  # noqa: N815 - shapes
    """Log loss of the probe on each image, in nats, at the best common temperature."""
    correct_N: npt.NDArray[np.bool_]  # noqa: N815
    """Whether the probe is correct."""
    accuracy_interval: tuple[float, float]
    """95 % interval over groups of images."""
    l2_penalty: float
    """L2 penalty with the lowest loss."""
    log_me: float
    h_score: float
    knn_accuracy: float
    together_N: Together | None = None  # noqa: N815
    """Number of the group of each image; None if no images share one."""

    @property
    def groups_N(self) -> Together:  # noqa: N802
        """Number of the group of each image."""
        return np.arange(len(self.losses_N)) if self.together_N is None else self.together_N

    @property
    def log_loss(self) -> float:
        """Mean log loss in nats, by which networks are ranked; lower is better."""
        return float(self.losses_N.mean())

    @property
    def accuracy(self) -> float:
        """Accuracy of the probe, 0..1."""
        return float(self.correct_N.mean())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "log_loss": self.log_loss,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "l2_penalty": self.l2_penalty,
            "logme": self.log_me,
            "h_score": self.h_score,
            "knn_accuracy": self.knn_accuracy,
        }


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """Difference of two networks on the same images, with 95 % intervals over groups of images."""

    first: str
    second: str
    log_loss: float
    """How much lower the first's is, in nats."""
    log_loss_interval: tuple[float, float]
    accuracy: float
    """How much higher the first's is, -1..1."""
    accuracy_interval: tuple[float, float]
    images: int

    @property
    def is_tie(self) -> bool:
        """Whether the log losses do not differ significantly."""
        return self.log_loss_interval[0] <= 0 <= self.log_loss_interval[1]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "log_loss": self.log_loss,
            "log_loss_interval": list(self.log_loss_interval),
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "images": self.images,
            "verdict": "tie" if self.is_tie else f"{self.first if self.log_loss > 0 else self.second} is better",
        }


def nested_order(records: Sequence[ImageRecord], *, seed: int) -> tuple[ImageRecord, ...]:
    """Images in the order in which rounds take them: each prefix is a stratified sample.

    First a few of every class in turn, then all classes in proportion; within a class in seeded order of names.
    """
    by_class: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda one: order_key(seed, one.id)):
        by_class[record.label].append(record)

    def rank(position: int, held: int) -> tuple[int, float]:
        return (0, position) if position < FIRST_OF_A_CLASS else (1, position / held)

    ranked = [(rank(n, len(held)), one.id, one) for held in by_class.values() for n, one in enumerate(held)]
    return tuple(record for _, _, record in sorted(ranked, key=lambda row: row[:2]))


def last_round_size(available: int, classes: int, *, requested: int | None) -> int:
    """Number of images of the last round: as given, else USUAL_IMAGES or more for many classes; at most all.

    Args:
        available: Number of training images.
        classes: Number of classes.
        requested: None for the default.
    """
    return min(available, max(USUAL_IMAGES, USUAL_OF_A_CLASS * classes) if requested is None else requested)


def round_sizes(images: int, classes: int) -> tuple[int, ...]:
    """Number of images of each round: doubled from FIRST_IMAGES, or from a few of every class; the last has all.

    Args:
        images: Number in the last round.
        classes: Number of classes.
    """
    sizes, size = [], max(FIRST_IMAGES, FIRST_OF_A_CLASS * classes)
    while size * _BARELY_MORE <= images:
        sizes.append(size)
        size *= 2
    return (*sizes, images)


def stratified_folds(records: Sequence[ImageRecord], groups: Mapping[str, str], *, seed: int) -> LabelArray:
    """Fold of each image, whole groups in one fold, at most FOLDS of them.

    A class of which a round has only one group cannot be learned there (`classes_in_one_group`); that is so for all
    networks alike.

    Args:
        records: The images of a round, of at least two groups.
        groups: Image id -> what must stay together.
        seed: Of the deal.
    """
    parts = min(FOLDS, len({groups[record.id] for record in records}))
    return np.array(deal(records, dict(groups), parts=parts, seed=seed), np.int64)


def classes_in_one_group(records: Sequence[ImageRecord], groups: Mapping[str, str]) -> tuple[str, ...]:
    """Classes whose images lie in one group: no fold trains on the class it is validated on.

    Args:
        records: Images.
        groups: Image id -> what must stay together.
    """
    held: dict[str, set[str]] = defaultdict(set)
    for record in records:
        held[record.label].add(groups[record.id])
    return tuple(sorted(label for label, names in held.items() if len(names) == 1))


def score_features(
    model: str,
    features_NF: FeatureArray,  # noqa: N803
    labels_N: LabelArray,  # noqa: N803
    folds_N: LabelArray,  # noqa: N803
    together_N: Together,  # noqa: N803
    *,
    num_classes: int,
) -> NetworkScores:
    """Scores of the features of one network: ridge probe, nearest neighbours, LogME and H-score.

    Args:
        model: Its name.
        features_NF: N images x F features.
        labels_N: Class of each, 0..K-1.
        folds_N: Fold of each, at least two of them.
        together_N: Number of the patient, scene or book that each image is of; those of one lie in one fold.
        num_classes: K.
    """
    choice = head_problem(MatrixRows(features_NF), labels_N, num_classes, solver="ridge").choose(folds_N)
    right = choice.out_of_fold_NK.argmax(axis=1) == labels_N
    said = choice.out_of_fold_NK[np.arange(len(labels_N)), labels_N].astype(np.float64)
    near = nearest_out_of_fold(features_NF, labels_N, folds_N, neighbours=neighbours_for(labels_N))
    return NetworkScores(
        model=model,
        losses_N=-np.log(np.clip(said, _SMALLEST, 1)),
        correct_N=right,
        accuracy_interval=share_interval(right, together_N),
        l2_penalty=choice.l2_penalty,
        log_me=log_maximum_evidence(features_NF, labels_N),
        h_score=h_score(features_NF, labels_N),
        knn_accuracy=float((near == labels_N).mean()),
        together_N=together_N,
    )


def ranked(scores: Sequence[NetworkScores]) -> list[NetworkScores]:
    """Scores sorted by log loss, lowest first; equal ones by name."""
    return sorted(scores, key=lambda one: (one.log_loss, one.model))


def remaining_networks(scores: Sequence[NetworkScores], *, keep: int) -> tuple[str, ...]:
    """Networks of the next round, best first: the better half, at least `keep`, and those that tie with its last.

    A network is dropped only if its log loss is significantly higher than that of the last one that remains (the 95 %
    interval of the paired difference lies above zero), so few images or groups alone drop none.

    Args:
        scores: All of this round.
        keep: At least this many remain.
    """
    order = ranked(scores)
    half = max(keep, math.ceil(len(order) / 2))
    stay = [one for place, one in enumerate(order) if place < half or difference(order[half - 1], one).is_tie]
    return tuple(one.model for one in stay)


def difference(first: NetworkScores, second: NetworkScores) -> ScoreDifference:
    """Difference between two networks on the same images.

    The loss has the interval of a mean of paired differences, the accuracy that of matched proportions. Images of one
    group count together in both (`intervals`).

    Raises:
        ValueError: their numbers of images differ.
    """
    if len(first.losses_N) != len(second.losses_N):
        raise ValueError(f"{len(first.losses_N)} and {len(second.losses_N)} images: the same ones are expected")
    gaps = second.losses_N - first.losses_N
    wins = first.correct_N.astype(np.float64) - second.correct_N
    return ScoreDifference(
        first.model,
        second.model,
        float(gaps.mean()),
        mean_interval(gaps, first.groups_N),
        float(wins.mean()),
        share_difference_interval(wins, first.groups_N),
        len(gaps),
    )
