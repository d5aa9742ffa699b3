"""Solving the linear head on frozen features: the probe, and the refit of the chosen network's head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from headstart.data.sources import ImageRecord
from headstart.data.splits import deal
from headstart.errors import DiskFullError, NotWritableError
from headstart.evaluate.metrics import log_loss, sharpened_log_losses
from headstart.features.activations import POOLED, Activations, matrix_of, pooled_part
from headstart.features.engine_choice import EngineWish
from headstart.features.engines import Matrix, features_of
from headstart.features.linear import LinearHead, StrengthChoice, choose_strength, solve_logistic
from headstart.models.backbone import Classifier
from headstart.plan import SolvePhase
from headstart.train.checkpoint import Candidate, copy_of
from headstart.train.feeds import evaluation_view_of
from headstart.train.observers import Observer
from headstart.train.training_images import TrainingImages


@dataclass(frozen=True)
class SolvedProbe:
    """What solving found."""

    candidate: Candidate
    """Judged on the select images, or out of fold where there are none."""
    strength: float
    log_loss: float
    """On the same images, in nats, as the head says it."""
    engine: str | None
    """Which engine computed the features; None without a store."""


class PooledSource:
    """Pooled features of images by the network as it stands: from the store, or computed."""

    def __init__(
        self, classifier: Classifier, images: TrainingImages, *, engine: EngineWish, observer: Observer
    ) -> None:
        """Look at the network's weights once: they must not change while this is used."""
        self._classifier, self._images, self._observer = classifier, images, observer
        self._activations: Activations | None = None
        if images.store is not None:
            note = lambda text: observer.noted("engine", {"why": text})  # noqa: E731
            self._activations = Activations(
                pooled_part(classifier), images.spec, images.digests, images.store, engine, images.precision, note
            )
            self._activations.images_to_come = len(images.roles.train) + len(images.roles.report)

    @property
    def engine_name(self) -> str | None:
        """Of the engine that computed the features; None without a store."""
        return self._activations.engine_name if self._activations else None

    def features(self, records: Sequence[ImageRecord], *, what: str) -> Matrix:
        """(N, F), with progress told to the observer."""
        self._observer.work_started(what, len(records))
        if self._activations is not None:
            try:
                view = evaluation_view_of(self._images)
                return matrix_of(self._activations.reader(records, [view], on_images=self._observer.work_done))
            except (DiskFullError, NotWritableError) as error:
                self._observer.noted("not_stored", {"border": POOLED, "why": str(error)})
                self._observer.work_started(what, len(records))
        return features_of(self._classifier, records, self._images.spec, on_images=self._observer.work_done)


def solve_probe(
    classifier: Classifier,
    phase: SolvePhase,
    images: TrainingImages,
    *,
    seed: int,
    observer: Observer,
    engine: EngineWish = "auto",
) -> SolvedProbe:
    """Solve the head on the fit images, write it into the network, and judge it."""
    roles = images.roles
    source = PooledSource(classifier, images, engine=engine, observer=observer)
    fit = source.features(roles.fit, what="features of train")
    labels = images.labels(roles.fit)
    folds = _folds(roles.fit, images.groups, phase.folds, seed)
    strengths = None if phase.strength == "auto" else (phase.strength,)
    choice = _choose(fit, labels, len(roles.classes), folds, strengths)
    head = solve_logistic(fit, labels, len(roles.classes), strength=choice.strength)
    write_head(classifier, head)
    judged, judged_labels = choice.out_of_fold_NK, labels
    if roles.select:
        select = source.features(roles.select, what="features of select")
        judged, judged_labels = head.probabilities(select), images.labels(roles.select)
    candidate = Candidate(
        phase.name,
        judged.argmax(axis=1) == judged_labels,
        sharpened_log_losses(judged, judged_labels),
        copy_of(classifier.network),
    )
    return SolvedProbe(candidate, choice.strength, log_loss(judged, judged_labels), source.engine_name)


def refit_head(
    classifier: Classifier,
    images: TrainingImages,
    *,
    strength: float,
    observer: Observer,
    engine: EngineWish = "auto",
) -> None:
    """Solve the head again on all of train, now that nothing is chosen any more, with the network as it stands."""
    records = images.roles.train
    source = PooledSource(classifier, images, engine=engine, observer=observer)
    features = source.features(records, what="refit on all of train")
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
