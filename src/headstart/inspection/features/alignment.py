"""Match of two small grey images when one is a turned, mirrored, rescaled or cropped copy of the other.

The middle of one image is a template: mirrored or not, turned and rescaled in steps, it is sought in the other image at
all places at once by normalised cross-correlation (Lewis 1995). From the best of these an affine map is fitted by
Gauss-Newton steps (Lucas and Kanade 1981) at larger and larger sizes, so that what remains between two copies is less
than a pixel. Fine structure is compared, not brightness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from headstart.arrays import Doubles, Floats, Singles

SmallGrey: TypeAlias = npt.NDArray[np.uint8]
"""(H, W) grey, the longer side SMALL_SIDE."""

Spectra: TypeAlias = npt.NDArray[np.complexfloating[Any, Any]]
"""(..., S, S / 2 + 1) of squares."""

SMALL_SIDE = 256
_COARSE_SIDE = 32
_FITTED_SIDES = (64, 128, 256)
_LEAST_SIDE = 48
"""Of the shorter side at SMALL_SIDE: a narrower strip has no structure to compare."""
_MIDDLE = 0.7
"""Side of the template as a share of its image's: turned by 15 degrees it still lies inside."""
_TURNS = (-15.0, -10.0, -5.0, 0.0, 5.0, 10.0, 15.0)
_SCALES = (0.6, 0.67, 0.75, 0.84, 0.92, 1.0, 1.1)
_LEAST_COARSE = 0.4
"""Coarse matches below this are not fitted: copies reach 0.5."""
_LEAST_FITTED = 0.55
"""Matches below this are not fitted at the next size."""
_SURE_MATCH = 0.95
"""Matches from here on need no larger size; forms with other words in them stay below."""
_STEPS = 8
_DAMPING = 1e-3
_PLAIN_TURN = 2.5
_PLAIN_SCALE = 0.08
"""Logarithm."""
_MOST_SHEAR = 1.3
"""Of the two axes of an affine map one may be so many times longer: beyond that nothing is a copy."""
_LEAST_INSIDE = 0.6
"""Of the template's pixels that must lie inside the other image."""
_FAINT = 2.0
"""Grey levels: flatter windows match nothing."""


