"""Settings and figures of self-supervised pretraining; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headstart.plan.sections import BatchNormPolicy


@dataclass(frozen=True, slots=True)
class PretrainSettings:
    """What decides the result besides images and first weights."""

    epochs: int
    batch_size: int
    lr: float
    """Peak learning rate of the backbone; the new heads have ten times as much."""
    weight_decay: float
    batch_norm: BatchNormPolicy
    augmentation: Literal["light", "standard", "strong", "trivial"]
    flip: Literal["none", "horizontal", "all", "dihedral"]
    seed: int


@dataclass(frozen=True, slots=True)
class PretrainedEpoch:
    """Figures of an epoch."""

    epoch: int
    """From 1."""
    loss: float
    """Mean negative cosine similarity of the views, -1..1."""
    spread: float
    """How far apart images are, 0..1; see `Siamese.loss`."""
    seconds: float
    """Of all its parts, where it was stopped and resumed."""
