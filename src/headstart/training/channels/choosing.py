"""Which way bands reach a network: linear probes on the features of each, compared out-of-fold on training images.

In a public benchmark, weights of three channels tiled over more bands were worse than three bands alone in 16 of 17
cases, and in others they were better: no rule decides it, and a probe costs one pass over the images for each way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headstart.data.band_statistics import BandStatistics
from headstart.data.splits import deal_folds
from headstart.engine.known.classifier import AnyClassifier
from headstart.engine.prefix.engine_choice import EngineOption
from headstart.engine.store.training_images import TrainingImages
from headstart.input_spec import ChannelMethod
from headstart.measures.metrics import sharpened_log_losses
from headstart.networks.band_adapter import CHANNEL_METHODS, WEIGHT_CHANNELS, BandAdapter
from headstart.solvers.head_solver import head_problem, stratified_sample
from headstart.training.activation_source import ActivationSource
from headstart.training.channels.adapting import adapted_to_bands
from headstart.training.probe.pooled_source import PooledSource

_MOST_IMAGES = 1000
"""Training images that the probes compare the ways on."""
_FOLDS = 5


@dataclass(frozen=True)
class ChannelTrial:
    """Linear probe on the features of one way."""

    method: ChannelMethod
    log_loss: float
    """Out-of-fold, at its best temperature, in nats."""
    balanced_accuracy: float
    """Out-of-fold, 0..1."""


@dataclass(frozen=True)
class ChannelComparison:
    """The selected way, and all that were compared."""

    trials: tuple[ChannelTrial, ...]
    """Lowest log loss first."""
    bands: int
    images: int

    @property
    def method(self) -> ChannelMethod:
        """The one with the lowest log loss."""
        return self.trials[0].method

    @property
    def reason(self) -> str:
        """One sentence with the figures of all."""
        first, *others = self.trials
        figures = ", ".join(f"{one.method} {one.log_loss:.3f} ({one.balanced_accuracy:.3f})" for one in others)
        return (
            f"of the ways from {self.bands} bands to {WEIGHT_CHANNELS} channels it has the lowest log loss of linear "
            f"probes, out-of-fold on {self.images:,} training images: {first.log_loss:.3f} (balanced accuracy "
            f"{first.balanced_accuracy:.3f}), against {figures}"
        )


def methods_for(bands: int, *, head: str) -> tuple[ChannelMethod, ...]:
    """The ways that images of so many bands can go.

    Args:
        bands: Number of bands.
        head: Kind of the head: only a linear one reads features next to the network's.
    """
    return tuple(
        method
        for method in CHANNEL_METHODS
        if (method != "band_map" or bands >= WEIGHT_CHANNELS) and (method != "random_convolutions" or head != "mlp")
    )


def choose_channels(
    build: Callable[[BandAdapter], AnyClassifier],
    images: TrainingImages,
    statistics: BandStatistics,
    methods: Sequence[ChannelMethod],
    *,
    seed: int,
    engine: EngineOption = "auto",
) -> ChannelComparison:
    """The way with the lowest out-of-fold log loss of a linear probe; groups stay together in folds.

    No adapter is fitted on labels, so that all folds can share one. Features are kept in the activation cache, where
    the training finds those of the selected way again.

    Args:
        build: Gives the network with an adapter.
        images: Roles, groups and store; its spec is that of the weights.
        statistics: Of the bands of the training images.
        methods: Two or more, the simplest first: of equals the first is selected.
        seed: Of sample and folds.
        engine: Runs the networks.
    """
    records = images.roles.train
    if len(records) > _MOST_IMAGES:
        records = tuple(records[p] for p in stratified_sample(images.labels(records), _MOST_IMAGES, seed=seed))
    labels, classes = images.labels(records), len(images.roles.classes)
    folds = deal_folds(records, dict(images.groups), most=_FOLDS, seed=seed + 2)
    trials = []
    for method in methods:
        given = adapted_to_bands(images.spec, statistics, method)
        assert given.adapter is not None
        source = ActivationSource(build(given.adapter), replace(images, spec=given.spec), engine)
        rows = PooledSource(source).rows(records, what=f"features of {method}", stops="ignored")
        found = head_problem(rows, labels, classes, solver="logistic", seed=seed).choose(folds)
        truth = labels if found.sample is None else labels[found.sample]
        probabilities = found.out_of_fold_NK
        correct = probabilities.argmax(axis=1) == truth
        recalls = [float(correct[truth == label].mean()) for label in np.unique(truth)]
        loss = float(sharpened_log_losses(probabilities, truth).mean())
        trials.append(ChannelTrial(method, loss, float(np.mean(recalls))))
    return ChannelComparison(
        tuple(sorted(trials, key=lambda one: one.log_loss)), bands=len(statistics.mean), images=len(records)
    )
