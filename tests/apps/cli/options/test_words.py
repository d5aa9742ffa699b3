"""The words of an option are those of the table it stands for."""

from __future__ import annotations

from typing import get_args

import pytest

from headstart.apps.cli.options import words
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
        (words.Strategy, {AUTO, *presets.STRATEGIES}),
        (words.LrRule, set(transfer.LR_RULES)),
        (words.Grain, set(get_args(Grain))),
        (words.DomainName, set(DOMAINS)),
        (words.Augmentation, {"none", *PRESETS}),
        (words.Head, set(get_args(presets.HeadKind))),
        (words.HeadSolver, set(get_args(presets.HeadSolver))),
        (words.Sort, set(get_args(SortKey))),
        (words.LibraryName, {card.library for card in all_cards()}),
        (words.Sizes, {card.sizes for card in all_cards()}),
    ],
)
def test_words_are_those_of_the_table(words, table: set[str]):
    assert {word.value for word in words} == table
