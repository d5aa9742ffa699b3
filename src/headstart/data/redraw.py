"""Second draw of the split, once files are read: images of one group must not lie on two sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from headstart.data.sources.reading import ImageRecord
from headstart.data.splits import Roles, hold_out_counts
from headstart.errors import DataError

Fixed = Literal["nothing", "test", "test and validation"]
"""Sets that must not change: given by the user, or shared with other runs."""


def redrawn(roles: Roles, groups: Mapping[str, str], *, fixed: Fixed, seed: int, test_seed: int | None) -> Roles:
    """The same images, as many of each class in each role, with every group on one side of what was drawn here.

    Roles that tear no group apart come back as they are. Images of small groups keep their side where they can, because
    groups are drawn in the same seeded order as before.

    Args:
        roles: As drawn by name, before anything was read.
        groups: Image id -> group, near-identical images joined.
        fixed: Sides that are not drawn again.
        seed: Of the first draw.
        test_seed: Of the first draw of the test images, in place of `seed`.
    """
    if fixed == "nothing" and _are_torn(roles.test, (*roles.train, *roles.validation), groups):
        # In order of name, so that what is drawn now does not depend on the roles of before.
        everything = _in_order((*roles.train, *roles.validation, *roles.test))
        drawn_by = seed if test_seed is None else test_seed
        train, test = _held_out(everything, groups, roles.test, seed=drawn_by)
        validation: tuple[ImageRecord, ...] = ()
        if roles.validation:
            train, validation = _held_out(train, groups, roles.validation, seed=seed + 1)
        # A draw that loses a class is worse than one that tears a group apart: `without_group_mates` repairs the rest.
        return replace(roles, train=train, validation=validation, test=test) if _is_whole(roles, train, test) else roles
    if fixed != "test and validation" and _are_torn(roles.validation, roles.train, groups):
        train, validation = _held_out(
            _in_order((*roles.train, *roles.validation)), groups, roles.validation, seed=seed + 1
        )
        return replace(roles, train=train, validation=validation) if _is_whole(roles, train) else roles
    return roles


def without_group_mates(roles: Roles, groups: Mapping[str, str], *, fixed: Fixed) -> Roles:
    """Roles in which no image is trained on that belongs with one that was held out here.

    For groups that a second draw cannot repair; a split that the user gave stays as it is.

    Args:
        roles: As drawn.
        groups: Image id -> group.
        fixed: `test` and `test and validation` leave images that share a group with test images where they are.
    """
    tested = {groups[r.id] for r in roles.test} if fixed == "nothing" else set()
    validation = tuple(r for r in roles.validation if groups[r.id] not in tested)
    held = tested | (set() if fixed == "test and validation" else {groups[r.id] for r in validation})
    return replace(roles, train=tuple(r for r in roles.train if groups[r.id] not in held), validation=validation)


def _held_out(
    records: Sequence[ImageRecord], groups: Mapping[str, str], before: Sequence[ImageRecord], *, seed: int
) -> tuple[tuple[ImageRecord, ...], tuple[ImageRecord, ...]]:
    """(kept, held out), with as many of each class held out as before, up to the size of a group."""
    try:
        return hold_out_counts(records, dict(groups), Counter(r.label for r in before), seed=seed)
    except DataError:  # every class lies in one group
        held = {r.id for r in before}
        return tuple(r for r in records if r.id not in held), tuple(before)


def _is_whole(roles: Roles, train: Sequence[ImageRecord], test: Sequence[ImageRecord] | None = None) -> bool:
    """Whether every class is still in the training set, and in the held-out sets in which it was before."""
    is_learned = {r.label for r in train} >= {r.label for r in roles.train}
    return is_learned and (test is None or {r.label for r in test} >= {r.label for r in roles.test})


def _are_torn(held: Sequence[ImageRecord], others: Sequence[ImageRecord], groups: Mapping[str, str]) -> bool:
    return not {groups[r.id] for r in held}.isdisjoint(groups[r.id] for r in others)


def _in_order(records: Sequence[ImageRecord]) -> tuple[ImageRecord, ...]:
    return tuple(sorted(records, key=lambda record: record.id))
