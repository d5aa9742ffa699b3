"""Inference over images: one interface for PyTorch and ONNX Runtime, and the choice between them.

An engine is used only after its outputs for real images agreed with those of the network as it is.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from headstart.data.preprocess import NetworkInput
from headstart.engine.prefix import engine_choice
from headstart.engine.prefix.engine_choice import (
    EngineOption,
    EngineThroughputs,
    faster_engine,
    in_a_line,
    is_of_the_moment,
)
from headstart.engine.prefix.onnx_engine import OnnxEngine, exported_path
from headstart.engine.prefix.onnx_session import runtime_version
from headstart.engine.prefix.running import (
    BATCH_IMAGES,
    FEW_IMAGES,
    HALF,
    SAMPLE_IMAGES,
    SINGLE,
    Engine,
    Outputs,
    output_fault,
)
from headstart.engine.prefix.torch_engine import EagerEngine, TorchEngine, compiling_pays
from headstart.errors import MissingExtraError
from headstart.files import has_file
from headstart.machine import device_of, machine_key

Note: TypeAlias = Callable[[str], object]
"""Called with a sentence that says why another engine is used than the one that was requested."""


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
