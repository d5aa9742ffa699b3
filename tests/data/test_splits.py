"""Roles: stratified, by group, disjoint, and a pure function of names and seed."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.sources.reading import WHOLE, Dataset, ImageRecord
from headstart.data.splits import (
    Roles,
    assign_roles,
    deal,
    deal_folds,
    group_names,
    hold_out,
    join_identical,
    limited,
    refuse_shared_groups,
    shared_groups,
    unmatched_count,
)
from headstart.errors import DataError

OPTIONS = {"test_share": 0.2, "validation_share": 0.25, "tuned": False, "seed": 0}
OPTIONS |= {"limit_train": None, "limit_test": None}
FAST = settings(max_examples=50, deadline=None)


def records_of(counts: dict[str, int], split: str = WHOLE) -> tuple[ImageRecord, ...]:
    prefix = "" if split == WHOLE else f"{split}/"
    return tuple(
        ImageRecord(f"{prefix}{label}/{index:03d}.png", label, split)
        for label, count in sorted(counts.items())
        for index in range(count)
    )


def alone(records: Sequence[ImageRecord]) -> dict[str, str]:
    return group_names(records, None)


def ids(records: Sequence[ImageRecord]) -> list[str]:
    return [record.id for record in records]


def roles_of(dataset: Sequence[ImageRecord], **options: Any) -> Roles:
    val = options.pop("val", None)
    everything = (*dataset, *(val or ()))
    return assign_roles(
        Dataset("d", "DATA", tuple(dataset)),
        val=Dataset("v", "VAL", tuple(val)) if val is not None else None,
        **({"groups": alone(everything)} | OPTIONS | options),
    )


COUNTS = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 30), min_size=1)


@FAST
@given(counts=COUNTS, parts=st.integers(2, 7), seed=st.integers(0, 9))
def test_without_groups_parts_differ_by_at_most_one_image_in_any_class(
    counts: dict[str, int], parts: int, seed: int
) -> None:
    records = records_of(counts)
    part_of = deal(records, alone(records), parts=parts, seed=seed)
    assert len(part_of) == len(records)
    assert set(part_of) <= set(range(parts))
    for label in counts:
        held = Counter(part for part, record in zip(part_of, records, strict=True) if record.label == label)
        sizes = [held[part] for part in range(parts)]
        assert max(sizes) - min(sizes) <= 1


@FAST
@given(counts=COUNTS, group_count=st.integers(1, 12), parts=st.integers(2, 5), seed=st.integers(0, 9))
def test_a_group_is_never_torn_apart(counts: dict[str, int], group_count: int, parts: int, seed: int) -> None:
    records = records_of(counts)
    draw = random.Random(seed)
    groups = {record.id: f"g{draw.randrange(group_count)}" for record in records}
    part_of = deal(records, groups, parts=parts, seed=seed)
    parts_of_group = defaultdict(set)
    for part, record in zip(part_of, records, strict=True):
        parts_of_group[groups[record.id]].add(part)
    assert all(len(held) == 1 for held in parts_of_group.values())
    try:
        kept, held = hold_out(records, groups, share=1 / parts, seed=seed)
    except DataError:
        return  # a class in too few groups; see below
    assert {groups[r.id] for r in kept}.isdisjoint({groups[r.id] for r in held})
    assert sorted(ids(kept) + ids(held)) == sorted(ids(records))
    assert {r.label for r in kept} == set(counts)


@FAST
@given(counts=COUNTS, group_count=st.integers(2, 12), most=st.integers(2, 5), seed=st.integers(0, 9))
def test_folds_are_no_more_than_the_groups_of_the_smallest_class(
    counts: dict[str, int], group_count: int, most: int, seed: int
) -> None:
    records = records_of(counts)
    draw = random.Random(seed)
    groups = {record.id: f"g{draw.randrange(group_count)}" for record in records}
    held = {label: {groups[r.id] for r in records if r.label == label} for label in counts}
    parts = max(2, min(most, *map(len, held.values())))
    assert deal_folds(records, groups, most=most, seed=seed) == deal(records, groups, parts=parts, seed=seed)


@FAST
@given(counts=st.dictionaries(st.sampled_from("abcde"), st.integers(5, 40), min_size=1), seed=st.integers(0, 99))
def test_hold_out_takes_its_share_of_every_class_whatever_the_order(counts: dict[str, int], seed: int) -> None:
    records = records_of(counts)
    kept, held = hold_out(records, alone(records), share=0.2, seed=seed)
    assert sorted(ids(kept) + ids(held)) == ids(records)
    for label, count in counts.items():
        assert sum(r.label == label for r in held) in (count // 5, -(-count // 5))
    shuffled = list(records)
    random.Random(seed).shuffle(shuffled)
    again_kept, again_held = hold_out(shuffled, alone(records), share=0.2, seed=seed)
    assert set(ids(again_held)) == set(ids(held))
    assert set(ids(again_kept)) == set(ids(kept))


def test_the_seed_decides_and_nothing_else() -> None:
    records = records_of({"a": 40, "b": 40})
    draws = [ids(hold_out(records, alone(records), share=0.25, seed=seed)[1]) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("share", [0.1, 0.2, 0.25, 0.5, 0.75, 0.8, 0.9])
def test_the_share_that_is_asked_for_is_held_out(share: float) -> None:
    records = records_of({"a": 100, "b": 60})
    kept, held = hold_out(records, alone(records), share=share, seed=0)
    assert len(kept) + len(held) == 160
    for label, count in (("a", 100), ("b", 60)):
        assert sum(r.label == label for r in held) == pytest.approx(share * count, abs=1)


@pytest.mark.parametrize("counts", [{"a": 2, "b": 2}, {"a": 2}, {"a": 3, "b": 2, "c": 4}, {"a": 4, "b": 4}])
def test_the_smallest_classes_that_training_takes_can_be_split(counts: dict[str, int]) -> None:
    """Two images a class are enough by `refuse_small_classes`: something is held out and something kept of each."""
    records = records_of(counts)
    kept, held = hold_out(records, alone(records), share=0.2, seed=0)
    assert held
    assert {r.label for r in kept} == set(counts)


@pytest.mark.parametrize("groups_of_a", [3, 10])
def test_a_class_in_one_group_only_cannot_be_split(groups_of_a: int) -> None:
    records = records_of({"a": 30, "b": 10})
    groups = {r.id: "one patient" if r.label == "b" else str(i % groups_of_a) for i, r in enumerate(records)}
    kept, held = hold_out(records, groups, share=0.5, seed=0)
    assert {r.label for r in held} == {"a"}, "the last group of a class stays"
    assert sum(r.label == "b" for r in kept) == 10
    with pytest.raises(DataError, match=r"class 'b' lies in a single group.*at least two groups.*--group"):
        assign_roles(
            Dataset("x", "x", tuple(records)),
            val=None,
            groups=groups,
            test_share=0.5,
            validation_share=0.2,
            tuned=False,
            limit_train=None,
            limit_test=None,
            seed=0,
        )


def test_group_names_takes_group_one_and_leaves_the_rest_alone() -> None:
    records = [ImageRecord(name, "a", WHOLE) for name in ("a/p1_x.png", "a/p1_y.png", "a/p2_x.png", "a/odd.png")]
    groups = group_names(records, r"/(p\d+)_")
    assert groups["a/p1_x.png"] == groups["a/p1_y.png"] != groups["a/p2_x.png"]
    assert groups["a/odd.png"] == "a/odd.png"
    assert len(set(groups.values())) == 3
    assert unmatched_count(records, groups) == 1
    assert group_names(records, None) == {record.id: record.id for record in records}


def test_a_named_group_is_not_an_image_of_the_same_name() -> None:
    records = [ImageRecord("p1", "a", WHOLE), ImageRecord("x-p1-y", "a", WHOLE)]
    groups = group_names(records, r"-(p\d)-")
    assert groups["p1"] != groups["x-p1-y"]


GIVEN = [ImageRecord(f"a/p{i}_.png", "a", WHOLE, group=group) for i, group in enumerate(["x", "x", None, "y"])]


def test_groups_that_the_source_gives_hold_without_a_pattern() -> None:
    groups = group_names(GIVEN, None)
    assert groups["a/p0_.png"] == groups["a/p1_.png"] != groups["a/p3_.png"]
    assert groups["a/p2_.png"] == "a/p2_.png"
    assert unmatched_count(GIVEN, groups) == 1
    named = [ImageRecord("x", "a", WHOLE), *GIVEN]
    assert group_names(named, None)["x"] != groups["a/p0_.png"], "an image is not the group of the same name"


def test_a_pattern_wins_over_the_groups_that_the_source_gives() -> None:
    groups = group_names(GIVEN, r"(p[02])_")
    assert len(set(groups.values())) == 4
    assert [groups["a/p1_.png"], groups["a/p3_.png"]] == ["a/p1_.png", "a/p3_.png"]


def test_given_groups_stay_on_one_side_of_given_splits() -> None:
    records = [replace(GIVEN[0], split="train"), replace(GIVEN[1], split="test")]
    with pytest.raises(DataError, match=r"1 groups lie in more than one given split \(first: x\)"):
        refuse_shared_groups(records, group_names(records, None))


def test_a_pattern_that_matches_nothing_is_refused_with_an_example() -> None:
    with pytest.raises(DataError) as caught:
        group_names(records_of({"a": 3}), r"patient(\d+)")
    for words in (r"'patient(\\d+)'", "none of 3", "a/000.png", "group 1 names the patient"):
        assert words in str(caught.value)


def test_identical_files_join_their_groups_through_any_chain() -> None:
    groups = {"1": "A", "2": "A", "3": "B", "4": "C", "5": "D", "6": "E"}
    digests = {"1": "x", "2": "y", "3": "y", "4": "z", "5": "z", "6": "w"}  # 2 = 3 joins A and B; 4 = 5 joins C and D
    joined = join_identical(groups, digests)
    assert joined["1"] == joined["2"] == joined["3"]
    assert joined["4"] == joined["5"]
    assert len(set(joined.values())) == 3


@FAST
@given(st.dictionaries(st.integers(0, 30).map(str), st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1))
def test_joined_groups_are_the_connected_components(images: dict[str, tuple[int, int]]) -> None:
    from scipy.cluster.hierarchy import DisjointSet

    nodes = DisjointSet([f"{kind}{number}" for kind in "gd" for number in range(9)])
    for group, digest in images.values():
        nodes.merge(f"g{group}", f"d{digest}")
    joined = join_identical(
        {name: str(group) for name, (group, _) in images.items()}, {name: str(d) for name, (_, d) in images.items()}
    )
    pairs = {(joined[name], nodes[f"g{group}"]) for name, (group, _) in images.items()}
    assert len(pairs) == len({ours for ours, _ in pairs}) == len({theirs for _, theirs in pairs})


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, {"a": 80, "b": 20}),
        ("10/class", {"a": 10, "b": 10}),
        ("50/class", {"a": 50, "b": 20}),
        ("10", {"a": 8, "b": 2}),
        ("50", {"a": 40, "b": 10}),
        ("1000", {"a": 80, "b": 20}),
    ],
)
def test_limited_counts(limit: str | None, expected: dict[str, int]) -> None:
    records = records_of({"a": 80, "b": 20})
    chosen = limited(records, limit, seed=0)
    assert Counter(record.label for record in chosen) == expected
    assert ids(chosen) == sorted(ids(chosen))
    again = limited(records[::-1], limit, seed=0)
    assert ids(chosen) == sorted(ids(again)), "the order of the input plays no part"


def test_a_larger_sample_holds_the_smaller_one() -> None:
    records = records_of({"a": 50, "b": 30})
    for small, large in (("5/class", "10/class"), ("8", "20")):
        assert set(ids(limited(records, small, seed=3))) < set(ids(limited(records, large, seed=3)))
    assert limited(records, "5/class", seed=3) != limited(records, "5/class", seed=4)


ALL_SPLITS = [*records_of({"a": 20, "b": 10}, "train"), *records_of({"a": 5, "b": 5}, "val")]
ALL_SPLITS += records_of({"a": 4, "b": 4}, "test")
WITHOUT = {name: [r for r in ALL_SPLITS if r.split != name] for name in ("val", "test")}
FOLDS = "out of fold in train"


@pytest.mark.parametrize(
    ("dataset", "tuned", "sizes", "validation_source", "test_source"),
    [
        (records_of({"a": 20, "b": 10}), False, (24, 0, 6), FOLDS, "held-out 20% of the images"),
        (records_of({"a": 20, "b": 10}), True, (18, 6, 6), "held-out 25% of train", "held-out 20% of the images"),
        (records_of({"a": 20, "b": 10}, "train"), False, (24, 0, 6), FOLDS, "held-out 20% of the images"),
        (WITHOUT["test"], False, (30, 0, 10), FOLDS, "val"),
        (WITHOUT["test"], True, (22, 8, 10), "held-out 25% of train", "val"),
        (WITHOUT["val"], False, (30, 0, 8), FOLDS, "test"),
        (WITHOUT["val"], True, (22, 8, 8), "held-out 25% of train", "test"),
        (ALL_SPLITS, False, (30, 10, 8), "val", "test"),
        (ALL_SPLITS, True, (30, 10, 8), "val", "test"),
    ],
)
def test_roles_of_every_combination_of_splits(
    dataset: Sequence[ImageRecord], tuned: bool, sizes: tuple[int, int, int], validation_source: str, test_source: str
) -> None:
    roles = roles_of(dataset, tuned=tuned)
    found = (len(roles.train), len(roles.validation), len(roles.test))
    assert all(abs(ours - expected) <= 1 for ours, expected in zip(found, sizes, strict=True)), found
    assert sum(found) == len(dataset), "every image has one role"
    assert len({*ids(roles.train), *ids(roles.validation), *ids(roles.test)}) == len(dataset), "no image has two"
    assert roles.validation_source == validation_source
    assert roles.test_source == test_source
    assert roles.classes == ("a", "b")
    if validation_source == "val":
        assert roles.training_pool == roles.train
    else:
        assert ids(roles.training_pool) == sorted(ids(roles.train) + ids(roles.validation))


@pytest.mark.parametrize("dataset", [records_of({"a": 20, "b": 10}), ALL_SPLITS])
def test_a_val_folder_of_the_user_reports(dataset: Sequence[ImageRecord]) -> None:
    val = [ImageRecord(f"val:{label}.png", label, "val") for label in "ab"]
    roles = roles_of(dataset, val=val, tuned=True)
    assert roles.test == tuple(val)
    assert roles.test_source == "val"
    assert len(roles.training_pool) == 30
    assert {record.split for record in roles.training_pool} <= {"train", WHOLE}


def test_limits_bound_train_and_report_and_keep_the_classes() -> None:
    roles = roles_of(ALL_SPLITS, limit_train="3/class", limit_test="4")
    assert (len(roles.train), len(roles.validation), len(roles.test)) == (6, 10, 4)
    assert roles_of(ALL_SPLITS, limit_train="1").classes == ("a", "b")


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_train_does_not_know_is_refused_by_name_and_split(split: str) -> None:
    with pytest.raises(DataError) as caught:
        roles_of([*ALL_SPLITS, ImageRecord(f"{split}/kat/1.png", "kat", split)])
    for words in (f"{split} has classes that train does not: kat", "only a, b", "add training images", "rename"):
        assert words in str(caught.value)


def test_splits_without_train_are_refused() -> None:
    with pytest.raises(DataError, match=r"DATA has the splits val, test but no train; expected a train folder"):
        roles_of([record for record in ALL_SPLITS if record.split != "train"])


def test_given_splits_that_tear_a_group_apart_are_refused() -> None:
    records = [
        ImageRecord(f"{s}/a/p{p}_{s}.png", "a", s) for s, p in (("train", 1), ("val", 1), ("train", 2), ("val", 3))
    ]
    groups = group_names(records, r"/(p\d)_")
    assert shared_groups(records, groups) == ["p1"]
    with pytest.raises(DataError) as caught:
        refuse_shared_groups(records, groups)
    for words in ("1 groups", "first: p1", "one side only", "merge the split folders", "--group", "the column group"):
        assert words in str(caught.value)
    refuse_shared_groups(records[1:], groups)
    refuse_shared_groups(records, alone(records))
