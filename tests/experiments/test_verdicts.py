"""Verdicts on made answers whose truth is known."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from headstart.experiments.outcomes import Outcomes
from headstart.experiments.resampling import mcnemar_p_value
from headstart.experiments.verdicts import Pair, choose, compare, differences


def outcomes(name: str, rows: object, metric: str = "accuracy", classes: dict[str, str] | None = None) -> Outcomes:
    array = np.atleast_2d(np.asarray(rows, np.float64))
    by_seed = {seed: {f"{i:05}": float(v) for i, v in enumerate(row)} for seed, row in enumerate(array)}
    return Outcomes(name, metric, by_seed, classes or {})  # type: ignore[arg-type]


def right(count: int, images: int, first: int = 0) -> npt.NDArray[np.float64]:
    """`count` right answers from image `first` on."""
    row = np.zeros(images)
    row[first : first + count] = 1
    return row


def recipe(rng: np.random.Generator, base: npt.NDArray[np.float64], seeds: int, better: float) -> npt.NDArray[np.bool_]:
    return base + better + rng.normal(0, 0.3, (seeds, len(base))) + rng.normal(0, 0.03, (seeds, 1)) > 0


def test_one_seed_is_mcnemars_test_and_says_so() -> None:
    [pair] = compare([outcomes("full", right(90, 100)), outcomes("probe", right(60, 100, 20))], on="report")
    assert (pair.images, pair.seeds, pair.on) == (100, 1, "report")
    assert pair.difference == pytest.approx(0.3)
    assert pair.p_value == pair.p_corrected == mcnemar_p_value(30, 0)
    assert pair.verdict == "a"
    assert pair.further_images is None
    assert re.fullmatch(
        r"full is better than probe by 30\.0 points \(\+2\d\.\d to \+3\d\.\d\); "
        "with one seed each, so another seed may come out differently",
        pair.sentence,
    )


def test_the_one_that_is_ahead_comes_first_in_the_sentence() -> None:
    [pair] = compare([outcomes("probe", right(50, 100)), outcomes("full", right(54, 100, 1))], on="select")
    assert pair.verdict == "tie"
    assert pair.difference == pytest.approx(-0.04)
    assert -0.1 < pair.interval[0] < -0.04 < pair.interval[1] < 0.02
    assert pair.sentence.startswith("full and probe are tied: 4.0 points apart (")
    assert pair.further_images is not None
    assert pair.sentence.endswith(" further images would tell them apart")


def test_further_images_decide_what_they_are_said_to_decide() -> None:
    """On 400 images a tie of 2 points (10 % of images apart); with as many more as it asks for, a verdict in 80 %."""
    side_a, side_b = right(352, 400), np.r_[right(336, 352), right(24, 48)]
    [tie] = compare([outcomes("a", side_a), outcomes("b", side_b)], on="select")
    assert (tie.verdict, tie.difference) == ("tie", pytest.approx(-0.02))
    assert tie.further_images is not None
    rng, decided = np.random.default_rng(0), 0
    for _ in range(200):
        drawn = rng.integers(0, 400, 400 + tie.further_images)
        [found] = differences([(outcomes("a", side_a[drawn]), outcomes("b", side_b[drawn]))])
        assert found is not None
        decided += found.p_value < 0.05
    assert 0.7 <= decided / 200 <= 0.9


def test_several_seeds_find_a_large_difference_and_tie_equals() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(1.0, 1, 800)
    variants = [outcomes(name, recipe(rng, base, 3, better)) for name, better in (("a", 0), ("b", 0), ("c", 0.5))]
    ab, ac, bc = compare(variants, on="select")
    assert (ab.verdict, ac.verdict, bc.verdict) == ("tie", "b", "b")
    assert ac.seeds == 3
    assert "seed" not in ac.sentence
    assert ac.p_corrected > ac.p_value
    assert ac.interval[0] < ac.difference < ac.interval[1] < 0


def test_seeds_that_differ_ask_for_seeds_not_images() -> None:
    rng = np.random.default_rng(2)
    noisy = rng.random((3, 3000)) < np.array([[0.95], [0.75], [0.85]])
    [pair] = compare([outcomes("noisy", noisy), outcomes("calm", rng.random((3, 3000)) < 0.80)], on="select")
    assert (pair.verdict, pair.further_images) == ("tie", None)
    assert pair.sentence.endswith("because seeds differ too much: train more seeds")


def test_what_is_the_same_is_tied_without_hope() -> None:
    row = right(70, 100)
    [pair] = compare([outcomes("a", [row, row]), outcomes("b", [row, row])], on="select")
    assert (pair.difference, pair.p_value, pair.verdict, pair.further_images) == (0.0, 1.0, "tie", None)
    assert pair.sentence.endswith("no difference that a million further images would show")


def test_less_log_loss_is_better() -> None:
    rng = np.random.default_rng(3)
    base = rng.exponential(0.4, 300)
    low, high = outcomes("low", base, "log_loss"), outcomes("high", base + rng.exponential(0.2, 300), "log_loss")
    [pair] = compare([low, high], on="select")
    assert pair.verdict == "a"
    assert pair.difference < 0
    assert pair.p_value == 1e-4
    assert re.match(r"low is better than high by 0\.\d{3} nats of log loss \(\+0\.\d{3} to \+0\.\d{3}\)", pair.sentence)
    assert compare([high, low], on="select")[0].verdict == "b"


def test_balanced_accuracy_gives_a_rare_class_its_weight() -> None:
    classes = {f"{i:05}": "rare" if i < 20 else "common" for i in range(200)}
    finds_rare = outcomes("rare", np.r_[np.ones(20), right(150, 180)], "balanced_accuracy", classes)
    finds_common = outcomes("common", np.r_[np.zeros(20), np.ones(180)], "balanced_accuracy", classes)
    [pair] = compare([finds_rare, finds_common], on="select")
    assert pair.difference == pytest.approx((1 + 150 / 180) / 2 - 0.5)
    assert pair.verdict == "a"
    assert "points of balanced accuracy" in pair.sentence


def test_only_common_seeds_and_images_count() -> None:
    a = Outcomes("a", "accuracy", {0: {"x": 1.0, "y": 1.0}, 1: {"x": 1.0}, 7: {"z": 0.0}}, {})
    b = Outcomes("b", "accuracy", {0: {"y": 0.0, "w": 1.0}, 1: {"x": 1.0}, 7: {"y": 1.0}, 8: {"x": 1.0}}, {})
    [found] = differences([(a, b)])
    assert found is not None
    assert (found.images, found.seeds) == (2, 2)
    assert found.table.mean == 0.5  # seed 0: 1, seed 1: 0
    assert compare([a, Outcomes("c", "accuracy", {9: {"x": 1.0}}, {})], on="select") == []


def test_pairs_are_those_of_the_contract() -> None:
    [pair] = compare([outcomes("a", right(9, 10)), outcomes("b", right(8, 10))], on="select")
    assert list(pair.to_dict()) == [
        *("a", "b", "on", "difference", "interval", "images", "seeds", "p_value", "p_corrected", "verdict"),
        *("further_images", "sentence"),
    ]
    assert isinstance(pair.to_dict()["interval"], list)
    with pytest.raises(ValueError, match="every name is expected once"):
        compare([outcomes("a", [1.0]), outcomes("a", [0.0])], on="select")


def test_choice_is_the_best_mean_and_names_its_ties() -> None:
    variants = [
        outcomes("probe", right(60, 200)),
        outcomes("full", right(180, 200)),
        outcomes("gradual", right(179, 200, 1)),
    ]
    variants.append(Outcomes("other", "accuracy", {5: {"x": 0.0}}, {}))
    pairs = compare(variants, on="select")
    choice = choose(variants, [*pairs, replace(pairs[0], on="report", verdict="a")])
    assert choice.to_dict() == {"variant": "full", "on": "select", "why": choice.why, "tied_with": ["gradual"]}
    assert choice.why == (
        "full has the best accuracy on the 200 images that choose, 90.0 % (85.1 to 93.4 %), over 1 seed; "
        "beyond chance better than probe; it cannot be told from gradual; no image in common with other"
    )
    with pytest.raises(ValueError, match="no variant was measured"):
        choose([], [])


def test_choice_prefers_less_log_loss_and_the_first_of_equals() -> None:
    variants = [outcomes(name, np.full(40, loss), "log_loss") for name, loss in (("a", 0.5), ("b", 0.2), ("c", 0.2))]
    choice = choose(variants, compare(variants, on="select"))
    assert (choice.variant, choice.tied_with) == ("b", ("c",))
    assert "0.200 nats" in choice.why


def test_a_choice_that_loses_on_common_images_says_so() -> None:
    variants = [outcomes("full", right(100, 200)), outcomes("easy", np.ones(50))]
    pair = Pair("easy", "full", "select", -0.1, (-0.2, -0.05), 50, 1, 0.001, 0.001, "b", None, "")
    assert choose(variants, [pair]).why.endswith("; worse than full on what both answered")


def test_fifteen_variants_are_compared_in_seconds_and_always_alike() -> None:
    rng = np.random.default_rng(9)
    base = rng.normal(1.0, 1, 2000)
    variants = [outcomes(f"v{i}", recipe(rng, base, 3, 0.02 * i)) for i in range(15)]
    start = time.process_time()
    pairs = compare(variants, on="select")
    assert time.process_time() - start < 10
    assert len(pairs) == 105
    # what a pair shows is its own, whoever else is compared; only the correction knows the others
    [alone] = compare([variants[3], variants[8]], on="select")
    among = next(pair for pair in pairs if (pair.a, pair.b) == ("v3", "v8"))
    assert (alone.interval, alone.p_value) == (among.interval, among.p_value)
    assert alone.p_corrected <= among.p_corrected
