"""Card -> Classifier: a pretrained network with a new head, behind one face."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headstart.errors import require
from headstart.models.catalog import ModelCard, ModelChoice
from headstart.models.heads import HeadKind, make_head, replace_head
from headstart.models.layers import LayerGroup, pooled_features, stage_groups
from headstart.models.weights import load_weights


@dataclass(frozen=True)
class Classifier:
    """A network whose classes are the user's."""

    network: nn.Module
    """The library's own module with its own tensor names; maps (B, C, H, W) to logits (B, K)."""
    card: ModelCard
    groups: tuple[LayerGroup, ...]
    """Stem to head."""
    head_kind: HeadKind
    num_classes: int

    @property
    def head(self) -> nn.Module:
        """The part that was made new."""
        return self.network.get_submodule(self.groups[-1].steps[-1])

    @property
    def group_names(self) -> tuple[str, ...]:
        """Stem to head."""
        return tuple(group.name for group in self.groups)

    def features(self, x_BCHW: Tensor) -> Tensor:  # noqa: N803 - shapes
        """Pooled features (B, F), as the head reads them."""
        return pooled_features(self.network, self.groups, x_BCHW)


def build_network(card: ModelCard) -> nn.Module:
    """The bare architecture with its original head and random weights."""
    if card.library == "timm":
        network: nn.Module = require("timm", extra="train").create_model(card.architecture)
    else:
        network = require("torchvision.models", extra="train").get_model(card.architecture)
    # NHWC in memory: the depthwise and 1x1 convolutions of these networks run 1.3-1.8 times faster on CPUs.
    return network.to(memory_format=torch.channels_last)


def pretrained(choice: ModelChoice) -> nn.Module:
    """The network as it was pretrained, original head included.

    Raises:
        ModelError: see `load_weights`.
    """
    network = build_network(choice.card)
    load_weights(network, choice)
    return network.eval()


def with_new_head(network: nn.Module, card: ModelCard, *, kind: HeadKind, num_classes: int) -> Classifier:
    """Replace the head; the rest is untouched."""
    groups = stage_groups(network, card.family)
    replace_head(network, groups[-1].steps[-1], make_head(kind, card.features, num_classes))
    return Classifier(network, card, groups, kind, num_classes)


def build_classifier(choice: ModelChoice, *, kind: HeadKind, num_classes: int, seed: int) -> Classifier:
    """A pretrained network with a new head; the seed decides whatever is random in the head.

    Raises:
        ModelError: see `load_weights`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = pretrained(choice)
        return with_new_head(network, choice.card, kind=kind, num_classes=num_classes)
