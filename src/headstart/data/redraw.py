"""Drawing again once the files were read: images that turn out to belong together must not lie on two sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from headstart.data.sources.reading import ImageRecord
from headstart.data.splits import Roles, hold_out_counts
from headstart.errors import DataError

Fixed = Literal["nothing", "report", "report and select"]
"""What must stay as it is: the user gave it, or other runs report on the same images."""


def redrawn(roles: Roles, groups: Mapping[str, str], *, fixed: Fixed, seed: int, report_seed: int | None) -> Roles:
    """The same images, as many of each class in each role, with every group on one side of what was drawn here.

    Roles that tear no group apart come back as they are. Images of small groups keep their side where they can, because
    groups are drawn in the same seeded order as before.

    Args:
        roles: As drawn by name, before anything was read.
        groups: Image id -> group, near-identical images joined.
        fixed: Sides that are not drawn again.
        seed: Of the first draw.
        report_seed: Of the first draw of the images that report, in place of `seed`.
    """
    if fixed == "nothing" and _are_torn(roles.report, (*roles.fit, *roles.select), groups):
        everything = _in_order((*roles.fit, *roles.select, *roles.report))
        drawn_by = seed if report_seed is None else report_seed
        train, report = _held_out(everything, groups, roles.report, seed=drawn_by)
        select: tuple[ImageRecord, ...] = ()
        if roles.select:
            train, select = _held_out(train, groups, roles.select, seed=seed + 1)
        return replace(roles, fit=train, select=select, report=report) if _is_whole(roles, train, report) else roles
    if fixed != "report and select" and _are_torn(roles.select, roles.fit, groups):
        fit, select = _held_out(_in_order((*roles.fit, *roles.select)), groups, roles.select, seed=seed + 1)
        return replace(roles, fit=fit, select=select) if _is_whole(roles, fit) else roles
    return roles


def without_group_mates(roles: Roles, groups: Mapping[str, str], *, fixed: Fixed) -> Roles:
    """Roles in which no image is trained on that belongs with one that was held out here.

    For what a redraw could not mend; a split that the user gave stays as it is.

    Args:
        roles: As drawn.
        groups: Image id -> group.
        fixed: `report` and `report and select` leave images that belong with those that report where they are.
    """
    reporting = {groups[r.id] for r in roles.report} if fixed == "nothing" else set()
    select = tuple(r for r in roles.select if groups[r.id] not in reporting)
    held = reporting | (set() if fixed == "report and select" else {groups[r.id] for r in select})
    return replace(roles, fit=tuple(r for r in roles.fit if groups[r.id] not in held), select=select)


def _held_out(
    records: Sequence[ImageRecord], groups: Mapping[str, str], before: Sequence[ImageRecord], *, seed: int
) -> tuple[tuple[ImageRecord, ...], tuple[ImageRecord, ...]]:
    """(kept, held out), with as many of each class held out as before, up to the size of a group."""
    try:
        return hold_out_counts(records, dict(groups), Counter(r.label for r in before), seed=seed)
    except DataError:  # every class lies in one group
        held = {r.id for r in before}
        return tuple(r for r in records if r.id not in held), tuple(before)


def _is_whole(roles: Roles, fit: Sequence[ImageRecord], report: Sequence[ImageRecord] | None = None) -> bool:
    """Whether every class is still learned, and judged where it was judged before."""
    is_learned = {r.label for r in fit} >= {r.label for r in roles.fit}
    return is_learned and (report is None or {r.label for r in report} >= {r.label for r in roles.report})


def _are_torn(held: Sequence[ImageRecord], others: Sequence[ImageRecord], groups: Mapping[str, str]) -> bool:
    return not {groups[r.id] for r in held}.isdisjoint(groups[r.id] for r in others)


def _in_order(records: Sequence[ImageRecord]) -> tuple[ImageRecord, ...]:
    return tuple(sorted(records, key=lambda record: record.id))
