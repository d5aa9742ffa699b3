"""Options that search the catalog, derived from `headstart.networks.cards.search.ModelQuery`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.apps.cli.options.derived import DerivedOptions
from headstart.networks.cards.search import ModelQuery

SEARCH = DerivedOptions(ModelQuery)
"""Of `models`, which shows a list in an order."""

NETWORK_FILTERS = DerivedOptions(ModelQuery, without=("sort",))
"""Of `shortlist`, which ranks by its own scores."""


def query_of(given: Mapping[str, Any]) -> ModelQuery:
    """The query of a command.

    Args:
        given: Parameters of the command, by name; None and False: not given.

    Raises:
        HeadstartError: --max-params is no count.
    """
    return ModelQuery(**SEARCH.values_of(given))
