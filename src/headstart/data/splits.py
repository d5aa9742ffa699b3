"""The training, validation and test set of a run: stratified, by group, seeded, a pure function of the input.

Images are ordered by a hash of (seed, name), never by the state of a generator, so the same image lands on the
same side whatever else changes about the machine, and few images move when the set grows.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from headstart.data.sources.reading import WHOLE, Dataset, ImageRecord
from headstart.errors import DataError
from headstart.measures.figures import Counted
from headstart.plan.group_rule import GroupRule

VAL_PREFIX = "val:"
"""Prefix of the ids of images given with --val, so that no two images of a run share an id."""

DRAWN_HERE = ("held-out ", "fold ")
"""Beginnings of `test_source` where the user gave no test set."""

_GROUP = "group:"  # tells a named group from an image that is its own


@dataclass(frozen=True, slots=True)
class Roles:
    """The images of a run by what they are used for; no image is in two of them."""

    train: tuple[ImageRecord, ...]
    """Training set: the weights are fitted on these images."""
    validation: tuple[ImageRecord, ...]
    """Validation set: epochs and variants are chosen on it; empty where they are chosen out-of-fold in train."""
    test: tuple[ImageRecord, ...]
    """Test set: used once, for the final figures."""
    classes: tuple[str, ...]
    """Class order, pinned by the training images."""
    validation_source: str
    """Where the validation images come from: `val`, `held-out 20% of train`, `out of fold in train`."""
    test_source: str
    """Where the test images come from: the name of the given split, `held-out 20% of the images`, or `fold 2 of 5`."""

    @property
    def training_pool(self) -> tuple[ImageRecord, ...]:
        """Training images and the validation images held out of them, by id: a final head may be fitted on all."""
        if self.validation_source == "val":
            return self.train
        return tuple(sorted((*self.train, *self.validation), key=lambda record: record.id))


def order_key(seed: int, name: str) -> bytes:
    """Position of a name in the seeded order."""
    return hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=16).digest()


def group_names(records: Sequence[ImageRecord], pattern: str | None) -> dict[str, str]:
    """Image id -> group: as the rule `pattern` finds it in the id, or without a rule the group the source gave.

    An image that does not match, or that was given none, is its own group. Of a rule that is not about paths
    the records bring the groups.

    Raises:
        DataError: the rule matches nothing at all.
    """
    # Named groups carry a mark: a group called like an image must not swallow that image.
    rule = None if pattern is None else GroupRule.of(pattern)
    by_source = rule is None or rule.is_of_source
    groups, matched = {}, 0
    for record in records:
        found = record.group if rule is None or by_source else rule.group_in(record.id.removeprefix(VAL_PREFIX))
        matched += found is not None
        groups[record.id] = record.id if found is None else f"{_GROUP}{found}"
    if rule is not None and not matched:
        raise DataError(
            f"--group {pattern!r} matches none of {len(records)} image paths (the first is {records[0].id!r})",
            expected="a regular expression whose group 1 names the patient, scene or page, or folder:LEVEL",
        )
    return groups


def unmatched_count(records: Sequence[ImageRecord], groups: dict[str, str]) -> int:
    """Number of images that are their own group."""
    return sum(groups[record.id] == record.id for record in records)


def named_group(group: str) -> str | None:
    """The name that a pattern or table gave a group; None for an image that is its own."""
    return group.removeprefix(_GROUP) if group.startswith(_GROUP) else None


def what_is_counted(records: Sequence[ImageRecord], groups: Mapping[str, str]) -> Counted:
    """Units that an interval over these images counts: groups that were named, else different files, else images."""
    names = {groups[record.id] for record in records}
    if any(name.startswith(_GROUP) for name in names):
        return "groups"
    return "images" if len(names) == len(records) else "files"


def join_identical(groups: dict[str, str], digests: dict[str, str]) -> dict[str, str]:
    """Groups widened so that files with the same bytes share one: a copy must not land on the other side.

    Args:
        groups: Image id -> group.
        digests: Image id -> hash of its bytes, for the same images.
    """
    parent = {group: group for group in groups.values()}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    first_with: dict[str, str] = {}
    for name, digest in digests.items():
        ours, theirs = root(groups[name]), root(first_with.setdefault(digest, groups[name]))
        # The smaller name wins, so that groups are called the same in whatever order files are read.
        parent[max(ours, theirs)] = min(ours, theirs)
    return {name: root(group) for name, group in groups.items()}


def deal(records: Sequence[ImageRecord], groups: dict[str, str], *, parts: int, seed: int) -> list[int]:
    """Part 0..parts-1 of every record: whole groups, each class spread as evenly as the groups allow.

    Groups go one by one, large before small and in seeded order among equals, to the part that is emptiest
    for the classes they bring. With every image its own group this is an exact stratified deal: parts differ
    by at most one image in any class.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        members[groups[record.id]].append(index)
    held: list[dict[str, int]] = [defaultdict(int) for _ in range(parts)]
    totals = [0] * parts
    part_of = [0] * len(records)
    # Large groups first: once parts are nearly full, only small groups can even them out.
    for name in sorted(members, key=lambda g: (-len(members[g]), order_key(seed, g))):
        brings: dict[str, int] = defaultdict(int)
        for index in members[name]:
            brings[records[index].label] += 1
        target = min(
            range(parts),
            key=lambda p: (sum(held[p][label] * count for label, count in brings.items()), totals[p], p),
        )
        for label, count in brings.items():
            held[target][label] += count
        totals[target] += len(members[name])
        for index in members[name]:
            part_of[index] = target
    return part_of


