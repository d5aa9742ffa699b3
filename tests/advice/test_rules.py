"""The table of rules: one answer everywhere, and it moves the right way when a fact moves."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from advice_grid import CLASSES, DOMAINS, IMAGES, SIMILARITIES
from checkout import ROOT
from headstart.advice.rules import RULES, TOO_FREE, UNFREEZING, When, decide, facts_text, least_images, rule_for
from headstart.advice.situation import Situation
from headstart.knowledge.choosing import FEW_PER_CLASS, MEASURED, NEVER_ADVISED
from headstart.plan.presets import STRATEGIES

FREE = dict.fromkeys(UNFREEZING, 0.0)
PRICES = dict(zip(UNFREEZING, (10.0, 200.0, 150.0, 400.0, 400.0, 400.0, 400.0, 4_000.0), strict=True))


def rank(situation: Situation, seconds: dict[str, float] = FREE) -> int:
    return UNFREEZING.index(decide(situation, seconds).strategy)


def grid() -> list[Situation]:
    axes = itertools.product(IMAGES, SIMILARITIES, DOMAINS, CLASSES)
    return [
        Situation(images=images, similarity=similarity, domain=domain, classes=classes)
        for images, similarity, domain, classes in axes
        if classes is None or classes <= images
    ]


def test_the_order_of_unfreezing_names_every_strategy_once():
    assert sorted(UNFREEZING) == sorted(STRATEGIES)


def test_every_cell_has_one_strategy_and_a_reason_against_all_others():
    cells = grid()
    assert len(cells) > 900
    for situation in cells:
        decision = decide(situation, FREE)
        first = next(rule for rule in RULES if rule.when.holds(situation))
        assert (decision.strategy, decision.source) == (first.strategy, first.source)
        assert decision.reason.endswith(first.reason)
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
    assert len(RULES) >= 8
    for rule in RULES:
        assert rule.strategy in STRATEGIES
        assert re.search(r" (19|20)\d\d\b", rule.source)
        assert str(rule.when)


@pytest.mark.parametrize(
    ("said", "row"),
    [
        ({"images": 90, "classes": 10}, "fewer than 10 images of a class in half of the classes or more"),
        ({"images": 4_999, "similarity": "high", "domain": "satellite"}, "similarity high, fewer than 5,000 images"),
        ({"images": 5_000, "similarity": "high"}, "similarity high or medium or unknown, fewer than 50,000 images"),
        ({"images": 50_000, "similarity": "high"}, "similarity high or medium or unknown, 50,000 images or more"),
        ({"images": 499, "domain": "medical"}, "fewer than 500 images"),
        ({"images": 500, "domain": "medical"}, "similarity high or medium or unknown, fewer than 50,000 images"),
        ({"images": 499, "domain": "document"}, "fewer than 500 images"),
        ({"images": 500, "domain": "document"}, "document, similarity low, 500 images or more"),
        ({"images": 49_999}, "similarity high or medium or unknown, fewer than 50,000 images"),
    ],
)
def test_a_threshold_belongs_to_the_row_above_it(said: dict[str, Any], row: str):
    assert str(rule_for(Situation(**said)).when) == row


def numbers_in(text: str) -> set[int]:
    """Whole numbers of three digits and more, as sentences write them; neither years nor shares."""
    return {
        int(found.replace(",", ""))
        for found in re.findall(r"(?<![\d.,-])\d{1,3}(?:,\d{3})+|(?<![\d.,-])\b\d{3}\b", text)
    }


def test_what_a_row_says_of_numbers_is_its_own_condition():
    for rule in RULES:
        thresholds = {rule.when.least, rule.when.below, rule.when.per_class_below}
        assert numbers_in(rule.reason) <= thresholds, rule.reason


def table_rank(situation: Situation, **changed: Any) -> int:
    return UNFREEZING.index(rule_for(replace(situation, **changed)).strategy)


def test_a_sentence_against_a_strategy_names_the_thresholds_of_the_table():
    """Over the grid, with small classes and budgets: from the number on the table moves as much, before it does not."""
    named = 0
    budgets = (None, 250.0, 5.0)
    for cell, median, budget in itertools.product(grid(), (None, 3, 9, 10), budgets):
        situation = replace(cell, median_per_class=median, budget_seconds=budget)
        large = {"classes": None, "median_per_class": None}
        decision = decide(situation, FREE if budget is None else PRICES)
        for strategy, sentence in decision.rejected.items():
            rank = UNFREEZING.index(strategy)
            if strategy == "scratch" or strategy in NEVER_ADVISED or "would take about" in sentence:
                continue
            if rank < UNFREEZING.index(decision.strategy):
                assert numbers_in(sentence) <= {situation.images}, sentence
                continue
            takes, there = sentence.split(" that takes ")[-1].split("; there are ")
            assert sentence.startswith(f"{TOO_FREE[strategy]}; ")
            images = re.search(r"([\d,]+) images or more", takes)
            if images is not None:
                border = int(images[1].replace(",", ""))
                assert situation.images < border == least_images(strategy, situation)
                assert table_rank(situation, images=border, **large) >= rank
                assert table_rank(situation, images=border - 1, **large) < rank
                assert there.startswith(f"{situation.images:,}")
            else:
                assert table_rank(situation, **large) >= rank
            of_class = re.search(r"(\d+) or more of a class", takes)
            if of_class is not None:
                enough = max(situation.images, least_images(strategy, situation))
                assert table_rank(situation, images=enough, median_per_class=int(of_class[1])) >= rank
                assert table_rank(situation, images=enough, median_per_class=int(of_class[1]) - 1) < rank
            assert images is not None or of_class is not None
            named += 1
    assert named > 10_000


def test_the_guide_has_the_same_table():
    guide = ROOT / "docs" / "guide" / "advise.md"
    rows = [line.strip("| ").split(" | ") for line in guide.read_text(encoding="utf-8").splitlines() if "` | " in line]
    shown = [row for row in rows if len(row) == 3 and row[1].strip("`") in UNFREEZING]
    assert shown == [[str(rule.when), f"`{rule.strategy}`", rule.source] for rule in RULES]


def test_the_advice_follows_what_the_exercise_measured():
    """What textbooks recommend and the exercise measured as worse is never advised, and the advice says both."""
    accuracy = {result.strategy: result.accuracy for result in MEASURED}
    best = max(accuracy.values())
    for situation, budget in itertools.product(grid(), (None, 250.0, 5.0)):
        decision = decide(replace(situation, budget_seconds=budget), PRICES)
        assert decision.strategy not in NEVER_ADVISED
        for name in NEVER_ADVISED:
            assert f"{accuracy[name]:.3f}" in decision.rejected[name]
            assert f"{best:.3f}" in decision.rejected[name]


levels = st.sampled_from(("low", "medium", "high"))
domains = st.sampled_from(DOMAINS)
counts = st.integers(2, 2_000_000)
# Every threshold of the table and its neighbours are drawn more often than by chance.
thresholds = st.sampled_from(
    [n + d for n in (2, 20, 100, 500, 5_000, 50_000, 100_000) for d in (-1, 0, 1) if n + d >= 2]
)
images = st.one_of(counts, thresholds)
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
@given(
    counts=st.lists(st.one_of(st.integers(2, 30), images), min_size=2, max_size=12),
    smaller=st.floats(0, 1, exclude_max=True),
    similarity=similarities,
    domain=domains,
)
def test_a_class_smaller_than_all_others_does_not_freeze_more(
    counts: list[int], smaller: float, similarity: Any, domain: Any
):
    """But where half of all classes are then too small to tune on."""

    def asked(counted: list[int]) -> Situation:
        return Situation(
            images=sum(counted),
            classes=len(counted),
            median_per_class=statistics.median_low(counted),
            similarity=similarity,
            domain=domain,
        )

    more = [*counts, max(1, int(smaller * min(counts)))]
    if sum(count < FEW_PER_CLASS for count in more) < len(more) / 2:
        assert rank(asked(counts)) <= rank(asked(more))
    else:
        assert rank(asked(more)) == 0


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
    prices=st.lists(st.floats(0.1, 10_000), min_size=len(UNFREEZING), max_size=len(UNFREEZING)),
)
def test_a_smaller_budget_never_costs_more(
    n: int, similarity: Any, domain: Any, first: float, second: float, prices: list[float]
):
    """Whatever the strategies cost: only the last resort, which is feature extraction, may lie above a budget."""
    seconds = dict(zip(UNFREEZING, prices, strict=True))
    small, large = sorted((first, second))
    said = {"images": n, "similarity": similarity, "domain": domain}
    tight = decide(Situation(budget_seconds=small, **said), seconds).strategy
    loose = decide(Situation(budget_seconds=large, **said), seconds).strategy
    assert UNFREEZING.index(tight) <= UNFREEZING.index(loose)
    assert tight == loose or tight == UNFREEZING[0] or seconds[tight] < seconds[loose]


def test_a_budget_that_is_too_small_is_the_reason():
    decision = decide(Situation(images=20_000, similarity="high", budget_seconds=60.0), PRICES)
    assert (decision.strategy, decision.without_budget) == ("feature_extraction", "progressive")
    assert "budget of 1 min" in decision.reason
    assert "budget" in decision.source
    assert "the rules would choose it" in decision.rejected["progressive"]


def test_a_budget_that_is_large_enough_changes_nothing():
    open_ended = decide(Situation(images=20_000, similarity="high"), PRICES)
    for budget in (400.0, math.inf):
        assert decide(Situation(images=20_000, similarity="high", budget_seconds=budget), PRICES) == open_ended


def test_next_cheaper_strategies_are_tried_before_the_last_resort():
    """full at 400 s is too much for 250 s; partial at 150 s trains most of those that fit."""
    assert decide(Situation(images=20_000, similarity="low", budget_seconds=250.0), PRICES).strategy == "partial"


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        (Situation(images=1, similarity=0.71), "1 labelled image, photo, similarity high (0.71)"),
        (Situation(images=500, domain="medical"), "medical, similarity medium (usual for the domain)"),
        (Situation(images=1_500), "similarity unknown (neither given nor measured)"),
        (Situation(images=90, classes=9, similarity="low"), "90 labelled images, 10 of a class, photo"),
        (Situation(images=99, classes=10), "99 labelled images, 9 of a class, photo"),
        (Situation(images=90, classes=3, median_per_class=44), "90 labelled images, 44 of a median class, photo"),
    ],
)
def test_the_facts_are_cited(situation: Situation, words: str):
    assert words in facts_text(situation)


def test_a_condition_reads_as_words():
    assert str(When(("low",), ("document",), least=1_000)) == "document, similarity low, 1,000 images or more"
    assert str(When(("high",), least=5_000, below=50_000)) == "similarity high, 5,000 to 50,000 images"
    assert str(When(per_class_below=10)) == "fewer than 10 images of a class in half of the classes or more"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            {"images": 99_999, "similarity": "low"},
            "100,000 labelled images or more (rule of thumb of teaching material); there are 99,999",
        ),
        ({"images": 200_000, "similarity": "low"}, "compare with scratch afterwards"),
        ({"images": 200_000, "similarity": "high"}, "similarity high: pretrained features are a head start"),
    ],
)
def test_scratch_is_rejected_for_the_right_reason(said: dict[str, Any], words: str):
    assert words in decide(Situation(**said), FREE).rejected["scratch"]
