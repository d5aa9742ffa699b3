"""Facts from cards: roughly right for every network, and the same after a way through JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from headstart.engine.costs.network import NetworkFacts, expected_gain, facts_of_card, utilisation_of
from headstart.networks.cards.catalog import cards_of
from headstart.networks.cards.finding import find_model


def card_of(name: str):
    return find_model(name).card


def test_a_card_gives_cut_points_in_order_with_growing_shares():
    facts = facts_of_card(card_of("resnet18"), size=224)
    assert [point.name for point in facts.cut_points] == list(facts.groups[1:])
    shares = [point.share for point in facts.cut_points]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1
    assert facts.gmacs == pytest.approx(1.814)
    assert facts.pooled.bytes_per_image == 4 * 512
    assert facts.cut_point("layer4").bytes_per_image == 4 * 256 * 14 * 14
    assert facts.share_before("stem") == 0
    with pytest.raises(KeyError):
        facts.cut_point("nothing")


def test_macs_grow_with_the_area_of_the_input():
    small, large = (facts_of_card(card_of("resnet18"), size=size) for size in (112, 224))
    assert large.gmacs == pytest.approx(4 * small.gmacs)
    assert large.name != small.name


def test_facts_come_back_from_json_and_take_what_a_cut_showed():
    facts = facts_of_card(card_of("efficientnet_lite0"), size=64).with_bytes("stage7", 12)
    assert NetworkFacts.from_dict(json.loads(json.dumps(asdict(facts)))) == facts
    assert facts.cut_point("stage7").bytes_per_image == 12


def test_networks_of_narrow_layers_reach_less_of_the_machine():
    """From published speeds: relative to each other, as everywhere."""
    timm = {name: next(c for c in cards_of(name) if c.library == "timm") for name in ("resnet50", "mobilenetv2_100")}
    assert 0.02 <= utilisation_of(timm["mobilenetv2_100"]) < utilisation_of(timm["resnet50"]) <= 1
    assert utilisation_of(card_of("resnet18")) == NetworkFacts.utilisation, "nothing is published for torchvision's"


def test_onnx_runtime_gains_most_where_pytorch_reaches_least():
    gains = [expected_gain(utilisation) for utilisation in (0.02, 0.19, 0.5, 0.92, 1.0)]
    assert gains == sorted(gains, reverse=True)
    assert (gains[0], min(gains)) == (5.0, gains[-1])
    assert gains[-1] >= 1
    assert gains[1] == pytest.approx(4.8, rel=0.1)
    assert gains[3] == pytest.approx(1.9, rel=0.15)
