from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import nn

from diagnosis.gallery.parts import TinyConv, embedded, pretrained
from headstart.diagnosis.layers import initial_share, weight_is_initial, weight_layers


@pytest.mark.parametrize("fill", ["uniform_", "normal_", "trunc_normal_", "kaiming_normal_", "xavier_uniform_"])
def test_weights_of_every_usual_initialisation_are_initial(fill: str):
    torch.manual_seed(0)
    weight = torch.empty(32, 16, 3, 3)
    getattr(nn.init, fill)(weight)
    assert weight_is_initial(weight)


def test_trained_weights_are_not():
    assert not weight_is_initial(pretrained().conv2.weight)
    assert not weight_is_initial(torch.zeros(32, 32))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_networks_without_pretraining_are_random(name: str):
    assert initial_share(getattr(torchvision.models, name)(weights=None)).is_random


def test_without_norms_the_distributions_tell():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 5), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 32)]
    assert initial_share(nn.Sequential(*layers)).is_random
    layers[2].weight.data = layers[2].weight.data.pow(3)
    assert not initial_share(nn.Sequential(*layers)).is_random


def test_transformers_without_pretraining_are_random():
    assert initial_share(timm.create_model("vit_tiny_patch16_224", pretrained=False)).is_random


def test_a_pretrained_network_is_not_random_and_its_head_can_be_left_out():
    assert not initial_share(pretrained(), without="fc").is_random
    assert initial_share(TinyConv(3), without="fc").layers == 3


def test_embedded_weights_are_not_random():
    found = initial_share(embedded())
    assert found.initial_norms == 0
    assert found.initial_layers < 0.1 * found.layers


def test_layers_come_with_their_paths():
    assert [path for path, _ in weight_layers(TinyConv(3))] == ["conv1", "conv2", "conv3", "fc"]
