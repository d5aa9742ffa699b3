"""A cleaned index of labelled images: a table without what findings say is broken or double, and a list of changes.

Originals are never touched. What is beyond doubt is left out or joined to a group; what needs a pair of eyes stays in
the index and is listed for review.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from headstart.data.checks.near_findings import write_group_table
from headstart.data.sources.dataset import Dataset
from headstart.data.sources.reading import ImageRecord
from headstart.data.sources.source_names import is_place
from headstart.errors import DataError
from headstart.files import is_folder, is_there, write_atomically
from headstart.findings import Finding

INDEX_NAME, CHANGES_NAME = "index.csv", "changes.csv"

Repair: TypeAlias = Literal["leave_out", "keep_one", "keep_best_split", "join", "review", "none"]
"""leave_out: all images of the finding. keep_one: of each group of images, all but the first of the best split.
keep_best_split: of each group, those that are not in its best split, test before val before train; the rest is one
group. join: each group of images becomes one group of the index. review: they stay, and are listed. none: the finding
is about no images in particular."""

REPAIRS: Mapping[str, Repair] = {
    "unreadable": "leave_out",
    "several_labels": "leave_out",
    "blank": "leave_out",
    "unlabelled_images": "leave_out",
    "missing_value_labels": "none",
    "duplicates": "keep_one",
    "same_image_in_two_splits": "keep_one",
    "near_duplicates_in_two_splits": "keep_best_split",
    "altered_copies_in_two_splits": "keep_best_split",
    "near_duplicates": "join",
    "altered_copies": "join",
    "near_duplicates_in_two_classes": "review",
    "altered_copies_in_two_classes": "review",
    "label_errors": "review",
    "outliers": "review",
    "nearly_black": "review",
    "saturated": "review",
    "few_levels": "review",
    "noise": "review",
    "first_frame": "review",
    "small_range": "review",
    "mixed_windows": "review",
    "strips": "review",
    "transparent_everywhere": "review",
    "mixed_modes": "review",
    "mixed_depths": "review",
    "one_scene": "review",
}
"""Kind of a finding -> what a cleaned index does about its images; kinds that are not named are for review where they
name images."""

_WITHOUT_REVIEW = frozenset({"shortcut", "drift", "leaking_split", "ignored"})
"""Kinds that name images as examples of whole classes, splits or files that are no images."""
_BEST_SPLITS = ("test", "val", "train")
_REASONS: Mapping[Repair, str] = {
    "leave_out": "{what}",
    "keep_one": "the same file as {first}, which stays",
    "keep_best_split": "belongs together with {first} of {split}, which stays",
    "join": "belongs together with {first}",
    "review": "{what}",
}


@dataclass(frozen=True, slots=True)
class Change:
    """What a cleaned index does about one image, and why."""

    image: str
    """Id."""
    action: Literal["left_out", "joined", "review"]
    finding: str
    """Its kind."""
    reason: str


@dataclass(frozen=True, slots=True)
class CleanedIndex:
    """A cleaned index that was written."""

    index: str
    """Path of the table, which is DATA for every command."""
    changes: str
    """Path of the list of changes."""
    images: int
    """In the index."""
    left_out: int
    joined: int
    """Images that share a group with another only since these findings."""
    review: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def refuse_cleaned_index(folder: Path, dataset: Dataset) -> None:
    """Refuse a place, or images, for which no cleaned index can be written, before anything is read.

    Args:
        folder: Where it is to be written.
        dataset: The images.

    Raises:
        DataError: images without files or labels of their own, a folder inside DATA, or an index that is there already.
    """
    packed = next((record for record in dataset.records if not _is_file_of_its_own(record)), None)
    if packed is not None:
        raise DataError(
            f"{packed.id} is no file of its own, so no index can name it",
            expected="a folder or a table of images",
            remedy="unpack the archive and check the folder",
        )
    if not any(record.label for record in dataset.records):
        raise DataError("the images have no labels, so there is nothing to train on", remedy="leave --fix out")
    source = Path(dataset.source)
    if is_place(dataset.source) and is_folder(source) and folder.resolve().is_relative_to(source.resolve()):
        raise DataError(
            f"{folder} lies inside {source}, which is never changed",
            expected="another folder",
            remedy=f"--fix {source.name}-cleaned",
        )
    if is_there(folder) and not is_folder(folder):
        raise DataError(
            f"{folder} is a file", expected="a folder, or a name that is free", remedy="name another folder"
        )
    if is_there(folder / INDEX_NAME):
        raise DataError(f"{folder / INDEX_NAME} is there already", remedy="name another folder, or remove it")
    if not is_folder(folder.absolute().parent):
        raise DataError(f"{folder.absolute().parent} is no folder", remedy="make it first, or name another one")


def _is_file_of_its_own(record: ImageRecord) -> bool:
    return record.path is not None and record.size is None


def write_cleaned_index(
    folder: Path,
    records: Sequence[ImageRecord],
    findings: Iterable[Finding],
    groups: Mapping[str, str],
    *,
    splits: Sequence[str],
) -> CleanedIndex:
    """Write the index and the list of changes into a folder, which is made.

    Args:
        folder: Where.
        records: Readable images, each in a file of its own.
        findings: About them.
        groups: Image id -> group, with equal files and near-identical images joined.
        splits: Of the data set.

    Raises:
        DataError: the folder cannot be written to.
    """
    changes, joined = changes_of(records, findings, groups)
    gone = {change.image for change in changes if change.action == "left_out"}
    rest = [record for record in records if record.id not in gone and record.label]
    index, listed = folder / INDEX_NAME, folder / CHANGES_NAME
    try:
        folder.mkdir(exist_ok=True)
        write_atomically(listed, lambda aside: _write_changes(aside, changes))
        write_atomically(index, lambda aside: write_group_table(aside, rest, joined, splits=splits))
    except OSError as error:
        raise DataError(f"{folder} cannot be written to ({error.strerror})", remedy="name another folder") from error
    counts = {action: len({c.image for c in changes if c.action == action}) for action in ("joined", "review")}
    return CleanedIndex(str(index), str(listed), len(rest), len(gone), **counts)


def _write_changes(path: Path, changes: Sequence[Change]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "action", "finding", "reason"])
        writer.writerows([change.image, change.action, change.finding, change.reason] for change in changes)


def changes_of(
    records: Sequence[ImageRecord], findings: Iterable[Finding], groups: Mapping[str, str]
) -> tuple[list[Change], dict[str, str]]:
    """What a cleaned index does about the images, one change an image and finding, and the group of each image in it.

    Args:
        records: Readable images.
        findings: About them.
        groups: Image id -> group.
    """
    repair = _Repairer({record.id: record for record in records}, dict(groups))
    # Broken images first, so that none of them is the copy that stays; last those for review, of what is left.
    before: tuple[Repair, ...] = ("leave_out", "keep_one", "keep_best_split", "join")
    found = list(findings)
    for action in (*before, "review"):
        if action == "review":
            repair.divide_groups()
        for finding in found:
            if repair_of(finding.what) == action:
                repair.apply(finding, action)
    return repair.changes, repair.groups


def repair_of(what: str) -> Repair:
    """What a cleaned index does about the images of a kind of finding.

    Args:
        what: The kind.
    """
    return REPAIRS.get(what, "none" if what in _WITHOUT_REVIEW else "review")


class _Repairer:
    """Changes so far."""

    def __init__(self, records: Mapping[str, ImageRecord], groups: dict[str, str]) -> None:
        self._records, self.groups = records, groups
        self.changes: list[Change] = []
        self._gone: set[str] = set()

    def apply(self, finding: Finding, action: Repair) -> None:
        """Do what the kind of a finding asks for."""
        for group in finding.images:
            if action == "leave_out":
                self._leave_out(group, finding.what, _REASONS[action].format(what=_first_words(finding)))
                continue
            present = [name for name in group if name in self._records and name not in self._gone]
            if action == "review":
                reason = _REASONS[action].format(what=_first_words(finding))
                self.changes += [Change(name, "review", finding.what, reason) for name in present]
            elif len(present) > 1:
                self._keep(present, finding.what, action)

    def divide_groups(self) -> None:
        """Leave out what still lies on another side of a split than the best images of its group."""
        members: dict[str, list[str]] = defaultdict(list)
        for name in self._records:
            if name not in self._gone:
                members[self.groups[name]].append(name)
        for names in members.values():
            if len({self._records[name].split for name in names}) > 1:
                self._keep(names, "group_in_two_splits", "keep_best_split")

    def _keep(self, names: Sequence[str], what: str, action: Repair) -> None:
        best = sorted(names, key=lambda name: _rank(self._records[name].split))
        first, split = best[0], self._records[best[0]].split
        together = [name for name in best if self._records[name].split == split]
        reason = _REASONS[action].format(first=first, split=split)
        if action == "keep_one":
            self._leave_out(best[1:], what, reason)
            return
        if action == "keep_best_split":
            self._leave_out([name for name in best if name not in together], what, reason)
        if action == "join":
            together = best
        self._join(together, what)

    def _join(self, names: Sequence[str], what: str) -> None:
        """Give the images, and all that share a group with them, the group of the first."""
        first, group = names[0], self.groups[names[0]]
        old = {self.groups[name] for name in names} - {group}
        if not old:
            return
        reason = _REASONS["join"].format(first=first)
        for name, own in self.groups.items():
            if own in old:
                self.groups[name] = group
                if name in self._records and name not in self._gone:
                    self.changes.append(Change(name, "joined", what, reason))

    def _leave_out(self, names: Iterable[str], what: str, reason: str) -> None:
        for name in names:
            if name not in self._gone:
                self._gone.add(name)
                self.changes.append(Change(name, "left_out", what, reason))


def _rank(split: str) -> int:
    return _BEST_SPLITS.index(split) if split in _BEST_SPLITS else len(_BEST_SPLITS)


def _first_words(finding: Finding) -> str:
    """The evidence up to the first name of an image: `12 images are nearly black, with no value above 10 of 255`."""
    return finding.evidence.split(" (")[0].split(": ")[0]
