"""Facts read off networks and configurations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import timm
import torch
from torch import nn

from headstart.networks.cards.catalog import WeightSource
from headstart.networks.cards.describe import choice_from_hub, described, gigamacs, input_of_timm, timm_card
from headstart.networks.cards.finding import find_model


def test_multiply_accumulates_of_layers_that_can_be_counted_by_hand():
    with torch.device("meta"):
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Flatten(), nn.Linear(8 * 100 * 100, 5, bias=False)
        )
    by_hand = (3 * 8 * 9 * 100 * 100 + 8 * 100 * 100 * 5) / 1e9
    assert gigamacs(network, 100) == pytest.approx(by_hand, abs=5e-4)
    assert gigamacs(nn.Linear(2, 2), 100) is None


@pytest.mark.parametrize(
    "name",
    [
        "resnet18.a1_in1k",
        "tf_efficientnet_lite0.in1k",
        "vit_base_patch16_clip_224.openai",
        "resnetv2_50x1_bit.goog_in21k",
    ],
)
def test_the_input_is_the_one_that_timm_resolves(name: str):
    config = timm.get_pretrained_cfg(name)
    resolved = timm.data.resolve_data_config(pretrained_cfg=config.to_dict())
    spec = input_of_timm(config)
    assert (3, spec.size, spec.size) == resolved["input_size"]
    assert (spec.mean, spec.std) == (resolved["mean"], resolved["std"])
    assert (spec.interpolation, spec.crop) == (resolved["interpolation"], resolved["crop_mode"])
    assert spec.resize == int(spec.size / resolved["crop_pct"])


def test_weights_of_other_statistics_keep_them():
    assert find_model("tf_efficientnet_lite0").card.input.mean == (0.5, 0.5, 0.5)
    assert find_model("vit_base_patch16_clip_224:openai").card.input.mean != (0.485, 0.456, 0.406)
    assert find_model("vgg16:IMAGENET1K_FEATURES").card.input.std == pytest.approx((1 / 255,) * 3)


def test_a_card_is_completed_from_its_network():
    config = replace(timm.get_pretrained_cfg("resnet18"), num_classes=10)
    card = described(timm_card("resnet18", "mine", config, WeightSource("none")))
    known = find_model("timm/resnet18").card
    assert card.parameters == known.parameters - 990 * 513
    assert (card.groups, card.features, card.num_classes) == (known.groups, 512, 10)


def test_a_repository_of_the_hub_becomes_a_card(monkeypatch: pytest.MonkeyPatch):
    from headstart.networks.weights import hub

    facts = hub.HubFacts(
        repo="me/flowers",
        architecture="resnet18",
        num_classes=5,
        pretrained_cfg=replace(timm.get_pretrained_cfg("resnet18"), mean=(0.1, 0.2, 0.3)),
        model_args={},
        licence="mit",
    )
    monkeypatch.setattr(hub, "card_from_hub", lambda repo: facts)
    card = choice_from_hub("me/flowers").card
    assert (card.name, card.weights.hub) == ("resnet18:hf-hub:me/flowers", "me/flowers")
    assert (card.num_classes, card.licence, card.input.mean) == (5, "mit", (0.1, 0.2, 0.3))
