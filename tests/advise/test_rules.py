"""The table of rules: one answer everywhere, and it moves the right way when a fact moves."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from advice_grid import CLASSES, DOMAINS, IMAGES, SIMILARITIES
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from headstart.advise.rules import RULES, THAWING, When, decide, facts_text, rule_for
from headstart.advise.situation import Situation
from headstart.presets import STRATEGIES

FREE = dict.fromkeys(THAWING, 0.0)
PRICES = dict(zip(THAWING, (10.0, 200.0, 150.0, 400.0, 400.0, 400.0, 4_000.0), strict=True))


def rank(situation: Situation, seconds: dict[str, float] = FREE) -> int:
    return THAWING.index(decide(situation, seconds).strategy)


def grid() -> list[Situation]:
    axes = itertools.product(IMAGES, SIMILARITIES, DOMAINS, CLASSES)
    return [
        Situation(images=images, similarity=similarity, domain=domain, classes=classes)
        for images, similarity, domain, classes in axes
        if classes is None or classes <= images
    ]


def test_the_order_of_thawing_names_every_strategy_once():
    assert sorted(THAWING) == sorted(STRATEGIES)


def test_every_cell_has_one_answer_and_a_reason_against_all_others():
    cells = grid()
    assert len(cells) > 900
    for situation in cells:
        decision = decide(situation, FREE)
        assert sum(rule.when.holds(situation) for rule in RULES) >= 1
        assert decision.strategy not in decision.rejected
        assert {decision.strategy, *decision.rejected} == set(STRATEGIES)
        assert decision.reason
        assert decision.source
        assert all(len(why) > 20 and "{" not in why for why in decision.rejected.values())
        assert f"{situation.images:,}" in decision.reason


def test_every_row_of_the_table_decides_somewhere():
    """A row that never comes first would be dead."""
    used = {id(rule_for(situation)) for situation in grid()}
    assert used == {id(rule) for rule in RULES}


def test_every_row_says_whose_idea_it_is():
    assert len(RULES) >= 12
    for rule in RULES:
        assert rule.strategy in STRATEGIES
        assert any(year.isdigit() and len(year) == 4 for year in rule.source.replace(";", " ").split())
        assert str(rule.when)


levels = st.sampled_from(("low", "medium", "high"))
domains = st.sampled_from(DOMAINS)
counts = st.integers(2, 2_000_000)
# Every number for which the table has a border, and its neighbours, is met more often than by chance.
borders = st.sampled_from(
    [n + d for n in (2, 20, 100, 1_000, 5_000, 50_000, 100_000) for d in (-1, 0, 1) if n + d >= 2]
)
images = st.one_of(counts, borders)
similarities = st.one_of(st.none(), levels, st.floats(0, 1))


@settings(max_examples=300, deadline=None)
@given(
    few=images, many=images, similarity=similarities, domain=domains, classes=st.one_of(st.none(), st.integers(2, 9))
)
def test_more_images_never_freeze_more(few: int, many: int, similarity: Any, domain: Any, classes: int | None):
    few, many = sorted((few, many))
    assume(classes is None or classes <= few)
    said = {"similarity": similarity, "domain": domain, "classes": classes}
    assert rank(Situation(images=few, **said)) <= rank(Situation(images=many, **said))


@settings(max_examples=300, deadline=None)
@given(n=images, first=st.floats(0, 1), second=st.floats(0, 1), domain=domains, classes=st.sampled_from((None, 2)))
def test_more_similarity_never_freezes_less(n: int, first: float, second: float, domain: Any, classes: int | None):
    far, near = sorted((first, second))
    said = {"images": n, "domain": domain, "classes": classes}
    assert rank(Situation(similarity=near, **said)) <= rank(Situation(similarity=far, **said))


@settings(max_examples=300, deadline=None)
@given(
    n=images,
    similarity=similarities,
    domain=domains,
    first=st.floats(1, 10_000),
    second=st.floats(1, 10_000),
    prices=st.lists(st.floats(0.1, 10_000), min_size=len(THAWING), max_size=len(THAWING)),
)
def test_a_smaller_budget_never_costs_more(
    n: int, similarity: Any, domain: Any, first: float, second: float, prices: list[float]
):
    """Whatever the strategies cost: only the last resort, which is feature extraction, may lie above a budget."""
    seconds = dict(zip(THAWING, prices, strict=True))
    small, large = sorted((first, second))
    said = {"images": n, "similarity": similarity, "domain": domain}
    tight = decide(Situation(budget_seconds=small, **said), seconds).strategy
    loose = decide(Situation(budget_seconds=large, **said), seconds).strategy
    assert THAWING.index(tight) <= THAWING.index(loose)
    assert tight == loose or tight == THAWING[0] or seconds[tight] < seconds[loose]


def test_a_budget_that_is_too_small_is_the_reason():
    decision = decide(Situation(images=20_000, similarity="high", budget_seconds=60.0), PRICES)
    assert (decision.strategy, decision.wanted) == ("feature_extraction", "discriminative")
    assert "budget of 1 min" in decision.reason
    assert "budget" in decision.source
    assert "the rules would take it" in decision.rejected["discriminative"]


def test_a_budget_that_is_large_enough_changes_nothing():
    open_ended = decide(Situation(images=20_000, similarity="high"), PRICES)
    for budget in (400.0, math.inf):
        assert decide(Situation(images=20_000, similarity="high", budget_seconds=budget), PRICES) == open_ended


def test_next_cheaper_strategies_are_tried_before_the_last_resort():
    """full at 400 s is too much for 250 s; partial at 150 s is the most thawed that fits."""
    assert decide(Situation(images=20_000, similarity="low", budget_seconds=250.0), PRICES).strategy == "partial"


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        (Situation(images=1, similarity=0.71), "1 labelled image, photo, similarity high (0.71)"),
        (Situation(images=500, domain="medical"), "medical, similarity medium (what the domain says)"),
        (Situation(images=1_500), "similarity unknown (nobody stated or measured it)"),
        (Situation(images=90, classes=9, similarity="low"), "90 labelled images, 10 of a class, photo"),
    ],
)
def test_the_facts_are_cited(situation: Situation, words: str):
    assert words in facts_text(situation)


def test_a_condition_reads_as_words():
    assert str(When(("low",), ("document",), least=1_000)) == "document, similarity low, 1,000 images or more"
    assert str(When(("high",), least=5_000, below=50_000)) == "similarity high, 5,000 to 50,000 images"
    assert str(When(per_class_below=10)) == "fewer than 10 images of a class"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"images": 99_999, "similarity": "low"}, "100,000 labelled images or more; there are 99,999"),
        ({"images": 200_000, "similarity": "low"}, "compare with scratch afterwards"),
        ({"images": 200_000, "similarity": "high"}, "similarity high: pretrained features are a head start"),
    ],
)
def test_scratch_is_rejected_for_the_right_reason(said: dict[str, Any], words: str):
    assert words in decide(Situation(**said), FREE).rejected["scratch"]
