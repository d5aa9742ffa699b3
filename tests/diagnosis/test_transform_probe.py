from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision import transforms
from torchvision.transforms import v2

from diagnosis.gallery.parts import IMAGENET, standard
from headstart.diagnosis.transform_probe import as_chw, map_of_values, solid_views

LOW = [-mean / std for mean, std in zip(*IMAGENET, strict=True)]
HIGH = [(1 - mean) / std for mean, std in zip(*IMAGENET, strict=True)]


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [transforms.RandomResizedCrop(64), transforms.RandomRotation(15)],
        [transforms.ColorJitter(0.4, 0.4, 0.4, 0.1), transforms.RandomGrayscale(0.2)],
    ],
    ids=["plain", "geometry", "colour"],
)
def test_mean_and_standard_deviation_are_found_through_augmentation(steps: list):
    torch.manual_seed(0)
    views = solid_views(transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(*IMAGENET)]))
    found = map_of_values(views.stacked())
    assert found.black == pytest.approx(LOW, abs=0.02)
    assert found.white == pytest.approx(HIGH, abs=0.05)
    assert found.order == "rgb"


def test_swapped_channels_are_seen():
    views = solid_views(transforms.Compose([transforms.ToTensor(), lambda x: x.flip(0)]))
    assert map_of_values(views.stacked()).order == "bgr"


def test_arrays_named_images_and_tensors_of_bytes_are_tried():
    assert solid_views(lambda array: torch.from_numpy(array.astype("float32"))).takes == "an array"

    def albumentations(*, image: np.ndarray) -> dict:
        return {"image": (image / 255).astype("float32")}

    assert solid_views(albumentations).takes == "image=array"
    scaled = v2.Compose([v2.Lambda(_only_tensors), v2.ToDtype(torch.float32, scale=True)])
    assert solid_views(scaled).takes == "a uint8 tensor"


def _only_tensors(value: object) -> object:
    if not isinstance(value, torch.Tensor):
        raise TypeError("a tensor is needed")
    return value


def test_what_takes_no_image_gives_nothing():
    def never(*arguments, **options):
        raise ValueError

    assert solid_views(never) is None


def test_images_standardised_one_by_one_have_no_map():
    def one_by_one(image):
        x = transforms.ToTensor()(image)
        return (x - x.mean()) / (x.std() + 1e-6)

    found = solid_views(one_by_one)
    assert map_of_values(found.stacked()) is None


def test_outputs_of_every_kind_become_images():
    assert as_chw(np.zeros((5, 6, 3))).shape == (3, 5, 6)
    assert as_chw({"pixel_values": [np.zeros((3, 5, 6))]}).shape == (3, 5, 6)
    assert solid_views(standard()).black.shape == (3, 64, 64)
    with pytest.raises(TypeError):
        as_chw(np.zeros(4))
