"""Verdicts on made answers whose truth is known."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from headstart.comparison.outcomes import Outcomes
from headstart.comparison.verdicts import compare_pairs, differences
from headstart.measures.paired import mcnemar_p_value


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
    [pair] = compare_pairs([outcomes("full", right(90, 100)), outcomes("probe", right(60, 100, 20))], on="test")
    assert (pair.images, pair.seeds, pair.on) == (100, 1, "test")
    assert pair.difference == pytest.approx(0.3)
    assert pair.p_value == pair.p_corrected == mcnemar_p_value(30, 0)
    assert pair.verdict == "a"
    assert pair.further_images is None
    assert re.fullmatch(
        r"full is better than probe by 30\.0 points \(\+2\d\.\d to \+3\d\.\d\); "
        "one seed each: another seed may give another result",
        pair.sentence,
    )


def test_the_one_that_is_ahead_comes_first_in_the_sentence() -> None:
    [pair] = compare_pairs([outcomes("probe", right(50, 100)), outcomes("full", right(54, 100, 1))], on="validation")
    assert pair.verdict == "tie"
    assert pair.difference == pytest.approx(-0.04)
    assert -0.1 < pair.interval[0] < -0.04 < pair.interval[1] < 0.02
    assert pair.sentence.startswith("full and probe are tied: 4.0 points apart (")
    assert pair.further_images is not None
    assert pair.sentence.endswith(" further images would decide")


def test_further_images_decide_what_they_are_said_to_decide() -> None:
    """On 400 images a tie of 2 points (10 % of images apart); with as many more as it asks for, a verdict in 80 %."""
    side_a, side_b = right(352, 400), np.r_[right(336, 352), right(24, 48)]
    [tie] = compare_pairs([outcomes("a", side_a), outcomes("b", side_b)], on="validation")
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
    ab, ac, bc = compare_pairs(variants, on="validation")
    assert (ab.verdict, ac.verdict, bc.verdict) == ("tie", "b", "b")
    assert ac.seeds == 3
    assert "seed" not in ac.sentence
    assert ac.p_corrected > ac.p_value
    assert ac.interval[0] < ac.difference < ac.interval[1] < 0


def test_seeds_that_differ_ask_for_seeds_not_images() -> None:
    rng = np.random.default_rng(2)
    for levels, way_out in (
        ([0.95, 0.75, 0.85], "too few seeds: use 5"),
        ([0.95, 0.75, 0.85, 0.7, 0.9], "because results differ too much between seeds: train more seeds"),
    ):
        noisy = rng.random((len(levels), 3000)) < np.array(levels)[:, None]
        calm = rng.random((len(levels), 3000)) < 0.80
        [pair] = compare_pairs([outcomes("noisy", noisy), outcomes("calm", calm)], on="validation")
        assert (pair.verdict, pair.further_images) == ("tie", None)
        assert pair.sentence.endswith(way_out)
        assert pair.seeds_needed == (5 if len(levels) < 5 else None)
        assert pair.by_seed == pytest.approx(noisy.mean(axis=1) - calm.mean(axis=1))


def test_two_seeds_give_an_interval_that_can_be_used() -> None:
    """84 validation images of their own in each of two seeds: Student's t would print -91 to +91 points."""
    rng = np.random.default_rng(4)
    sides = []
    base = rng.normal(0.7, 1, (2, 84))
    for name in ("a", "b"):
        by_seed = {
            seed: {f"{seed}/{i}": float(v > 0) for i, v in enumerate(base[seed] + rng.normal(0, 0.4, 84))}
            for seed in (0, 1)
        }
        sides.append(Outcomes(name, "accuracy", by_seed, {}))
    [pair] = compare_pairs(sides, on="validation")
    assert pair.verdict == "tie"
    assert pair.interval[1] - pair.interval[0] < 0.25
    assert pair.further_images is None or pair.further_images <= 20 * pair.images


def test_a_tie_of_many_images_names_no_absurd_number() -> None:
    side_a, side_b = right(501, 1000), np.r_[right(400, 500), right(100, 500)]
    [pair] = compare_pairs([outcomes("a", side_a), outcomes("b", side_b)], on="test")
    assert (pair.verdict, pair.further_images) == ("tie", None)
    assert pair.sentence.endswith("even 20 times as many images would not decide")


def test_figures_of_different_ways_are_no_pair() -> None:
    a, b, c = (
        replace(outcomes(name, right(50 + i, 100)), method=way)
        for i, (name, way) in enumerate(
            [("a", "out of fold in train"), ("b", "held-out 20% of train"), ("c", "held-out 20% of train")]
        )
    )
    assert [(pair.a, pair.b) for pair in compare_pairs([a, b, c], on="validation")] == [("b", "c")]


