"""Names of images -> class and split of each: class folders, splits above them, splits below them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Literal

from headstart.data.sources.dataset import WHOLE, Account, Dataset, ImageRecord, LabelPolicy, Skipped, SkipReason
from headstart.data.sources.listing import Listing, Member
from headstart.data.sources.source_findings import LOSSES, WITHOUT_LABELS
from headstart.data.sources.split_names import SPLIT_FOLDERS, is_like_a_split, split_in, usual_split
from headstart.errors import DataError

SHAPES = (
    "a folder of class folders, a folder of train/val/test folders of class folders, a .tar of either, "
    "a .csv or .parquet with columns image and label, a pattern of shards such as x-{00..09}.tar, an .npz, hf:NAME, "
    "torchvision:NAME, s3://... or digits"
)
"""What DATA may be."""


class UnlabelledError(DataError):
    """Images lie in no class folder."""


Container = Literal["folder", "archive"]

_SHOWN = 5
_USUAL_SUFFIXES = ".jpg .png .tif .webp .bmp .gif"


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where in a name the class and the split stand."""

    label_at: int = 0
    split_at: int | None = None
    splits: Mapping[str, str] = field(default_factory=dict)
    """Folder -> split."""


def dataset_of(name: str, source: str, listing: Listing, container: Container) -> Dataset:
    """Give every image of a listing its class and split.

    Args:
        name: Short name of the source.
        source: DATA as given, for messages.
        listing: What lies in it.
        container: An archive may have one outer folder around everything; in a folder of the user's own a single
            folder may be a single class, so there it is dropped only if split folders lie inside.

    Raises:
        UnlabelledError: images lie in no class folder.
        DataError: no image, or folders that do not say what they are.
    """
    _refuse_unwritable_names(listing)
    if not listing.images:
        refuse_no_images(source, listing.skipped)
    listing = _without_wrapper(listing, container)
    loose = sorted(member.name.as_posix() for member in listing.images if len(member.name.parts) < 2)
    if loose:
        raise UnlabelledError(
            f"{source} has {len(loose)} images outside any class folder (first: {loose[0]})",
            expected=SHAPES,
            remedy=f"move each image into a folder named after its class; {WITHOUT_LABELS}",
        )
    layout = _layout_of(source, [member.name for member in listing.images])
    records = [_record(member, layout) for member in sorted(listing.images, key=lambda m: m.name.as_posix())]
    return Dataset(name, source, tuple(records), _account(listing, layout))


def labelled_dataset(name: str, source: str, listing: Listing, container: Container, labels: LabelPolicy) -> Dataset:
    """As `dataset_of`; where labels are optional, images outside class folders have none.

    Raises:
        DataError: see `dataset_of`.
    """
    try:
        return dataset_of(name, source, listing, container)
    except UnlabelledError:
        if labels == "needed":
            raise
        return unlabelled_dataset(name, source, listing)


def unlabelled_dataset(name: str, source: str, listing: Listing) -> Dataset:
    """All images of a listing, without classes and splits.

    Raises:
        DataError: no image, or a name that cannot be written.
    """
    _refuse_unwritable_names(listing)
    if not listing.images:
        refuse_no_images(source, listing.skipped)
    records = [
        ImageRecord(m.name.as_posix(), "", WHOLE, m.path, m.offset, m.size, location=m.location)
        for m in sorted(listing.images, key=lambda m: m.name.as_posix())
    ]
    account = Account(
        skipped=tuple(sorted(listing.skipped, key=lambda entry: entry.name)),
        outside_links=tuple(sorted(listing.outside_links, key=lambda link: link.name)),
    )
    return Dataset(name, source, tuple(records), account)


def refuse_no_images(source: str, skipped: Sequence[Skipped]) -> None:
    """Say what is there in place of images.

    Raises:
        DataError: always.
    """
    counts = Counter(
        f"{entry.detail} files" if entry.reason is SkipReason.NO_IMAGE else _MET[entry.reason] for entry in skipped
    )
    if not counts:
        raise DataError(f"{source} is empty", expected=SHAPES)
    seen = ", ".join(f"{count} {what}" for what, count in counts.most_common(3))
    lost = next((entry.reason for entry in skipped if entry.reason in LOSSES), None)
    raise DataError(
        f"{source} holds no images, only {seen} (first: {min(entry.name for entry in skipped)})",
        expected="" if lost else f"image files, such as {_USUAL_SUFFIXES}",
        remedy=LOSSES[lost][2] if lost else "",
    )


