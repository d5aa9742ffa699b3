"""Sheet of patches: each row is a layer group with some channels, and a few patches of each channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from headstart.data.decoders.decoded import Pixels
from headstart.files import write_atomically

TILE = 64
"""Side of a patch on the sheet in pixels: small ones are magnified as they are, large ones reduced."""
_GAP = 2
_CHANNEL_GAP = 14
_MARGIN = 12
_TITLE = 26
_HEADING = 36
_CAPTION = 16
_WIDTH_OF_TEXT = 640


@dataclass(frozen=True)
class SheetRow:
    """One layer group."""

    title: str
    note: str
    captions: Sequence[str]
    """Of each channel."""
    channels: Sequence[Sequence[Pixels]]
    """Of each channel its patches; none where there is only text to show."""


def write_patch_sheet(path: Path, rows: Sequence[SheetRow], *, title: str) -> None:
    """Write a PNG.

    Raises:
        DiskFullError: the disk is full; nothing half-written is left.
    """
    width = max([_WIDTH_OF_TEXT, *(_row_width(row) for row in rows)]) + 2 * _MARGIN
    height = _MARGIN + _TITLE + sum(_row_height(row) for row in rows)
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), title, fill="black", font=ImageFont.load_default(15))
    top = _MARGIN + _TITLE
    for row in rows:
        _draw_row(sheet, draw, row, top)
        top += _row_height(row)
    write_atomically(path, lambda aside: sheet.save(aside, "PNG"))


def _row_width(row: SheetRow) -> int:
    patches = [len(channel) * (TILE + _GAP) for channel in row.channels]
    return sum(patches) + _CHANNEL_GAP * max(len(patches) - 1, 0)


def _row_height(row: SheetRow) -> int:
    return _HEADING + (TILE + _CAPTION + _MARGIN if row.channels else 0)


def _draw_row(sheet: Image.Image, draw: ImageDraw.ImageDraw, row: SheetRow, top: int) -> None:
    draw.text((_MARGIN, top), row.title, fill="black", font=ImageFont.load_default(13))
    draw.text((_MARGIN, top + 17), row.note, fill="#555555", font=ImageFont.load_default(11))
    left = _MARGIN
    for caption, channel in zip(row.captions, row.channels, strict=True):
        draw.text((left, top + _HEADING + TILE + 1), caption, fill="#555555", font=ImageFont.load_default(11))
        for patch in channel:
            sheet.paste(_tile(patch), (left, top + _HEADING))
            left += TILE + _GAP
        left += _CHANNEL_GAP


def _tile(patch: Pixels) -> Image.Image:
    """Patch magnified without smoothing, so that each input pixel is visible; or reduced."""
    image = Image.fromarray(patch)
    small = max(image.size) < TILE
    return image.resize((TILE, TILE), Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS)
