"""Keyword arguments of training: the same names, types and defaults as the options they stand for."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest

from headstart.arguments import ArgumentError
from headstart.engine.views import PRESETS
from headstart.errors import PlanError
from headstart.knowledge.domain import AugmentationName, Domain
from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.transfer import LR_RULES
from headstart.networks.cards.search import QUERY_OPTIONS, ModelQuery
from headstart.plan.plan import AugmentationPlan, DataPlan
from headstart.plan.presets import STRATEGIES
from headstart.plan.request import OPTIONS, LrRuleName, Request, StrategyName
from headstart.workflow.keywords import (
    SearchKeywords,
    TrainKeywords,
    defaults,
    query_of,
    search_defaults,
    with_keywords,
)
from headstart.workflow.plans import AUTO

PHOTOS = Request(DataPlan(source="photos"))


def test_every_option_is_a_keyword_and_no_keyword_is_none():
    part = set(DataPlan.model_fields) - {"source"}
    hints, declared = get_type_hints(TrainKeywords), get_type_hints(Request)
    assert set(hints) == set(OPTIONS) | part
    assert {name: hints[name] for name in OPTIONS} == {name: declared[name] for name in OPTIONS}
    assert with_keywords(PHOTOS, defaults(), where="fit") == PHOTOS


def test_words_are_those_of_the_tables():
    assert set(get_args(StrategyName)) == {*STRATEGIES, AUTO}
    assert set(get_args(LrRuleName)) == set(LR_RULES)
    assert set(get_args(AugmentationName)) == set(get_args(AugmentationPlan.model_fields["preset"].annotation))
    assert set(get_args(AugmentationName)) == {"none", *PRESETS}
    assert set(get_args(Domain)) == set(DOMAINS)


def test_keywords_reach_the_options_and_the_data():
    found = with_keywords(PHOTOS, {"strategy": "gradual", "epochs": 3, "limit_train": "9"}, where="fit")
    assert (found.strategy, found.epochs, found.data.limit_train, found.data.source) == ("gradual", 3, "9", "photos")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"strategy": "gradul"}, r"strategy: 'gradul' must be one of auto, .* did you mean gradual"),
        ({"epochs": 2.5, "head": "lnear"}, r"the arguments has 2 faults: epochs: 2\.5 must be a whole number.*linear"),
        ({"epochs": True}, r"epochs: True must be a whole number, None"),
        ({"lr": "1e-3"}, r"lr: '1e-3' must be a number, None"),
        ({"limit_train": "many"}, r"limit_train: .*'many' must be a count"),
    ],
)
def test_wrong_values_are_named(given: dict[str, Any], words: str):
    with pytest.raises(PlanError, match=words):
        with_keywords(PHOTOS, given, where="fit")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"stratgy": "full"}, r"fit has no argument 'stratgy'; .* did you mean strategy"),
        ({"strict": True}, r"write unreadable='stop'"),
        ({"allow_noncommercial": True}, r"write noncommercial_weights='allow'"),
        ({"budget": "10m"}, r"write budget_seconds=600"),
    ],
)
def test_unknown_names_are_answered_with_the_right_one(given: dict[str, Any], words: str):
    with pytest.raises(ArgumentError, match=words):
        with_keywords(PHOTOS, given, where="fit")


def test_keywords_of_a_search_are_the_fields_of_the_query():
    hints, declared = get_type_hints(SearchKeywords), get_type_hints(ModelQuery)
    assert set(hints) == set(QUERY_OPTIONS) - {"sort"}, "models takes the order apart: a shortlist has none"
    assert hints.pop("max_params") == declared["max_params"] | str
    assert hints == {name: declared[name] for name in hints}
    assert query_of(search_defaults(), where="models", known=()) == ModelQuery()


def test_a_search_is_read_from_keywords_and_its_faults_are_named():
    found = query_of({"max_params": "10M", "front": "pareto"}, where="models", known=(), sort="speed")
    assert found == ModelQuery(max_params=1e7, front="pareto", sort="speed")
    with pytest.raises(ArgumentError, match=r"models has no argument 'contians'; expected one of .*limit.*contains"):
        query_of({"contians": "x"}, where="models", known=["limit"])
    with pytest.raises(PlanError, match="sizes: 'big' must be one of any, fixed"):
        query_of({"sizes": "big"}, where="models", known=())
