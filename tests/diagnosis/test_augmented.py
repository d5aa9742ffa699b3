from __future__ import annotations

import torch
from torch.utils.data import DataLoader

from diagnosis.gallery.parts import Pictures, standard
from headstart.diagnosis.augmented import is_random
from headstart.diagnosis.loaders import facts_of_loader


def random_in(loader: object) -> bool | None:
    torch.manual_seed(0)
    return is_random(facts_of_loader("train", loader))


def test_augmentation_of_data_set_and_of_collation_is_seen():
    assert random_in(DataLoader(Pictures(standard(), count=8), 4)) is True
    assert random_in(DataLoader(Pictures(standard(augment=False), count=8), 4)) is False

    def noisy(samples: list) -> tuple:
        images, labels = torch.utils.data.default_collate(samples)
        return images + torch.randn_like(images), labels

    assert random_in(DataLoader(Pictures(standard(augment=False), count=8), 4, collate_fn=noisy)) is True


def test_without_an_index_nothing_is_concluded():
    assert random_in([(torch.rand(2, 3, 4, 4), torch.zeros(2))]) is None
