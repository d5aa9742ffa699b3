"""SimSiam (Chen & He 2021): two augmented views of an image must predict each other's features.

It needs no negative pairs and no second network, so small batches on a CPU do. Heads and loss are lightly's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headstart.errors import require
from headstart.networks.backbone import Classifier

PROJECTED, HIDDEN = 512, 128
"""Width of the projection, and of the bottleneck of the prediction head: a quarter of it, as in the paper."""


@dataclass(frozen=True)
class Siamese:
    """A backbone with the two heads of SimSiam, which are left out of the result."""

    classifier: Classifier
    projection: nn.Module
    """Features (B, F) -> (B, PROJECTED)."""
    prediction: nn.Module
    """(B, PROJECTED) -> (B, PROJECTED)."""

    @classmethod
    def of(cls, classifier: Classifier, *, seed: int) -> Siamese:
        """Random heads on a backbone.

        Args:
            classifier: Whose features are trained.
            seed: Of the heads.

        Raises:
            MissingExtraError: lightly is not installed.
        """
        heads = require("lightly.models.modules.heads", extra="pretrain")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            projection = heads.SimSiamProjectionHead(classifier.num_last_features, PROJECTED, PROJECTED)
            prediction = heads.SimSiamPredictionHead(PROJECTED, HIDDEN, PROJECTED)
        return cls(classifier, projection, prediction)

    @property
    def heads(self) -> nn.ModuleList:
        """Both heads."""
        return nn.ModuleList([self.projection, self.prediction])

    def loss(self, views: tuple[Tensor, Tensor]) -> tuple[Tensor, float]:
        """(loss, spread): negative cosine similarity -1..1 between views, and how far apart images are, 0..1.

        The spread is the standard deviation of a normalised feature over the batch, times the root of their number:
        near 1 for features in all directions, 0 where every image has the same ones (collapse).

        Args:
            views: Two views (B, C, H, W) of the same images.
        """
        similarity = require("lightly.loss", extra="pretrain").NegativeCosineSimilarity()
        # Both views in one pass: BatchNorm of the heads then sees twice as many rows.
        projected = self.projection(self.classifier.features(torch.cat(views)))
        predicted = self.prediction(projected)
        (z_0, z_1), (p_0, p_1) = projected.chunk(2), predicted.chunk(2)
        loss: Tensor = (similarity(p_0, z_1.detach()) + similarity(p_1, z_0.detach())) / 2
        unit = nn.functional.normalize(z_0.detach(), dim=1)
        return loss, float(unit.std(dim=0).mean() * PROJECTED**0.5)

    def trained(self) -> Iterator[nn.Parameter]:
        """Parameters of the backbone that have gradients."""
        return (one for one in self.classifier.network.parameters() if one.requires_grad)
