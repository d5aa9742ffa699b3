"""Solving the linear head on frozen features: the probe, and the refit of the chosen network's head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from headstart.data.sources import ImageRecord
from headstart.data.splits import Roles, deal
from headstart.evaluate.metrics import log_loss, sharpened_log_losses
from headstart.features.engines import Matrix, features_of
from headstart.features.linear import LinearHead, StrengthChoice, choose_strength, solve_logistic
from headstart.input_spec import InputSpec
from headstart.models.backbone import Classifier
from headstart.plan import SolvePhase
from headstart.train.checkpoint import Candidate, copy_of
from headstart.train.observers import Observer


@dataclass(frozen=True)
class TrainingImages:
    """The images of a run as the loop needs them."""

    roles: Roles
    spec: InputSpec
    groups: Mapping[str, str]
    """Image id -> group that must stay together in folds."""

    def labels(self, records: Sequence[ImageRecord]) -> npt.NDArray[np.int64]:
        """Class index of each."""
        index = {name: i for i, name in enumerate(self.roles.classes)}
        return np.array([index[record.label] for record in records], np.int64)


@dataclass(frozen=True)
class SolvedProbe:
    """What solving found."""

    candidate: Candidate
    """Judged on the select images, or out of fold where there are none."""
    strength: float
    log_loss: float
    """On the same images, in nats, as the head says it."""


def watched_features(
    classifier: Classifier, records: Sequence[ImageRecord], spec: InputSpec, observer: Observer, *, what: str
) -> Matrix:
    """Features with progress told to the observer."""
    observer.work_started(what, len(records))
    return features_of(classifier, records, spec, on_images=observer.work_done)


def solve_probe(
    classifier: Classifier, phase: SolvePhase, images: TrainingImages, *, seed: int, observer: Observer
) -> SolvedProbe:
    """Solve the head on the fit images, write it into the network, and judge it."""
    roles = images.roles
    fit = watched_features(classifier, roles.fit, images.spec, observer, what="features of train")
    labels = images.labels(roles.fit)
    folds = _folds(roles.fit, images.groups, phase.folds, seed)
    strengths = None if phase.strength == "auto" else (phase.strength,)
    choice = _choose(fit, labels, len(roles.classes), folds, strengths)
    head = solve_logistic(fit, labels, len(roles.classes), strength=choice.strength)
    write_head(classifier, head)
    judged, judged_labels = choice.out_of_fold_NK, labels
    if roles.select:
        select = watched_features(classifier, roles.select, images.spec, observer, what="features of select")
        judged, judged_labels = head.probabilities(select), images.labels(roles.select)
    candidate = Candidate(
        phase.name,
        judged.argmax(axis=1) == judged_labels,
        sharpened_log_losses(judged, judged_labels),
        copy_of(classifier.network),
    )
    return SolvedProbe(candidate, choice.strength, log_loss(judged, judged_labels))


def refit_head(classifier: Classifier, images: TrainingImages, *, strength: float, observer: Observer) -> None:
    """Solve the head again on all of train, now that nothing is chosen any more, with the network as it stands."""
    records = images.roles.train
    features = watched_features(classifier, records, images.spec, observer, what="refit on all of train")
    head = solve_logistic(features, images.labels(records), len(images.roles.classes), strength=strength)
    write_head(classifier, head)


def write_head(classifier: Classifier, head: LinearHead) -> None:
    """Put a solved head into the network."""
    classifier.write_linear(
        torch.from_numpy(np.asarray(head.weight_KF, np.float32)),
        torch.from_numpy(np.asarray(head.bias_K, np.float32)),
    )


def _folds(records: Sequence[ImageRecord], groups: Mapping[str, str], parts: int, seed: int) -> list[int]:
    """Fold of each image; fewer folds where the smallest class has fewer groups than folds."""
    by_class: dict[str, set[str]] = {}
    for record in records:
        by_class.setdefault(record.label, set()).add(groups[record.id])
    smallest = min(len(held) for held in by_class.values())
    return deal(records, dict(groups), parts=max(2, min(parts, smallest)), seed=seed + 2)


def _choose(
    features: Matrix,
    labels: npt.NDArray[np.int64],
    num_classes: int,
    folds: list[int],
    strengths: tuple[float, ...] | None,
) -> StrengthChoice:
    if strengths is None:
        return choose_strength(features, labels, num_classes, folds)
    return choose_strength(features, labels, num_classes, folds, strengths=strengths)
