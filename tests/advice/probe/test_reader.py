"""One pass reads every depth: pooled outputs and strongest positions as hooks on the network's own layers see them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.advice.probe.reader import DepthReader
from headstart.engine.prefix.depth_features import WIDEST
from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model
from headstart.networks.groups.layers import LayerGroup

SIDE = 64


def classifier_of(name: str, weights: str = "random", side: int = SIDE) -> Classifier:
    choice = find_model(name)
    return build_classifier(choice, kind="linear", num_classes=2, seed=0, input_size=side, weights=weights)


def reader_of(classifier: Classifier, side: int = SIDE) -> DepthReader:
    return DepthReader(classifier.network, classifier.groups, size=side)


def inputs(count: int = 5, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, side, side, 3)).astype(np.float32)


def outputs_of(network: nn.Module, paths: dict[str, str], images: np.ndarray) -> dict[str, Tensor]:
    """What layers of the network give, by hooks."""
    seen: dict[str, Tensor] = {}

    def note(name: str) -> Callable[..., None]:
        return lambda module, given, output: seen.__setitem__(name, output)

    handles = [network.get_submodule(path).register_forward_hook(note(name)) for name, path in paths.items()]
    with torch.no_grad():
        network(torch.from_numpy(images).permute(0, 3, 1, 2))
    for handle in handles:
        handle.remove()
    return seen


RESNET = {"stem": "maxpool", "layer1": "layer1", "layer2": "layer2", "layer3": "layer3", "layer4": "layer4"}


def test_every_group_is_read_as_its_layers_give_it():
    classifier = classifier_of("resnet18")
    reader = reader_of(classifier)
    readings, own = reader.read(inputs()), outputs_of(classifier.network, RESNET, inputs())
    assert reader.group_names == reader.backbone_names == tuple(readings) == classifier.group_names[:-1]
    for name, tensor in own.items():
        if name == "stem":  # pooling holds no tensors, so it may lie on either side of the border
            continue
        reading = readings[name]
        np.testing.assert_allclose(reading.pooled_BF, tensor.mean((2, 3)), rtol=1e-4, atol=1e-5)
        strongest, where = tensor.flatten(2).max(dim=2)
        np.testing.assert_allclose(reading.strongest_BC, strongest, rtol=1e-4, atol=1e-5)
        assert (reading.positions_BC == where.numpy()).mean() > 0.999
        assert reader.grids[name] == tuple(tensor.shape[2:])


def test_the_last_stage_is_read_before_it_is_pooled():
    reader = reader_of(classifier_of("tf_efficientnet_lite0"))
    reading = reader.read(inputs())[reader.group_names[-1]]
    assert reader.grids[reader.group_names[-1]] == (2, 2)
    assert reading.pooled_BF.shape == reading.strongest_BC.shape == (5, 1280)
    assert (reading.strongest_BC >= reading.pooled_BF - 1e-6).all()
    assert reading.positions_BC.max() == 3


def test_what_the_head_reads_is_the_last_reading():
    classifier = classifier_of("tf_efficientnet_lite0")
    found = reader_of(classifier).read(inputs())
    with torch.no_grad():
        expected = classifier.features(torch.from_numpy(inputs()).permute(0, 3, 1, 2))
    np.testing.assert_allclose(list(found.values())[-1].pooled_BF, expected, rtol=1e-4, atol=1e-5)


def test_tokens_are_positions_of_patches():
    reader = reader_of(classifier_of("timm/vit_tiny_patch16_224"))
    assert set(reader.grids.values()) == {(4, 4)}
    assert set(reader.grids) == set(reader.group_names)
    for reading in reader.read(inputs()).values():
        assert reading.pooled_BF.shape == reading.strongest_BC.shape == (5, 192)
        assert reading.positions_BC.max() < 16


@pytest.mark.parametrize("name", ["squeezenet1_1", "timm/convnext_zepto_rms", "shufflenet_v2_x0_5", "googlenet"])
def test_other_designs_have_positions_at_every_depth(name: str):
    reader = reader_of(classifier_of(name))
    assert reader.group_names == reader.backbone_names
    assert set(reader.grids) == set(reader.group_names)


def test_a_flattened_map_is_pooled():
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.fc = nn.Conv2d(3, 18, 3, stride=4, padding=1), nn.Linear(18 * 16 * 16, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.body(x).relu().flatten(1))

    network = Flat()
    groups = (LayerGroup("body", ("body",)), LayerGroup("head", ("fc",)))
    reading = DepthReader(network, groups, size=SIDE).read(inputs(2))["body"]
    assert network.fc.in_features > WIDEST
    expected = network.body(torch.from_numpy(inputs(2)).permute(0, 3, 1, 2)).mean((2, 3))
    np.testing.assert_allclose(reading.pooled_BF, expected.detach(), rtol=1e-4, atol=1e-5)


def test_the_network_is_left_as_it_was():
    classifier = classifier_of("resnet18")
    before = {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}
    reader = reader_of(classifier)
    reader.read(inputs(2))
    reader.receptive_sides(inputs(2))
    assert all(torch.equal(before[name], tensor) for name, tensor in classifier.network.state_dict().items())
    assert not any(module._forward_hooks for module in classifier.network.modules())
    assert all(parameter.grad is None for parameter in classifier.network.parameters())
    assert not classifier.network.training


def test_deeper_groups_look_at_more_of_the_image():
    reader = reader_of(classifier_of("tf_efficientnet_lite0", "pretrained", 128), 128)
    sides = list(reader.receptive_sides(inputs(4, 128)).values())
    assert len(sides) == len(reader.group_names)
    assert 2 <= sides[0] <= 12
    assert sides[-1] > 3 * sides[0]
    assert sides[2] <= sides[4] <= sides[-1] <= 128
