"""Running a frozen prefix over images with any engine, and how far its outputs may be from the network's; no torch."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.arrays import Singles
from headstart.data.loading import batches, in_order, read_view
from headstart.data.preprocess import NetworkInput
from headstart.data.sources.reading import ImageRecord
from headstart.input_spec import InputSpec
from headstart.machine import one_core_a_thread, take_one_core

Outputs: TypeAlias = tuple[npt.NDArray[np.float32], ...]
"""What a prefix gives for a batch: one or more arrays, batch first."""

SAMPLE_IMAGES = 8
"""On which engines are compared, and timed, repeated where all cores are to have some."""
BATCH_IMAGES = 32
"""Are run at once where one call uses the whole device."""
FEW_IMAGES = 4
"""Are run at once by each core: few enough that a layer's maps stay near it, enough to share the reading of the
weights."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Largest difference of an engine's outputs from those of the original network."""

    largest_difference: float
    """In units of the largest absolute output."""
    smallest_cosine: float
    """Between the two outputs for one image."""


SINGLE = Tolerance(1e-4, 0.99999)
"""Worst seen over eleven networks: 2.5e-6 and 0.9999998."""
HALF = Tolerance(5e-2, 0.999)
"""Mixed precision on a GPU."""


class Engine(Protocol):
    """Runs one frozen prefix."""

    @property
    def name(self) -> str:
        """PyTorch is torch, ONNX Runtime is onnxruntime."""

    @property
    def version(self) -> str:
        """Whatever may change a bit of what it computes."""

    @property
    def image_threads(self) -> int:
        """Number of threads that may call `run` at once, each with few images; 1: `run` uses all cores itself."""

    def run(self, images: NetworkInput) -> Outputs:
        """B x height x width x channels -> arrays, batch first."""


def output_fault(found: Outputs, expected: Outputs, tolerance: Tolerance) -> str:
    """Why outputs are not those of the network, or an empty string."""
    shapes, expected_shapes = ([array.shape for array in arrays] for arrays in (found, expected))
    if shapes != expected_shapes:
        return f"it gives arrays of {shapes}, not {expected_shapes}"
    for a, b in zip(found, expected, strict=True):
        # In double precision, because the differences are near the rounding of single precision.
        rows_a, rows_b = (array.reshape(len(array), -1).astype(np.float64) for array in (a, b))
        # Relative to the largest output: small entries of large maps are rounding in either engine.
        difference = np.abs(rows_a - rows_b).max() / max(np.abs(rows_b).max(), np.finfo(np.float32).tiny)
        lengths = np.linalg.norm(rows_a, axis=1) * np.linalg.norm(rows_b, axis=1)
        # The cosine of each row catches a row that is off as a whole although others are far larger.
        cosines = np.divide((rows_a * rows_b).sum(axis=1), lengths, out=np.ones(len(a)), where=lengths > 0)
        # Negated, so that NaN in either figure is a fault.
        if not (difference <= tolerance.largest_difference and cosines.min() >= tolerance.smallest_cosine):
            return f"its outputs differ by {difference:.1e} of the largest (cosine {cosines.min():.6f})"
    return ""


class EngineWithHead:
    """An engine of features followed by the head: features of all images are never in memory together."""

    def __init__(self, engine: Engine, logits: Callable[[Singles], Singles]) -> None:
        """Join both.

        Args:
            engine: Of the features.
            logits: (B, F) features -> (B, K) logits.
        """
        self.name, self.version, self.image_threads = engine.name, engine.version, engine.image_threads
        self._engine, self._logits = engine, logits

    def run(self, images: NetworkInput) -> Outputs:
        """B x height x width x channels -> (logits,)."""
        # The head runs on each few rows at once, so that memory does not grow with images x features.
        return (self._logits(self._engine.run(images)[0]),)


def outputs_of(
    engine: Engine, records: Sequence[ImageRecord], prepare: Callable[[ImageRecord], NetworkInput]
) -> Generator[tuple[Sequence[ImageRecord], Outputs], None, None]:
    """(records, arrays batch first) for some images after the other; decoding and computing share the cores.

    Args:
        engine: Runs the prefix.
        records: The images.
        prepare: Reads one; is called from several threads.
    """
    # An engine that uses all cores itself gets large batches while threads decode the next ones.
    if engine.image_threads == 1:
        chunks = [records[i : i + BATCH_IMAGES] for i in range(0, len(records), BATCH_IMAGES)]
        for chunk, inputs in batches(chunks, prepare):
            yield chunk, engine.run(inputs)
        return

    # Otherwise each thread decodes its few images and runs them at once: no thread waits for another's layer.
    def both(few: Sequence[ImageRecord]) -> Outputs:
        take_one_core()
        return engine.run(np.stack([prepare(record) for record in few]))

    few = [records[i : i + FEW_IMAGES] for i in range(0, len(records), FEW_IMAGES)]
    with one_core_a_thread():
        yield from in_order(both, few, threads=engine.image_threads)


def collected(
    engine: Engine,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    on_images: Callable[[int], object],
    view: Callable[[ImageRecord], NetworkInput] | None = None,
) -> Singles:
    """(N, ...) of one or more images, in their order."""
    found: Singles | None = None
    done = 0
    for chunk, (rows, *_) in outputs_of(engine, records, view or (lambda record: read_view(record, spec))):
        if found is None:
            # Allocated when the first rows are there: only they tell the width.
            found = np.empty((len(records), *rows.shape[1:]), np.float32)
        found[done : done + len(chunk)] = rows
        done += len(chunk)
        on_images(len(chunk))
    assert found is not None
    return found
