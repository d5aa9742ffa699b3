"""Options that search the catalog: the same at both commands, derived from the fields of the query."""

from __future__ import annotations

import pytest
import typer

from headstart.apps.cli.main import app
from headstart.apps.cli.options.filters import NETWORK_FILTERS, SEARCH, query_of
from headstart.errors import HeadstartError
from headstart.networks.cards.search import QUERY_OPTIONS, ModelQuery

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
GIVEN = {
    "contains": "net",
    "family": "resnet",
    "library": "timm",
    "domain": "photo",
    "max_params": "4.6M",
    "max_gmacs": 1.5,
    "max_input": 256,
    "min_top1": 75.0,
    "min_speed": 10.0,
    "sizes": "any",
    "commercial": True,
    "pareto": True,
    "sort": "speed",
}


@pytest.mark.parametrize(("command", "derived"), [("models", SEARCH), ("shortlist", NETWORK_FILTERS)])
def test_both_commands_have_every_option(command: str, derived):
    options = {parameter.name: parameter for parameter in COMMANDS[command].params}
    assert set(derived.fields) == set(QUERY_OPTIONS) - ({"sort"} if command == "shortlist" else set())
    for field in derived.fields:
        option = options[derived.parameter_of(field)]
        assert option.help == QUERY_OPTIONS[field].help
        assert tuple(option.opts) == derived.spellings_of(field)


def test_no_option_is_no_query():
    assert query_of({**dict.fromkeys(GIVEN), "commercial": False, "pareto": False}) == ModelQuery()


def test_every_option_reaches_the_query():
    assert set(GIVEN) == {SEARCH.parameter_of(field) for field in SEARCH.fields}
    assert query_of(GIVEN) == ModelQuery(
        max_params=4.6e6,
        max_gmacs=1.5,
        max_input=256,
        min_top1=75.0,
        min_speed=10.0,
        family="resnet",
        library="timm",
        domain="photo",
        commercial_use="allowed",
        sizes="any",
        contains="net",
        sort="speed",
        front="pareto",
    )


def test_a_wrong_count_names_its_option():
    with pytest.raises(HeadstartError, match="--max-params 'ten' is no count"):
        query_of({"max_params": "ten"})
