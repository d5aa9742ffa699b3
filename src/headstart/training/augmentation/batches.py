"""Augmentation of a whole batch in a training step: a pure function of seed, phase, epoch and step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.plan.sections import AugmentationPlan
from headstart.training.augmentation.channel_jitter import jitter_channels
from headstart.training.augmentation.mixup import Mixing, draw_mixing
from headstart.training.seeds import seed_of

if TYPE_CHECKING:
    from torch import Tensor


def augment_batch(
    tensors: tuple[Tensor, ...],
    *,
    position: tuple[int, int, int, int],
    augmentation: AugmentationPlan,
    channel_jitter: float,
) -> tuple[tuple[Tensor, ...], Mixing]:
    """The batch with shifted channels and mixed images, and how it was mixed; seeds the network's own draws (dropout).

    Args:
        tensors: (B, ...) each, what the feed gives for one batch.
        position: Seed, phase, epoch and step.
        augmentation: How images are mixed.
        channel_jitter: As in `jitter_channels`; 0 shifts nothing.
    """
    import torch  # inside: the loop imports this module in runs that need no torch too

    mixing = draw_mixing(
        tensors[0].shape,
        mixup_alpha=augmentation.mixup_alpha,
        cutmix_alpha=augmentation.cutmix_alpha,
        seed=seed_of("mixup", *position),
    )
    tensors = jitter_channels(tensors, magnitude=channel_jitter, seed=seed_of("channels", *position))
    torch.manual_seed(seed_of(*position))
    return tuple(mixing.inputs(tensor) for tensor in tensors), mixing
