"""Images of a tar whose labels lie next to them, as WebDataset writes them: `0001.jpg`, `0001.cls`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path, PurePosixPath

from headstart.data.sources.dataset import WHOLE, Account, Dataset, ImageRecord
from headstart.data.sources.listing import Listing, Member
from headstart.errors import DataError

_LABEL_KEYS = ("label", "cls", "class", "class_name", "category", "target")
"""Of a .json, the first that is there."""
_ORDER = (".cls", ".json", ".txt")
"""Of several files next to an image, the first that is there holds its label."""
_LONGEST_LABEL = 200
_MOST_LABEL_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class TarShard:
    """One tar, and what lies in it."""

    name: str
    """Without suffix."""
    listing: Listing
    split: str = WHOLE


@dataclass(frozen=True, slots=True)
class _Label:
    text: str
    group: str | None = None


def is_webdataset(listings: Iterable[Listing]) -> bool:
    """Whether labels lie next to images: there is a .cls, or all have a .json or .txt and lie in one folder."""
    tops: set[str] = set()
    images: set[PurePosixPath] = set()
    beside: set[PurePosixPath] = set()
    for listing in listings:
        images |= {_key(member.name) for member in listing.images}
        beside |= {_key(member.name) for member in listing.labels}
        tops |= {member.name.parts[0] if len(member.name.parts) > 1 else "" for member in listing.images}
        if any(m.name.suffix.lower() == ".cls" for m in listing.labels) and not images.isdisjoint(beside):
            return True
    return len(tops) == 1 and bool(images) and images <= beside


def webdataset_of(name: str, source: str, shards: Sequence[TarShard], *, group: str = "group") -> Dataset:
    """The images of tars with the labels next to them; images without one are left out and named.

    Args:
        name: Short name of the source.
        source: DATA as given, for messages.
        shards: The tars.
        group: Key of a .json that names the group of its image.

    Raises:
        DataError: one name has several images, or a label is none.
    """
    records: list[ImageRecord] = []
    unlabelled: list[ImageRecord] = []
    for shard in shards:
        prefix = f"{shard.name}/" if len(shards) > 1 else ""
        labels = _labels_of(source, shard.listing.labels, group)
        first: dict[PurePosixPath, Member] = {}
        for member in sorted(shard.listing.images, key=lambda one: one.name.as_posix()):
            key = _key(member.name)
            if first.setdefault(key, member) is not member:
                raise DataError(
                    f"{source} has several images called {prefix}{key} ({first[key].name.name}, {member.name.name})",
                    expected="one image for each label",
                    remedy="keep one image of each name, or put them into class folders",
                )
            label = labels.get(key, _Label(""))
            record = ImageRecord(
                f"{prefix}{member.name.as_posix()}",
                label.text,
                shard.split,
                member.path,
                member.offset,
                member.size,
                group=label.group,
                location=member.location,
            )
            (records if label.text else unlabelled).append(record)
    account = Account(
        skipped=tuple(
            s for shard in shards for s in shard.listing.skipped if PurePosixPath(s.name).suffix not in _ORDER
        ),
        unlabelled=tuple(record.id for record in unlabelled) if records else (),
    )
    # Without any label they are still images, which can be embedded and predicted.
    return Dataset(name, source, tuple(sorted(records or unlabelled, key=lambda record: record.id)), account)


def _key(name: PurePosixPath) -> PurePosixPath:
    """Name up to its first dot, as WebDataset groups files."""
    return name.with_name(name.name.partition(".")[0] or name.name)


def _labels_of(source: str, members: Sequence[Member], group: str) -> dict[PurePosixPath, _Label]:
    """Key -> label, from the first kind of file that has one.

    Raises:
        DataError: a file holds something else than a label.
    """
    found: dict[PurePosixPath, _Label] = {}
    by_suffix = {suffix: [m for m in members if m.name.suffix.lower() == suffix] for suffix in _ORDER}
    for suffix in _ORDER:
        wanted = [m for m in by_suffix[suffix] if _key(m.name) not in found and m.path is not None]
        ordered = sorted(wanted, key=lambda m: (str(m.path), m.offset))
        for path, held in groupby(ordered, key=attrgetter("path")):
            for member, content in _contents(path, list(held)):
                try:
                    label = _of_json(content, group) if suffix == ".json" else _of_text(content)
                except ValueError as error:
                    raise DataError(
                        f"{member.name} in {source} holds no label ({error})",
                        expected="one label: a name or a class number",
                        remedy="a .cls holds the class number, a .json an object with the key label",
                    ) from error
                if label is not None:
                    found[_key(member.name)] = label
    return found


def _contents(path: Path, members: Sequence[Member]) -> Iterable[tuple[Member, bytes]]:
    with path.open("rb") as file:
        for member in members:
            file.seek(member.offset)
            size = _MOST_LABEL_BYTES if member.size is None else min(member.size, _MOST_LABEL_BYTES)
            yield member, file.read(size)


def _of_text(content: bytes) -> _Label | None:
    text = content.decode("utf-8-sig").strip()
    if len(text) > _LONGEST_LABEL or "\n" in text:
        raise ValueError(f"{len(text)} letters, the first are {text[:40]!r}")
    return _Label(text) if text else None


def _of_json(content: bytes, group_key: str) -> _Label | None:
    value = json.loads(content)
    group = None
    if isinstance(value, dict):
        held = value.get(group_key)
        group = str(held) if isinstance(held, str | int) and str(held) else None
        value = next((value[key] for key in _LABEL_KEYS if key in value), None)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int):
        raise ValueError(f"{json.dumps(value)[:40]}; several labels are refused")
    text = str(value).strip()
    return _Label(text, group) if text else None
