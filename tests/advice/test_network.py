"""Which network: small and embedded without a GPU, weights that suit what stays frozen with one."""

from __future__ import annotations

import math

import pytest

from headstart.advice.network import NETWORK_RULES, network_for
from headstart.advice.rules import UNFREEZING
from headstart.advice.situation import Situation
from headstart.engine.costs.training_cost import Hardware
from headstart.networks.cards.finding import find_model
from headstart.plan.request import DEFAULT_MODEL

GPU = Hardware(4, "one")


@pytest.mark.parametrize("strategy", UNFREEZING)
def test_without_a_gpu_it_is_the_embedded_network(strategy: str):
    assert network_for(Situation(images=1_000_000, budget_seconds=math.inf), strategy).name == DEFAULT_MODEL


def test_features_that_stay_frozen_want_the_first_recipe():
    frozen = network_for(Situation(images=500, hardware=GPU), "feature_extraction")
    assert frozen.name == "resnet50:IMAGENET1K_V1"
    assert "Kornblith" in frozen.source
    assert network_for(Situation(images=9_000, hardware=GPU), "discriminative").name == "resnet50:IMAGENET1K_V2"


def test_the_largest_network_only_with_unlimited_time_and_many_images():
    many = Situation(images=60_000, hardware=GPU, budget_seconds=math.inf)
    assert network_for(many, "full").name == "convnext_base"
    for less in (
        Situation(images=60_000, hardware=GPU),
        Situation(images=60_000, hardware=GPU, budget_seconds=3_600.0),
        Situation(images=40_000, hardware=GPU, budget_seconds=math.inf),
    ):
        assert network_for(less, "full").name == "resnet50:IMAGENET1K_V2"


def test_every_row_names_a_network_of_the_catalog_whose_download_is_as_large_as_it_says():
    assert NETWORK_RULES[-1].holds(Situation(images=1), "full"), "the last row always holds"
    for rule in NETWORK_RULES:
        card = find_model(rule.name).card
        assert rule.when
        assert rule.source
        if "download" in rule.reason:
            megabytes = int(rule.reason.rpartition("download of ")[2].split()[0])
            assert megabytes == pytest.approx(card.parameters * 4 / 2**20, rel=0.01)
