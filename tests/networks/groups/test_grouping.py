"""Layer groups of all kinds of networks: partition, order, head and one training step, checked from outside."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
import torchvision.models
from torch import nn
from zoo_checks import NUMERIC_BELOW, numeric_verdict, order_faults, partition_faults, structural_verdict

from headstart.errors import ModelError
from headstart.networks.cards.finding import find_model
from headstart.networks.groups.grouping import layer_groups
from headstart.networks.groups.order import without_weights

FAMILIES = [
    tuple(line.split())
    for line in (Path(__file__).parent / "timm_families.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
TORCHVISION = torchvision.models.list_models(module=torchvision.models)

# One of every main design line, small enough to run; the rest by `make benchmarks`.
NUMERIC = [
    *("alexnet", "densenet121", "googlenet", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf"),
    *("resnet18", "shufflenet_v2_x0_5", "squeezenet1_1", "efficientnet_b0"),
    *("timm/convnext_atto", "timm/crossvit_tiny_240", "timm/edgenext_xx_small", "timm/levit_128s", "timm/repvit_m0_9"),
    *("timm/mixer_s32_224", "timm/vit_tiny_patch16_224", "timm/xcit_nano_12_p16_224", "timm/pit_ti_224"),
    *("timm/poolformer_s12", "timm/coat_lite_tiny", "timm/dla46x_c"),
]
TOO_LARGE = {"alexnet"}


def test_the_list_names_every_model_file_of_timm_once():
    families = [family for family, _ in FAMILIES]
    assert len(families) == len(set(families)) == 98
    assert set(families) == set(timm.list_modules())
    assert len(TORCHVISION) == 80


@pytest.mark.parametrize("name", NUMERIC)
@pytest.mark.slow
def test_order_head_and_one_training_step_hold_when_computed(name: str):
    card = find_model(name).card
    assert card.parameters < NUMERIC_BELOW or name in TOO_LARGE
    verdict = numeric_verdict(card, size=64)
    assert not verdict.faults
    assert verdict.backbone_groups >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TORCHVISION if name not in NUMERIC])
def test_every_torchvision_network_is_divided_and_has_a_new_head(name: str):
    verdict = structural_verdict(find_model(f"torchvision/{name}").card)
    assert not verdict.faults
    assert verdict.backbone_groups >= 4


@pytest.mark.parametrize(("family", "name"), FAMILIES)
def test_every_family_of_timm_is_divided_and_has_a_new_head(family: str, name: str):
    card = find_model(f"timm/{name}").card
    assert card.family == family
    verdict = structural_verdict(card)
    assert not verdict.faults
    assert verdict.backbone_groups >= 4


def names_of(network: nn.Module, grain: str = "stage") -> list[str]:
    return [group.name for group in layer_groups(network, grain=grain)]


def test_a_resnet_is_divided_as_papers_draw_it():
    network = without_weights(lambda: torchvision.models.resnet18())
    assert names_of(network) == ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
    assert names_of(network, "block") == [
        *("stem", "layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0", "layer3.1", "layer4.0", "layer4.1"),
        "head",
    ]


def test_a_vision_transformer_gives_embedding_quarters_and_head():
    for network in (
        without_weights(lambda: torchvision.models.vit_b_16()),
        without_weights(lambda: timm.create_model("vit_tiny_patch16_224")),
    ):
        groups = layer_groups(network)
        assert [g.name for g in groups] == ["embedding", *(f"quarter{i}" for i in range(1, 5)), "head"]
        assert len(layer_groups(network, grain="block")) == 14


def test_the_norm_before_the_classifier_stays_with_the_last_stage():
    for network, norm, classifier in (
        (without_weights(lambda: torchvision.models.convnext_tiny()), "classifier.0.weight", "classifier.2.weight"),
        (without_weights(lambda: timm.create_model("vit_tiny_patch16_224")), "norm.weight", "head.weight"),
        (without_weights(lambda: torchvision.models.vgg11()), "classifier.3.weight", "classifier.6.weight"),
    ):
        groups = layer_groups(network)
        assert groups[-2].owns(norm)
        assert groups[-1].owns(classifier)
        assert not groups[-1].owns(norm)


def test_dropout_before_the_classifier_belongs_to_the_head_and_dropout_inside_a_block_to_the_block():
    groups = layer_groups(without_weights(lambda: torchvision.models.efficientnet_b0()))
    assert groups[-1].owns("classifier.0")
    network = without_weights(lambda: timm.create_model("vit_tiny_patch16_224"))
    groups = layer_groups(network)
    drops = [n for n, m in network.named_modules() if isinstance(m, nn.Dropout) and n.startswith("blocks.")]
    assert drops
    assert not any(groups[-1].owns(name) for name in drops)


class Plain(nn.Module):
    """A user's own network: no table, no pattern, registered in another order than it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(32, 5)
        self.late = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU())
        self.early = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.middle = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.Dropout(0.5))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        x = self.late(self.middle(self.early(x_BCHW)))
        return self.classifier(x.mean((2, 3)) * self.scale)


def test_a_users_own_network_is_divided_in_the_order_in_which_it_runs():
    network = Plain()
    groups = layer_groups(network)
    assert network.training
    assert [group.name for group in groups] == ["stem", "stage1", "stage2", "head"]
    assert [group.owns(f"{part}.0.weight") for group, part in zip(groups, ("early", "middle", "late"), strict=False)]
    assert groups[1].owns("middle.2")
    assert groups[2].owns("scale")
    assert not partition_faults(network, groups)
    assert not order_faults(network, groups, torch.randn(2, 3, 32, 32))


def test_a_network_that_takes_other_images_needs_an_example():
    network = nn.Sequential(nn.Conv2d(5, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(ModelError, match=r"cannot be run on images of \(1, 3, 224, 224\).*give an example"):
        layer_groups(network)
    groups = layer_groups(network, example=torch.zeros(1, 5, 9, 9))
    assert [group.name for group in groups] == ["stem", "head"]
