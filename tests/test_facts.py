"""The depth table: quarters, bounds, and a ladder that rises."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.facts import DEPTHS, HEAD_LEARNING_RATE, PRETRAINED_RATE_RATIO, depth_of


@pytest.mark.parametrize(
    ("count", "rows"),
    [
        (1, [0]),
        (2, [0, 2]),
        (4, [0, 1, 2, 3]),
        (5, [0, 0, 1, 2, 3]),
        (8, [0, 0, 1, 1, 2, 2, 3, 3]),
    ],
)
def test_quarters_of_the_network_take_the_rows_in_turn(count: int, rows: list[int]) -> None:
    assert [depth_of(position, count) for position in range(count)] == [DEPTHS[row] for row in rows]


@settings(max_examples=50, deadline=None)
@given(st.integers(4, 200))
def test_every_row_is_used_and_never_goes_back(count: int) -> None:
    rows = [DEPTHS.index(depth_of(position, count)) for position in range(count)]
    assert rows == sorted(rows)
    assert set(rows) == {0, 1, 2, 3}


@pytest.mark.parametrize(("position", "count"), [(-1, 5), (5, 5), (6, 5), (0, 0)])
def test_a_position_outside_is_refused_with_the_range(position: int, count: int) -> None:
    with pytest.raises(ValueError, match=rf"{position} must be in 0\.\.{count - 1}"):
        depth_of(position, count)


def test_deeper_features_transfer_less_and_learn_faster() -> None:
    assert len(DEPTHS) == 4
    for shallow, deep in itertools.pairwise(DEPTHS):
        assert shallow.transfer_share > deep.transfer_share
        assert shallow.learning_rate < deep.learning_rate
    assert all(0 < fact.transfer_share < 1 for fact in DEPTHS)
    assert [fact.learning_rate for fact in DEPTHS] == [1e-6, 5e-6, 1e-5, 5e-5]


def test_the_ladder_keeps_the_ten_fold_rule() -> None:
    assert max(fact.learning_rate for fact in DEPTHS) <= HEAD_LEARNING_RATE * PRETRAINED_RATE_RATIO