_MET = {
    **{reason: fact for reason, (_, fact, _) in LOSSES.items()},
    SkipReason.TOOL_FOLDER: "entries in folders of programs, such as .git or .cache, which are not looked into",
}


def _without_wrapper(listing: Listing, container: Container) -> Listing:
    """Paths without the outer folders that contain everything."""
    wrapper = _wrapper_of([member.name for member in listing.images], container)
    if not wrapper.parts:
        return listing
    return Listing(
        [replace(m, name=m.name.relative_to(wrapper)) for m in listing.images],
        [replace(s, name=_inside(s.name, wrapper)) for s in listing.skipped],
        {name.relative_to(wrapper) for name in listing.folders if wrapper in name.parents},
        [replace(link, name=_inside(link.name, wrapper)) for link in listing.outside_links],
        listing.labels,
    )


def _wrapper_of(names: Sequence[PurePosixPath], container: Container) -> PurePosixPath:
    wrappers = [PurePosixPath()]
    while True:
        depth = len(wrappers[-1].parts)
        tops = {name.parts[depth] for name in names if len(name.parts) > depth + 1}
        if len(tops) > 1 or min(len(name.parts) for name in names) < depth + 3 or usual_split(min(tops)):
            break
        wrappers.append(wrappers[-1] / min(tops))
    if container == "folder":
        inner = [PurePosixPath(*name.parts[depth:]) for name in names]
        return wrappers[-1] if _split_folders(inner) else wrappers[0]
    # A single class may hold a single folder too: then only the outermost is dropped.
    return wrappers[-1] if len(tops) > 1 or usual_split(min(tops, default="")) else wrappers[min(1, len(wrappers) - 1)]


def _inside(name: str, wrapper: PurePosixPath) -> str:
    return name.removeprefix(f"{wrapper.as_posix()}/")


def _layout_of(source: str, names: Sequence[PurePosixPath]) -> _Layout:
    """Which folders are classes and which are splits.

    Raises:
        DataError: splits beside other folders, images in a split but no class, or folders that look like splits
            without saying which.
    """
    tops = sorted({name.parts[0] for name in names})
    splits = _split_folders(names)
    if splits:
        others = [name for name in tops if name not in splits]
        if others:
            raise DataError(
                f"{source} mixes split folders ({_listed(sorted(splits))}) with others ({_listed(others)})",
                expected="either split folders or class folders at the top",
                remedy="move the others away, or rename the split folders if they are classes",
            )
        stray = min((name for name in names if len(name.parts) < 3), default=None)
        if stray is not None:
            raise UnlabelledError(
                f"{stray} lies in a split folder but in no class folder",
                expected="SPLIT/CLASS/FILE",
                remedy=f"move it into a folder named after its class; {WITHOUT_LABELS}",
            )
        return _Layout(label_at=1, split_at=0, splits=splits)
    below = _splits_below(source, names)
    if below:
        return _Layout(label_at=0, split_at=1, splits=below)
    _refuse_folds(source, names)
    return _Layout()


def _split_folders(names: Sequence[PurePosixPath]) -> dict[str, str]:
    """Folder at the top -> split; empty if the folders at the top are classes.

    Names that only contain a word for a split are splits where the layout says so too: no image lies directly in such a
    folder, another split holds a class of the same name, and there are at least two splits.
    """
    tops = {name.parts[0] for name in names}
    usual = {top: split for top in tops if (split := usual_split(top)) is not None}
    others = {top: split for top in tops - set(usual) if (split := split_in(top)) is not None}
    held = _held(names)
    for top in sorted(others):
        beside = [held[other] for other in (*usual, *others) if other != top]
        if not held[top] or not any(held[top] & classes for classes in beside):
            del others[top]
    if not usual and len(set(others.values())) < 2:
        return {}
    return usual | others


