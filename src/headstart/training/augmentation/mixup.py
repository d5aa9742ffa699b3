"""MixUp: a training batch mixed with itself in another order (Zhang et al. 2018), and the loss of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.arrays import Doubles

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Mixing:
    """How the images of one batch are mixed: `share` of each, and the rest of its partner."""

    share: float
    """0..1; 1 leaves the images as they are."""
    partner: Tensor
    """(B,) which image of the batch is mixed in."""

    def inputs(self, x_BCHW: Tensor) -> Tensor:  # noqa: N803 - shapes
        """The mix: share * x + (1 - share) * x[partner]."""
        if self.share == 1.0:
            return x_BCHW
        return self.share * x_BCHW + (1 - self.share) * x_BCHW[self.partner]


def draw_mixing(count: int, *, alpha: float, seed: int) -> Mixing:
    """One share for the whole batch from Beta(alpha, alpha) and one order of it; a pure function of its arguments.

    Args:
        count: Images of the batch.
        alpha: 0 does not mix; small values mix most batches only slightly, 1 draws every share alike.
        seed: Of this step.
    """
    import torch

    if alpha == 0:
        return Mixing(1.0, torch.arange(count))
    rng = np.random.default_rng(seed)
    return Mixing(float(rng.beta(alpha, alpha)), torch.from_numpy(rng.permutation(count)))


def adjusted_outputs(
    outputs: Sequence[tuple[Tensor, float]],
    log_shares_K: Doubles | None,  # noqa: N803 - shapes
) -> Sequence[tuple[Tensor, float]]:
    """Logits with the log shares of the classes added (logit adjustment in the loss, Menon et al. 2021).

    Args:
        outputs: Pairs of logits (B, K) and their weight in the loss.
        log_shares_K: Of the classes; None leaves the logits as they are.
    """
    if log_shares_K is None:
        return outputs
    import torch

    added = torch.from_numpy(log_shares_K)
    return [(logits_BK + added.to(logits_BK), weight) for logits_BK, weight in outputs]


def batch_loss(
    outputs: Sequence[tuple[Tensor, float]],
    labels_B: Tensor,  # noqa: N803 - shapes
    mixing: Mixing,
    *,
    label_smoothing: float,
    weights_B: Tensor | None = None,  # noqa: N803 - shapes
) -> Tensor:
    """Mean cross-entropy of a mixed batch: sum over outputs of weight * (s * CE(labels) + (1 - s) * CE(partners')).

    Args:
        outputs: Pairs of logits (B, K) and their weight in the loss: the network's own, and auxiliary heads'.
        labels_B: Class indices.
        mixing: What was done to the inputs.
        label_smoothing: Share of the target that is spread over all classes.
        weights_B: Factors of the images' losses; a partner's label counts with the partner's. None: all 1.
    """
    import torch
    from torch.nn import functional as F

    if weights_B is not None:
        losses = image_losses(outputs, labels_B, mixing, label_smoothing=label_smoothing, weights_B=weights_B)
        return losses.mean()
    total = torch.zeros((), device=labels_B.device)
    for logits_BK, weight in outputs:  # noqa: N806 - shapes
        loss = F.cross_entropy(logits_BK, labels_B, label_smoothing=label_smoothing)
        if mixing.share != 1.0:
            others = F.cross_entropy(logits_BK, labels_B[mixing.partner], label_smoothing=label_smoothing)
            loss = mixing.share * loss + (1 - mixing.share) * others
        total = total + weight * loss
    return total


def image_losses(
    outputs: Sequence[tuple[Tensor, float]],
    labels_B: Tensor,  # noqa: N803 - shapes
    mixing: Mixing,
    *,
    label_smoothing: float,
    weights_B: Tensor | None = None,  # noqa: N803 - shapes
) -> Tensor:
    """(B,) the loss of each image, whose mean is `batch_loss` up to rounding; the same arguments."""
    import torch
    from torch.nn import functional as F

    total_B = torch.zeros(len(labels_B), device=labels_B.device)  # noqa: N806 - shapes
    own_B = torch.ones_like(total_B) if weights_B is None else weights_B  # noqa: N806 - shapes
    for logits_BK, weight in outputs:  # noqa: N806 - shapes
        loss_B = F.cross_entropy(logits_BK, labels_B, label_smoothing=label_smoothing, reduction="none")  # noqa: N806
        loss_B = own_B * loss_B  # noqa: N806
        if mixing.share != 1.0:
            partners_B = labels_B[mixing.partner]  # noqa: N806 - shapes
            others_B = F.cross_entropy(logits_BK, partners_B, label_smoothing=label_smoothing, reduction="none")  # noqa: N806
            others_B = own_B[mixing.partner] * others_B  # noqa: N806
            loss_B = mixing.share * loss_B + (1 - mixing.share) * others_B  # noqa: N806
        total_B = total_B + weight * loss_B  # noqa: N806 - shapes
    return total_B
