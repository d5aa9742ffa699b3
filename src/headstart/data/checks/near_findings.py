"""Findings about near-identical images, and a table of groups that keeps them together."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from headstart.data.checks.copy_findings import CopyKind, find_copy_findings
from headstart.data.checks.near_duplicates import NearDuplicates
from headstart.data.sources.reading import ImageRecord
from headstart.errors import DataError
from headstart.findings import Finding, ImageGroups, groups_text

_NEAR_IDENTICAL = CopyKind(
    "near_duplicates",
    groups_of="near-identical images",
    are="near-identical to another",
    split_remedy="remove them from one, or write all groups to a table with headstart check DATA --near-duplicates "
    "groups.csv and train on that",
    inside_remedy="headstart keeps each group on one side of its own splits; headstart check DATA --near-duplicates "
    "groups.csv writes all groups to a table",
)


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
    return [*find_copy_findings(groups, known, _NEAR_IDENTICAL), *_all_alike(too_large, known)]


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
