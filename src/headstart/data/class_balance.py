"""How training makes up for classes of unequal size, with the numbers that it needs.

With K classes of shares p: class weights count an image 1 / (K p) times. Balanced sampling draws as many images of
every class for each epoch. Logit adjustment (Menon et al. 2021) adds log p to the logits in the loss, and not in
predictions, so that predictions are for classes of equal size. All three ask for p(class | image) under equal shares.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Labels
from headstart.data.sources.reading import ImageRecord

BalanceMethod: TypeAlias = Literal["none", "class_weight", "balanced_sampling", "logit_adjustment"]
PredictedShares: TypeAlias = Literal["training", "equal", "weighted"]
"""Shares of the classes that probabilities are for: those of the training images, equal ones, or those of the training
images times the weights of the user."""


@dataclass(frozen=True)
class ClassBalance:
    """The method, and the shares of the classes among the training images."""

    method: BalanceMethod = "none"
    shares: Mapping[str, float] = field(default_factory=dict)
    """Class -> its share, 0..1; empty where the method is none."""
    weights: Literal["balanced", "given"] = "balanced"
    """Of the method class_weight; given: by the user."""

    @property
    def predicts_for(self) -> PredictedShares:
        """Shares of the classes that probabilities are for."""
        if self.method == "none":
            return "training"
        return "equal" if self.weights == "balanced" else "weighted"

    def log_shares(self, classes: Sequence[str]) -> Doubles | None:
        """(K,) logarithms that logit adjustment adds to the logits in the loss; None: it is not the method.

        Args:
            classes: K names in the order of the logits.
        """
        if self.method != "logit_adjustment":
            return None
        return np.array([math.log(self.shares[name]) for name in classes])


def class_balance(
    method: BalanceMethod, records: Sequence[ImageRecord], *, weights: Literal["balanced", "given"] = "balanced"
) -> ClassBalance:
    """The balance of some training images; images count as often as their own weights say.

    Args:
        method: How classes are balanced.
        records: Training images.
        weights: Of the method class_weight.
    """
    if method == "none":
        return ClassBalance()
    totals = Counter[str]()
    for record in records:
        totals[record.label] += 1.0 if record.weight is None else record.weight  # type: ignore[assignment]
    whole = sum(totals.values())
    return ClassBalance(method, {name: total / whole for name, total in totals.items()}, weights)


def balanced_order(labels_N: Labels, rng: np.random.Generator) -> npt.NDArray[np.int64]:  # noqa: N803 - shapes
    """(N,) positions of one epoch, as many of every class up to one, in random order.

    An image of a small class comes several times, as often as the others of its class up to one; of a large class a
    part of the images comes, another in each epoch.

    Args:
        labels_N: Class of each image.
        rng: Decides everything.
    """
    classes = rng.permutation(np.unique(labels_N))  # the classes that get one image more change from epoch to epoch
    drawn = []
    for number, name in enumerate(classes):
        members = np.flatnonzero(labels_N == name)
        wanted = len(labels_N) // len(classes) + (number < len(labels_N) % len(classes))
        rounds = math.ceil(wanted / len(members))
        drawn.append(np.concatenate([rng.permutation(members) for _ in range(rounds)])[:wanted])
    return rng.permutation(np.concatenate(drawn))
