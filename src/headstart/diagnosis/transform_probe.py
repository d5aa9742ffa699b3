"""What a transform does to pixel values, measured on images of one colour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_FIRST_DRAWS, _DRAWS = 3, 9
_SIDE = 320
_Colour: TypeAlias = tuple[int, int, int]
_COLOURS: dict[str, _Colour] = {"black": (0, 0, 0), "white": (255, 255, 255), "red": (255, 0, 0), "blue": (0, 0, 255)}


@dataclass(frozen=True)
class SolidViews:
    """What a transform makes of images of one colour."""

    black: Tensor
    """(C, H, W)."""
    white: Tensor
    red: Tensor
    blue: Tensor
    takes: str
    """What it took: a PIL image, an array or a tensor."""

    def stacked(self) -> Tensor:
        """(4, C, H, W) black, white, red and blue."""
        return torch.stack([self.black, self.white, self.red, self.blue])


@dataclass(frozen=True, slots=True)
class ValueMap:
    """Values that black and white become, channel by channel, where they enter the first layer with weights."""

    black: tuple[float, ...]
    white: tuple[float, ...]
    order: Literal["rgb", "bgr", "unknown"]

    @property
    def span(self) -> tuple[float, ...]:
        """White minus black."""
        return tuple(white - black for black, white in zip(self.black, self.white, strict=True))


def solid_views(transform: Any) -> SolidViews | None:  # noqa: ANN401 - any transform
    """Views of black, white, red and blue; None where the transform takes no image that is tried here.

    Random augmentation moves the colour of some views: of several, the darkest black and the lightest white count.
    """
    for takes, made in _INPUTS.items():
        apply = _applied(transform, made, takes)
        found: dict[str, Tensor] = {}
        try:
            for name, colour in _COLOURS.items():
                views = _drawn(apply, colour)
                found[name] = _typical(name, views)
        except Exception:  # the next kind of image may be what it takes
            continue
        return SolidViews(**found, takes=takes)
    return None


def map_of_values(entered: Tensor) -> ValueMap | None:
    """Map of values from what enters the first layer for (black, white, red, blue).

    Args:
        entered: (4, C, H, W).

    Returns:
        None where black and white cannot be told apart, as after standardising each image by itself.
    """
    medians = entered.float().flatten(2).median(dim=2).values
    black, white, red, blue = medians
    span = white - black
    if not bool(torch.isfinite(medians).all()) or bool((span.abs() < 1e-6).any()):
        return None
    order: Literal["rgb", "bgr", "unknown"] = "unknown"
    if medians.shape[1] == 3:
        red_share, blue_share = (red - black) / span, (blue - black) / span
        first, last = float(red_share[0] - red_share[2]), float(blue_share[0] - blue_share[2])
        if first > 0.3 and last < -0.3:
            order = "rgb"
        elif first < -0.3 and last > 0.3:
            order = "bgr"
    return ValueMap(tuple(black.tolist()), tuple(white.tolist()), order)


def _drawn(apply: Callable[[_Colour], Tensor], colour: _Colour) -> list[Tensor]:
    """Views of one colour; the first three say whether more can differ."""
    views = [apply(colour) for _ in range(_FIRST_DRAWS)]
    if any(not torch.equal(views[0], one) for one in views[1:]):
        views += [apply(colour) for _ in range(_DRAWS - _FIRST_DRAWS)]
    return views


def _typical(name: str, views: list[Tensor]) -> Tensor:
    levels = [float(view.float().median()) for view in views]
    if name == "black":
        return views[int(np.argmin(levels))]
    if name == "white":
        return views[int(np.argmax(levels))]
    # Augmentation makes some views grey: the most colourful one says where red and blue go.
    means = [view.float().flatten(1).mean(dim=1) for view in views]
    return views[int(np.argmax([float(one.max() - one.min()) for one in means]))]


def _pil(colour: _Colour) -> Image.Image:
    return Image.new("RGB", (_SIDE, _SIDE), colour)


def _array(colour: _Colour) -> Any:  # noqa: ANN401
    return np.broadcast_to(np.array(colour, dtype=np.uint8), (_SIDE, _SIDE, 3)).copy()


def _bytes_tensor(colour: _Colour) -> Tensor:
    return torch.from_numpy(_array(colour)).permute(2, 0, 1).contiguous()


_INPUTS: dict[str, Callable[[_Colour], Any]] = {
    "a PIL image": _pil,
    "an array": _array,
    "image=array": _array,
    "a uint8 tensor": _bytes_tensor,
}
"""What transforms take, those of torchvision first, albumentations by name."""


def _applied(
    transform: Any,  # noqa: ANN401
    made: Callable[[_Colour], Any],
    takes: str,
) -> Callable[[_Colour], Tensor]:
    def apply(colour: _Colour) -> Tensor:
        image = made(colour)
        return as_chw(transform(image=image) if takes == "image=array" else transform(image))

    return apply


def as_chw(value: Any) -> Tensor:  # noqa: ANN401 - what transforms return
    """(C, H, W) of what a transform returns.

    Raises:
        TypeError: it is no image.
    """
    if isinstance(value, Mapping) or hasattr(value, "keys"):
        for key in ("pixel_values", "image"):
            if key in value.keys():  # noqa: SIM118
                return as_chw(value[key])
        raise TypeError("a mapping without an image")
    if isinstance(value, list | tuple) and value:
        return as_chw(value[0])
    if isinstance(value, Image.Image):
        value = np.asarray(value)
    tensor = value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    tensor = tensor.as_subclass(Tensor)
    if tensor.ndim == 4 and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 3:
        raise TypeError(f"an image of shape {tuple(tensor.shape)}")
    if tensor.shape[0] not in (1, 3, 4) and tensor.shape[2] in (1, 3, 4):
        tensor = tensor.permute(2, 0, 1)
    return tensor
