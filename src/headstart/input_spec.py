"""Input that a set of weights expects: size, crop, filter and statistics; made with the weights."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from headstart.errors import PlanError

Interpolation = Literal["nearest", "bilinear", "bicubic"]
Crop = Literal["center", "squash", "border"]
Resize = Literal["crop", "squash", "letterbox"]
"""How an image of any shape becomes a square, in the words of plans and options."""

CROP_OF: dict[Resize, Crop] = {"crop": "center", "squash": "squash", "letterbox": "border"}
"""Resize in a plan -> crop of an input spec."""

SMALLEST_INPUT_PIXELS = 32
"""Networks that shrink an image 32-fold have nothing left below this side length."""

MOST_BITS = 16
"""Of a grey value that can be read."""


MOST_ADAPTED_BANDS = 16
"""That are adapted to a network of three channels."""

ChannelMethod = Literal["band_map", "repeat", "sum", "learned", "random_convolutions"]
"""How the bands of an image reach a network of three channels (`headstart.networks.channels` says each exactly)."""

BANDS_PATTERN = r"[1-9]\d*(,[1-9]\d*){0,15}"
"""Numbers of bands."""
WINDOW_PATTERN = r"file|full|percentiles|-?\d+(\.\d+)?,\d+(\.\d+)?"
"""Ways to read the grey values of DICOM files; the last is CENTER,WIDTH."""
Contrast = Literal["file", "clahe"]
"""file: as it is. clahe: contrast-limited adaptive histogram equalisation (`data.decoders.contrast`)."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """Choices that decide what the bytes of an image file become, the same for all files of a set."""

    bits: int | None = None
    """Bits that values of more than 8 bits use, 1..16: 2^bits - 1 becomes white. None: all of the file's type."""
    bands: tuple[int, ...] | None = None
    """Numbers of the bands that are read, from 1 on; None: all."""
    window: str | None = None
    """Range of a DICOM file's grey values: file (None: the same) is the window that each file states, else its full
    range; full; percentiles: 0.5 to 99.5 of each image; CENTER,WIDTH: this one in units after the rescale slope."""
    contrast: Contrast | None = None
    """clahe equalises the contrast of each image by regions; file (None: the same) leaves it."""
    band_count: int | None = None
    """Number of bands that are read of every image, for a network that was adapted to them; None: one or three."""

    def faults(self) -> list[str]:
        """One sentence for each value that is none."""
        found = []
        if self.bits is not None and not 1 <= self.bits <= MOST_BITS:
            found.append(f"data.bits: {self.bits} must be 1..{MOST_BITS}")
        counts = (1, 3) if self.band_count is None else (self.band_count,)
        if self.bands is not None and (len(self.bands) not in counts or min(self.bands) < 1):
            given = ",".join(map(str, self.bands))
            wanted = "one number for grey or three such as 3,2,1" if self.band_count is None else f"{counts[0]} numbers"
            found.append(f"data.bands: {given!r} must be {wanted}, counted from 1")
        if self.band_count is not None and not 2 <= self.band_count <= MOST_ADAPTED_BANDS:
            found.append(f"data.band_count: {self.band_count} must be 2..{MOST_ADAPTED_BANDS}")
        if self.window is not None and not re.fullmatch(WINDOW_PATTERN, self.window):
            text = "must be file, full, percentiles, or CENTER,WIDTH such as 40,400"
            found.append(f"data.window: {self.window!r} {text}")
        elif self.window is not None and "," in self.window and float(self.window.split(",")[1]) < 1:
            found.append(f"data.window: the width in {self.window!r} must be at least 1")
        if self.contrast not in (None, *get_args(Contrast)):
            found.append(f"data.contrast: {self.contrast!r} must be file or clahe")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without those that were not chosen: older rows and bundles then compare equal."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class CutShares:
    """Share of an image's area that the evaluation view cuts off, 0..1."""

    median: float
    largest: float


