"""What BatchNorm layers remember, beside what they see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from headstart.data.loading import read_view
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.input_spec import InputSpec
from headstart.inspection.norm_statistics import norm_overlap
from headstart.measures.similarity import gaussian_overlap


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(10):
            noise = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / name / f"{number}.png")
    return list(open_source(str(tmp_path)).records)


SPEC = InputSpec(size=32, resize=36, interpolation="bicubic", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def learned(records: list[ImageRecord], network: nn.Module) -> nn.Module:
    """Running statistics of exactly these images, as training would leave them."""
    images = torch.from_numpy(np.stack([read_view(r, SPEC) for r in records])).permute(0, 3, 1, 2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches: of one
    network.train()
    with torch.no_grad():
        network(images)
        network(images)
    return network.eval()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3))


def test_images_that_it_learned_from_overlap_in_full(records: list[ImageRecord]):
    seen: list[int] = []
    found = norm_overlap(learned(records, network()), records, SPEC, on_images=seen.append)
    assert found is not None
    assert [one.layer for one in found.layers] == ["1"]
    assert found.late == pytest.approx(1, abs=1e-6)
    assert (sum(seen), found.images) == (20, 20)


def test_moments_are_over_all_images_and_places(records: list[ImageRecord]):
    fresh = network().eval()  # remembers mean 0 and variance 1
    found = norm_overlap(fresh, records, SPEC)
    images = torch.from_numpy(np.stack([read_view(r, SPEC) for r in records])).permute(0, 3, 1, 2)
    with torch.no_grad():
        maps = fresh[0](images).double().transpose(0, 1).flatten(1).numpy()
    eps = fresh[1].eps
    expected = gaussian_overlap(maps.mean(1), maps.var(1) + eps, np.zeros(6), np.ones(6) + eps).mean()
    assert found is not None
    assert found.late == pytest.approx(expected, abs=1e-6)


def test_it_leaves_the_network_as_it_was(records: list[ImageRecord]):
    made = learned(records, network())
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    norm_overlap(made.train(), records[:3], SPEC)
    assert all(torch.equal(before[name], tensor) for name, tensor in made.state_dict().items())
    assert not any(module._forward_pre_hooks for module in made.modules())


def test_a_network_without_such_layers_has_nothing_to_say(records: list[ImageRecord]):
    assert norm_overlap(nn.Sequential(nn.Conv2d(3, 2, 3), nn.GroupNorm(1, 2)), records, SPEC) is None
