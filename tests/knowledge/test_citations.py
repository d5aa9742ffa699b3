"""Every sentence of every preset has a source of its own."""

from __future__ import annotations

import pytest

from headstart.knowledge.citations import source_of
from headstart.knowledge.transfer import LR_RULES
from headstart.plan.plan import DataPlan
from headstart.plan.presets import STRATEGIES
from headstart.plan.request import Request

DATA = DataPlan(source="photos")


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_no_reason_of_a_preset_is_left_without_a_source(strategy: str):
    plan = STRATEGIES[strategy](Request(DATA))
    assert plan.reasons
    for path in plan.reasons:
        if path != "model.name":  # the advisor decides it
            assert source_of(path, strategy=strategy) != "headstart.plan.presets", path


@pytest.mark.parametrize("lr_rule", sorted(LR_RULES))
def test_named_learning_rates_have_their_own_source(lr_rule: str):
    strategy = "full"
    assert source_of("phases[1].backbone_lr", strategy=strategy, lr_rule=lr_rule) == LR_RULES[lr_rule].source


def test_the_same_path_may_rest_on_different_papers():
    assert "Howard" in source_of("phases[1].backbone_lr", strategy="discriminative")
    assert "measured" in source_of("phases[1].backbone_lr", strategy="full")
    assert source_of("phases", strategy="full") == "Kumar et al. 2022"
    assert source_of("something.new", strategy="full") == "headstart.plan.presets"
