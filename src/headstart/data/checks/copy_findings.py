"""Findings about images that repeat each other: across splits, across classes, and inside one class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headstart.amounts import count_text
from headstart.data.sources.reading import ImageRecord
from headstart.findings import Finding, ImageGroups, groups_text

WORTH_A_WARNING = 0.01
"""From this share of repeating images on, the finding is a warning."""


@dataclass(frozen=True, slots=True)
class CopyKind:
    """One way in which images repeat each other, in words."""

    what: str
    """Kind of the finding about images inside a split; `_in_two_splits` and `_in_two_classes` are added for those."""
    groups_of: str
    """After `3 groups of`."""
    are: str
    """After `4 of 20 images are`."""
    split_remedy: str
    inside_remedy: str


def find_copy_findings(
    groups: ImageGroups, known: Mapping[str, ImageRecord], kind: CopyKind, *, note: str = ""
) -> list[Finding]:
    """Findings: groups in more than one split, with several labels, and all others; none where there are no groups.

    Args:
        groups: Image ids that repeat each other.
        known: Image id -> record, of all images that were compared.
        kind: The words.
        note: Of the finding about the others, in its brackets.
    """
    across = tuple(group for group in groups if len({known[name].split for name in group}) > 1)
    mislabelled = tuple(group for group in groups if len({known[name].label for name in group}) > 1)
    # Groups with several labels count here too: they repeat each other, whatever their labels are.
    inside = tuple(group for group in groups if group not in across)
    return [
        *_across_splits(across, known, kind),
        *_across_classes(mislabelled, kind),
        *_inside(inside, len(known), kind, note),
    ]


def _across_splits(groups: ImageGroups, known: Mapping[str, ImageRecord], kind: CopyKind) -> list[Finding]:
    if not groups:
        return []
    counts: dict[str, int] = {}
    for group in groups:
        for name in group:
            counts[known[name].split] = counts.get(known[name].split, 0) + 1
    held = ", ".join(f"{count} in {split}" for split, count in counts.items())
    evidence = (
        f"{count_text(len(groups), 'group')} of {kind.groups_of} {'lies' if len(groups) == 1 else 'lie'} in more than "
        f"one split ({held}): {groups_text(groups)}"
    )
    remedy = f"the figures are too good as long as they are on both sides: {kind.split_remedy}"
    return [Finding("warning", f"{kind.what}_in_two_splits", evidence, remedy, groups)]


def _across_classes(groups: ImageGroups, kind: CopyKind) -> list[Finding]:
    if not groups:
        return []
    evidence = (
        f"{count_text(len(groups), 'group')} of {kind.groups_of} {'carries' if len(groups) == 1 else 'carry'} several "
        f"labels: {groups_text(groups)}"
    )
    remedy = "look at them: where they show the same thing, one of the labels is wrong"
    return [Finding("warning", f"{kind.what}_in_two_classes", evidence, remedy, groups)]


def _inside(groups: ImageGroups, images: int, kind: CopyKind, note: str) -> list[Finding]:
    if not groups:
        return []
    count = sum(map(len, groups))
    details = note or f"the largest of {max(map(len, groups))}"
    evidence = (
        f"{count:,} of {images:,} images are {kind.are} ({count_text(len(groups), 'group')}, {details}): "
        f"{groups_text(groups)}"
    )
    remedy = f"they count as one scene: {kind.inside_remedy}"
    return [Finding("warning" if count >= WORTH_A_WARNING * images else "info", kind.what, evidence, remedy, groups)]
