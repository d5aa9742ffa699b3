"""Options that search the catalog: the same at both commands, and one query from them."""

from __future__ import annotations

import inspect
from typing import get_type_hints

import pytest

from headstart.apps.cli.models import models
from headstart.apps.cli.options import filters, words
from headstart.apps.cli.shortlist import shortlist
from headstart.errors import HeadstartError
from headstart.networks.cards.search import ModelQuery

NOTHING = dict.fromkeys(
    (
        "contains",
        "family",
        "library",
        "domain",
        "max_params",
        "max_gmacs",
        "max_input",
        "min_top1",
        "min_speed",
        "sizes",
    )
) | {"commercial": False, "pareto": False}


@pytest.mark.parametrize("command", [models, shortlist])
def test_both_commands_have_every_option(command):
    hints = get_type_hints(command, include_extras=True)
    asked = inspect.signature(filters.model_query).parameters
    assert set(asked) - {"sort"} <= set(hints)
    shared = {"contains": "Contains", "min_speed": "MinSpeed", "commercial": "Commercial", "sizes": "AnySize"}
    for name, alias in shared.items():
        assert hints[name] == getattr(filters, alias)


def test_no_option_is_no_query():
    assert filters.model_query(**NOTHING) == ModelQuery()


def test_every_option_reaches_the_query():
    given = {
        "contains": "net",
        "family": "resnet",
        "library": words.LibraryName.timm,
        "domain": "photo",
        "max_params": "4.6M",
        "max_gmacs": 1.5,
        "max_input": 256,
        "min_top1": 75.0,
        "min_speed": 10.0,
        "sizes": words.Sizes.any,
        "commercial": True,
        "pareto": True,
    }
    assert set(given) == set(NOTHING)
    query = filters.model_query(**given, sort=words.ModelSortOption.speed)
    assert query == ModelQuery(
        max_parameters=4.6e6,
        max_gmacs=1.5,
        max_input_size=256,
        min_top1=75.0,
        min_speed=10.0,
        family="resnet",
        library="timm",
        domain="photo",
        commercial_use="allowed",
        sizes="any",
        name="net",
        sort="speed",
        front="pareto",
    )


def test_a_wrong_count_names_its_option():
    with pytest.raises(HeadstartError, match="--max-params 'ten' is no count"):
        filters.model_query(**{**NOTHING, "max_params": "ten"})