def _held(names: Sequence[PurePosixPath]) -> dict[str, set[str]]:
    """Folder at the top -> its subfolders with images; none if an image lies directly in it."""
    held: dict[str, set[str]] = defaultdict(set)
    for name in names:
        held[name.parts[0]].add(name.parts[1] if len(name.parts) > 2 else "")
    return {top: set() if "" in below else below for top, below in held.items()}


def _splits_below(source: str, names: Sequence[PurePosixPath]) -> dict[str, str]:
    """Subfolder of a class -> split, where every class folder is divided into splits.

    Raises:
        DataError: some class folders are divided and others are not.
    """
    below = _held(names)
    words = {sub: SPLIT_FOLDERS[sub.lower()] for subs in below.values() for sub in subs if sub.lower() in SPLIT_FOLDERS}
    divided = [top for top, subs in sorted(below.items()) if len({words[sub] for sub in subs if sub in words}) > 1]
    if not divided:
        return {}
    torn = [top for top, subs in sorted(below.items()) if not subs or not subs <= set(words)]
    if torn:
        raise DataError(
            f"{source}: {divided[0]} holds split folders ({_listed(sorted(below[divided[0]]))}), {torn[0]} does not",
            expected="CLASS/SPLIT/FILE everywhere, or SPLIT/CLASS/FILE",
            remedy=f"divide {torn[0]} in the same way, or rename the folders in {divided[0]} if they are no splits",
        )
    return words


def _refuse_folds(source: str, names: Sequence[PurePosixPath]) -> None:
    """Folders with the same subfolders whose names are those of splits or folds.

    Raises:
        DataError: they would become the classes.
    """
    tops, below = _same_subfolders(names)
    if len([top for top in tops if is_like_a_split(top)]) > 1:
        raise DataError(
            f"{source}: {' and '.join(tops[:2])} both hold {_listed(below)}, so they look like splits, not classes",
            expected="class folders at the top, or split folders called train, val and test",
            remedy="rename them to train, val and test, or merge them into one set of class folders",
        )


def _same_subfolders(names: Sequence[PurePosixPath]) -> tuple[list[str], list[str]]:
    """(folders at the top that hold the same subfolders, those subfolders); empty where no two do."""
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for top, below in sorted(_held(names).items()):
        if len(below) > 1:
            alike[tuple(sorted(below))].append(top)
    most = max(alike.items(), key=lambda item: len(item[1]), default=((), []))
    return (most[1], list(most[0])) if len(most[1]) > 1 else ([], [])


def _record(member: Member, layout: _Layout) -> ImageRecord:
    name = member.name
    split = WHOLE if layout.split_at is None else layout.splits[name.parts[layout.split_at]]
    return ImageRecord(
        name.as_posix(),
        name.parts[layout.label_at],
        split,
        member.path,
        member.offset,
        member.size,
        location=member.location,
    )


def _account(listing: Listing, layout: _Layout) -> Account:
    names = [member.name for member in listing.images]
    tops, below = ([], []) if layout.splits else _same_subfolders(names)
    deepest = 2 if layout.split_at == 0 else 1
    with_images = {parent for name in names for parent in name.parents}
    bare = {
        name
        for name in listing.folders
        if len(name.parts) <= deepest
        and name not in with_images
        and not (name.parent.parts and name.parent not in with_images)
    }
    unusual = {folder: split for folder, split in layout.splits.items() if usual_split(folder) is None}
    return Account(
        skipped=tuple(sorted(listing.skipped, key=lambda entry: entry.name)),
        bare_folders=tuple(sorted(name.as_posix() for name in bare)),
        outside_links=tuple(sorted(listing.outside_links, key=lambda link: link.name)),
        read_as=dict(sorted((layout.splits if layout.split_at == 1 else unusual).items())),
        split_like=tuple(tops),
        split_like_hold=tuple(below),
    )


def _refuse_unwritable_names(listing: Listing) -> None:
    """Names that are no Unicode cannot be written into plans, events and JSON.

    Raises:
        DataError: with the first.
    """
    for name in sorted([*(member.name for member in listing.images), *listing.folders]):
        try:
            name.as_posix().encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"the file name {name.as_posix()!r} is not valid UTF-8", remedy="rename the file"
            ) from error


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
