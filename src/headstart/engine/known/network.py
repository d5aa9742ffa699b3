"""Record of a known network: one backbone with its weights at one input size, as a file; no torch."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.engine.prefix.onnx_session import engines_folder
from headstart.engine.store.activations import library_of
from headstart.files import has_file, home, read_json, stored_paths, write_json
from headstart.networks.cards.catalog import ModelCard
from headstart.networks.head_layers import DepthColumns, HeadSite, is_of_head

_FORMAT = 1
"""Of the records: those of another one are not read."""

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class KnownNetwork:
    """What is known of a backbone with its weights at one input size."""

    backbone: str
    """Hash of its tensors, under the names that a bundle has for them."""
    weights: str
    """Key of its activations in the store: hash of everything that the features depend on."""
    features: int
    """Length of the vector that the head reads."""
    parameters: int
    """Of the backbone."""
    sites: tuple[HeadSite, ...]
    """Classifier layers; main ones first."""
    shares: tuple[float, ...]
    """Weight of each main site in the logits."""
    export: str
    """File of the exported prefix."""
    engine_version: str
    """Version of the engine that ran the export when its outputs were compared with the network's."""
    depth_columns: DepthColumns = field(default_factory=dict)
    """Where the features of each group are; empty without a head on all depths."""

    @property
    def export_path(self) -> Path:
        """Of the exported prefix; old ones are removed."""
        return engines_folder() / self.export

    @property
    def main_sites(self) -> tuple[HeadSite, ...]:
        """Sites that give the logits in evaluation."""
        return tuple(site for site in self.sites if site.role == "main")

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> KnownNetwork:
        """The record whose `asdict` went through JSON.

        Raises:
            KeyError: a field is missing.
            TypeError, AttributeError, IndexError: a field is unknown or damaged.
        """
        sites = tuple(HeadSite(**site) for site in raw["sites"])
        columns = {name: None if span is None else (span[0], span[1]) for name, span in raw["depth_columns"].items()}
        return cls(**{**raw, "sites": sites, "shares": tuple(raw["shares"]), "depth_columns": columns})


def known_folder() -> Path:
    """Folder of all records."""
    return home() / "known"


def key_of(*parts: object) -> str:
    """32 hex digits that stand for plain values."""
    text = json.dumps([_FORMAT, metadata.version("headstart"), *parts], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def records_folder(card: ModelCard, *, cut_point: str, size: int) -> Path:
    """Folder of the records of one network at one input size, whatever its weights are.

    Args:
        card: Of the network.
        cut_point: Whose activations the head reads: POOLED or POOLED_DEPTHS.
        size: Side of the images in pixels.

    Raises:
        PackageNotFoundError: its library is not installed.
    """
    return known_folder() / key_of(card.to_dict(), library_of(card), cut_point, size)


def write_record(folder: Path, network: KnownNetwork) -> None:
    """Write a record, and remove those whose export is gone: they would be of no use until it is made again.

    Raises:
        DiskFullError: there is no room.
        OSError: the folder may not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{network.backbone}.json", asdict(network))
    for path in stored_paths(folder, "*.json"):
        if (old := read_record(path)) is None or not has_file(old.export_path):
            path.unlink(missing_ok=True)


def read_record(path: Path) -> KnownNetwork | None:
    """A record; None where there is none, or where it is damaged."""
    with contextlib.suppress(KeyError, TypeError, AttributeError, IndexError):
        return KnownNetwork.from_dict(read_json(path))
    return None


def record_of_tensors(folder: Path, tensors: Arrays) -> KnownNetwork | None:
    """The record of the backbone among some tensors; None where these weights are not known.

    Args:
        folder: From `records_folder`.
        tensors: Of a whole classifier, under the library's own names.
    """
    # All records of a folder are of one network, so that any of them says which tensors are the head's.
    found = (read_record(path) for path in stored_paths(folder, "*.json"))
    if (any_of_them := next(filter(None, found), None)) is None:
        return None
    return read_record(folder / f"{backbone_hash(tensors, any_of_them.sites)}.json")


def backbone_hash(tensors: Arrays, sites: Sequence[HeadSite]) -> str:
    """Hash of all tensors but those of the head, under their names."""
    digest = hashlib.blake2b(digest_size=16)
    for name in backbone_names(tensors, sites):
        values = tensors[name]
        digest.update(f"{name} {values.dtype} {values.shape}\0".encode())
        digest.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def backbone_names(names: Iterable[str], sites: Sequence[HeadSite]) -> list[str]:
    """Names of all tensors but those of the head, in order."""
    return sorted(name for name in names if not is_of_head(name, sites))
