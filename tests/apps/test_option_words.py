"""The words of an option are those of the table it stands for."""

from __future__ import annotations

from typing import get_args

import pytest

from headstart.apps import option_words
from headstart.engine.views import PRESETS
from headstart.knowledge import transfer
from headstart.knowledge.domains import DOMAINS
from headstart.networks.cards.catalog import all_cards
from headstart.networks.cards.search import SortKey
from headstart.plan import presets
from headstart.plan.plan import Grain
from headstart.workflow.plans import AUTO


@pytest.mark.parametrize(
    ("words", "table"),
    [
        (option_words.Strategy, {AUTO, *presets.STRATEGIES}),
        (option_words.Rates, set(transfer.RATE_PRESETS)),
        (option_words.Grain, set(get_args(Grain))),
        (option_words.DomainName, set(DOMAINS)),
        (option_words.Augmentation, {"none", *PRESETS}),
        (option_words.Head, set(get_args(presets.HeadKind))),
        (option_words.HeadSolver, set(get_args(presets.HeadSolver))),
        (option_words.Sort, set(get_args(SortKey))),
        (option_words.LibraryName, {card.library for card in all_cards()}),
        (option_words.Sizes, {card.sizes for card in all_cards()}),
    ],
)
def test_words_are_those_of_the_table(words, table: set[str]):
    assert {word.value for word in words} == table
