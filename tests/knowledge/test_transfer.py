"""The depth table: quarters, bounds, and a ladder that rises."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.knowledge.transfer import (
    BIT_ROWS,
    DEPTH_FACTS,
    FAMILIES,
    FIRST_CHOICES,
    HEAD_LEARNING_RATE,
    IMAGENET_EFFECT,
    LR_RULES,
    PRETRAINED_LR_RATIO,
    bit_lr,
    bit_row_of,
    depth_of,
    family_of,
)


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
    assert [depth_of(position, count) for position in range(count)] == [DEPTH_FACTS[row] for row in rows]


@settings(max_examples=50, deadline=None)
@given(st.integers(4, 200))
def test_every_row_is_used_and_never_goes_back(count: int) -> None:
    rows = [DEPTH_FACTS.index(depth_of(position, count)) for position in range(count)]
    assert rows == sorted(rows)
    assert set(rows) == {0, 1, 2, 3}


@pytest.mark.parametrize(("position", "count"), [(-1, 5), (5, 5), (6, 5), (0, 0)])
def test_a_position_outside_is_refused_with_the_range(position: int, count: int) -> None:
    with pytest.raises(ValueError, match=rf"{position} must be in 0\.\.{count - 1}"):
        depth_of(position, count)


def test_deeper_features_transfer_less_and_learn_faster() -> None:
    assert len(DEPTH_FACTS) == 4
    for shallow, deep in itertools.pairwise(DEPTH_FACTS):
        assert shallow.transfer_share > deep.transfer_share
        assert shallow.lr < deep.lr
    assert all(0 < fact.transfer_share < 1 for fact in DEPTH_FACTS)
    assert [fact.lr for fact in DEPTH_FACTS] == [1e-6, 5e-6, 1e-5, 5e-5]


def test_the_ladder_keeps_the_ten_fold_rule() -> None:
    assert max(fact.lr for fact in DEPTH_FACTS) <= HEAD_LEARNING_RATE * PRETRAINED_LR_RATIO


@pytest.mark.parametrize(
    ("name", "share", "factor", "grain"),
    [
        ("decay_0.75", 0.75, 0.75, "block"),
        ("decay_0.9", 0.9, 0.9, "block"),
        ("ulmfit", 1 / 2.6, 1 / 2.6, None),
        ("ten_fold", 0.1, 1.0, None),
        ("bit", 1.0, 1.0, None),
    ],
)
def test_learning_rates_are_the_published_numbers(name: str, share: float, factor: float, grain: str | None) -> None:
    fact = LR_RULES[name]
    assert (fact.top_ratio, fact.decay, fact.grain) == (share, factor, grain)


def test_every_preset_of_learning_rates_has_a_sentence_and_a_source() -> None:
    assert len(LR_RULES) == 6
    for fact in LR_RULES.values():
        assert len(fact.sentence) > 20
        assert fact.source


@pytest.mark.parametrize(
    ("images", "steps"), [(1, 500), (19_999, 500), (20_000, 10_000), (499_999, 10_000), (500_000, 20_000)]
)
def test_bit_trains_as_long_as_its_table_says(images: int, steps: int) -> None:
    assert bit_row_of(images).steps == steps


def test_milestones_of_bit_lie_between_warm_up_and_end() -> None:
    for row in BIT_ROWS:
        assert row.warmup_steps < row.milestones[0]
        assert list(row.milestones) == sorted(row.milestones)
        assert row.milestones[-1] < row.steps


def test_bit_has_its_published_rates_at_its_published_batches() -> None:
    assert bit_lr(128) == 0.001
    assert bit_lr(512) == 0.003
    assert bit_lr(1) < bit_lr(64) < bit_lr(128)


def test_families_and_first_choices_name_what_the_catalog_has() -> None:
    from headstart.networks.cards.catalog import all_cards
    from headstart.networks.cards.finding import find_model

    known = {card.family for card in all_cards()}
    modules = [module for family in FAMILIES for module in family.modules]
    assert len(modules) == len(set(modules))
    assert set(modules) <= known
    assert family_of("resnet").name == "ResNet"
    assert family_of("alexnet") is None
    for architecture, parameters, _ in FIRST_CHOICES:
        assert find_model(architecture).card.parameters == pytest.approx(float(parameters[:-1]) * 1e6, rel=0.07)


def test_what_imagenet_teaches_has_three_reasons() -> None:
    assert len(IMAGENET_EFFECT) == 3
    text = " ".join(f"{fact.what}: {fact.teaches}" for fact in IMAGENET_EFFECT)
    for words in ("1.2 million", "edges, textures and shapes", "1,000 categories", "eyes, wheels", "occlusion"):
        assert words in text
