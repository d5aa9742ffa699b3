"""Input of a network for the images of a set: as the weights have it, or adapted to the bands of the images.

Training, embed, probe, shortlist and previews all adapt a network here, so that the same images and the same way give
the same network, and the activation cache of one serves the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.data.band_statistics import BandStatistics, band_statistics
from headstart.data.sources.reading import ImageRecord
from headstart.input_spec import ChannelMethod, InputSpec
from headstart.networks.band_adapter import BandAdapter, fitted_adapter
from headstart.plan.sections import ChannelChoice

UNPROBED_METHOD: ChannelMethod = "learned"
"""What auto means where nothing is trained: it uses all bands, is exact, and adds no features to the network's own."""


@dataclass(frozen=True, eq=False)
class AdaptedInput:
    """Input of a network, and what its first layer needs for it."""

    spec: InputSpec
    adapter: BandAdapter | None = None
    """None: the network as its weights are."""


def adapted_to_bands(weights: InputSpec, statistics: BandStatistics, method: ChannelMethod) -> AdaptedInput:
    """Input and adapter for images with these statistics.

    Args:
        weights: Input of the weights, with the decoding of the images.
        statistics: Of the bands of training images.
        method: From bands to channels.

    Raises:
        PlanError: the method does not take so many bands.
    """
    spec = weights.for_bands(statistics.mean.tolist(), statistics.std.tolist(), method)
    return AdaptedInput(spec, fitted_adapter(method, statistics.covariance, statistics.patches))


class SetAdapter:
    """Adapter of networks to the images of one set, without a probe; statistics of one view are computed once."""

    def __init__(self, records: Sequence[ImageRecord], *, channels: ChannelChoice = "auto", seed: int = 0) -> None:
        """Keep the arguments; nothing is read yet.

        Args:
            records: Readable training images: only theirs are the statistics.
            channels: As requested; auto is `UNPROBED_METHOD`.
            seed: Of the training, whose statistics are then the same.
        """
        self._records, self._seed = records, seed
        self.method: ChannelMethod = UNPROBED_METHOD if channels == "auto" or channels == "plain" else channels
        self._statistics: dict[InputSpec, BandStatistics] = {}

    def adapted(self, weights: InputSpec) -> AdaptedInput:
        """Input of a network for the images, and its adapter where they have bands.

        Args:
            weights: Input of the weights, with the decoding of the images (`with_band_count`).

        Raises:
            DataError: an image cannot be read.
            PlanError: the method does not take so many bands.
        """
        if weights.decoding.band_count is None:
            return AdaptedInput(weights)
        # Statistics of bands are those of the view; what the weights expect of three channels is no part of it.
        view = weights.for_bands((0.0,), (1.0,), self.method)
        if view not in self._statistics:
            self._statistics[view] = band_statistics(self._records, weights, seed=self._seed)
        return adapted_to_bands(weights, self._statistics[view], self.method)