@dataclass(frozen=True, slots=True)
class ViewFacts:
    """What the network gets of the images when it is evaluated."""

    size: int
    """Side of the square, in pixels."""
    resize: Resize
    bits: int | None
    cut: CutShares | None
    """Over all images; None without images."""
    bands: tuple[int, ...] | None = None
    window: str | None = None
    contrast: Contrast | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; without `bands`, `window` and `contrast` where none were chosen."""
        chosen = ("bands", "window", "contrast")
        return {name: value for name, value in asdict(self).items() if name not in chosen or value}


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Preprocessing of an image for a set of weights."""

    size: int
    """Side of the square the network sees, in pixels."""
    resize: int
    """Length in pixels that the resize brings to: the shorter side (crop center), both (squash), or the longer
    (border). At least `size`."""
    interpolation: Interpolation
    """Antialiased resampling filter of the resize."""
    mean: tuple[float, ...]
    """Per-channel mean, in the units of values scaled to 0..1."""
    std: tuple[float, ...]
    """Per-channel standard deviation, same units; all > 0."""
    crop: Crop = "center"
    """center: keep the shape, cut what sticks out of the square. squash: bend the image to a square, lose nothing.
    border: keep the shape, lose nothing, fill up with the mean colour."""
    decoding: Decoding = Decoding()
    """What the bytes of a file become, before anything is resized."""
    channels_by: ChannelMethod | None = None
    """How the bands reach the network, which was adapted to as many channels; then `mean` and `std` are those of the
    bands in the training images. None: the network as its weights are."""

    def __post_init__(self) -> None:
        faults = self.decoding.faults()
        if self.size < SMALLEST_INPUT_PIXELS:
            faults.append(f"input.size: {self.size} must be >= {SMALLEST_INPUT_PIXELS} pixels")
        if self.resize < self.size:
            faults.append(f"input.resize: {self.resize} must be >= size {self.size}")
        if len(self.mean) != len(self.std) or not self.mean:
            faults.append(
                f"input.mean and input.std: {len(self.mean)} and {len(self.std)} values, one each per channel"
            )
        if any(value <= 0 for value in self.std):
            faults.append(f"input.std: {self.std} must be > 0")
        if faults:
            raise PlanError(faults, source="input spec")

    @property
    def channels(self) -> int:
        """Number of channels the network takes."""
        return len(self.mean)

    @property
    def resize_name(self) -> Resize:
        """Name of `crop` in a plan."""
        return next(name for name, crop in CROP_OF.items() if crop == self.crop)

    @property
    def padding(self) -> tuple[int, ...]:
        """Colour, 0..255 per channel, around an image that keeps its shape: the mean of the weights, 0 once scaled."""
        return tuple(round(255 * value) for value in self.mean)

    def at_size(self, size: int) -> InputSpec:
        """The same view of an image at another side length; the share of the image that is kept stays."""
        return replace(self, size=size, resize=max(size, math.floor(self.resize * size / self.size)))

    def as_requested(
        self,
        *,
        size: int | Literal["auto"] | None,
        resize: Resize | Literal["auto"] | None,
        decoding: Decoding = Decoding(),
    ) -> InputSpec:
        """The input of the weights with the values of a plan.

        Args:
            size: Side in pixels; auto or None keeps that of the weights.
            resize: How an image becomes a square; auto or None keeps the way of the weights. Where it is another one
                than theirs, squash and letterbox lose nothing: the resize brings to `size` itself.
            decoding: See the field.
        """
        found = self if size in (None, "auto") else self.at_size(int(size))
        if resize not in (None, "auto", found.resize_name):
            crop = CROP_OF[resize]  # type: ignore[index] # neither None nor auto
            found = replace(found, crop=crop, resize=found.resize if crop == "center" else found.size)
        return replace(found, decoding=decoding)

    def for_bands(self, mean: Sequence[float], std: Sequence[float], method: ChannelMethod) -> InputSpec:
        """The same view of images of several bands.

        Args:
            mean: Of each band in the training images, 0..1.
            std: Likewise; 0 for a band with one value becomes 1.
            method: How the bands reach the network.
        """
        spread = tuple(float(value) or 1.0 for value in std)
        return replace(self, mean=tuple(map(float, mean)), std=spread, channels_by=method)

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of an image after the resize, rounded as torchvision and timm round; both at least 1."""
        if self.crop == "squash":
            return self.resize, self.resize
        if self.crop == "border":
            ratio = max(width, height) / self.resize
            return max(1, round(width / ratio)), max(1, round(height / ratio))
        longer = int(self.resize * max(width, height) / min(width, height))
        return (self.resize, longer) if width <= height else (longer, self.resize)

    def share_cut(self, width: int, height: int) -> float:
        """Share of an image's area that no evaluation view shows, 0..1.

        Args:
            width: Of the image, in pixels.
            height: Likewise.
        """
        wide, high = self.resized(width, height)
        return 1 - min(wide, self.size) * min(high, self.size) / (wide * high)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the choices of `decoding` lie next to the rest."""
        raw = asdict(self)
        del raw["decoding"]
        if self.channels_by is None:  # older rows and bundles then compare equal
            del raw["channels_by"]
        return {**raw, **self.decoding.to_dict()}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> InputSpec:
        """The inverse of `to_dict`."""
        rest = {**raw, "mean": tuple(raw["mean"]), "std": tuple(raw["std"])}
        chosen = {field.name: rest.pop(field.name, None) for field in fields(Decoding)}
        bands = chosen["bands"]
        return cls(**rest, decoding=Decoding(**{**chosen, "bands": None if bands is None else tuple(bands)}))
