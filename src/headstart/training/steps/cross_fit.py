"""Cross-fitting of a train phase: one network a fold, trained side by side; their average is the network of an epoch.

Each network is trained without the images of its fold and validated on them, so that every training image validates
and every training image trains: on small sets a held-out fifth is too few images to compare candidates on, and too many
to miss in training. All networks start from the same features and differ by a head that was fitted without their fold,
so they stay in one basin of the loss, where the average of weights is at least as good as the networks are (Izmailov et
al. 2018; Wortsman et al. 2022).

One network is held at a time: what is trained in it is exchanged between folds, in place, and each fold keeps its own
optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from headstart.arrays import Positions
from headstart.networks.backbone import Classifier
from headstart.networks.groups.layers import named_tensors
from headstart.training.checkpoint import FoldState

FoldWeights: TypeAlias = dict[str, Tensor]
"""Name -> tensor of one fold's network, of those that differ between folds."""


@dataclass
class CrossFit:
    """The networks of a phase, one for each fold, of which one is in the classifier at a time."""

    classifier: Classifier
    names: frozenset[str]
    """Tensors that the phase may change."""
    fold_of: Sequence[int]
    """(N,) fold of each training image."""
    optimizers: Sequence[torch.optim.Optimizer]
    """One a fold; all hold the same parameters, whose values are exchanged."""
    weights: list[FoldWeights] = field(default_factory=list)
    """One a fold, as they were when its network was put aside."""
    held: int | None = None
    """Fold whose network is in the classifier."""

    @property
    def folds(self) -> range:
        """Numbers of the folds."""
        return range(len(self.optimizers))

    def training_rows(self, fold: int) -> Positions:
        """Positions of the training images that its network is trained on."""
        return np.flatnonzero(np.asarray(self.fold_of) != fold)

    def validation_rows(self, fold: int) -> Positions:
        """Positions of the training images that its network is validated on."""
        return np.flatnonzero(np.asarray(self.fold_of) == fold)

    def hold(self, fold: int) -> torch.optim.Optimizer:
        """Put the network of a fold into the classifier; its optimizer."""
        if self.held != fold:
            self.put_aside()
            write_tensors(self.classifier, self.weights[fold])
            self.held = fold
        return self.optimizers[fold]

    def put_aside(self) -> None:
        """Keep the weights of the network that is held, which training has changed."""
        if self.held is not None:
            self.weights[self.held] = tensors_of(self.classifier, self.names)

    def hold_average(self) -> None:
        """Put the average of all networks into the classifier."""
        self.put_aside()
        write_tensors(self.classifier, average(self.weights))
        self.held = None

    def states(self) -> list[FoldState]:
        """What a checkpoint holds of each fold, the one that is being trained included."""
        self.put_aside()
        pairs = zip(self.weights, self.optimizers, strict=True)
        return [FoldState(weights, optimizer.state_dict()) for weights, optimizer in pairs]

    def take_up(self, states: Sequence[FoldState]) -> None:
        """Go on from what a checkpoint holds."""
        self.weights, self.held = [state.weights for state in states], None
        for state, optimizer in zip(states, self.optimizers, strict=True):
            if state.optimizer is not None:
                optimizer.load_state_dict(state.optimizer)


def tensors_of(classifier: Classifier, names: frozenset[str]) -> FoldWeights:
    """Copies of the named tensors of a network, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in named_tensors(classifier.network) if name in names}


def write_tensors(classifier: Classifier, weights: Mapping[str, Tensor]) -> None:
    """Write tensors into a network, in place, so that optimizers and recorded graphs keep hold of them."""
    with torch.no_grad():
        for name, tensor in named_tensors(classifier.network):
            if name in weights:
                tensor.copy_(weights[name])


def average(weights: Sequence[Mapping[str, Tensor]]) -> FoldWeights:
    """Mean of each tensor over the folds, summed in double precision; integers (counts) are those of the first fold."""
    first = weights[0]
    return {
        name: torch.stack([one[name].double() for one in weights]).mean(dim=0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor.clone()
        for name, tensor in first.items()
    }
