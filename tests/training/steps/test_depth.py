"""The layer groups of a step, by their share of the MACs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.engine.costs.network import CutPoint, NetworkFacts
from headstart.errors import PlanError
from headstart.plan.plan import LrRule, TrainPhase
from headstart.training.steps.depth import resolved_step

GROUPS = ("stem", "one", "two", "three", "head")


def facts(*shares: float) -> NetworkFacts:
    points = tuple(CutPoint(name, share, 4) for name, share in zip(GROUPS[1:], shares, strict=True))
    return NetworkFacts("net", 1.0, 10, 4, GROUPS, points, 1.0, counted=True)


def step(share: float, **options: object) -> TrainPhase:
    return TrainPhase(
        name="s",
        epochs=3,
        unfreeze="by_cost",
        most_trained_share=share,
        head_lr=1e-3,
        begins="if_it_can_pay",
        **options,
    )


@pytest.mark.parametrize(("share", "groups"), [(0.05, 1), (0.3, 1), (0.6, 2), (0.9, 3), (1.0, 4)])
def test_as_many_groups_as_the_share_allows_and_one_at_least(share: float, groups: int):
    found = resolved_step(step(share), facts(0.1, 0.4, 0.7, 1.0))
    assert found.unfreeze == groups
    assert list(found.lr_by_group) == [*GROUPS[4 - groups : 4], "head"]


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_larger_share_never_trains_less(shares: list[float], a: float, b: float):
    network = facts(*sorted(shares), 1.0)
    small, large = (resolved_step(step(share), network).unfreeze for share in sorted((a, b)))
    assert small <= large


def test_a_number_of_groups_stays():
    phase = step(0.5).model_copy(update={"unfreeze": 2})
    assert resolved_step(phase, facts(0.1, 0.4, 0.7, 1.0)) is phase


def test_learning_rates_of_other_groups_are_a_fault():
    phase = step(0.3, backbone_lr=LrRule(rule="by_group", groups={"stem": 1e-3}))
    with pytest.raises(PlanError, match="must name exactly three"):
        resolved_step(phase, facts(0.1, 0.4, 0.7, 1.0))
