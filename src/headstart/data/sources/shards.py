"""Tars of images: one, or several by a pattern with braces, read in place."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from headstart.data.sources.archives import walk_tar
from headstart.data.sources.dataset import WHOLE, Dataset, LabelPolicy, Skipped
from headstart.data.sources.layout import UnlabelledError, dataset_of, labelled_dataset, unlabelled_dataset
from headstart.data.sources.listing import Listing, Member
from headstart.data.sources.source_names import expanded
from headstart.data.sources.split_names import split_in
from headstart.data.sources.webdataset import TarShard, is_webdataset, webdataset_of
from headstart.errors import DataError
from headstart.files import is_file


def open_tar(path: Path, source: str, *, labels: LabelPolicy = "needed", group: str | None = None) -> Dataset:
    """Images of one tar.

    Args:
        path: Of the tar.
        source: DATA as given.
        labels: Whether images without labels are refused.
        group: Key of the .json next to an image that names its group; `group` if None.

    Raises:
        DataError: it cannot be read, or its images have no class.
    """
    listing = walk_tar(path)
    name = path.name.split(".")[0]
    if is_webdataset([listing]):
        return webdataset_of(name, source, [TarShard(name, listing)], group=group or "group")
    return labelled_dataset(name, source, listing, "archive", labels)


def open_shards(source: str, *, labels: LabelPolicy = "needed", group: str | None = None) -> Dataset:
    """Images of all tars that a pattern with braces names.

    The tars are splits where their names say so: `{train,val}-{0000..0003}.tar`.

    Args:
        source: The pattern.
        labels: Whether images without labels are refused.
        group: Key of the .json next to an image that names its group; `group` if None.

    Raises:
        DataError: one of them is missing or cannot be read, or the images have no class.
    """
    paths = [Path(name) for name in expanded(source)]
    missing = [path for path in paths if not is_file(path)]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(paths)} shards of {source} do not exist (first: {missing[0]})",
            expected="every file that the braces name",
            remedy="bring the missing ones, or change the range",
        )
    odd = next((path for path in paths if not tarfile.is_tarfile(path)), None)
    if odd is not None:
        raise DataError(f"{odd} is no tar", expected="uncompressed .tar files")
    splits = _splits_of(paths)
    names = _short_names(paths)
    shards = [TarShard(name, walk_tar(path), split) for name, path, split in zip(names, paths, splits, strict=True)]
    short = PurePosixPath(source.replace("{", "").replace("}", "")).name.split(".")[0]
    name = short.rstrip("0123456789-_") or short
    if is_webdataset(shard.listing for shard in shards):
        return webdataset_of(name, source, shards, group=group or "group")
    try:
        return dataset_of(name, source, _joined(shards), "archive")
    except UnlabelledError:
        if labels == "needed":
            raise
        return unlabelled_dataset(name, source, _listed(shards))


def _splits_of(paths: Sequence[Path]) -> list[str]:
    """Split of each tar; all where the names do not divide them into train and something else."""
    found = [split_in(path.name.partition(".")[0]) for path in paths]
    if None in found or len(set(found)) < 2 or "train" not in found:
        return [WHOLE] * len(paths)
    return [split or WHOLE for split in found]


def _short_names(paths: Sequence[Path]) -> list[str]:
    """A name for each tar that no other has."""
    names = [path.name.removesuffix(path.suffix) for path in paths]
    if len(set(names)) == len(names):
        return names
    return [f"{path.parent.name}-{name}" for path, name in zip(paths, names, strict=True)]


def _joined(shards: Sequence[TarShard]) -> Listing:
    """One listing of all tars, each image under the name of its tar inside its class folder: names may repeat."""
    joined = Listing()
    for shard in shards:
        above = PurePosixPath() if shard.split == WHOLE else PurePosixPath(shard.split)

        def named(member: Member, above: PurePosixPath = above, stem: str = shard.name) -> Member:
            return replace(member, name=above / member.name.parent / stem / member.name.name)

        joined.images += [
            named(m) if len(m.name.parts) > 1 else replace(m, name=above / m.name) for m in shard.listing.images
        ]
        joined.skipped += [Skipped(f"{shard.name}/{s.name}", s.reason, s.detail) for s in shard.listing.skipped]
        joined.folders |= {above / name for name in shard.listing.folders}
    return joined


def _listed(shards: Sequence[TarShard]) -> Listing:
    """One listing of all tars, each image under the name of its tar and its own."""
    return Listing(
        [replace(m, name=PurePosixPath(shard.name) / m.name) for shard in shards for m in shard.listing.images],
        [Skipped(f"{shard.name}/{s.name}", s.reason, s.detail) for shard in shards for s in shard.listing.skipped],
    )
