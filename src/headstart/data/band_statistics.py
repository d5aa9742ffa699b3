"""Statistics of the bands of training images: mean, deviation, covariance and patches, in one pass; labels unused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headstart.arrays import Doubles, Singles
from headstart.data.loading import in_order, read_view, reader_threads
from headstart.data.sources.reading import ImageRecord
from headstart.data.splits import order_key
from headstart.errors import DataError
from headstart.input_spec import InputSpec

_MOST_IMAGES = 2000
"""That are read; more change no statistic that matters."""
_PATCH_SIDE = 3
_MOST_PATCHES = 8192
_POOLED_SIDE = 64
"""Patches are those of images averaged to at least so many pixels a side, as random convolutions see them."""


@dataclass(frozen=True, eq=False)
class BandStatistics:
    """Statistics of n bands."""

    mean: Doubles
    """(n,) 0..1."""
    std: Doubles
    """(n,) of all pixels; 1 for a band that has one value only."""
    covariance: Doubles
    """(n, n) of the normalised bands."""
    patches: Singles
    """(P, 3, 3, n) of normalised images, in seeded order."""
    images: int
    """Number of images that were read."""


def band_statistics(
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    seed: int,
    on_images: Callable[[int], object] = lambda count: None,
) -> BandStatistics:
    """Statistics of the evaluation views of training images, of at most `_MOST_IMAGES` in seeded order.

    Args:
        records: Training images only.
        spec: Of the network; its `decoding.band_count` says how many bands there are.
        seed: Of the sample and of the patches.
        on_images: Called with the number of images just read.

    Raises:
        DataError: an image cannot be read.
    """
    bands = spec.decoding.band_count
    assert bands is not None, "of images of three channels the weights bring the statistics"
    chosen = sorted(records, key=lambda record: order_key(seed, record.id))[:_MOST_IMAGES]
    plain = spec.for_bands((0.0,) * bands, (1.0,) * bands, "learned")
    if plain.resize_name == "letterbox":  # the padding is no part of the image
        plain = replace(plain, crop="squash", resize=plain.size)
    count, total, products = 0, np.zeros(bands), np.zeros((bands, bands))
    patches: list[Singles] = []
    for record, view in in_order(lambda one: read_view(one, plain), chosen, threads=reader_threads()):
        values = view.reshape(-1, bands).astype(np.float64)
        count += len(values)
        total += values.sum(axis=0)
        products += values.T @ values
        patches.append(_patches(view, record.id, -(-_MOST_PATCHES // len(chosen)), seed))
        on_images(1)
    if not count:
        raise DataError("there are no training images", expected="some, for the statistics of their bands")
    mean = total / count
    covariance = products / count - np.outer(mean, mean)
    std = np.sqrt(np.maximum(np.diag(covariance), 0))
    std = np.where(std > np.finfo(np.float32).eps, std, 1.0)
    found = np.concatenate(patches)
    order = np.random.default_rng(seed).permutation(len(found))
    normalised = np.asarray((found[order] - mean) / std, np.float32)
    return BandStatistics(mean, std, covariance / np.outer(std, std), normalised, len(chosen))


def _patches(view: Singles, name: str, number: int, seed: int) -> Singles:
    """(number, 3, 3, n) patches at places that seed and name decide."""
    times = max(1, len(view) // _POOLED_SIDE)
    side = len(view) // times
    pooled = view[: side * times, : side * times].reshape(side, times, side, times, -1).mean(axis=(1, 3))
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "little"))
    places = rng.integers(side - _PATCH_SIDE + 1, size=(number, 2))
    return np.stack([pooled[top : top + _PATCH_SIDE, left : left + _PATCH_SIDE] for top, left in places])