def deal_folds(records: Sequence[ImageRecord], groups: dict[str, str], *, most: int, seed: int) -> list[int]:
    """Fold of every record as `deal` gives it: `most` folds, fewer where a class has fewer groups, at least two."""
    held: dict[str, set[str]] = defaultdict(set)
    for record in records:
        held[record.label].add(groups[record.id])
    smallest = min(len(names) for names in held.values())
    return deal(records, groups, parts=max(2, min(most, smallest)), seed=seed)


def hold_out(
    records: Sequence[ImageRecord], groups: dict[str, str], *, share: float, seed: int
) -> tuple[tuple[ImageRecord, ...], tuple[ImageRecord, ...]]:
    """(remaining, held out): about `share` of every class held out, in whole groups.

    Each class in turn, rarest first, gives up groups in seeded order until its share is out (at least one image),
    but never its last group: some images of every class remain. Without groups the share is exact up to rounding.

    Raises:
        DataError: nothing can be held out, because every class lies in one group.
    """
    counts = Counter(record.label for record in records)
    to_hold_out = {label: max(1, round(share * count)) for label, count in counts.items()}
    return hold_out_counts(records, groups, to_hold_out, seed=seed)


def hold_out_counts(
    records: Sequence[ImageRecord], groups: dict[str, str], to_hold_out: Mapping[str, int], *, seed: int
) -> tuple[tuple[ImageRecord, ...], tuple[ImageRecord, ...]]:
    """(remaining, held out): `to_hold_out[label]` images of every class held out in whole groups, see `hold_out`.

    Raises:
        DataError: nothing can be held out, because every class lies in one group.
    """
    members: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        members[groups[record.id]].append(record)
    groups_of: dict[str, set[str]] = defaultdict(set)
    for record in records:
        groups_of[record.label].add(groups[record.id])
    counts = Counter(record.label for record in records)
    kept_groups = {label: len(held) for label, held in groups_of.items()}
    out: set[str] = set()
    # Rarest first: a group that holds several classes may take the last group of a rare class with it.
    for label in sorted(counts, key=lambda name: (counts[name], name)):
        held = sum(r.label == label for name in out for r in members[name])
        for name in sorted(groups_of[label] - out, key=lambda g: order_key(seed, g)):
            touched = {r.label for r in members[name]}
            if held >= to_hold_out.get(label, 0):
                break
            # Every class in the group must keep another group, or it could not be trained on.
            if any(kept_groups[each] < 2 for each in touched):
                continue
            out.add(name)
            held += sum(r.label == label for r in members[name])
            for each in touched:
                kept_groups[each] -= 1
    if not out:
        raise DataError(
            "no image can be held out: every class lies in a single group",
            expected="every class in at least two groups",
            remedy="add images, or loosen --group or the column group",
        )
    kept = tuple(r for r in records if groups[r.id] not in out)
    return kept, tuple(r for r in records if groups[r.id] in out)


def limited(records: Sequence[ImageRecord], limit: str | None, *, seed: int) -> tuple[ImageRecord, ...]:
    """A seeded sample: `100/class`, or `1000` in all with classes in proportion; None keeps everything."""
    if limit is None:
        return tuple(records)
    by_class: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda r: order_key(seed, r.id)):
        by_class[record.label].append(record)
    if limit.endswith("/class"):
        count = int(limit.removesuffix("/class"))
        chosen = [record for held in by_class.values() for record in held[:count]]
    else:
        # Taking first the images that are early inside their own class keeps the proportions.
        ranked = [(i / len(held), r.id, r) for held in by_class.values() for i, r in enumerate(held)]
        chosen = [record for _, _, record in sorted(ranked, key=lambda row: row[:2])[: int(limit)]]
    return tuple(sorted(chosen, key=lambda r: r.id))


