"""Drafts from timm's patterns, and the tensors that are placed by hand."""

from __future__ import annotations

import pytest
import timm
from torch import nn

from headstart.networks.groups.grouping import layer_groups
from headstart.networks.groups.layers import owner_by_path
from headstart.networks.groups.order import trace, without_weights
from headstart.networks.groups.timm import PLACED, timm_draft
from headstart.networks.heads import prepare_heads

EXAMPLES = {
    "Cait": "cait_xxs24_224",
    "CoaT": "coat_tiny",
    "ConVit": "convit_tiny",
    "EfficientViM": "efficientvim_m1",
    "EfficientViMDistilled": "efficientvim_m1_dist",
    "Eva": "eva02_tiny_patch14_224",
    "VOLO": "volo_d1_224",
    "Xcit": "xcit_nano_12_p16_224",
}


def test_networks_without_patterns_are_left_to_the_order_of_execution():
    assert timm_draft(nn.Sequential(), "stage") is None
    assert timm_draft(without_weights(lambda: timm.create_model("pit_ti_224")), "stage") is None
    assert timm_draft(without_weights(lambda: timm.create_model("rdnet_tiny")), "stage") is None


def test_buffers_are_placed_by_the_patterns_of_their_layer():
    draft = dict(timm_draft(without_weights(lambda: timm.create_model("resnet18")), "stage"))
    assert list(draft)[:5] == ["stem", "layer1", "layer2", "layer3", "layer4"]
    assert "layer2.0.bn1.running_mean" in draft["layer2"]
    assert "bn1.running_var" in draft["stem"]


def test_every_placement_has_an_example():
    assert set(EXAMPLES) == set(PLACED)


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("grain", ["stage", "block"])
def test_placed_tensors_stand_where_forward_meets_them(kind: str, grain: str):
    network = without_weights(lambda: timm.create_model(EXAMPLES[kind]))
    prepare_heads(network)
    assert type(network).__name__ == kind
    groups = layer_groups(network, grain=grain)
    order = trace(network).order
    owners = owner_by_path(order, groups)
    positions = {group.name: index for index, group in enumerate(groups)}
    met = [positions[owners[name]] for name in sorted(order, key=order.__getitem__)]
    assert met == sorted(met)
