"""The images of a run as training needs them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles
from headstart.data.class_balance import ClassBalance, balanced_order
from headstart.data.meter import Meter
from headstart.data.sources.reading import ImageRecord
from headstart.data.splits import Roles
from headstart.engine.costs.speeds import USUAL_PIXELS
from headstart.engine.store.activations import Precision
from headstart.engine.store.store import ActivationStore
from headstart.input_spec import InputSpec
from headstart.measures.figures import SelectionMetric


@dataclass(frozen=True)
class TrainingImages:
    """Who plays which role, what the network sees of them, and where activations are cached."""

    roles: Roles
    spec: InputSpec
    groups: Mapping[str, str]
    """Image id -> group that must stay together in folds."""
    digests: Mapping[str, bytes] = field(default_factory=dict)
    """Image id -> hash of its file, 16 bytes; needed where there is a store."""
    store: ActivationStore | None = None
    """None computes everything anew."""
    precision: Precision = "float16"
    """In which activations are cached."""
    pixels: int = USUAL_PIXELS
    """Of a typical image: tells how long reading one will take."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Image id -> how much it counts in what is minimised, > 0; empty: all alike."""
    balance: ClassBalance = field(default_factory=ClassBalance)
    """How classes of unequal size are balanced; what class weights do is in `weights` already."""
    metric: SelectionMetric = "accuracy"
    """By which candidates are compared on the validation images."""
    meter: Meter = field(default_factory=Meter)
    """Counts the time of views and of reading stored rows."""

    def labels(self, records: Sequence[ImageRecord]) -> npt.NDArray[np.int64]:
        """Class index of each."""
        index = {name: i for i, name in enumerate(self.roles.classes)}
        return np.array([index[record.label] for record in records], np.int64)

    def weights_of(self, records: Sequence[ImageRecord]) -> npt.NDArray[np.float64] | None:
        """(N,) how much each counts; None: all alike."""
        if not self.weights:
            return None
        return np.array([self.weights[record.id] for record in records])

    def loss_weights(self, records: Sequence[ImageRecord]) -> npt.NDArray[np.float32] | None:
        """(B,) factors of the losses of a batch, 1 on average over the training images; None: all alike.

        Over a batch they need not be 1 on average: then each step follows the weighted loss of all images without bias.
        """
        if self.balance.method == "balanced_sampling":
            return self._weights_within_class(records)
        weights = self.weights_of(records)
        # Over all training images, not over the batch: a batch of rare classes then weighs more, as it should.
        return None if weights is None else (weights / self._mean_weight).astype(np.float32)

    def _weights_within_class(self, records: Sequence[ImageRecord]) -> npt.NDArray[np.float32] | None:
        """(B,) weights over the mean of their class: the sampling counts the classes alike already."""
        if all(record.weight is None for record in records):
            return None
        return np.array([self.weights[one.id] / self._class_means[one.label] for one in records], np.float32)

    @cached_property
    def _class_means(self) -> Mapping[str, float]:
        of_class: dict[str, list[float]] = {}
        for record in self.roles.train:
            of_class.setdefault(record.label, []).append(self.weights[record.id])
        return {name: float(np.mean(weights)) for name, weights in of_class.items()}

    @property
    def log_shares(self) -> Doubles | None:
        """(K,) what logit adjustment adds to the logits in the loss; None: nothing."""
        return self.balance.log_shares(self.roles.classes)

    @cached_property
    def _mean_weight(self) -> float:
        return float(np.mean([self.weights[record.id] for record in self.roles.train]))

    def epoch_batches(
        self, batch_size: int, *, position: tuple[int, ...], rows: npt.NDArray[np.int64] | None = None
    ) -> list[list[ImageRecord]]:
        """One epoch's batches: sizes that differ by at most one image, in an order that `position` decides.

        Args:
            batch_size: The largest.
            position: Seed, phase and epoch, and the fold where there are folds.
            rows: Positions of the training images that are used; None: all.
        """
        records = self.roles.train if rows is None else [self.roles.train[row] for row in rows]
        # Seeded by seed, phase and epoch: a resumed run sees the batches that the interrupted one would have seen.
        rng = np.random.default_rng(position)
        if self.balance.method == "balanced_sampling":
            order = balanced_order(self.labels(records), rng)
        else:
            order = rng.permutation(len(records))
        # array_split: sizes differ by one at most, so that no small last batch gives noisy steps.
        parts = np.array_split(order, math.ceil(len(records) / batch_size))
        return [[records[i] for i in part] for part in parts]
