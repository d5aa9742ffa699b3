"""Mixed training batches, by MixUp (Zhang et al. 2018) or CutMix (Yun et al. 2019), and the loss of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.arrays import Doubles

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Rectangle:
    """A part of an image, in shares of its height and width, 0..1."""

    top: float
    bottom: float
    left: float
    right: float

    def slices(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of it in a tensor of this height and width, rounded."""
        return (
            slice(round(self.top * height), round(self.bottom * height)),
            slice(round(self.left * width), round(self.right * width)),
        )


@dataclass(frozen=True)
class Mixing:
    """How the images of one batch are mixed: `share` of each, and the rest of its partner."""

    share: float
    """0..1; 1 leaves the images as they are."""
    partner: Tensor
    """(B,) which image of the batch is mixed in."""
    rectangle: Rectangle | None = None
    """CutMix: the part that is the partner's; None: both images everywhere (MixUp)."""

    def inputs(self, x_BCHW: Tensor) -> Tensor:  # noqa: N803 - shapes
        """The mix: share * x + (1 - share) * x[partner], or x with the rectangle of x[partner].

        Tensors without height and width, such as tokens, are mixed everywhere.
        """
        if self.share == 1.0:
            return x_BCHW
        if self.rectangle is None or x_BCHW.ndim != 4:
            return self.share * x_BCHW + (1 - self.share) * x_BCHW[self.partner]
        rows, columns = self.rectangle.slices(*x_BCHW.shape[2:])
        mixed_BCHW = x_BCHW.clone()  # noqa: N806 - shapes
        mixed_BCHW[:, :, rows, columns] = x_BCHW[self.partner][:, :, rows, columns]
        return mixed_BCHW


def draw_mixing(shape: Sequence[int], *, mixup_alpha: float, cutmix_alpha: float, seed: int) -> Mixing:
    """One share for the whole batch from Beta(alpha, alpha) and one order of it; a pure function of its arguments.

    Args:
        shape: Of the batch: (B, C, H, W), or (B, ...) of tensors without height and width.
        mixup_alpha: 0 does not mix; small values mix most batches only slightly, 1 draws every share alike.
        cutmix_alpha: The same for rectangles. Where both are above 0, a fair coin decides which is used.
        seed: Of this step.
    """
    import torch

    if mixup_alpha == cutmix_alpha == 0:
        return Mixing(1.0, torch.arange(shape[0]))
    rng = np.random.default_rng(seed)
    cut = cutmix_alpha > 0 and (mixup_alpha == 0 or rng.random() < 0.5)
    alpha = cutmix_alpha if cut else mixup_alpha
    share, partner = float(rng.beta(alpha, alpha)), torch.from_numpy(rng.permutation(shape[0]))
    if not cut or len(shape) != 4:
        return Mixing(share, partner)
    rectangle = _rectangle(1 - share, height=shape[2], width=shape[3], rng=rng)
    # The labels follow the pixels: what the edge cuts off and what rounding adds count.
    rows, columns = rectangle.slices(shape[2], shape[3])
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return Mixing(1 - area / (shape[2] * shape[3]), partner, rectangle)


def _rectangle(area: float, *, height: int, width: int, rng: np.random.Generator) -> Rectangle:
    """A rectangle of this share of the area and of the image's shape, its centre anywhere, cut off at the edge."""
    side = np.sqrt(area)
    middle, centre = rng.random(2)
    top, bottom = (int(np.clip(round((middle + sign * side / 2) * height), 0, height)) for sign in (-1, 1))
    left, right = (int(np.clip(round((centre + sign * side / 2) * width), 0, width)) for sign in (-1, 1))
    return Rectangle(top / height, bottom / height, left / width, right / width)


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
