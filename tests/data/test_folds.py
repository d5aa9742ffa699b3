"""K folds over a whole set: each image tested once, whole groups, stratified, repeatable."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.folds import (
    divides_a_group,
    fold_numbers,
    folds_divide_groups,
    planned_folds,
    pooled_splits,
    roles_of_fold,
    with_fold_as_test,
)
from headstart.data.sources.reading import WHOLE, Dataset, ImageRecord
from headstart.data.splits import Roles
from headstart.errors import DataError
from headstart.plan.fold import Fold
from headstart.plan.sections import DataPlan

FAST = settings(max_examples=40, deadline=None)


def images(counts: dict[str, int], split: str = WHOLE) -> list[ImageRecord]:
    return [ImageRecord(f"{name}/{i:03d}.png", name, split) for name, count in counts.items() for i in range(count)]


def fires(count: int, of: int) -> tuple[list[ImageRecord], dict[str, str]]:
    """Images of both classes in groups of `of`."""
    records = [ImageRecord(f"{i % 2}/{i // of:03d}_{i:04d}.png", str(i % 2), WHOLE) for i in range(count * of)]
    return records, {record.id: record.id.split("/")[1][:3] for record in records}


def alone(records: list[ImageRecord]) -> dict[str, str]:
    return {record.id: record.id for record in records}


@FAST
@given(count=st.integers(2, 9), a=st.integers(9, 40), b=st.integers(9, 40), seed=st.integers(0, 5))
def test_folds_are_stratified_and_do_not_depend_on_the_order_of_the_images(count: int, a: int, b: int, seed: int):
    records = images({"a": a, "b": b})
    numbers = dict(
        zip((r.id for r in records), fold_numbers(records, alone(records), count=count, seed=seed), strict=True)
    )
    assert set(numbers.values()) == set(range(1, count + 1))
    for name in "ab":
        held = Counter(numbers[r.id] for r in records if r.label == name)
        assert max(held.values()) - min(held.values()) <= 1
    mixed = random.Random(seed).sample(records, len(records))
    again = fold_numbers(mixed, alone(mixed), count=count, seed=seed)
    assert [numbers[record.id] for record in mixed] == again


def test_another_seed_deals_other_folds():
    records = images({"a": 30, "b": 30})
    assert fold_numbers(records, alone(records), count=5, seed=0) != fold_numbers(
        records, alone(records), count=5, seed=1
    )


def test_groups_stay_whole_and_folds_are_about_equally_large():
    records, groups = fires(32, 27)
    numbers = fold_numbers(records, groups, count=5, seed=0)
    by_id = {record.id: number for record, number in zip(records, numbers, strict=True)}
    assert not divides_a_group(records, by_id, groups)
    sizes = Counter(numbers)
    assert max(sizes.values()) - min(sizes.values()) <= 27
    for label in "01":
        held = Counter(n for r, n in zip(records, numbers, strict=True) if r.label == label)
        assert min(held.values()) > 0.7 * max(held.values())


def test_each_image_is_tested_in_one_fold_and_trained_on_in_all_others():
    records = images({"a": 11, "b": 8}, split="train") + images({"c": 7}, split="test")
    pool = pooled_splits(Dataset("d", "DATA", tuple(records)))
    assert pool.splits() == (WHOLE,)
    numbers = fold_numbers(pool.records, alone(records), count=4, seed=0)
    tested: Counter[str] = Counter()
    for fold in (Fold(number, 4) for number in range(1, 5)):
        dealt = with_fold_as_test(pool, numbers, fold)
        assert {r.id for r in dealt.of("train")} | {r.id for r in dealt.of("test")} == {r.id for r in records}
        assert {r.label for r in dealt.of("train")} == {"a", "b", "c"}
        tested.update(r.id for r in dealt.of("test"))
    assert set(tested.values()) == {1}
    assert len(tested) == len(records)


def test_roles_of_a_fold_are_those_of_a_set_without_splits():
    train, test = images({"a": 2}, split="train"), images({"b": 1}, split="test")
    drawn = Roles(tuple(train), (), tuple(test), ("a", "b"), "out of fold in train", "test")
    roles = roles_of_fold(drawn, Fold(2, 5))
    assert roles.test_source == "fold 2 of 5"
    assert {r.split for r in (*roles.train, *roles.test)} == {WHOLE}
    assert replace(roles.test[0], split="test") == test[0]


def test_too_few_groups_and_a_class_that_could_not_be_trained_on_are_refused():
    records, groups = fires(4, 10)
    with pytest.raises(DataError, match="4 groups cannot make 5 folds"):
        fold_numbers(records, groups, count=5, seed=0)
    lone = [*images({"a": 20}), ImageRecord("b/0.png", "b", WHOLE), ImageRecord("b/1.png", "b", WHOLE)]
    together = alone(lone) | {"b/0.png": "same", "b/1.png": "same"}
    with pytest.raises(DataError, match="all images of class 'b' lie in one of 3 folds"):
        fold_numbers(lone, together, count=3, seed=0)


def test_folds_are_dealt_by_the_seed_of_the_test_set_and_known_to_divide_near_copies():
    records = images({"a": 12, "b": 12})
    by_name = alone(records)
    part = DataPlan(source="x", fold="1/4", test_seed=3)
    dealt = planned_folds(part, records, by_name, seed=0)
    assert dealt == planned_folds(part, records, by_name, seed=9) == fold_numbers(records, by_name, count=4, seed=3)
    assert not folds_divide_groups(part, records, by_name, by_name, seed=0)
    apart = next(r for r, number in zip(records, dealt, strict=True) if number != dealt[0])
    joined = by_name | {records[0].id: "same", apart.id: "same"}
    assert folds_divide_groups(part, records, by_name, joined, seed=0)
    del joined[apart.id]  # it could not be read
    assert not folds_divide_groups(part, records, by_name, joined, seed=0)
