"""Sections of a plan: defaults that keep old plans valid, ranges, and values of their own shape."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from headstart.plan import plan, sections
from headstart.plan.sections import AugmentationPlan, FrozenPrefixPlan, ModelPlan, Schedule, Section


def test_every_section_is_frozen_and_knows_its_keys() -> None:
    made = [kind for kind in vars(sections).values() if isinstance(kind, type) and issubclass(kind, Section)]
    assert len(made) >= 12
    for kind in made:
        assert kind.model_config["frozen"], kind
        assert kind.model_config["extra"] == "forbid", kind


def test_all_sections_can_be_had_from_the_plan() -> None:
    made = [name for name, kind in vars(sections).items() if isinstance(kind, type) and issubclass(kind, Section)]
    assert set(made) <= set(plan.__all__)


def test_a_model_of_an_old_plan_is_pretrained_in_stages_and_refuses_what_is_not_free() -> None:
    old = ModelPlan(name="resnet18")
    assert (old.weights, old.grain, old.noncommercial_weights) == ("pretrained", "stage", "refuse")
    assert AugmentationPlan().mixup_alpha == 0


@pytest.mark.parametrize("milestones", [[0.6, 0.3], [0.3, 0.3], [0.0], [1.0], [-0.1, 0.5]])
def test_milestones_rise_inside_the_phase(milestones: list[float]) -> None:
    with pytest.raises(ValidationError):
        Schedule(milestones=milestones)
    assert Schedule(milestones=[]).milestones == ()


@pytest.mark.parametrize(
    "wrong", [{"mixup_alpha": -0.1}, {"mixup_alpha": 11}, {"mixup_alpha": float("nan")}, {"preset": "weak"}]
)
def test_augmentation_outside_its_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AugmentationPlan(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"activations": "cached"},
        {"activations": "cached", "cut_point": "a"},
        {"activations": "computed", "cut_point": "a"},
        {"activations": "kept"},
    ],
)
def test_stored_says_where_and_how_many_views_and_computed_neither(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FrozenPrefixPlan(**wrong)
    assert FrozenPrefixPlan(activations="cached", cut_point="a", views=3).views == 3
    assert AugmentationPlan().cached_views == "auto"
    assert AugmentationPlan(cached_views=4).cached_views == 4
