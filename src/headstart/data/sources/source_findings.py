"""What reading a source left out or had to interpret, as findings."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

from headstart.amounts import count_text
from headstart.data.sources.dataset import Dataset, ImageRecord, Skipped, SkipReason
from headstart.data.sources.tables.label_tables import table_remedy
from headstart.errors import DataError
from headstart.findings import Finding

WITHOUT_LABELS = "headstart embed and headstart predict take images without labels"
"""What can be done with them."""
_SHOWN = 5

LOSSES: dict[SkipReason, tuple[str, str, str]] = {
    SkipReason.DANGLING: (
        "dangling_links",
        "links that lead nowhere",
        "bring what they point to (git annex get, dvc pull, mount the disk), or remove them",
    ),
    SkipReason.OUTSIDE: (
        "outside",
        "links, or names in a tar, that lead out of DATA",
        "look where they lead; --links follow (in a plan data.links) reads what links lead to; pack a tar again "
        "without .. in its names",
    ),
    SkipReason.REPEATED: (
        "repeated_folders",
        "links to folders that are read already under another name",
        "remove the links, or replace them by copies if the images belong to both",
    ),
    SkipReason.LOCKED: (
        "locked",
        "files or folders that may not be opened",
        "change their permissions, or remove them",
    ),
    SkipReason.SPECIAL: ("special_files", "entries that are neither files nor folders", "remove them"),
    SkipReason.HIDDEN: (
        "hidden_images",
        "images that are hidden, because a name begins with a dot",
        "rename them without the dot, or remove them",
    ),
    SkipReason.UNREAD_FORMAT: (
        "unread_formats",
        "images in formats that are not read",
        "convert them to PNG, JPEG or TIFF",
    ),
}
"""Reason -> (kind of finding, what was found, remedy). Files that are no images are named separately."""

STRICT = frozenset(
    {"class_without_images", "unlabelled_images", "unread_splits", *(what for what, _, _ in LOSSES.values())}
)
"""Kinds of findings that --strict does not accept: something that lies in DATA would not be trained on."""


def reason_text(entry: Skipped) -> str:
    """Why one entry is not read, in a few words."""
    return {
        SkipReason.DANGLING: f"a link that leads nowhere ({entry.detail})",
        SkipReason.OUTSIDE: f"leads out of DATA ({entry.detail})",
        SkipReason.REPEATED: f"a link to a folder that is read already ({entry.detail})",
        SkipReason.LOCKED: f"may not be opened ({entry.detail})",
        SkipReason.SPECIAL: "neither a file nor a folder",
        SkipReason.HIDDEN: "hidden: a name that begins with a dot",
        SkipReason.UNREAD_FORMAT: f"a format that is not read ({entry.detail})",
        SkipReason.NO_IMAGE: f"no image ({entry.detail})",
        SkipReason.TOOL_FOLDER: "a folder of a program",
    }[entry.reason]


def find_in_source(dataset: Dataset) -> list[Finding]:
    """Findings about names, folders and links; no image is read."""
    return [
        *_without_use(dataset),
        *_bare_folders(dataset),
        *_left_out(dataset),
        *_missing_in_splits(dataset.records),
        *_twin_classes(dataset.records),
        *_interpreted(dataset),
        *_doubtful_labels(dataset),
        *_good_to_know(dataset),
    ]


def refuse_left_out(dataset: Dataset) -> None:
    """Stop where something that lies in DATA would not be used.

    Raises:
        DataError: with the first such finding.
    """
    for finding in find_in_source(dataset):
        if finding.what in STRICT:
            raise DataError(finding.evidence, remedy=f"{finding.remedy}; or leave out --strict to go on without them")


def _without_use(dataset: Dataset) -> list[Finding]:
    """Images that have no label, or lie in a split of no use."""
    names = dataset.account.unlabelled
    if not dataset.has_labels:
        evidence = f"none of {count_text(len(dataset.records), 'image')} has a label"
        return [
            Finding("error", "no_labels", evidence, f"give each image a class (a folder or a row); {WITHOUT_LABELS}")
        ]
    findings = []
    if dataset.account.unread_splits:
        shown = ", ".join(f"{name} ({count:,})" for name, count in dataset.account.unread_splits.items())
        findings.append(
            Finding(
                "warning",
                "unread_splits",
                f"left out, splits that are none of train, val and test: {shown}",
                "rename them if they are meant",
            )
        )
    if not names:
        return findings
    evidence = f"left out, images without a label: {len(names)} (first: {_listed(names)})"
    remedy = "fill in their labels, or remove them"
    return [*findings, Finding("warning", "unlabelled_images", evidence, remedy, tuple((name,) for name in names))]


def _bare_folders(dataset: Dataset) -> list[Finding]:
    bare = dataset.account.bare_folders
    if not bare:
        return []
    shown = "; ".join(f"{name} {_holds(dataset, name)}" for name in bare[:_SHOWN])
    return [
        Finding(
            "warning",
            "class_without_images",
            f"{count_text(len(bare), 'folder')} of a class or split without an image: {shown}{_more(bare)}",
            "add images or convert what is there, or remove the folder if it is no class",
        )
    ]


def _holds(dataset: Dataset, folder: str) -> str:
    """`is empty`, `holds only 6 .npy, 2 links that lead nowhere`."""
    inside = [s for s in dataset.account.skipped if s.name == folder or s.name.startswith(f"{folder}/")]
    if not inside:
        return "is empty"
    itself = next((entry for entry in inside if entry.name == folder), None)
    if itself is not None:
        return f"is {reason_text(itself)}" if itself.reason is SkipReason.REPEATED else reason_text(itself)
    counts = Counter(_kind(entry) for entry in inside)
    return "holds only " + ", ".join(f"{count} {kind}" for kind, count in counts.most_common(3))


def _kind(entry: Skipped) -> str:
    if entry.reason in (SkipReason.NO_IMAGE, SkipReason.UNREAD_FORMAT):
        return entry.detail
    return {
        SkipReason.DANGLING: "dangling links",
        SkipReason.OUTSIDE: "links out of DATA",
        SkipReason.REPEATED: "links to folders read already",
        SkipReason.LOCKED: "locked files",
        SkipReason.SPECIAL: "special files",
        SkipReason.HIDDEN: "hidden images",
    }.get(entry.reason, "folders of programs")


def _left_out(dataset: Dataset) -> list[Finding]:
    entries: dict[SkipReason, list[Skipped]] = defaultdict(list)
    for entry in dataset.account.skipped:
        entries[entry.reason].append(entry)
    findings = []
    for reason, (what, fact, remedy) in LOSSES.items():
        if found := entries[reason]:
            first = f"{found[0].name}{f' -> {found[0].detail}' if found[0].detail else ''}"
            evidence = f"left out, {fact}: {len(found)} (first: {first})"
            names = tuple((entry.name,) for entry in found)
            findings.append(Finding("warning", what, evidence, remedy, names))
    return findings


def _missing_in_splits(records: Sequence[ImageRecord]) -> list[Finding]:
    """Classes of train that the given val or test lacks: their recall there is no number."""
    train = {record.label for record in records if record.split == "train"}
    findings = []
    for split in ("val", "test"):
        there = {record.label for record in records if record.split == split}
        missing = sorted(train - there) if there else []
        if missing:
            findings.append(
                f"{split} has no image of {', '.join(missing[:_SHOWN])}{_more(missing)}",
            )
    if not findings:
        return []
    return [
        Finding(
            "warning",
            "class_missing_in_split",
            "; ".join(findings),
            "add images of them there; nothing can be said of these classes on that split",
        )
    ]


def _twin_classes(records: Sequence[ImageRecord]) -> list[Finding]:
    """Class names that differ only in case, spaces, underscores, or the Unicode form of a letter."""
    counts = Counter(record.label for record in records)
    alike: dict[str, list[str]] = defaultdict(list)
    for name in sorted(counts):
        alike[_compared(name)].append(name)
    twins = [names for names in alike.values() if len(names) > 1]
    if not twins:
        return []
    shown = "; ".join(
        " and ".join(f"{_spelt(name, names)} ({counts[name]})" for name in names) for names in twins[:_SHOWN]
    )
    return [
        Finding(
            "warning",
            "twin_classes",
            f"classes whose names differ only in case, spaces, underscores or Unicode form: {shown}{_more(twins)}",
            "if they are one class, give both the same name",
        )
    ]


def _compared(name: str) -> str:
    words = unicodedata.normalize("NFKC", name).casefold().replace("_", " ").split()
    return unicodedata.normalize("NFC", " ".join(words))


def _spelt(name: str, beside: Sequence[str]) -> str:
    """A name as it is written; with its code points where another looks the same."""
    same = [other for other in beside if unicodedata.normalize("NFC", other) == unicodedata.normalize("NFC", name)]
    return repr(name) if len(same) == 1 else ascii(name)


def _interpreted(dataset: Dataset) -> list[Finding]:
    account, findings = dataset.account, []
    if account.split_like:
        tops, below = account.split_like, account.split_like_hold
        findings.append(
            Finding(
                "warning",
                "classes_like_splits",
                f"{len(tops)} class folders ({_listed(tops)}) hold the same subfolders ({_listed(below)})",
                f"if {_listed(below)} are the classes, put the images into folders of these names at the top, or name "
                "the outer folders train, val and test",
            )
        )
    if account.label_tables:
        findings.append(
            Finding(
                "warning",
                "label_table_not_read",
                f"{_listed(account.label_tables)} holds labels and is not read: the folders decide the classes",
                f"if its labels are the ones you mean, {table_remedy(account.label_tables[0])}",
            )
        )
    return findings


def _doubtful_labels(dataset: Dataset) -> list[Finding]:
    account, findings = dataset.account, []
    if account.missing_value_labels:
        shown = ", ".join(f"{name!r} {count}" for name, count in account.missing_value_labels.items())
        findings.append(
            Finding(
                "warning",
                "missing_value_labels",
                f"labels that programs write for a missing value are classes here: {shown}",
                "remove these rows, or give the class another name if it is one",
            )
        )
    if account.decimal_labels:
        findings.append(
            Finding(
                "warning",
                "decimal_labels",
                f"the labels are decimal numbers ({_listed(account.decimal_labels)}); each is a class of this name",
                "write class numbers without a decimal point; headstart learns classes, not quantities",
            )
        )
    return findings


def _good_to_know(dataset: Dataset) -> list[Finding]:
    account, findings = dataset.account, []
    if account.outside_links:
        first = account.outside_links[0]
        evidence = (
            f"{count_text(len(account.outside_links), 'link')} out of DATA (first: {first.name} -> {first.target})"
        )
        findings.append(
            Finding("info", "links_outside", evidence, "they are followed as requested; keep their targets in place")
        )
    if account.columns_read_as:
        shown = _listed([f"{column} as {meant}" for column, meant in account.columns_read_as.items()])
        findings.append(
            Finding(
                "info", "column_names", f"columns are read: {shown}", "if others are meant, call them image and label"
            )
        )
    if account.read_as:
        shown = _listed([f"{folder} as {split}" for folder, split in account.read_as.items()])
        findings.append(
            Finding("info", "split_names", f"folders are read as splits: {shown}", "rename them if they are classes")
        )
    if dataset.ignored:
        seen = ", ".join(f"{count} {suffix}" for suffix, count in dataset.ignored.items())
        evidence = f"files that are no images by name and first bytes: {seen}"
        findings.append(Finding("info", "not_images", evidence, "nothing to do if none of them should be one"))
    return findings


def _more(names: Sequence[object]) -> str:
    return f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + _more(names)
