"""K-fold cross-validation over a whole set: folds by group, stratified, a pure function of names and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from headstart.amounts import count_text
from headstart.data.sources.reading import WHOLE, Dataset, ImageRecord
from headstart.data.splits import Roles, deal
from headstart.errors import DataError
from headstart.plan.fold import Fold
from headstart.plan.sections import DataPlan


def fold_numbers(records: Sequence[ImageRecord], groups: Mapping[str, str], *, count: int, seed: int) -> list[int]:
    """Fold 1..count of every record: whole groups, each class spread as evenly as the groups allow.

    Args:
        records: All images, of every split.
        groups: Image id -> group.
        count: Number of folds.
        seed: Of the order in which equal groups are dealt.

    Raises:
        DataError: fewer groups than folds, or all images of a class in one fold, where it could not be trained on.
    """
    names = {groups[record.id] for record in records}
    if len(names) < count:
        raise DataError(
            f"{count_text(len(names), 'group')} cannot make {count} folds",
            expected="at least one group (without groups: image) a fold",
            remedy="fewer folds, or a finer --group",
        )
    # In order of name: the same images in another order must give the same folds.
    ordered = sorted(records, key=lambda record: record.id)
    dealt = deal(ordered, dict(groups), parts=count, seed=seed)
    number_of = {record.id: part + 1 for record, part in zip(ordered, dealt, strict=True)}
    folds_of: dict[str, set[int]] = {}
    for record in records:
        folds_of.setdefault(record.label, set()).add(number_of[record.id])
    lone = sorted(label for label, folds in folds_of.items() if len(folds) < 2)
    if lone:
        raise DataError(
            f"all images of class {lone[0]!r} lie in one of {count} folds, so no image of it is left to train on there",
            expected="every class in at least two folds",
            remedy="add images of other groups, or loosen --group or the column group",
        )
    return [number_of[record.id] for record in records]


def pooled_splits(dataset: Dataset) -> Dataset:
    """The same images without the splits that the source brings."""
    return replace(dataset, records=tuple(replace(record, split=WHOLE) for record in dataset.records))


def with_fold_as_test(pool: Dataset, numbers: Sequence[int], fold: Fold) -> Dataset:
    """The same images in two splits: the fold is test, all others are train.

    Args:
        pool: All images.
        numbers: Fold of each, see `fold_numbers`.
        fold: Which one is the test set.
    """
    records = tuple(
        replace(record, split="test" if number == fold.number else "train")
        for record, number in zip(pool.records, numbers, strict=True)
    )
    return replace(pool, records=records)


def roles_of_fold(roles: Roles, fold: Fold) -> Roles:
    """The roles of the two splits of `with_fold_as_test`, as those of a set without splits."""

    def whole(records: Sequence[ImageRecord]) -> tuple[ImageRecord, ...]:
        return tuple(replace(record, split=WHOLE) for record in records)

    return replace(
        roles,
        train=whole(roles.train),
        validation=whole(roles.validation),
        test=whole(roles.test),
        test_source=fold.sentence,
    )


def divides_a_group(records: Sequence[ImageRecord], numbers: Mapping[str, int], groups: Mapping[str, str]) -> bool:
    """Whether images of one group lie in several folds.

    Args:
        records: Some of the images.
        numbers: Image id -> fold.
        groups: Image id -> group.
    """
    held = {(groups[record.id], numbers[record.id]) for record in records}
    return len(held) > len({group for group, _ in held})


def planned_folds(part: DataPlan, records: Sequence[ImageRecord], groups: Mapping[str, str], *, seed: int) -> list[int]:
    """Fold of each image; the seed of the test set deals them, so that runs of several seeds share them.

    Args:
        part: Which images; it names a fold.
        records: All of them.
        groups: Image id -> group.
        seed: Of the plan.
    """
    assert part.test_fold is not None
    drawn_by = seed if part.test_seed is None else part.test_seed
    return fold_numbers(records, groups, count=part.test_fold.count, seed=drawn_by)


def folds_divide_groups(
    part: DataPlan,
    records: Sequence[ImageRecord],
    groups: Mapping[str, str],
    joined: Mapping[str, str],
    *,
    seed: int,
) -> bool:
    """Whether folds that were dealt by name divide a group of near-identical images; the same in the run of each fold.

    Args:
        part: Which images.
        records: All of them.
        groups: Image id -> group, by which they were dealt.
        joined: Image id -> group, near-identical images joined; of the readable images.
        seed: Of the plan.
    """
    dealt = planned_folds(part, records, groups, seed=seed)
    numbers = {record.id: number for record, number in zip(records, dealt, strict=True)}
    return divides_a_group([record for record in records if record.id in joined], numbers, joined)
