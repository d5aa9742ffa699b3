from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from torch import nn
from torchvision.models import ResNet18_Weights, resnet18

from headstart.arguments import ArgumentError
from headstart.diagnosis.expected_input import expected_of
from headstart.networks.cards.finding import find_model

MEAN = (0.485, 0.456, 0.406)


def test_names_of_the_catalog_and_torchvisions_enum_say_the_same():
    by_name, by_enum = expected_of("resnet18", None), expected_of(ResNet18_Weights.IMAGENET1K_V1, None)
    for found in (by_name, by_enum):
        assert (found.mean, found.size, found.num_classes) == (MEAN, 224, 1000)


def test_timm_says_it_of_its_networks():
    network = timm.create_model("resnet18", pretrained=False)
    found = expected_of(None, network)
    assert (found.mean, found.size, found.num_classes, found.given) == (MEAN, 224, 1000, False)
    assert expected_of(network.pretrained_cfg, None).given
    assert expected_of("tf_efficientnet_lite0", None).mean == (0.5, 0.5, 0.5)


def test_a_card_an_input_and_an_image_processor():
    card = find_model("resnet18").card
    assert expected_of(card, None).mean == expected_of(card.input, None).mean == MEAN
    processor = SimpleNamespace(image_mean=[0.5] * 3, image_std=[0.5] * 3, size={"height": 224, "width": 224})
    assert expected_of(processor, None).size == 224
    processor.do_normalize = False
    assert expected_of(processor, None).mean is None


def test_a_file_holds_the_tensors(tmp_path: Path):
    layer = nn.Linear(2, 2)
    torch.save({"state_dict": layer.state_dict()}, tmp_path / "w.pth")
    found = expected_of(str(tmp_path / "w.pth"), None)
    assert torch.equal(found.state["weight"], layer.weight)
    with pytest.raises(ArgumentError, match="cannot be read"):
        expected_of(str(tmp_path / "none.pth"), None)


def test_torchvisions_networks_are_known_inside_others():
    outer = nn.Sequential(resnet18())
    assert expected_of(None, outer).mean == MEAN
    assert expected_of(None, nn.Linear(2, 2)) is None


def test_what_is_none_of_these_is_refused():
    with pytest.raises(ArgumentError, match="resnet18"):
        expected_of("resnet81", None)
    with pytest.raises(ArgumentError, match="state dict"):
        expected_of(3.5, None)
