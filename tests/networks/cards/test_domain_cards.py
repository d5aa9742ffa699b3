"""Cards of weights of domains: each can be named, and what knowledge names is there."""

from __future__ import annotations

import pytest

from headstart.knowledge.domains import DOMAINS
from headstart.networks.cards.catalog import ModelCard, all_cards
from headstart.networks.cards.domain_cards import domain_cards
from headstart.networks.cards.finding import find_model
from headstart.networks.cards.search import ModelQuery
from headstart.workflow.models import list_models, usage_of


def test_every_card_is_found_by_its_name_and_is_no_default():
    for card in domain_cards():
        assert find_model(card.name).card == card
        assert find_model(card.architecture).card != card
        assert card.domain in DOMAINS
        assert card.licence
        assert card.paper
        assert ModelCard.from_dict(card.to_dict()) == card
        assert "headstart" in usage_of(card)
    assert not {card.name for card in domain_cards()} & {card.name for card in all_cards()}


def test_weights_that_a_domain_names_have_their_card():
    named = {one.name: one for domain in DOMAINS.values() for one in domain.weights}
    cards = {card.name: card for card in domain_cards()}
    assert set(cards) & set(named)
    for name in set(cards) & set(named):
        assert named[name].how == f"--model {name}"
        assert named[name].licence == cards[name].licence


@pytest.mark.parametrize("domain", ["medical", "satellite"])
def test_a_search_by_domain_lists_them(domain: str):
    found = {one.card.name for one in list_models(ModelQuery(domain=domain))}
    assert found >= {card.name for card in domain_cards() if card.domain == domain}
    assert not {one.card.name for one in list_models(ModelQuery())} & {card.name for card in domain_cards()}


def test_grey_is_scaled_as_torchxrayvision_does():
    spec = find_model("densenet121:xrv-all").card.input
    assert [(value / 255 - spec.mean[0]) / spec.std[0] for value in (0, 255)] == [-1024, 1024]


def test_hashes_are_those_of_the_file_names():
    for card in domain_cards():
        if card.weights.kind == "url":
            assert card.weights.file.endswith(f"-{card.weights.sha256}.pth")
            assert card.weights.url.endswith(f"/{card.weights.file}")
