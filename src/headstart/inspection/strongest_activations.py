"""Images and positions with the strongest activations of the channels of a layer, collected batch by batch.

In the spirit of Zeiler & Fergus 2014, who show the nine strongest patches of chosen feature maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_STILL = 1e-6
"""Channels whose maxima deviate by no more than this share of their mean are left out."""


@dataclass(frozen=True, slots=True)
class Peak:
    """Strongest position of a channel in one image."""

    image: int
    """Number that the image was added under."""
    position: int
    """Of the layer's grid, row by row."""
    activation: float


@dataclass(frozen=True, slots=True)
class ChannelPeaks:
    """Images with the strongest activations of a channel, the strongest first; each image counts once."""

    channel: int
    stands_out: float
    """How far the weakest of these peaks lies above the channel's maximum in an average image, in deviations."""
    peaks: tuple[Peak, ...]


class StrongestPositions:
    """Collector of the strongest positions of every channel of a layer over images, one in each image.

    The result does not depend on the division into batches; of equal ones the first are kept.
    """

    def __init__(self, channels: int, *, count: int = 4) -> None:
        """Keep `count` images for each of `channels` channels."""
        self._values = np.full((count, channels), -np.inf, np.float32)
        self._images = np.full((count, channels), -1, np.int64)
        self._positions = np.full((count, channels), -1, np.int64)
        self._count = 0
        self._sum = np.zeros(channels)
        self._squares = np.zeros(channels)

    def add(
        self,
        images_B: npt.NDArray[np.int64],  # noqa: N803 - shapes
        strongest_BC: npt.NDArray[np.float32],  # noqa: N803
        positions_BC: npt.NDArray[np.int64],  # noqa: N803
    ) -> None:
        """Add a batch of images.

        Args:
            images_B: Number of each image.
            strongest_BC: Each channel's largest value over the positions of an image.
            positions_BC: Index of that position.
        """
        maxima = strongest_BC.astype(np.float64)
        self._count += len(maxima)
        self._sum += maxima.sum(axis=0)
        self._squares += (maxima**2).sum(axis=0)
        count, channels = self._values.shape
        numbers = np.broadcast_to(np.asarray(images_B)[:, None], (len(maxima), channels))
        values = np.concatenate([self._values, strongest_BC])
        # Stable, with what is held first: of equal values the earlier image stays, however the batches were cut.
        order = np.argsort(-values, axis=0, kind="stable")[:count]
        self._values = np.take_along_axis(values, order, axis=0)
        self._images = np.take_along_axis(np.concatenate([self._images, numbers]), order, axis=0)
        self._positions = np.take_along_axis(np.concatenate([self._positions, positions_BC]), order, axis=0)

    def most_selective(self, channels: int) -> tuple[ChannelPeaks, ...]:
        """Channels whose peaks stand out most from their average activation, in falling order.

        Channels with nearly constant maxima are left out; there may be fewer than requested.

        Args:
            channels: How many, at most.
        """
        held = min(len(self._values), self._count)
        if held == 0:
            return ()
        scores = self._scores(held)
        order = np.argsort(-scores, kind="stable")[:channels]
        return tuple(self._peaks_of(int(c), float(scores[c]), held) for c in order if np.isfinite(scores[c]))

    def _scores(self, held: int) -> npt.NDArray[np.float64]:
        mean = self._sum / self._count
        # Rounding can make the difference of two large numbers slightly negative.
        deviation = np.sqrt(np.maximum(self._squares / self._count - mean**2, 0))
        tells = deviation > _STILL * np.maximum(np.abs(mean), np.finfo(np.float32).tiny)
        # The weakest of the peaks counts: one freak image does not make a channel selective.
        above = self._values[held - 1].astype(np.float64) - mean
        scores: npt.NDArray[np.float64] = np.full(len(mean), -np.inf)
        np.divide(above, deviation, out=scores, where=tells)
        return scores

    def _peaks_of(self, channel: int, score: float, held: int) -> ChannelPeaks:
        columns: tuple[npt.NDArray[Any], ...] = (self._images, self._positions, self._values)
        rows = zip(*(column[:held, channel] for column in columns), strict=True)
        return ChannelPeaks(channel, score, tuple(Peak(int(i), int(p), float(v)) for i, p, v in rows))
