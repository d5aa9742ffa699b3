"""The words of an option are those of the table it stands for."""

from __future__ import annotations

from typing import get_args

import pytest

from headstart import facts, presets
from headstart.apps import choices
from headstart.domains import DOMAINS
from headstart.models.augment import PRESETS
from headstart.plan import Grain
from headstart.workflow.plans import AUTO


@pytest.mark.parametrize(
    ("words", "table"),
    [
        (choices.Strategy, {AUTO, *presets.STRATEGIES}),
        (choices.Rates, set(facts.RATE_PRESETS)),
        (choices.Grain, set(get_args(Grain))),
        (choices.DomainName, set(DOMAINS)),
        (choices.Augmentation, {"none", *PRESETS}),
        (choices.Head, set(get_args(presets.HeadKind))),
        (choices.HeadSolver, set(get_args(presets.HeadSolver))),
    ],
)
def test_words_are_those_of_the_table(words, table: set[str]):
    assert {word.value for word in words} == table
