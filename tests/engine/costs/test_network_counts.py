"""What is counted inside a network is what runs, and what crosses is what a cut finds."""

from __future__ import annotations

import pytest
import torch

from headstart.engine.costs.network import classifier_facts
from headstart.engine.costs.network_counts import counted_facts_of
from headstart.engine.prefix.cut import NetworkGraph
from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model


def classifier_of(name: str, size: int = 64) -> Classifier:
    return build_classifier(find_model(name), kind="linear", num_classes=3, seed=0, weights="random", input_size=size)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "shufflenet_v2_x0_5"])
def test_crossing_bytes_are_those_of_the_cut(name: str):
    made = classifier_of(name)
    facts = counted_facts_of(made, size=64)
    graph = NetworkGraph(made.network, made.groups, example=torch.zeros(2, 3, 64, 64))
    for point in (facts.cut_points[len(facts.cut_points) // 2], *facts.cut_points[-2:]):
        crossing = sum(one.bytes_per_image for one in graph.cut(point.name).crossing)
        assert point.bytes_per_image == pytest.approx(crossing, rel=0.02), point.name


def test_macs_are_counted_by_group():
    """ResNet-18's four stages by hand: 64 channels at 56 x 56 in four 3x3 convolutions, and so on at 224 pixels."""
    facts = counted_facts_of(classifier_of("resnet18", 224), size=224)
    first = 4 * 56 * 56 * 64 * 64 * 9 / 1e9
    assert (facts.share_before("layer2") - facts.share_before("layer1")) * facts.gmacs == pytest.approx(first, rel=1e-3)
    assert facts.gmacs == pytest.approx(1.814, rel=1e-3)
    assert facts.counted
    assert 1e7 < facts.held_bytes < 1e8


def test_the_network_is_as_before_and_the_card_is_used_where_it_cannot_run():
    made = classifier_of("resnet18")
    made.network.train()
    before = {name: tensor.clone() for name, tensor in made.network.state_dict().items()}
    counted_facts_of(made, size=64)
    assert made.network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.network.state_dict().items())

    def refuse(*images: object) -> None:
        raise RuntimeError("no")

    made.network.forward = refuse
    assert counted_facts_of(made, size=64) == classifier_facts(made, size=64)
    assert not counted_facts_of(made, size=64).counted