def assign_roles(
    dataset: Dataset,
    *,
    val: Dataset | None,
    groups: dict[str, str],
    test_share: float,
    validation_share: float,
    tuned: bool,
    limit_train: str | None,
    limit_test: str | None,
    seed: int,
    test_seed: int | None = None,
) -> Roles:
    """Roles of all images, decided once.

    With train, val and test, val is the validation set. With two splits, the second is the test set, and the validation
    images come out of train. With none, a stratified share is the test set.

    Args:
        dataset: Readable images only.
        val: Test set that the user gave separately.
        groups: Image id -> group, for both data sets.
        test_share: Of the images, held out as test set where none is given.
        validation_share: Of train, held out as validation set where none is given.
        tuned: Whether epochs must be chosen between, so that out-of-fold choices are not enough.
        limit_train: See `limited`.
        limit_test: See `limited`.
        seed: Of every draw.
        test_seed: Of the draw of the test images, in place of `seed`.

    Raises:
        DataError: an unusable set of splits; a class only val knows.
    """
    train, validation, test, test_source = _given_splits(dataset, val)
    if not test:
        drawn_by = seed if test_seed is None else test_seed
        train, test = hold_out(train, groups, share=test_share, seed=drawn_by)
        test_source = f"held-out {test_share:.0%} of the images"
        _refuse_untested_classes(train, test)
    classes = tuple(sorted({record.label for record in train}))
    _refuse_unknown_classes(classes, (*validation, *test))
    # After the test set is drawn: a smaller sample must be tested on the same images.
    train = limited(train, limit_train, seed=seed)
    test = limited(test, limit_test, seed=seed)
    validation_source = "val"
    if not validation:
        validation_source = "out of fold in train"
        if tuned:
            # Another seed than that of the test set: with the same, both draws would take the same end of the order.
            train, validation = hold_out(train, groups, share=validation_share, seed=seed + 1)
            validation_source = f"held-out {validation_share:.0%} of train"
    return Roles(tuple(train), tuple(validation), tuple(test), classes, validation_source, test_source)


def _given_splits(
    dataset: Dataset, val: Dataset | None
) -> tuple[tuple[ImageRecord, ...], tuple[ImageRecord, ...], tuple[ImageRecord, ...], str]:
    """(train, validation, test, name of test) as far as the source brings them."""
    names = dataset.splits()
    if val is not None:
        train = dataset.of("train") if "train" in names else dataset.records
        return train, (), val.records, "val"
    if names == (WHOLE,):
        return dataset.records, (), (), ""
    if "train" not in names:
        raise DataError(
            f"{dataset.source} has the splits {', '.join(names)} but no train",
            expected="a train folder next to them, or rows whose split is train",
        )
    if names == ("train",):
        return dataset.records, (), (), ""
    validation = dataset.of("val") if "test" in names else ()
    test_source = names[-1]
    return dataset.of("train"), validation, dataset.of(test_source), test_source


def _refuse_unknown_classes(classes: tuple[str, ...], others: Sequence[ImageRecord]) -> None:
    unknown = [record for record in others if record.label not in classes]
    if unknown:
        names = sorted({record.label for record in unknown})
        split = "val" if unknown[0].split == WHOLE else unknown[0].split
        raise DataError(
            f"{split} has classes that train does not: {', '.join(names)}",
            expected=f"only {', '.join(classes[:8])}{', ...' if len(classes) > 8 else ''}",
            remedy="add training images of them, or rename the folders if the spelling differs",
        )


def _refuse_untested_classes(train: Sequence[ImageRecord], test: Sequence[ImageRecord]) -> None:
    missing = sorted({record.label for record in train} - {record.label for record in test})
    if missing:
        raise DataError(
            f"class {missing[0]!r} lies in a single group, so it cannot be both trained and tested on",
            expected="every class in at least two groups",
            remedy="add images, or loosen --group or the column group",
        )


def without_others(roles: Roles, ids: set[str]) -> Roles:
    """Roles without the images that are not in `ids`."""
    return replace(
        roles,
        train=tuple(r for r in roles.train if r.id in ids),
        validation=tuple(r for r in roles.validation if r.id in ids),
        test=tuple(r for r in roles.test if r.id in ids),
    )


def shared_groups(records: Sequence[ImageRecord], groups: dict[str, str]) -> list[str]:
    """Names of the groups that lie in more than one given split."""
    splits: dict[str, set[str]] = defaultdict(set)
    for record in records:
        # An image that is its own group lies in one split anyway.
        if groups[record.id] != record.id:
            splits[groups[record.id]].add(record.split)
    return sorted(group.removeprefix(_GROUP) for group, held in splits.items() if len(held) > 1)


def refuse_shared_groups(records: Sequence[ImageRecord], groups: dict[str, str]) -> None:
    """Stop if the given splits tear a group apart.

    Raises:
        DataError: with the number of such groups.
    """
    shared = shared_groups(records, groups)
    if shared:
        raise DataError(
            f"{len(shared)} groups lie in more than one given split (first: {shared[0]})",
            expected="each patient, scene or page on one side only",
            remedy="merge the split folders (or remove the column split) and let --group or the column group split it",
        )
