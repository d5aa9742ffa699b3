"""Patches of a user's own images with the strongest activations of each layer group, on one sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.advice.probe.by_depth import DepthCurve
from headstart.data.decoders.decoded import Pixels
from headstart.data.loading import read_view
from headstart.data.preprocess import picture_of_input
from headstart.data.sources.reading import ImageRecord
from headstart.input_spec import InputSpec
from headstart.inspection.patch_sheet import SheetRow, write_patch_sheet
from headstart.inspection.strongest_activations import ChannelPeaks, StrongestPositions

PATCHES_SUFFIX = ".png"
CHANNELS = 4
"""Channels of each group: those whose peaks stand out most."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Patch of one image."""

    image: str
    """Id inside DATA."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom in pixels of the square that the network sees."""
    activation: float


@dataclass(frozen=True, slots=True)
class ChannelPatches:
    """Patches with the strongest activations of one channel, the strongest first, each of another image."""

    channel: int
    stands_out: float
    """See `inspection.strongest_activations.ChannelPeaks`."""
    patches: tuple[Patch, ...]


@dataclass(frozen=True, slots=True)
class Patches:
    """Drawn patches."""

    file: str
    sides: dict[str, int]
    """Group -> side of its patches in pixels: its effective receptive field."""
    groups: dict[str, tuple[ChannelPatches, ...]]
    without: dict[str, str]
    """Group -> reason why it has no patches."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        groups = {
            name: {
                "side": self.sides[name],
                "channels": [
                    {
                        "channel": one.channel,
                        "stands_out": one.stands_out,
                        "patches": [
                            {"image": p.image, "box": list(p.box), "activation": p.activation} for p in one.patches
                        ],
                    }
                    for one in channels
                ],
            }
            for name, channels in self.groups.items()
        }
        return {"file": self.file, "groups": groups, "without": self.without}


def draw_patches(
    path: Path,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    strongest: Mapping[str, StrongestPositions],
    *,
    grids: Mapping[str, tuple[int, int]],
    sides: Mapping[str, int],
    curve: DepthCurve,
) -> Patches:
    """Patches cut from the inputs of the network, written as a sheet.

    Args:
        path: A .png.
        records: The images, by the numbers under which `strongest` knows them.
        spec: What the network sees.
        strongest: Group -> positions of the strongest activations of its channels.
        grids: Group -> rows and columns of its positions.
        sides: Group -> side in pixels of its effective receptive field.
        curve: Of the same groups, for their names and order.

    Raises:
        DiskFullError: the sheet does not fit; nothing half-written is left.
    """
    views: dict[str, Pixels] = {}
    found: dict[str, tuple[ChannelPatches, ...]] = {}
    without: dict[str, str] = {}
    rows: list[SheetRow] = []
    for group in curve.groups:
        name = group.group
        title = f"{name}: {group.detects}"
        # A group whose output is pooled already (a hidden classifier layer) has no place to cut a patch from.
        if name not in strongest:
            without[name] = "its output has no positions on the image"
        elif not (peaks := strongest[name].most_selective(CHANNELS)):
            without[name] = "its channels do not respond differently to the images"
        else:
            found[name] = tuple(_placed(one, records, grids[name], sides[name], spec.size) for one in peaks)
            note = f"accuracy {group.accuracy:.2f}; patches of {sides[name]} of {spec.size} px"
            cut = [[_cut(patch, records, spec, views) for patch in one.patches] for one in found[name]]
            rows.append(SheetRow(title, note, [f"channel {one.channel}" for one in found[name]], cut))
        if name in without:
            rows.append(SheetRow(title, without[name], [], []))
    write_patch_sheet(path, rows, title="patches with the strongest activations of each layer group")
    return Patches(str(path), {name: sides[name] for name in found}, found, without)


def _placed(
    peaks: ChannelPeaks, records: Sequence[ImageRecord], grid: tuple[int, int], side: int, size: int
) -> ChannelPatches:
    from headstart.engine.prefix.positions import box_around

    patches = tuple(
        Patch(records[peak.image].id, box_around(peak.position, *grid, side=side, size=size), peak.activation)
        for peak in peaks.peaks
    )
    return ChannelPatches(peaks.channel, peaks.stands_out, patches)


def _cut(patch: Patch, records: Sequence[ImageRecord], spec: InputSpec, views: dict[str, Pixels]) -> Pixels:
    """Pixels of a patch of the network's input; each image is read again once."""
    # Channels often share their strongest images: decoding is the dear part.
    if patch.image not in views:
        record = next(record for record in records if record.id == patch.image)
        views[patch.image] = picture_of_input(np.asarray(read_view(record, spec), np.float32), spec)
    left, top, right, bottom = patch.box
    return views[patch.image][top:bottom, left:right]
