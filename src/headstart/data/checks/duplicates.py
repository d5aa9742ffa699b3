"""Files with the same bytes: in several classes, in several splits, or more than once in a class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from headstart.data.sources.reading import ImageRecord
from headstart.findings import Finding, ImageGroups, groups_text


def find_duplicates(records: Sequence[ImageRecord], digests: Mapping[str, str]) -> list[Finding]:
    """Findings about files with the same bytes, each with all groups of them.

    Args:
        records: Readable images.
        digests: Image id -> hash of the encoded bytes.
    """
    same: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        same[digests[record.id]].append(record)
    several_labels: list[list[ImageRecord]] = []
    several_splits: list[list[ImageRecord]] = []
    inside: list[list[ImageRecord]] = []
    for group in same.values():
        # Each group is named once, under the gravest of its faults.
        if len({record.label for record in group}) > 1:
            several_labels.append(group)
        elif len({record.split for record in group}) > 1:
            several_splits.append(group)
        elif len(group) > 1:
            inside.append(group)
    findings = []
    if several_labels:
        names = _names(several_labels)
        findings.append(
            Finding(
                "error",
                "several_labels",
                f"{len(names)} images carry several labels, because the same file lies in several classes: "
                f"{groups_text(names)}",
                "headstart learns one label per image: keep each image in one class (--json lists all groups)",
                names,
            )
        )
    if several_splits:
        names = _names(several_splits)
        findings.append(
            Finding(
                "warning",
                "same_image_in_two_splits",
                f"{len(names)} images lie in more than one split as the same file: {groups_text(names)}",
                "remove them from one side; the figures are too good as long as they are on both",
                names,
            )
        )
    if inside:
        names = _names(inside)
        findings.append(
            Finding(
                "info",
                "duplicates",
                f"{len(names)} images are there more than once in their class as the same file: {groups_text(names)}",
                "headstart keeps copies on the same side of its own splits; remove them if they are an accident",
                names,
            )
        )
    return findings


def _names(groups: Sequence[Sequence[ImageRecord]]) -> ImageGroups:
    return tuple(tuple(record.id for record in group) for group in groups)
