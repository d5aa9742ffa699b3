"""Labels of made curves whose story is known."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.comparison.learning_rate_labels import (
    LearningRateCurve,
    LearningRateEffect,
    LearningRateLabel,
    compare_with_textbook,
    label_learning_rates,
)
from headstart.comparison.outcomes import Outcomes

FAST = settings(max_examples=40, deadline=None)
IMAGES, SEEDS = 400, 3


def share(accuracy: float, seed: int = 0, metric: str = "accuracy") -> Outcomes:
    """Three seeds about as right as `accuracy`: the same easy images, and some luck at the border."""
    rng = np.random.default_rng(seed)
    rows = {}
    for number in range(SEEDS):
        wrong = np.arange(IMAGES) + rng.normal(0, 4, IMAGES) >= accuracy * IMAGES
        values = 0.1 + 2.0 * wrong if metric == "log_loss" else 1.0 - wrong
        rows[number] = {f"{i:03}": float(value) for i, value in enumerate(values)}
    return Outcomes(f"{accuracy:.2f}", metric, rows, {})


def curve(
    learning_rate: float,
    accuracies: Sequence[float],
    losses: Sequence[float],
    start: float | None = 0.8,
    initialised_from: Literal["start", "random head"] = "start",
) -> LearningRateCurve:
    epochs = [share(accuracy, place + 1) for place, accuracy in enumerate(accuracies)]
    return LearningRateCurve(learning_rate, losses, epochs, None if start is None else share(start), initialised_from)


def labels(curves: Sequence[LearningRateCurve]) -> dict[float, str]:
    return {found.learning_rate: found.label for found in label_learning_rates(curves)}


def textbook_curves(initialised_from: Literal["start", "random head"] = "start") -> list[LearningRateCurve]:
    """The exercise as textbooks tell it."""
    low = 0.1 if initialised_from == "random head" else 0.8
    return [
        curve(1e-2, [0.2, 0.4, 0.5], [2.2, 1.7, 1.4], initialised_from=initialised_from),
        curve(1e-3, [0.6, 0.72, 0.84], [1.2, 0.8, 0.5], initialised_from=initialised_from),
        curve(1e-4, [0.85, 0.9, 0.92], [0.6, 0.3, 0.2], initialised_from=initialised_from),
        curve(1e-5, [0.84, 0.89, 0.918], [0.7, 0.5, 0.4], initialised_from=initialised_from),
        curve(1e-6, [low, low + 0.01, low + 0.02], [0.9, 0.85, 0.8], initialised_from=initialised_from),
    ]


@pytest.mark.parametrize("initialised_from", ["start", "random head"])
def test_the_textbooks_story_gets_the_textbooks_labels(initialised_from: Literal["start", "random head"]) -> None:
    found = labels(textbook_curves(initialised_from))
    expected = {1e-2: "forgets", 1e-3: "forgets", 1e-4: "sweet spot", 1e-5: "sweet spot", 1e-6: "undertrains"}
    assert found == expected


def test_sentences_carry_the_numbers() -> None:
    why = {found.learning_rate: found.why for found in label_learning_rates(textbook_curves())}
    assert why[1e-2].startswith("ends 29.5 points ")
    assert "worse than the linear probe it started from (" in why[1e-2]
    assert why[1e-3].startswith("dropped to 60.")
    assert "in epoch 1, from the 79.8 % of the linear probe" in why[1e-3]
    assert why[1e-4].startswith("ends best of all learning rates, at 9")
    assert "from the best learning rate, 0.0001: not significant; no worse than the linear probe" in why[1e-5]
    assert why[1e-6].endswith("and is the smaller one; training loss 0.80 against 0.20, still falling")


@pytest.mark.parametrize(
    ("losses", "outcome", "why"),
    [
        ([2.0, math.nan, 2.0], "finished", "not finite in epoch 2"),
        ([2.0, math.inf], "diverged", "not finite in epoch 2"),
        ([2.0, 2.1], "diverged", "no longer finite"),
        ([2.0, 1.0, 2.7], "finished", "ends at 2.70, above the 2.00 of the first epoch"),
    ],
)
def test_a_loss_that_runs_away_diverges(
    losses: list[float], outcome: Literal["finished", "diverged"], why: str
) -> None:
    gone = LearningRateCurve(1.0, losses, [share(0.9)], None, "start", outcome)
    found = label_learning_rates([gone, curve(1e-3, [0.8], [0.5])])
    assert (found[0].label, found[1].label) == ("diverges", "sweet spot")
    assert why in found[0].why
    json.dumps(asdict(found[0]), allow_nan=False)


def test_a_loss_near_zero_that_doubles_does_not_diverge() -> None:
    assert labels([curve(1e-3, [0.9], [0.001, 0.002]), curve(1e-4, [0.9], [2.0, 2.4])]) == {
        1e-3: "sweet spot",
        1e-4: "sweet spot",
    }


def test_one_that_diverged_needs_no_answers_and_is_never_the_best() -> None:
    found = label_learning_rates([LearningRateCurve(1.0, [], [], outcome="diverged")])
    assert found[0].label == "diverges"
    assert set(found[0].figures.values()) == {None}


def test_a_dip_that_heals_is_no_forgetting() -> None:
    dips = curve(1e-3, [0.6, 0.8, 0.9], [1.0, 0.5, 0.2])
    assert labels([dips, curve(1e-4, [0.85, 0.88, 0.9], [0.6, 0.4, 0.3])])[1e-3] == "sweet spot"


def test_a_small_rate_that_fell_and_stayed_behind_forgets() -> None:
    """Evidence goes before the side of the best rate."""
    fell = curve(1e-4, [0.6, 0.8, 0.82], [1.0, 0.7, 0.5])
    assert labels([fell, curve(1e-3, [0.85, 0.9, 0.93], [0.6, 0.3, 0.2])])[1e-4] == "forgets"


def test_without_a_start_the_side_of_the_best_rate_decides() -> None:
    curves = [
        curve(learning_rate, [a], [1.0, 0.5], start=None)
        for learning_rate, a in ((1e-2, 0.6), (1e-3, 0.9), (1e-4, 0.7))
    ]
    found = label_learning_rates(curves)
    assert [each.label for each in found] == ["forgets", "sweet spot", "undertrains"]
    assert found[0].figures["probe_value"] is None


@pytest.mark.parametrize(("losses", "label"), [([2.0, 1.5], "undertrains"), ([2.0, 1.99], "forgets")])
def test_where_no_rate_reaches_the_frozen_features_the_training_loss_decides(losses: list[float], label: str) -> None:
    found = label_learning_rates([curve(1e-3, [0.4], losses, initialised_from="random head")])
    assert found[0].label == label
    assert "worse than the linear probe; the training loss" in found[0].why


def test_less_log_loss_is_better() -> None:
    start = share(0.8, metric="log_loss")
    good, bad = (
        LearningRateCurve(learning_rate, [1.0, 0.5], [share(accuracy, 3, "log_loss")], start)
        for learning_rate, accuracy in ((1e-4, 0.9), (1e-2, 0.5))
    )
    assert labels([good, bad]) == {1e-4: "sweet spot", 1e-2: "forgets"}


LOSSES = st.lists(st.one_of(st.floats(0, 5), st.just(math.nan)), min_size=1, max_size=4)


@st.composite
def any_curves(draw: st.DrawFn) -> list[LearningRateCurve]:
    rates = draw(st.lists(st.sampled_from([10.0**-k for k in range(7)]), min_size=1, max_size=5, unique=True))
    start = draw(st.one_of(st.none(), st.floats(0.1, 0.9)))
    initialised_from: Literal["start", "random head"] = draw(st.sampled_from(["start", "random head"]))
    accuracies = st.lists(st.floats(0.05, 0.95), min_size=1, max_size=3)
    return [curve(learning_rate, draw(accuracies), draw(LOSSES), start, initialised_from) for learning_rate in rates]


@FAST
@given(any_curves(), st.randoms(use_true_random=False))
def test_every_curve_gets_one_label_whatever_the_order(curves: list[LearningRateCurve], order: random.Random) -> None:
    found = labels(curves)
    assert set(found) == {each.learning_rate for each in curves}
    assert set(found.values()) <= set(get_args(LearningRateEffect))
    shuffled = curves.copy()
    order.shuffle(shuffled)
    assert labels(shuffled) == found


@FAST
@given(any_curves())
def test_without_frozen_features_labels_follow_the_rate(curves: list[LearningRateCurve]) -> None:
    bare = [LearningRateCurve(each.learning_rate, each.train_losses, each.epochs) for each in curves]
    found = [each for each in label_learning_rates(bare) if each.label != "diverges"]
    if not found:
        return
    best = found[0].figures["best_learning_rate"]
    assert best is not None
    assert next(each.label for each in found if each.learning_rate == best) == "sweet spot"
    for each in found:
        assert each.label in (
            {"undertrains", "sweet spot"} if each.learning_rate <= best else {"forgets", "sweet spot"}
        )


@FAST
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_more_wrong_images_never_make_a_sweet_spot(wrong: int, more: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(200)

    def ends(wrong_images: Sequence[int]) -> Outcomes:
        values = np.ones(200)
        values[wrong_images] = 0
        return Outcomes("v", "accuracy", {0: {f"{i:03}": float(value) for i, value in enumerate(values)}}, {})

    def label(count: int) -> str:
        best = LearningRateCurve(1e-3, [0.5, 0.2], [ends(range(8))])
        return labels([best, LearningRateCurve(1e-4, [0.6, 0.4], [ends(order[: 9 + count].tolist())])])[1e-4]

    if label(wrong) != "sweet spot":
        assert label(wrong + more) == "undertrains"


def test_textbook_is_set_beside_what_was_seen() -> None:
    found = [
        LearningRateLabel(learning_rate, label, "because", {})
        for learning_rate, label in ((1e-3, "sweet spot"), (1e-2, "diverges"))
    ]
    found += [
        LearningRateLabel(0.1 * 1e-4, "sweet spot", "because", {}),
        LearningRateLabel(1e-6, "sweet spot", "it ends well", {}),
    ]
    rows = compare_with_textbook(found)
    assert [row.learning_rate for row in rows] == [1e-2, 1e-3, 0.1 * 1e-4, 1e-6]
    assert [row.holds for row in rows] == [False, True, True, False]
    assert [row.expected for row in rows] == ["forgets", None, "sweet spot", "undertrains"]
    assert rows[1].sentence == "0.001: sweet spot; the textbook says nothing of it"
    assert rows[2].sentence == "1e-05: sweet spot, as the textbook says"
    assert rows[3].sentence == "1e-06: sweet spot, but the textbook says undertrains: it ends well"


def test_what_cannot_be_labelled_is_refused() -> None:
    with pytest.raises(ValueError, match="each is expected once"):
        label_learning_rates([curve(1e-3, [0.9], [1.0]), curve(1e-3, [0.8], [1.0])])
    with pytest.raises(ValueError, match=r"learning rate -1\.0; a positive number is expected"):
        LearningRateCurve(-1.0, [1.0], [share(0.9)])
    with pytest.raises(ValueError, match=r"rate 0\.001 has no evaluated epoch"):
        LearningRateCurve(1e-3, [1.0], [])
    stranger = LearningRateCurve(1e-2, [1.0], [Outcomes("stranger", "accuracy", {9: {"x": 1.0}}, {})])
    with pytest.raises(ValueError, match="share no image in any seed"):
        label_learning_rates([curve(1e-3, [0.9], [1.0]), stranger])
