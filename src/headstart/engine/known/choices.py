"""Names under which plans choose known networks: which backbone a name stands for on this machine; no torch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from headstart.engine.known.network import key_of, known_folder
from headstart.engine.store.activations import library_of
from headstart.files import read_json, stored_paths, write_json
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.weights.report import WeightReport
from headstart.plan.sections import Grain

Purpose: TypeAlias = Literal["features", "bundle"]
"""What a pretrained network is for: features only, or a bundle too, which holds all its tensors."""

MOST_TENSOR_BYTES = 2 << 30
"""Of tensors; those that were not used for longest go first."""


@dataclass(frozen=True, kw_only=True)
class ChosenNetwork:
    """The backbone that a name stands for, as long as its files of weights are the same."""

    backbone: str
    """Hash of its tensors."""
    group_names: tuple[str, ...]
    """Layer groups, stem to head."""
    files: Mapping[str, tuple[int, int] | None]
    """Path of weights -> its bytes and the time of its last change; None: it was not there."""
    report: WeightReport
    """On the weights, as they were loaded."""

    @property
    def is_current(self) -> bool:
        """Whether its files are those that were read."""
        return all(_stamp(Path(path)) == stamp for path, stamp in self.files.items())

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> ChosenNetwork:
        """The record whose `asdict` went through JSON.

        Raises:
            KeyError: a field is missing.
            TypeError: a field is unknown or damaged.
        """
        report = WeightReport(
            **{**raw["report"], **{name: tuple(raw["report"][name]) for name in ("missing", "unexpected")}}
        )
        files = {path: None if stamp is None else (stamp[0], stamp[1]) for path, stamp in raw["files"].items()}
        return cls(backbone=raw["backbone"], group_names=tuple(raw["group_names"]), files=files, report=report)


def choice_path(choice: ModelChoice, *, cut_point: str, size: int, grain: Grain) -> Path:
    """File of the record of a choice.

    Args:
        choice: Card, and a file of weights if one was given.
        cut_point: Whose activations the head reads: POOLED or POOLED_DEPTHS.
        size: Side of the images in pixels.
        grain: Of the layer groups.

    Raises:
        PackageNotFoundError: the network's library is not installed.
    """
    card, file = choice.card, None if choice.file is None else str(choice.file.absolute())
    return known_folder() / "choices" / f"{key_of(card.to_dict(), file, library_of(card), cut_point, size, grain)}.json"


def weight_files(choice: ModelChoice, source: str) -> dict[str, tuple[int, int] | None]:
    """Files that decide which weights a choice has: what was read, and what would come first if it were there.

    Args:
        choice: Card, and a file of weights if one was given.
        source: File, package or URL that was read, as the report on the weights says.
    """
    paths = {Path(source)} if Path(source).is_absolute() else set()
    if choice.file is not None:
        return {str(path): _stamp(path) for path in {choice.file.absolute()}}
    weights = choice.card.weights
    if weights.kind == "url":
        from headstart.networks.weights.download import weights_folder  # it brings Python's HTTP client

        paths.add(weights_folder() / weights.file)
    if weights.kind == "hub":
        from headstart.networks.weights.hub import place_by_hand

        names = (weights.file,) if weights.file else ("model.safetensors", "pytorch_model.bin")
        paths |= {place_by_hand(weights.hub, name) for name in names}
    return {str(path): _stamp(path) for path in sorted(paths)}


def _stamp(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        stat = path.stat()
        return stat.st_size, stat.st_mtime_ns
    return None


def tensors_path(backbone: str) -> Path:
    """File of the tensors of a pretrained backbone."""
    return known_folder() / "backbones" / f"{backbone}.safetensors"


def write_choice(path: Path, chosen: ChosenNetwork) -> None:
    """Write the record of a choice, and remove the tensors that were not used for longest.

    Raises:
        DiskFullError: there is no room.
        OSError: the folder may not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(chosen))
    kept, own = 0, tensors_path(chosen.backbone)
    for _, size, file in sorted(_used(own.parent), reverse=True):
        kept += size
        if kept > MOST_TENSOR_BYTES and file != own:
            file.unlink(missing_ok=True)


def read_choice(path: Path) -> ChosenNetwork | None:
    """The record of a choice; None where there is none, or where it is damaged."""
    with contextlib.suppress(KeyError, TypeError, IndexError):
        return ChosenNetwork.from_dict(read_json(path))
    return None


def touch_tensors(path: Path) -> None:
    """Date the last use of tensors."""
    with contextlib.suppress(OSError):
        os.utime(path)


def _used(folder: Path) -> list[tuple[float, int, Path]]:
    """(time of the last use, bytes, file)."""
    found = []
    for file in stored_paths(folder, "*.safetensors"):
        with contextlib.suppress(FileNotFoundError):  # another process let go of it
            stat = file.stat()
            found.append((stat.st_mtime, stat.st_size, file))
    return found
