"""What leaves a layer as positions on the image: maps of convolutions and tokens of patches, read in one way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor, nn

from headstart.engine.prefix.parts import channel_axis

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the square that the network sees; right and bottom are outside."""


@dataclass(frozen=True, slots=True)
class PositionMap:
    """Activations of a layer at every position of a grid over the image."""

    values_BPC: Tensor  # noqa: N815 - shapes
    """Positions row by row."""
    rows: int
    columns: int

    @property
    def centre(self) -> int:
        """Index of the position in the middle, of four the lower right one."""
        return (self.rows // 2) * self.columns + self.columns // 2


def position_map(tensor: Tensor, *, prefix_tokens: int = 0) -> PositionMap | None:
    """The positions of a layer's output; None where it has none.

    Args:
        tensor: (B, C, H, W) or (B, H, W, C) is a map of more than one position; (B, N, C) are tokens, of which all but
            those in front must fill a square.
        prefix_tokens: Tokens in front that stand for no patch (class, register); where the others do not fill a
            square, all of them may.
    """
    if not tensor.is_floating_point():
        return None
    if tensor.ndim == 4:
        last = tensor if channel_axis(tuple(tensor.shape)) == 3 else tensor.permute(0, 2, 3, 1)
        rows, columns = last.shape[1:3]
        return PositionMap(last.flatten(1, 2), rows, columns) if rows * columns > 1 else None
    if tensor.ndim == 3:
        # The library's count of prefix tokens first; a tap may have dropped them already, so none is tried too.
        for prefix in dict.fromkeys((prefix_tokens, 0)):
            count = tensor.shape[1] - prefix
            side = math.isqrt(max(count, 0))
            if side > 1 and side * side == count:
                return PositionMap(tensor[:, prefix:], side, side)
    return None


def prefix_tokens_of(network: nn.Module) -> int:
    """Tokens in front of the patches, as the libraries say it: timm by a count, torchvision by having a class token."""
    count = getattr(network, "num_prefix_tokens", None)
    if isinstance(count, int):
        return count
    return 1 if isinstance(getattr(network, "class_token", None), Tensor) else 0


def box_around(position: int, rows: int, columns: int, *, side: int, size: int) -> Box:
    """The square of `side` pixels around a position, shifted where it would leave the image.

    Args:
        position: 0..rows * columns - 1, row by row.
        rows: Of the grid.
        columns: Of the grid.
        side: 1..size pixels.
        size: Side of the image in pixels.

    Raises:
        ValueError: a position outside the grid, or a side outside the image.
    """
    if not (0 <= position < rows * columns and 1 <= side <= size):
        raise ValueError(f"position {position} of {rows} x {columns} with a side of {side} of {size} px")
    row, column = divmod(position, columns)
    # A position stands for its cell of the image, whose centre is half a cell from its corner.
    top = _clamped((row + 0.5) * size / rows - side / 2, size - side)
    left = _clamped((column + 0.5) * size / columns - side / 2, size - side)
    return left, top, left + side, top + side


def _clamped(value: float, most: int) -> int:
    return min(max(round(value), 0), most)
