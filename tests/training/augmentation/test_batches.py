"""What varies a batch: the parts it is made of, in order, from the position alone."""

from __future__ import annotations

import torch

from headstart.plan.sections import AugmentationPlan
from headstart.training.augmentation.batches import augment_batch
from headstart.training.augmentation.channel_jitter import jitter_channels
from headstart.training.augmentation.mixup import draw_mixing
from headstart.training.seeds import seed_of

X = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
POSITION = (3, 1, 0, 7)


def test_nothing_varies_unless_it_is_asked_for():
    (same,), mixing = augment_batch((X,), position=POSITION, augmentation=AugmentationPlan(), channel_jitter=0.0)
    assert same is X
    assert mixing.share == 1.0


def test_channels_are_shifted_then_images_mixed():
    (varied,), mixing = augment_batch(
        (X,), position=POSITION, augmentation=AugmentationPlan(mixup_alpha=0.4), channel_jitter=0.5
    )
    expected = draw_mixing(X.shape, mixup_alpha=0.4, cutmix_alpha=0.0, seed=seed_of("mixup", *POSITION))
    (shifted,) = jitter_channels((X,), magnitude=0.5, seed=seed_of("channels", *POSITION))
    assert mixing.share == expected.share
    assert torch.equal(varied, expected.inputs(shifted))
    assert not torch.equal(varied, X)


def test_the_position_decides_what_the_network_draws():
    draws = []
    for position in (POSITION, (3, 1, 0, 8), POSITION):
        augment_batch((X,), position=position, augmentation=AugmentationPlan(), channel_jitter=0.0)
        draws.append(torch.rand(4))
    assert torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[1])
