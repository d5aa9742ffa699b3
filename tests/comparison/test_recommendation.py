"""The variant to use: the best where it can be told, the cheapest of a tie where it cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from headstart.comparison.identical import Entry
from headstart.comparison.outcomes import Outcomes
from headstart.comparison.recommendation import VariantCost, recommend
from headstart.comparison.verdicts import Pair, compare_pairs


def outcomes(name: str, row: npt.NDArray[np.float64], metric: str = "accuracy") -> Outcomes:
    return Outcomes(name, metric, {0: {f"{i:05}": float(v) for i, v in enumerate(row)}}, {})  # type: ignore[arg-type]


def right(count: int, images: int, first: int = 0) -> npt.NDArray[np.float64]:
    row = np.zeros(images)
    row[first : first + count] = 1
    return row


TIED = [outcomes("a", right(180, 200)), outcomes("b", right(181, 200)), outcomes("c", right(179, 200, 1))]


def test_one_that_is_better_than_all_is_the_headline() -> None:
    variants = [outcomes("probe", right(60, 200)), outcomes("full", right(180, 200)), outcomes("old", right(50, 200))]
    choice = recommend(variants, compare_pairs(variants, on="validation"), {"probe": VariantCost(1.0)})
    assert (choice.variant, choice.tied_with, choice.best) == ("full", (), "full")
    assert choice.headline == "full is better than probe and old"
    assert choice.why == (
        "full has the best accuracy on the 200 validation images, 90.0 % (85.1 to 93.4 %), over 1 seed; "
        "significantly better than all 2 others"
    )


@pytest.mark.parametrize(
    ("costs", "cheapest"),
    [
        ({"a": VariantCost(30.0, 5), "b": VariantCost(60.0, 5), "c": VariantCost(10.0, 9)}, "c"),
        (
            {"a": VariantCost(10.5, 5), "b": VariantCost(60.0, 1), "c": VariantCost(10.0, 9)},
            "a",
        ),  # as quick, and smaller
        ({"a": VariantCost(10.5, None), "b": VariantCost(None, 1), "c": VariantCost(10.0, None)}, "c"),
    ],
)
def test_of_a_tie_the_cheapest_is_recommended(costs: dict[str, VariantCost], cheapest: str) -> None:
    choice = recommend(TIED, compare_pairs(TIED, on="validation"), costs)
    assert (choice.variant, choice.best) == (cheapest, "b")
    assert (
        choice.headline
        == f"no variant is significantly better than the others: a, b, c tie; the cheapest is {cheapest}"
    )
    assert set(choice.tied_with) == {"a", "b", "c"} - {cheapest}
    assert f"{cheapest}, " in choice.why
    assert choice.why.endswith("is the cheapest of them")


def test_a_tie_at_the_top_names_who_is_worse() -> None:
    variants = [*TIED, outcomes("weak", right(60, 200))]
    choice = recommend(
        variants, compare_pairs(variants, on="validation"), {of.variant: VariantCost(5.0) for of in variants}
    )
    assert choice.headline == "a, b, c are tied; the cheapest is a; weak is worse than the best of them"
    assert "weak" not in choice.tied_with


def test_without_costs_the_best_figure_stands_and_says_that_it_is_one() -> None:
    choice = recommend(TIED, compare_pairs(TIED, on="validation"))
    assert choice.variant == "b"
    assert choice.headline.endswith("a, b, c tie; the best on these images is b")


def test_one_model_of_two_names_is_said() -> None:
    entry = Entry("a", ("tuned a",), "tuned a selected the linear probe in 2 of 2 seeds")
    said = recommend(TIED[:1], [], {"a": VariantCost(1.0)}, [entry]).headline
    assert said == (
        "all variants are one model: a and tuned a (tuned a selected the linear probe in 2 of 2 seeds); "
        "the cheapest is a"
    )
    assert recommend(TIED, compare_pairs(TIED, on="validation"), {}, [entry, Entry("b"), Entry("c")]).headline == (
        recommend(TIED, compare_pairs(TIED, on="validation"), {}).headline
    )


def test_what_was_validated_in_another_way_is_not_ranked() -> None:
    """The one out of fold has the best figure by far, on other heads: it neither wins nor loses."""
    ways = ["held-out 20% of train", "held-out 20% of train", "out of fold in train"]
    variants = [replace(of, method=way) for of, way in zip([*TIED[:2], outcomes("c", np.ones(200))], ways, strict=True)]
    choice = recommend(
        variants,
        compare_pairs(variants, on="validation"),
        {"a": VariantCost(1.0), "b": VariantCost(2.0), "c": VariantCost(0.1)},
    )
    assert (choice.variant, choice.tied_with, choice.not_ranked) == ("a", ("b",), ("c",))
    assert choice.headline == (
        "no variant is significantly better than the others: a and b tie; the cheapest is a; "
        "c cannot be ranked against the others: validated out of fold in train, the others held-out 20% of train; "
        "a new comparison validates all variants in one way"
    )


def test_less_log_loss_is_better() -> None:
    variants = [outcomes(name, np.full(40, loss), "log_loss") for name, loss in (("a", 0.5), ("b", 0.2), ("c", 0.2))]
    choice = recommend(variants, compare_pairs(variants, on="validation"))
    assert (choice.variant, choice.tied_with) == ("b", ("c",))
    assert "0.200 nats" in choice.why


def test_a_choice_that_loses_on_common_images_says_so() -> None:
    variants = [outcomes("full", right(100, 200)), outcomes("easy", np.ones(50))]
    pair = Pair("easy", "full", "validation", -0.1, (-0.2, -0.05), 50, 1, 0.001, 0.001, "b", None, "")
    assert recommend(variants, [pair]).why.endswith("; worse than full on their common images")


def test_test_images_choose_nothing() -> None:
    pairs = compare_pairs(TIED, on="validation")
    assert recommend(TIED, [*pairs, replace(pairs[0], on="test", verdict="a")]) == recommend(TIED, pairs)
    with pytest.raises(ValueError, match="no variant was measured"):
        recommend([], [])
    assert recommend(TIED, pairs).test is None
