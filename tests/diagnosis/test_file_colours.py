from __future__ import annotations

from pathlib import Path

from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from diagnosis.gallery.parts import Pictures, standard, write_pictures
from headstart.diagnosis.file_colours import colour_order
from headstart.diagnosis.loaders import facts_of_loader


def test_correlation_has_the_sign_of_the_order(tmp_path: Path):
    root = write_pictures(tmp_path, count=6)
    swap = transforms.Compose([standard(), lambda x: x.flip(0)])
    for transform, sign in ((standard(), 1), (swap, -1)):
        found = colour_order(facts_of_loader("train", DataLoader(ImageFolder(root, transform), 4)))
        assert sign * found.correlation > 0.9
        assert found.images == 18


def test_without_files_nothing_is_concluded():
    assert colour_order(facts_of_loader("train", DataLoader(Pictures(standard(), count=8), 4))) is None