def test_a_group_counts_as_one_image() -> None:
    """12 patients of 10 images: 20 images that only a has right are all of two patients, which may be chance."""
    a, b = right(80, 120), right(60, 120)
    alone = [outcomes("a", a), outcomes("b", b)]
    together = {f"{i:05}": str(i // 10) for i in range(120)}
    [image], [patient] = (
        compare_pairs(alone, on="test"),
        compare_pairs([replace(of, groups=together) for of in alone], on="test"),
    )
    assert (image.verdict, patient.verdict) == ("a", "tie")
    assert patient.p_value == pytest.approx(0.5, abs=0.03), "two patients: all four signs are equally likely"
    assert patient.interval[0] < 0 < image.interval[0]


def test_what_is_the_same_is_tied_without_hope() -> None:
    row = right(70, 100)
    [pair] = compare_pairs([outcomes("a", [row, row]), outcomes("b", [row, row])], on="validation")
    assert (pair.difference, pair.p_value, pair.verdict, pair.further_images) == (0.0, 1.0, "tie", None)
    assert pair.sentence == "a and b are tied: 0.0 points apart (-2.6 to +2.6); they are equal on all 100 images"


def test_less_log_loss_is_better() -> None:
    rng = np.random.default_rng(3)
    base = rng.exponential(0.4, 300)
    low, high = outcomes("low", base, "log_loss"), outcomes("high", base + rng.exponential(0.2, 300), "log_loss")
    [pair] = compare_pairs([low, high], on="validation")
    assert pair.verdict == "a"
    assert pair.difference < 0
    assert pair.p_value == 1e-4
    assert re.match(r"low is better than high by 0\.\d{3} nats of log loss \(\+0\.\d{3} to \+0\.\d{3}\)", pair.sentence)
    assert compare_pairs([high, low], on="validation")[0].verdict == "b"


def test_balanced_accuracy_gives_a_rare_class_its_weight() -> None:
    classes = {f"{i:05}": "rare" if i < 20 else "common" for i in range(200)}
    finds_rare = outcomes("rare", np.r_[np.ones(20), right(150, 180)], "balanced_accuracy", classes)
    finds_common = outcomes("common", np.r_[np.zeros(20), np.ones(180)], "balanced_accuracy", classes)
    [pair] = compare_pairs([finds_rare, finds_common], on="validation")
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
    assert compare_pairs([a, Outcomes("c", "accuracy", {9: {"x": 1.0}}, {})], on="validation") == []


def test_pairs_are_those_of_the_contract() -> None:
    [pair] = compare_pairs([outcomes("a", right(9, 10)), outcomes("b", right(8, 10))], on="validation")
    assert list(pair.to_dict()) == [
        *("a", "b", "on", "difference", "interval", "images", "seeds", "p_value", "p_corrected", "verdict"),
        *("further_images", "sentence", "by_seed", "seeds_needed"),
    ]
    assert isinstance(pair.to_dict()["interval"], list)
    with pytest.raises(ValueError, match="every name is expected once"):
        compare_pairs([outcomes("a", [1.0]), outcomes("a", [0.0])], on="validation")


def test_fifteen_variants_are_compared_in_seconds_and_always_alike() -> None:
    rng = np.random.default_rng(9)
    base = rng.normal(1.0, 1, 2000)
    variants = [outcomes(f"v{i}", recipe(rng, base, 3, 0.02 * i)) for i in range(15)]
    start = time.process_time()
    pairs = compare_pairs(variants, on="validation")
    assert time.process_time() - start < 10
    assert len(pairs) == 105
    # what a pair shows is its own, whoever else is compared; only the correction knows the others
    [alone] = compare_pairs([variants[3], variants[8]], on="validation")
    among = next(pair for pair in pairs if (pair.a, pair.b) == ("v3", "v8"))
    assert (alone.interval, alone.p_value) == (among.interval, among.p_value)
    assert alone.p_corrected <= among.p_corrected


def test_folds_are_rows_with_images_of_their_own_and_groups_in_them_count() -> None:
    """Five folds of 32 fires: the better variant is found, and a difference made by one fire is not."""
    rng = np.random.default_rng(1)
    fires = np.arange(640) // 20
    names = [f"{i:05}" for i in range(640)]

    def folds(name: str, correct: npt.NDArray[np.bool_]) -> Outcomes:
        rows = {
            fold: {names[i]: float(correct[i]) for i in range(640) if fires[i] % 5 == fold - 1} for fold in range(1, 6)
        }
        together = {names[i]: str(fires[i]) for i in range(640)}
        return Outcomes(name, "accuracy", rows, {}, together, "", "folds")

    base = rng.random(640) < 0.8
    better = base | (rng.random(640) < 0.5)
    [pair] = compare_pairs([folds("three", base), folds("five", better)], on="test")
    assert (pair.verdict, pair.seeds, pair.images) == ("b", 5, 640)
    assert "another seed" not in pair.sentence
    lucky = base | (fires == 7)
    [pair] = compare_pairs([folds("three", base), folds("five", lucky)], on="test")
    assert pair.verdict == "tie"
    assert "results differ too much between folds" in pair.sentence
