"""The situation: its faults all at once, and the words that follow from its numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest

from headstart.advice.situation import Situation
from headstart.engine.costs.training_cost import Hardware
from headstart.errors import PlanError


def test_every_fault_is_named_at_once():
    wrong: dict[str, Any] = {
        "images": 0,
        "classes": 1,
        "domain": "food",
        "similarity": 1.5,
        "unlabelled": -1,
        "channels": 0,
        "resolution": 0,
        "budget_seconds": 0,
        "hardware": Hardware(0),
    }
    with pytest.raises(PlanError) as caught:
        Situation(**wrong)
    text = str(caught.value)
    for name in (
        "images",
        "classes",
        "domain",
        "similarity",
        "unlabelled",
        "channels",
        "resolution",
        "budget",
        "cores",
    ):
        assert f"{name}:" in text
    assert len(caught.value.faults) == 10, "and a class without an image"


@pytest.mark.parametrize("similarity", ["near", float("nan"), -0.1])
def test_a_similarity_is_a_word_or_a_share(similarity: Any):
    with pytest.raises(PlanError, match="similarity"):
        Situation(images=10, similarity=similarity)


@pytest.mark.parametrize(
    ("similarity", "domain", "level"),
    [
        (None, "photo", "unknown"),
        (None, "medical", "medium"),
        (None, "satellite", "medium"),
        (None, "document", "low"),
        ("high", "document", "high"),
        (0.1, "photo", "low"),
        (0.5, "photo", "medium"),
        (0.9, "medical", "high"),
    ],
)
def test_a_given_similarity_wins_over_the_usual_one_of_the_domain(similarity: Any, domain: Any, level: str):
    assert Situation(images=10, similarity=similarity, domain=domain).domain_similarity == level


def test_images_of_a_class_are_those_of_the_median_one_where_it_is_known():
    assert Situation(images=100, classes=4).images_per_class == 25
    assert Situation(images=100, classes=4, median_per_class=3).images_per_class == 3
    assert Situation(images=100).images_per_class is None


def test_no_budget_allows_everything():
    assert (
        Situation(images=1).seconds_allowed == Situation(images=1, budget_seconds=math.inf).seconds_allowed == math.inf
    )
    assert Situation(images=1, budget_seconds=5).seconds_allowed == 5
