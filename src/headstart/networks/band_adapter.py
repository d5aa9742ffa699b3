"""How n bands reach a network that takes three channels: matrices and filters as numbers, without a network.

Every method but random convolutions is one matrix (3, n) between the normalised bands and the channels that the
weights know, so it is taken into the first convolution: the weights of band b are the sum over channels c of the
pretrained weights of c times matrix[c, b]. Zero padding stays zero, so this is exact at the edge too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from headstart.arrays import Doubles, Singles
from headstart.errors import PlanError
from headstart.input_spec import ChannelMethod

WEIGHT_CHANNELS = 3
"""That the weights take."""
RANDOM_FILTERS = 128
"""Of random convolutions; each gives two features. In first tries on five-band tiles 64, 128 and 256 gave balanced
accuracies of 0.912, 0.918 and 0.921, each at twice the time of the one before."""
_SMALLEST_VARIANCE = 1e-6
"""Of a direction in which bands differ, as a share of the largest: below it there is only rounding."""
_WHITENING = 0.1
"""Added to the variances of patches, as a share of their mean, so that noise is not blown up."""

CHANNEL_METHODS: tuple[ChannelMethod, ...] = get_args(ChannelMethod)


@dataclass(frozen=True, eq=False)
class BandAdapter:
    """Adapter of one set of images to the three channels of pretrained weights."""

    method: ChannelMethod
    matrix: Doubles
    """(3, n): normalised bands -> channels of the weights."""
    filters: Singles | None = None
    """(K, n, 3, 3) of random convolutions; None for other methods."""
    offsets: Singles | None = None
    """(K,) added to their outputs."""

    @property
    def bands(self) -> int:
        """Number of bands, n."""
        return int(self.matrix.shape[1])


def fitted_adapter(
    method: ChannelMethod,
    covariance: Doubles,
    patches: Singles,
) -> BandAdapter:
    """The adapter of a method for images with these statistics; the same numbers give the same adapter.

    Args:
        method: See `band_matrix`; random_convolutions reads the network's channels as `learned` does.
        covariance: (n, n) of the normalised bands in the training images.
        patches: (P, 3, 3, n) of normalised training images, of which the first become filters.

    Raises:
        PlanError: the method does not take so many bands.
    """
    matrix = band_matrix(method, len(covariance), covariance)
    if method != "random_convolutions":
        return BandAdapter(method, matrix)
    return BandAdapter(method, matrix, *_filters(patches))


def band_matrix(method: ChannelMethod, bands: int, covariance: Doubles | None = None) -> Doubles:
    """(3, n) matrix from normalised bands to the channels of the weights.

    band_map: red, green and blue are the third, second and first band, as bands are numbered by rising wavelength; of
    three bands they are these in the order given. repeat: the weights of red, green and blue in turn, times 3 / n, as
    timm has it. sum: each band has the sum of the weights of all channels, divided by n. learned: the three principal
    components of the pixels, scaled to variance 1, each with the sign that makes bright bands bright.

    Args:
        method: Of the adapter.
        bands: n.
        covariance: (n, n) of the normalised bands, for `learned` and `random_convolutions`.

    Raises:
        PlanError: two bands cannot be mapped to three channels.
    """
    if method == "band_map":
        if bands < WEIGHT_CHANNELS:
            fault = f"input.channels: band_map needs three bands, and the images have {bands}"
            raise PlanError([f"{fault}; repeat, sum, learned and random_convolutions take them"], source="the channels")
        chosen = (0, 1, 2) if bands == WEIGHT_CHANNELS else (2, 1, 0)
        return np.eye(bands)[list(chosen)]
    if method == "repeat":
        channel, band = np.ogrid[:WEIGHT_CHANNELS, :bands]
        return np.where(band % WEIGHT_CHANNELS == channel, WEIGHT_CHANNELS / bands, 0.0)
    if method == "sum":
        return np.full((WEIGHT_CHANNELS, bands), 1 / bands)
    assert covariance is not None, f"{method} is learned from the images"
    return _components(covariance)


def _components(covariance: Doubles) -> Doubles:
    """(3, n) principal components scaled to variance 1; zero for those that the bands do not have."""
    variances, vectors = np.linalg.eigh(covariance)
    found = np.zeros((WEIGHT_CHANNELS, len(covariance)))
    for row, index in enumerate(np.argsort(variances)[::-1][:WEIGHT_CHANNELS]):
        if variances[index] > _SMALLEST_VARIANCE * variances.max():
            vector = vectors[:, index]
            # The sign of a component is arbitrary, and a network sees a negative as another image.
            found[row] = vector * (1 if vector.sum() >= 0 else -1) / np.sqrt(variances[index])
    return found


def _filters(patches: Singles) -> tuple[Singles, Singles]:
    """(K, n, 3, 3) filters and (K,) offsets: random training patches, whitened and of length 1 (Coates and Ng 2012)."""
    flat = patches.reshape(len(patches), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    variances, vectors = np.linalg.eigh(np.cov(flat - mean, rowvar=False))
    variances = np.maximum(variances, 0)
    floor = max(_WHITENING * float(variances.mean()), np.finfo(np.float32).tiny)
    whiten = vectors @ np.diag(1 / np.sqrt(variances + floor)) @ vectors.T
    directions = (flat[:RANDOM_FILTERS] - mean) @ whiten
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    filters = directions @ whiten
    shaped = filters.reshape(-1, *patches.shape[1:]).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(shaped, np.float32), np.asarray(-filters @ mean, np.float32)
