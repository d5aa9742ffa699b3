"""What a set of weights expects of an image: one record, made with the weights, read by everybody else."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from headstart.errors import PlanError

Interpolation = Literal["nearest", "bilinear", "bicubic"]
Crop = Literal["center", "squash", "border"]

SMALLEST_INPUT_PIXELS = 32
"""Networks that shrink an image 32-fold have nothing left below this side length."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How an image becomes the tensor these weights were trained on."""

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

    def __post_init__(self) -> None:
        faults = []
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

    def at_size(self, size: int) -> InputSpec:
        """The same view of an image at another side length; the share of the image that is kept stays."""
        return InputSpec(
            size=size,
            resize=max(size, math.floor(self.resize * size / self.size)),
            interpolation=self.interpolation,
            mean=self.mean,
            std=self.std,
            crop=self.crop,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> InputSpec:
        """The inverse of `to_dict`."""
        return cls(**{**raw, "mean": tuple(raw["mean"]), "std": tuple(raw["std"])})
