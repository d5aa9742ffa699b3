"""One pass over images through networks that are read after every layer group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.advice.probe.by_depth import DepthCurve
from headstart.arrays import Singles
from headstart.data.checks.image_checks import FileFacts
from headstart.data.loading import ImageFault, batches, read_image
from headstart.data.preprocess import NetworkInput, evaluation_view, pixels_needed
from headstart.data.sources.reading import ImageRecord
from headstart.engine.store.store import image_digest
from headstart.files import not_written
from headstart.input_spec import InputSpec
from headstart.inspection.patches import Patches, draw_patches
from headstart.inspection.strongest_activations import StrongestPositions
from headstart.runs.progress import Progress

if TYPE_CHECKING:
    from headstart.advice.probe.reader import DepthReader

_BATCH_IMAGES = 16
"""The maps of all groups are held at once: 100 MB of EfficientNet-Lite0's at 224 px."""


@dataclass
class DepthPass:
    """One pass over images: each is read once, and passes once through each network."""

    spec: InputSpec
    readers: Sequence[DepthReader]
    drawn: bool
    """Whether the strongest positions are recorded."""
    records: list[ImageRecord] = field(default_factory=list)
    """Readable images, in order."""
    unreadable: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    strongest: dict[str, StrongestPositions] = field(default_factory=dict)
    """Group of the first network -> positions of the strongest activations of its channels."""
    first_inputs: NetworkInput = field(default_factory=lambda: np.empty((0, 0, 0, 0), np.float32))
    """A few images as the network sees them."""
    _found: list[dict[str, list[Singles]]] = field(default_factory=list)

    def look_at(self, records: Sequence[ImageRecord], progress: Progress) -> None:
        """Read and run all images; those that cannot be read are left out."""
        self._found = [{name: [] for name in reader.group_names} for reader in self.readers]
        tick = progress("read at every depth", len(records))
        chunks = [records[start : start + _BATCH_IMAGES] for start in range(0, len(records), _BATCH_IMAGES)]
        for chunk, inputs in batches(chunks, self._prepare):
            readable = [index for index, record in enumerate(chunk) if record.id in self.digests]
            if readable:
                self._run([chunk[index] for index in readable], inputs[readable])
            tick(len(chunk))

    @property
    def facts(self) -> FileFacts:
        """Facts of the images, after `look_at`."""
        return FileFacts(tuple(self.records), self.unreadable, self.digests)

    def features(self, network: int) -> dict[str, Singles]:
        """Group -> (N, F) of one of the networks."""
        return {name: np.concatenate(rows) for name, rows in self._found[network].items()}

    def draw(self, target: Path, curve: DepthCurve) -> Patches:
        """Patches with the strongest activations, written as one sheet.

        Args:
            target: Where to write it.
            curve: Of the first network.

        Raises:
            HeadstartError: it cannot be written.
        """
        reader = self.readers[0]
        sides = reader.receptive_sides(self.first_inputs)
        try:
            return draw_patches(
                target, self.records, self.spec, self.strongest, grids=reader.grids, sides=sides, curve=curve
            )
        except OSError as error:
            raise not_written(target, error) from error

    def _prepare(self, record: ImageRecord) -> NetworkInput:
        """Evaluation view; empty for an unreadable image, whose reason is recorded. Called from threads."""
        found = read_image(record, at_least=pixels_needed(self.spec), decoding=self.spec.decoding)
        if isinstance(found, ImageFault):
            self.unreadable[record.id] = found.reason
            return np.zeros((self.spec.size, self.spec.size, self.spec.channels), np.float32)
        self.digests[record.id] = image_digest(found.encoded).hex()
        return evaluation_view(found.decoded.values, self.spec)

    def _run(self, records: Sequence[ImageRecord], inputs: NetworkInput) -> None:
        numbers = np.arange(len(self.records), len(self.records) + len(records))
        self.records.extend(records)
        if not len(self.first_inputs):
            self.first_inputs = inputs
        for index, reader in enumerate(self.readers):
            for name, reading in reader.read(inputs).items():
                self._found[index][name].append(reading.pooled_BF)
                if self.drawn and index == 0 and reading.strongest_BC is not None:
                    assert reading.positions_BC is not None
                    channels = reading.strongest_BC.shape[1]
                    kept = self.strongest.setdefault(name, StrongestPositions(channels))
                    kept.add(numbers, reading.strongest_BC, reading.positions_BC)
