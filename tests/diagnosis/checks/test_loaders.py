from __future__ import annotations

import torch
from torch.utils.data import DataLoader, WeightedRandomSampler

from diagnosis.doctored import found
from diagnosis.gallery.parts import Pictures, frozen, loader, pretrained_vit, standard


def test_a_seeded_generator_shuffles_all_the_same():
    seeded = DataLoader(Pictures(standard()), 16, shuffle=True, generator=torch.Generator().manual_seed(1))
    assert "shuffle_off" not in found(loader=seeded)


def test_sorted_images_are_an_error_and_mixed_ones_a_warning():
    assert found(loader=loader(shuffle=False, sorted_by_class=True))["shuffle_off"].level == "error"
    assert found(loader=loader(shuffle=False))["shuffle_off"].level == "warning"


def test_a_sampler_with_a_weight_per_image_is_right():
    sampler = WeightedRandomSampler([1.0] * 40 + [3.0] * 8, num_samples=48)
    assert not {"loader_leaves_out", "shuffle_off"} & set(
        found(loader=DataLoader(Pictures(standard()), 16, sampler=sampler))
    )


def test_a_batch_larger_than_the_set_is_an_empty_epoch():
    empty = DataLoader(Pictures(standard(), count=10), 16, shuffle=True, drop_last=True)
    assert found(loader=empty)["loader_leaves_out"].level == "error"


def test_a_linear_probe_needs_no_augmentation():
    model = frozen(pretrained_vit(), "head")
    adam = torch.optim.AdamW(model.head.parameters(), 1e-3)
    assert "no_augmentation" not in found(model=model, optimizer=adam, loader=loader(standard(augment=False)))
