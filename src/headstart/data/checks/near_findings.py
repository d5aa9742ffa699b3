"""Findings about near-identical images, and a table of groups that keeps them together."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from headstart.amounts import count_text
from headstart.data.checks.near_duplicates import NearDuplicates
from headstart.data.sources.reading import ImageRecord
from headstart.errors import DataError
from headstart.findings import Finding, ImageGroups, groups_text

WORTH_A_WARNING = 0.01
"""From this share of near-identical images on, the finding is a warning."""


def find_near_findings(
    records: Sequence[ImageRecord], digests: Mapping[str, str], near: NearDuplicates
) -> list[Finding]:
    """Findings: near-identical images across given splits, across classes, inside; and classes that are all alike.

    Groups of files with the same bytes have findings of their own and are left out.

    Args:
        records: Readable images.
        digests: Image id -> hash of the encoded bytes.
        near: What was found among them.
    """
    known = {record.id: record for record in records}
    groups, too_large = (
        tuple(group for group in some if len({digests[name] for name in group}) > 1)
        for some in (near.groups, near.too_large)
    )
    across = tuple(group for group in groups if len({known[name].split for name in group}) > 1)
    mislabelled = tuple(group for group in groups if len({known[name].label for name in group}) > 1)
    # Groups with several labels count here too: they are as near-identical, whatever their labels are.
    inside = tuple(group for group in groups if group not in across)
    return [
        *_across_splits(across, known),
        *_across_classes(mislabelled),
        *_inside(inside, len(records)),
        *_all_alike(too_large, known),
    ]


def _across_splits(groups: ImageGroups, known: Mapping[str, ImageRecord]) -> list[Finding]:
    if not groups:
        return []
    counts: dict[str, int] = {}
    for group in groups:
        for name in group:
            counts[known[name].split] = counts.get(known[name].split, 0) + 1
    held = ", ".join(f"{count} in {split}" for split, count in counts.items())
    return [
        Finding(
            "warning",
            "near_duplicates_in_two_splits",
            f"{len(groups)} groups of near-identical images lie in more than one split ({held}): {groups_text(groups)}",
            "the figures are too good as long as they are on both sides: remove them from one, or write all groups to "
            "a table with headstart check DATA --near-duplicates groups.csv and train on that",
            groups,
        )
    ]


def _across_classes(groups: ImageGroups) -> list[Finding]:
    if not groups:
        return []
    return [
        Finding(
            "warning",
            "near_duplicates_in_two_classes",
            f"{len(groups)} groups of near-identical images carry several labels: {groups_text(groups)}",
            "look at them: where they show the same thing, one of the labels is wrong",
            groups,
        )
    ]


def _inside(groups: ImageGroups, images: int) -> list[Finding]:
    if not groups:
        return []
    count = sum(map(len, groups))
    joined = count_text(len(groups), "group")
    return [
        Finding(
            "warning" if count >= WORTH_A_WARNING * images else "info",
            "near_duplicates",
            f"{count} of {images} images are near-identical to another ({joined}, the largest of "
            f"{max(map(len, groups))}): {groups_text(groups)}",
            "they count as one scene: headstart keeps each group on one side of its own splits; "
            "headstart check DATA --near-duplicates groups.csv writes all groups to a table",
            groups,
        )
    ]


def _all_alike(groups: ImageGroups, known: Mapping[str, ImageRecord]) -> list[Finding]:
    if not groups:
        return []
    labels = ", ".join(sorted({known[name].label for group in groups for name in group}))
    return [
        Finding(
            "warning",
            "one_scene",
            f"more than half of the images of a class are near-identical to each other ({labels}): "
            f"{groups_text(groups)}",
            "no split can separate them, so the metrics hold for this scene only; add images of other scenes",
            groups,
        )
    ]


def write_group_table(
    path: Path, records: Sequence[ImageRecord], groups: Mapping[str, str], *, splits: Sequence[str]
) -> None:
    """A .csv with image, label, group, and split where the groups allow it: what `headstart train` reads as DATA.

    Args:
        path: Of the table.
        records: All images, each in a file of its own.
        groups: Image id -> group; the cell of an image that is alone in its group stays empty.
        splits: Of the data set.

    Raises:
        DataError: the images lie inside an archive, which a table cannot point into, or the file cannot be written.
    """
    packed = next((r for r in records if r.path is None or r.size is not None), None)
    if packed is not None:
        raise DataError(
            f"{packed.id} is no file of its own, so no table of groups can name it",
            expected="a folder or a table of images",
            remedy="unpack the archive and check the folder",
        )
    members: dict[str, list[ImageRecord]] = {}
    for record in records:
        members.setdefault(groups[record.id], []).append(record)
    # `train` refuses a group in two splits, so a column split would make a table that nothing can read.
    has_splits = len(splits) > 1 and all(len({r.split for r in held}) == 1 for held in members.values())
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["image", "label", "group", *(["split"] if has_splits else [])])
            for record in records:
                assert record.path is not None
                group = groups[record.id]
                cells = [record.path.resolve().as_posix(), record.label, group if len(members[group]) > 1 else ""]
                writer.writerow([*cells, *([record.split] if has_splits else [])])
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror})", remedy="name another file") from error