@dataclass(frozen=True, slots=True)
class Placing:
    """How one image becomes part of another."""

    mirrored: bool
    turn: float
    """Degrees."""
    scale: float
    """Size of its pixels in the other image, both having the same longer side."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """The best match of two images, and what turns one into the other."""

    match: float
    """Correlation of fine structure, -1..1."""
    placing: Placing
    """Of the one whose middle was sought, in the other."""

    @property
    def is_plain(self) -> bool:
        """Whether one image lies on the other as it is: not mirrored, hardly turned, of nearly the same size."""
        placing = self.placing
        return not placing.mirrored and abs(placing.turn) < _PLAIN_TURN and abs(np.log(placing.scale)) < _PLAIN_SCALE


@dataclass(frozen=True, slots=True)
class SlopedImage:
    """Fine structure of one image at one size, and its slopes."""

    image: Singles
    down: Floats
    across: Floats


@dataclass(frozen=True, slots=True)
class FineStructure:
    """Fine structure of one image at several sizes, and the templates of its middle at the smallest."""

    coarse: Singles
    levels: tuple[SlopedImage, ...]
    templates: tuple[Templates, ...]


@dataclass(frozen=True, slots=True)
class Templates:
    """Spectra of the templates of one scale, all of one size."""

    placings: tuple[Placing, ...]
    spectra: Spectra
    """(V, S, S / 2 + 1) conjugated, of templates with mean 0 and length 1."""
    height: int
    width: int


def small_grey(pixels: npt.NDArray[np.uint8]) -> SmallGrey:
    """The image (H, W, 3) in grey, its longer side SMALL_SIDE pixels."""
    height, width = pixels.shape[:2]
    scale = SMALL_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # BOX averages whole pixels where an image shrinks; a smaller one is enlarged smoothly.
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels).convert("L").resize(size, how), np.uint8)


def structure(image: SmallGrey) -> FineStructure | None:
    """What is compared of an image; None if it is flat or a narrow strip."""
    height, width = image.shape
    if min(height, width) < _LEAST_SIDE:
        return None
    coarse = _without_local_mean(_shrunk(image, _COARSE_SIDE), 3)
    if coarse.std() < _FAINT:
        return None
    levels = []
    for side in _FITTED_SIDES:
        fine = _without_local_mean(_shrunk(image, side), 4)
        levels.append(SlopedImage(fine, np.gradient(fine, axis=0), np.gradient(fine, axis=1)))
    templates = []
    for scale in _SCALES:
        placings = tuple(Placing(mirrored, turn, scale) for mirrored, turn in product((False, True), _TURNS))
        cut = _cut(coarse, placings)
        if max(cut.shape[1:]) <= _COARSE_SIDE:
            templates.append(Templates(placings, _spectra(cut), cut.shape[1], cut.shape[2]))
    return FineStructure(coarse, tuple(levels), tuple(templates))


def align(first: FineStructure, second: FineStructure) -> Alignment:
    """The best match of the middle of either image somewhere in the other."""
    return max((_align(one, other) for one, other in ((first, second), (second, first))), key=lambda a: a.match)


def _align(one: FineStructure, other: FineStructure) -> Alignment:
    spectrum = np.fft.rfft2(other.coarse, s=(_COARSE_SIDE, _COARSE_SIDE))
    best, place = Alignment(-1, Placing(mirrored=False, turn=0, scale=1)), (0.0, 0.0)
    for templates in one.templates:
        matches = _matches(templates, other.coarse, spectrum)
        if matches.size and matches.max() > best.match:
            which, top, left = np.unravel_index(int(matches.argmax()), matches.shape)
            best = Alignment(float(matches.max()), templates.placings[which])
            place = (float(top) + (templates.height - 1) / 2, float(left) + (templates.width - 1) / 2)
    if best.match < _LEAST_COARSE:
        return best
    return _fitted_alignment(one, other, best.placing, place)


def _matches(templates: Templates, image: Singles, spectrum: Spectra) -> Singles:
    """(V, places down, places across) correlations of each template inside the image; empty where it is larger."""
    places = (image.shape[0] - templates.height + 1, image.shape[1] - templates.width + 1)
    if min(places) < 1:
        return np.empty((0, 0, 0), np.float32)
    found = np.fft.irfft2(templates.spectra * spectrum, s=(_COARSE_SIDE, _COARSE_SIDE))[:, : places[0], : places[1]]
    count = templates.height * templates.width
    sums, squares = (_window_sums(one, templates.height, templates.width) for one in (image, image**2))
    lengths = np.sqrt(np.maximum(squares - sums**2 / count, count * _FAINT**2))
    return np.asarray(found / lengths, np.float32)


def _fitted_alignment(
    one: FineStructure, other: FineStructure, placing: Placing, place: tuple[float, float]
) -> Alignment:
    """The alignment after an affine map was fitted to a coarse placing and the centre of the middle in the other."""
    turn = np.deg2rad(placing.turn)
    mirror = -1.0 if placing.mirrored else 1.0
    # Down and across in the other image for a step down and across in this one: the inverse of what `_cut` does.
    turned = np.array([[np.cos(turn), -np.sin(turn) * mirror], [np.sin(turn), np.cos(turn) * mirror]])
    linear, centre, match, side = placing.scale * turned, np.array(place), -1.0, _COARSE_SIDE
    for level, target, larger in zip(one.levels, other.levels, _FITTED_SIDES, strict=True):
        centre, side = (centre + 0.5) * (larger / side) - 0.5, larger
        linear, centre, match = _fitted(level.image, target, linear, centre)
        if match < _LEAST_FITTED or match >= _SURE_MATCH:
            break
    longest, shortest = np.linalg.svd(linear, compute_uv=False)
    if longest > _MOST_SHEAR * shortest:
        return Alignment(-1, placing)
    # The first column is what a step down becomes, which no mirroring left to right changes.
    degrees = float(np.rad2deg(np.arctan2(linear[1, 0], linear[0, 0])))
    return Alignment(match, Placing(bool(np.linalg.det(linear) < 0), degrees, float(np.sqrt(longest * shortest))))


def _fitted(one: Singles, other: SlopedImage, linear: Doubles, centre: Doubles) -> tuple[Doubles, Doubles, float]:
    """(linear part, centre, match) of the affine map of the middle of an image into another, fitted from a guess."""
    height, width = one.shape
    rows, columns = (np.arange(round(side * (1 - _MIDDLE) / 2), round(side * (1 + _MIDDLE) / 2)) for side in one.shape)
    template = one[np.ix_(rows, columns)].ravel()
    v, u = np.meshgrid(rows - (height - 1) / 2, columns - (width - 1) / 2, indexing="ij")
    away = np.stack([v.ravel(), u.ravel()])
    best = (linear, centre, -1.0)
    for _ in range(_STEPS):
        y, x = linear @ away + centre[:, None]
        inside = (y >= 0) & (y <= other.image.shape[0] - 1) & (x >= 0) & (x <= other.image.shape[1] - 1)
        if inside.mean() < _LEAST_INSIDE:
            break
        y, x, place = y[inside], x[inside], away[:, inside]
        seen, down, across = (_sampled(image, y, x) for image in (other.image, other.down, other.across))
        wanted, seen = template[inside], seen - seen.mean()
        wanted = wanted - wanted.mean()
        floor = _FAINT * np.sqrt(len(seen))
        length = max(float(np.linalg.norm(seen)), floor)
        residual = wanted * (length / max(float(np.linalg.norm(wanted)), floor)) - seen
        match = float(wanted @ seen) / (length * max(float(np.linalg.norm(wanted)), floor))
        if match <= best[2] + 1e-3:
            best = max(best, (linear, centre, match), key=lambda one: one[2])
            break
        best = (linear, centre, match)
        slopes = np.stack([down * place[0], down * place[1], down, across * place[0], across * place[1], across])
        slopes -= slopes.mean(axis=1, keepdims=True)
        normal = slopes @ slopes.T
        normal[np.diag_indices(6)] *= 1 + _DAMPING
        step = np.linalg.lstsq(normal, slopes @ residual, rcond=None)[0].reshape(2, 3)
        linear, centre = linear + step[:, :2], centre + step[:, 2]
    return best


def _window_sums(image: Singles, height: int, width: int) -> Doubles:
    """Sums over all windows of a size, from cumulative sums."""
    total = np.zeros((image.shape[0] + 1, image.shape[1] + 1))
    total[1:, 1:] = image.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    return total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]


def _cut(image: Singles, placings: Sequence[Placing]) -> Singles:
    """(V, h, w) the middle of an image in each placing, all of one size to the pixel."""
    height, width = image.shape
    scale = max(placing.scale for placing in placings)
    # Of the same parity as the image: an unchanged copy is then met without any interpolation.
    shape = tuple(max(2, 2 * round((_MIDDLE * scale * side - side % 2) / 2) + side % 2) for side in (height, width))
    v, u = np.meshgrid(
        np.arange(shape[0]) - (shape[0] - 1) / 2, np.arange(shape[1]) - (shape[1] - 1) / 2, indexing="ij"
    )
    turns = np.deg2rad([placing.turn for placing in placings])[:, None, None]
    mirror = np.array([-1.0 if placing.mirrored else 1.0 for placing in placings])[:, None, None]
    x = (np.cos(turns) * u - np.sin(turns) * v) / scale * mirror + (width - 1) / 2
    y = (np.sin(turns) * u + np.cos(turns) * v) / scale + (height - 1) / 2
    return _sampled(image, y, x)


def _sampled(image: Floats, y: Doubles, x: Doubles) -> Singles:
    """Values between pixels, bilinear; those outside are the nearest inside."""
    y, x = np.clip(y, 0, image.shape[0] - 1.001), np.clip(x, 0, image.shape[1] - 1.001)
    top, left = y.astype(np.int64), x.astype(np.int64)
    down, right = (y - top).astype(np.float32), (x - left).astype(np.float32)
    upper = image[top, left] * (1 - right) + image[top, left + 1] * right
    lower = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def _spectra(templates: Singles) -> Spectra:
    """Conjugated spectra of templates with mean 0 and length 1, in the corner of a square."""
    rows = templates - templates.mean(axis=(1, 2), keepdims=True)
    count = rows.shape[1] * rows.shape[2]
    lengths = np.sqrt((rows**2).sum(axis=(1, 2), keepdims=True))
    rows = rows / np.maximum(lengths, _FAINT * np.sqrt(count))
    return np.asarray(np.conj(np.fft.rfft2(rows, s=(_COARSE_SIDE, _COARSE_SIDE))), np.complex64)


def _shrunk(image: SmallGrey, side: int) -> Singles:
    """The image with `side` instead of SMALL_SIDE pixels on its longer side."""
    height, width = image.shape
    size = (max(2, round(width * side / SMALL_SIDE)), max(2, round(height * side / SMALL_SIDE)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX), np.float32)


def _without_local_mean(image: Singles, reach: int) -> Singles:
    """The image less the mean of its surroundings, `reach` pixels to each side."""
    down, across = _box(image.shape[0], reach), _box(image.shape[1], reach)
    return np.asarray(image - down @ image @ across.T, np.float32)


@cache
def _box(side: int, reach: int) -> Singles:
    """(side, side) means over at most `reach` pixels to both sides."""
    near = np.abs(np.arange(side)[:, None] - np.arange(side)) <= reach
    return np.asarray(near / near.sum(axis=1, keepdims=True), np.float32)
