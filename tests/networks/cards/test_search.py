"""Filters, order and front, as properties of the answer and against a plain second way of computing it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import ModelError
from headstart.networks.cards.catalog import all_cards
from headstart.networks.cards.finding import find_model
from headstart.networks.cards.search import ModelQuery, pareto_front, search, speed_of


def test_limits_hold_and_leave_nothing_out():
    query = ModelQuery(max_params=10e6, min_top1=75, family="efficientnet")
    found = search(all_cards(), query)
    expected = [
        card
        for card in all_cards()
        if card.family == "efficientnet" and card.parameters <= 10e6 and (card.imagenet_top1 or 0) >= 75
    ]
    assert {card.name for card in found} == {card.name for card in expected}
    assert len(found) > 20
    assert {card.library for card in found} == {"timm", "torchvision"}


def test_the_order_is_what_was_asked_and_unknown_values_come_last():
    for sort, value, sign in (
        ("parameters", lambda c: c.parameters, 1),
        ("top1", lambda c: c.imagenet_top1, -1),
        ("speed", lambda c: c.cpu_images_per_second, -1),
        ("gpu_speed", lambda c: c.gpu_images_per_second, -1),
        ("gmacs", lambda c: c.gmacs, 1),
    ):
        values = [value(card) for card in search(all_cards(), ModelQuery(sort=sort))]
        known = [v for v in values if v is not None]
        assert values[: len(known)] == sorted(known, key=lambda v, sign=sign: sign * v)
        assert len(values) == len(all_cards())
    names = [card.name for card in search(all_cards(), ModelQuery(sort="name"))]
    assert names == sorted(names)


@pytest.mark.parametrize("sort", ["parameters", "gmacs", "speed", "gpu_speed"])
def test_nothing_beats_a_card_on_the_front_and_something_beats_every_other(sort: str):
    cost = {
        "parameters": lambda c: c.parameters,
        "gmacs": lambda c: c.gmacs,
        "speed": lambda c: c.cpu_images_per_second and -c.cpu_images_per_second,
        "gpu_speed": lambda c: c.gpu_images_per_second and -c.gpu_images_per_second,
    }[sort]
    cards = [c for c in all_cards() if c.imagenet_top1 is not None and cost(c) is not None]
    front = {card.name for card in pareto_front(all_cards(), sort)}
    assert 3 < len(front) < len(cards) / 5

    def is_beaten(card) -> bool:
        return any(
            other.imagenet_top1 >= card.imagenet_top1
            and cost(other) <= cost(card)
            and (other.imagenet_top1, cost(other)) != (card.imagenet_top1, cost(card))
            for other in cards
        )

    by_name = {card.name: card for card in cards}
    assert not [name for name in front if is_beaten(by_name[name])]
    equal = {(c.imagenet_top1, cost(c)) for c in cards if c.name in front}
    assert all(is_beaten(c) or (c.imagenet_top1, cost(c)) in equal for c in cards if c.name not in front)


@given(
    st.floats(1e6, 1e9),
    st.none() | st.floats(50, 90),
    st.sampled_from(["any", "fixed", None]),
    st.sampled_from(["all", "pareto"]),
)
@settings(max_examples=30, deadline=None)
def test_a_tighter_limit_never_adds_a_card(most: float, least: float | None, sizes: str | None, front: str):
    loose = search(all_cards(), ModelQuery(max_params=most, sizes=sizes))
    tight = search(all_cards(), ModelQuery(max_params=most / 2, min_top1=least, sizes=sizes, front=front))
    assert {card.name for card in tight} <= {card.name for card in loose}


def test_measured_speeds_take_the_place_of_published_ones():
    cards = [find_model(name).card for name in ("resnet18", "timm/resnet18", "resnet50")]
    measured = {cards[0].name: 5.0, cards[1].name: 9.0, cards[2].name: 1.0}
    assert [c.name for c in search(cards, ModelQuery(sort="speed"), measured=measured)] == [
        cards[1].name,
        cards[0].name,
        cards[2].name,
    ]
    assert speed_of(cards[0]) is None
    assert speed_of(cards[1]) > 0
    assert [c.name for c in search(cards, ModelQuery(min_speed=5), measured=measured)] == [cards[0].name, cards[1].name]


def test_an_unknown_family_offers_the_nearest():
    with pytest.raises(ModelError, match=r"no family 'eficientnet'; did you mean efficientnet"):
        search(all_cards(), ModelQuery(family="eficientnet"))
