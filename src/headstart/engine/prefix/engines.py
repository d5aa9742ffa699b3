"""Inference over images: one interface for PyTorch and ONNX Runtime, and the choice between them.

An engine is used only after its outputs for real images agreed with those of the network as it is.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import nn

from headstart.data.loading import batches, in_order
from headstart.data.preprocess import NetworkInput
from headstart.data.sources.reading import ImageRecord
from headstart.engine.prefix import engine_choice
from headstart.engine.prefix.engine_choice import (
    EngineOption,
    EngineThroughputs,
    faster_engine,
    in_a_line,
    is_of_the_moment,
)
from headstart.engine.prefix.onnx_engine import ONNX_BATCH_IMAGES as FEW_IMAGES
from headstart.engine.prefix.onnx_engine import OnnxEngine, exported_path, runtime_version, version_here
from headstart.engine.prefix.torch_engine import (
    BATCH_IMAGES,
    EagerEngine,
    Outputs,
    TorchEngine,
    compiling_pays,
    version_on,
)
from headstart.errors import MissingExtraError
from headstart.files import has_file
from headstart.machine import device_of, machine_key, one_core_a_thread, take_one_core

Note: TypeAlias = Callable[[str], object]
"""Called with a sentence that says why another engine is used than the one that was requested."""

SAMPLE_IMAGES = 8
"""On which engines are compared, and timed, repeated where all cores are to have some."""


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


@dataclass(frozen=True)
class _Subject:
    """A prefix, and its outputs when run as it is."""

    prefix: nn.Module
    label: str
    sample: NetworkInput
    outputs: Outputs
    throughput: float
    """Images a second."""

    @property
    def name(self) -> str:
        """Name of the engine, with everything that its speed depends on."""
        return f"{self.label}, {'x'.join(map(str, self.sample.shape[1:]))}"


def choose_engine(
    prefix: nn.Module,
    sample: NetworkInput,
    *,
    label: str,
    images_to_come: int,
    requested: EngineOption = "auto",
    on_note: Note = lambda sentence: None,
) -> Engine:
    """The engine that finishes the images to come first; its outputs for the sample are those of the network.

    Args:
        prefix: (B, C, H, W) -> a tensor or a structure of tensors. Is put into evaluation mode, else not changed.
        sample: Some real images, of the size that will come; eight of them are used.
        label: Which network and which part of it, in words.
        images_to_come: All of this run, views included.
        requested: auto measures; a name is that of an earlier choice.
        on_note: Called with the reason why another engine is used than the one that was requested.

    Raises:
        MissingExtraError: ONNX Runtime is requested by name and not installed.
    """
    subject = _met(prefix, sample[:SAMPLE_IMAGES], label)
    # On a GPU the choice is between torch and torch: ONNX Runtime is used on the CPU only.
    if device_of(prefix).type == "cpu" and requested != "torch":
        engine = _onnx_engine(subject, images_to_come, requested, on_note)
        if engine is not None:
            return engine
    return _torch_engine(subject, images_to_come, on_note)


def could_run(prefix: nn.Module, name: str, version: str) -> bool:
    """Whether an engine of that name and version could be made for a prefix now, in this process.

    What another version of a library or another kind of device has computed is not what this process would compute.
    """
    device = device_of(prefix)
    if name == OnnxEngine.name:
        return device.type == "cpu" and version == version_here()
    return name == TorchEngine.name and version.startswith(f"{version_on(device)}, ")


def _met(prefix: nn.Module, sample: NetworkInput, label: str) -> _Subject:
    """Timed on as many images as keep all threads of the other engine busy, but no more than it would get at once."""
    engine = EagerEngine(prefix)
    engine.run(sample[:1])  # kernels are made in a first pass
    count = min(BATCH_IMAGES, torch.get_num_threads() * FEW_IMAGES) if device_of(prefix).type == "cpu" else 0
    found, throughput = _timed(engine, _repeated(sample, count))
    return _Subject(prefix, label, sample, _first(found, len(sample)), throughput)


def _repeated(sample: NetworkInput, count: int) -> NetworkInput:
    """At least the sample, and at least so many images."""
    # np.resize repeats the sample: timing needs as many images as threads, their content does not matter.
    return np.resize(sample, (max(count, len(sample)), *sample.shape[1:]))


def _first(outputs: Outputs, count: int) -> Outputs:
    return tuple(array[:count] for array in outputs)


def _timed(engine: Engine, images: NetworkInput) -> tuple[Outputs, float]:
    """(outputs, images a second)."""
    started = time.perf_counter()
    found = engine.run(images)
    # A clock that does not advance for a tiny network must not divide by zero.
    return found, len(images) / max(time.perf_counter() - started, 1e-9)


def _torch_engine(subject: _Subject, images_to_come: int, on_note: Note) -> Engine:
    """Folded and compiled, or only folded, or the network as it is: the first that runs and gives its outputs."""
    engine, fault = _folded(subject, images_to_come)
    # Compilers fail for reasons of their own; folding without compiling is the second best, not the network as it is.
    if fault and compiling_pays(device_of(subject.prefix), images_to_come):
        on_note(f"{subject.label} is not compiled: {fault}")
        engine, fault = _folded(subject, images_to_come=0)
    if engine is not None and not fault:
        return engine
    on_note(f"{subject.label} is run as it is, not folded: {fault}")
    return EagerEngine(subject.prefix)


def _folded(subject: _Subject, images_to_come: int) -> tuple[Engine | None, str]:
    """(the engine, why it cannot be used): compiling and half precision fail in many ways, and none is fatal."""
    try:
        engine = TorchEngine(subject.prefix, subject.sample, images_to_come=images_to_come)
        # Half precision on a GPU agrees to fewer digits than another engine in single precision does on a CPU.
        tolerance = SINGLE if device_of(subject.prefix).type == "cpu" else HALF
        return engine, output_fault(engine.run(subject.sample), subject.outputs, tolerance)
    except Exception as error:
        return None, in_a_line(error)


def _onnx_engine(subject: _Subject, images_to_come: int, requested: EngineOption, on_note: Note) -> Engine | None:
    """The engine; None where it cannot run the prefix, gives other outputs, or finishes later than torch."""
    # Keyed by ONNX Runtime's version: an update may make it faster, and an old loss must not count against it.
    machine, name = machine_key(), f"{subject.name}, onnxruntime {runtime_version()}"
    known = engine_choice.recall_engines(machine, name)
    try:
        path = exported_path(subject.prefix, subject.sample, label=subject.label)
    except MissingExtraError:
        if requested == "onnxruntime":
            raise
        return None
    if (
        requested == "auto"
        and faster_engine(images_to_come, subject.throughput, known, exported=has_file(path)) == "torch"
    ):
        return None
    started, was_exported, is_lasting = time.perf_counter(), has_file(path), True
    try:
        engine = OnnxEngine(subject.prefix, subject.sample, path=path)
        # Timed and compared with images for every thread, as it will run; the comparison reads only the sample.
        many = _repeated(subject.sample, engine.image_threads * FEW_IMAGES)
        fault = output_fault(_first(engine.run(many), len(subject.sample)), subject.outputs, SINGLE)
    except Exception as error:  # an exporter and a runtime that do not know a network say so in many ways
        fault, is_lasting = in_a_line(error), not is_of_the_moment(error)
        if is_lasting:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)  # damaged, perhaps: exported anew the next time
    if fault:
        on_note(f"{subject.label} is run by torch, not by ONNX Runtime: {fault}")
        if is_lasting and not was_exported:  # an earlier export may have been damaged: that says nothing of the network
            engine_choice.remember_engines(machine, name, EngineThroughputs(subject.throughput, 0.0, 0.0))
        return None
    # Export once took longer when the file did not exist yet; the larger time is what a fresh machine pays.
    setup = max(time.perf_counter() - started, known.setup_seconds if known else 0.0)
    _, throughput = _timed(engine, many)
    engine_choice.remember_engines(machine, name, EngineThroughputs(subject.throughput, throughput, setup))
    return engine if requested == "onnxruntime" or throughput > subject.throughput else None


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
