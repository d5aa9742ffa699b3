"""The words of an option are those of the table it stands for."""

from __future__ import annotations

from typing import get_args

import pytest

from headstart.apps.cli.options import words
from headstart.networks.cards.catalog import all_cards
from headstart.networks.cards.search import SortKey


@pytest.mark.parametrize(
    ("words", "table"),
    [
        (words.ModelSortOption, set(get_args(SortKey))),
        (words.LibraryName, {card.library for card in all_cards()}),
        (words.Sizes, {card.sizes for card in all_cards()}),
    ],
)
def test_words_are_those_of_the_table(words, table: set[str]):
    assert {word.value for word in words} == table
