"""Images with equalised contrast: CLAHE, contrast-limited adaptive histogram equalisation.

Each of 8 x 8 tiles of an image has a table that spreads its own histogram over all grey levels; a level that many
pixels share is cut at twice the mean count, so that noise of plain areas is not blown up. A pixel takes the mean of the
tables of the four nearest tiles, by its distance from their centres (Zuiderveld, Graphics Gems IV, 1994). On grey
images of 8 bits the result is that of OpenCV's `createCLAHE(2.0, (8, 8))`, to the bit. It is computed here, because a
bundle that was trained with it needs it wherever it predicts, and OpenCV would be the largest package there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from headstart.arrays import Singles
from headstart.data.decoders.decoded import Decoded, FaultKind, UnreadableImageError
from headstart.input_spec import Contrast

TILES = 8
"""Tiles along each side of an image."""
CLIP_LIMIT = 2.0
"""Most pixels of one grey level in a tile, in times the mean over all levels."""
_LEVELS = 256
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


def with_contrast(found: Decoded, contrast: Contrast | None) -> Decoded:
    """The image with the chosen contrast; `file` and None leave it as it is.

    Of a colour image the brightness is equalised: all three channels move by what it moves.

    Raises:
        UnreadableImageError: it has neither one band nor three.
    """
    if contrast in (None, "file"):
        return found
    bands = None if found.bands is None else _equalised_bands(found.bands)
    return replace(found, pixels=_equalised_pixels(found.pixels), bands=bands)


def _equalised_pixels(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    values = pixels.astype(np.float32)
    tone = np.rint(values @ _LUMA)
    moved = equalised(tone) - tone
    levels: npt.NDArray[np.uint8] = np.clip(np.rint(values + moved[:, :, None]), 0, _LEVELS - 1).astype(np.uint8)
    return levels


def _equalised_bands(bands: Singles) -> Singles:
    count = bands.shape[2]
    if count not in (1, 3):
        text = f"{count} bands: --contrast clahe is for grey and colour; --bands 3,2,1 chooses three"
        raise UnreadableImageError(text, FaultKind.BANDS)
    white = np.float32(_LEVELS - 1)
    tone = bands[:, :, 0] * white if count == 1 else bands @ _LUMA * white
    moved = (equalised(tone) - tone) / white
    return np.clip(bands + moved[:, :, None], 0, 1)


def equalised(tone: Singles) -> Singles:
    """(H, W) grey values 0..255 after CLAHE; whole values stay whole, others take the mean of their two neighbours'.

    Args:
        tone: (H, W), 0..255.
    """
    height, width = tone.shape
    # Mirrored at the right and lower edges, so that all tiles have the same size; by OpenCV's rule both or none.
    more = (0, 0) if height % TILES == width % TILES == 0 else (TILES - height % TILES, TILES - width % TILES)
    padded = np.pad(tone, ((0, more[0]), (0, more[1])), mode="reflect")
    tables = _tables(np.rint(padded).astype(np.int64))
    rows, columns = (_neighbours(side, whole // TILES) for side, whole in zip(tone.shape, padded.shape, strict=True))
    out = np.empty_like(tone)
    # Between two centres of tiles all pixels share four tables: read block by block these stay in the cache.
    for (top, bottom), upper, lower, down in rows:
        for (left, right), before, after, across in columns:
            block = tone[top:bottom, left:right]
            corners = [_looked_up(tables[row, column], block) for row in (upper, lower) for column in (before, after)]
            near, far = (corners[i] * (1 - across) + corners[i + 1] * across for i in (0, 2))
            out[top:bottom, left:right] = near * (1 - down[:, None]) + far * down[:, None]
    return np.rint(out) if np.array_equal(tone, np.rint(tone)) else out


def _tables(levels: npt.NDArray[np.int64]) -> Singles:
    """(TILES, TILES, 256) grey value by level, of each tile."""
    height, width = (side // TILES for side in levels.shape)
    tiles = levels.reshape(TILES, height, TILES, width).transpose(0, 2, 1, 3).reshape(TILES * TILES, -1)
    numbered = tiles + _LEVELS * np.arange(len(tiles))[:, None]
    counts = np.bincount(numbered.ravel(), minlength=len(tiles) * _LEVELS).reshape(-1, _LEVELS)
    most = max(1, int(CLIP_LIMIT * tiles.shape[1] / _LEVELS))
    excess = np.maximum(counts - most, 0).sum(axis=1)
    counts = np.minimum(counts, most) + (excess // _LEVELS)[:, None]
    # What does not go round is given to levels at equal distances, one each.
    for number in np.flatnonzero(excess % _LEVELS):
        rest = int(excess[number] % _LEVELS)
        counts[number, : _LEVELS : max(1, _LEVELS // rest)][:rest] += 1
    scale = np.float32((_LEVELS - 1) / tiles.shape[1])
    tables: Singles = np.clip(np.rint(counts.cumsum(axis=1).astype(np.float32) * scale), 0, _LEVELS - 1)
    return tables.reshape(TILES, TILES, _LEVELS)


def _neighbours(side: int, tile: int) -> list[tuple[tuple[int, int], int, int, Singles]]:
    """Stretches of a side between centres of tiles: (from, to), tile before, tile after, weight of the latter."""
    place = np.arange(side, dtype=np.float32) * np.float32(1 / tile) - np.float32(0.5)
    before = np.floor(place).astype(np.int64)
    found = []
    for number in range(-1, TILES):
        inside = np.flatnonzero(before == number)
        if inside.size:
            part = (int(inside[0]), int(inside[-1]) + 1)
            weight = place[inside] - np.float32(number)
            found.append((part, max(number, 0), min(number + 1, TILES - 1), weight))
    return found


def _looked_up(table: Singles, tone: Singles) -> Singles:
    level = tone.astype(np.uint8)
    share = tone - level
    found: Singles = table[level]
    if share.any():
        found = found * (1 - share) + np.append(table[1:], table[-1])[level] * share
    return found
