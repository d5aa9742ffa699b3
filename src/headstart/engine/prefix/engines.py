"""Runs a network over images without learning: one face for PyTorch and ONNX Runtime, and the choice between them.

An engine is used only after its answers to real images agreed with those of the network as it is.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from headstart.data.loading import batches, in_order, read_view
from headstart.data.preprocess import NetworkInput
from headstart.data.sources.reading import ImageRecord
from headstart.engine.prefix import engine_choice
from headstart.engine.prefix.engine_choice import (
    FEWEST_FOR_AN_ENGINE,
    EngineOption,
    EngineThroughputs,
    in_a_line,
    is_of_the_moment,
    sooner,
)
from headstart.engine.prefix.fold import PooledFeatures
from headstart.engine.prefix.onnx_engine import BATCH_IMAGES as FEW_IMAGES
from headstart.engine.prefix.onnx_engine import OnnxEngine, exported_path, runtime_version, version_here
from headstart.engine.prefix.torch_engine import (
    BATCH_IMAGES,
    EagerEngine,
    Outputs,
    TorchEngine,
    compiling_pays,
    to_tensor,
    version_on,
)
from headstart.errors import MissingExtraError
from headstart.files import has_file
from headstart.input_spec import InputSpec
from headstart.machine import device_of, machine_key, one_core_a_thread, take_one_core
from headstart.networks.backbone import Classifier

Matrix: TypeAlias = npt.NDArray[np.float32]
Note: TypeAlias = Callable[[str], object]
"""Is told in a sentence why another engine is used than the one that was wanted."""

SAMPLE_IMAGES = 8
"""On which engines are compared, and timed, repeated where all cores are to have some."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an engine's outputs may be from those of the network as it is."""

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
        """How many threads may call `run` at once, each with few images; 1: `run` uses all cores itself."""

    def run(self, images: NetworkInput) -> Outputs:
        """B x height x width x channels -> arrays, batch first."""


@dataclass(frozen=True)
class _Subject:
    """A prefix, and what it gives as it is."""

    prefix: nn.Module
    label: str
    sample: NetworkInput
    answers: Outputs
    rate: float
    """Images a second."""

    @property
    def name(self) -> str:
        """What its speed depends on."""
        return f"{self.label}, {'x'.join(map(str, self.sample.shape[1:]))}"


def choose_engine(
    prefix: nn.Module,
    sample: NetworkInput,
    *,
    label: str,
    images_to_come: int,
    wanted: EngineOption = "auto",
    on_note: Note = lambda sentence: None,
) -> Engine:
    """The engine that is done first with the images to come; its answers to the sample are those of the network.

    Args:
        prefix: (B, C, H, W) -> a tensor or a structure of tensors. Is put at rest, else not changed.
        sample: Some real images, of the size that will come; eight of them are used.
        label: Which network and which part of it, in words.
        images_to_come: All of this run, views included.
        wanted: auto measures; a name is what an earlier choice settled on.
        on_note: Told why another engine is used than the one that was wanted.

    Raises:
        MissingExtraError: ONNX Runtime is wanted by name and not installed.
    """
    subject = _met(prefix, sample[:SAMPLE_IMAGES], label)
    if device_of(prefix).type == "cpu" and wanted != "torch":
        engine = _onnx_engine(subject, images_to_come, wanted, on_note)
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
    found, rate = _timed(engine, _repeated(sample, count))
    return _Subject(prefix, label, sample, _first(found, len(sample)), rate)


def _repeated(sample: NetworkInput, count: int) -> NetworkInput:
    """At least the sample, and at least so many images."""
    return np.resize(sample, (max(count, len(sample)), *sample.shape[1:]))


def _first(outputs: Outputs, count: int) -> Outputs:
    return tuple(array[:count] for array in outputs)


def _timed(engine: Engine, images: NetworkInput) -> tuple[Outputs, float]:
    """(outputs, images a second)."""
    started = time.perf_counter()
    found = engine.run(images)
    return found, len(images) / max(time.perf_counter() - started, 1e-9)


def _torch_engine(subject: _Subject, images_to_come: int, on_note: Note) -> Engine:
    """Folded and compiled, or only folded, or the network as it is: the first that runs and gives its answers."""
    engine, fault = _folded(subject, images_to_come)
    if fault and compiling_pays(device_of(subject.prefix), images_to_come):
        on_note(f"{subject.label} is not compiled: {fault}")
        engine, fault = _folded(subject, images_to_come=0)
    if engine is not None and not fault:
        return engine
    on_note(f"{subject.label} is run as it is, not folded: {fault}")
    return EagerEngine(subject.prefix)


def _folded(subject: _Subject, images_to_come: int) -> tuple[Engine | None, str]:
    """(the engine, what speaks against it): compiling and half precision fail in many ways, and none is fatal."""
    try:
        engine = TorchEngine(subject.prefix, subject.sample, images_to_come=images_to_come)
        tolerance = SINGLE if device_of(subject.prefix).type == "cpu" else HALF
        return engine, _fault(engine.run(subject.sample), subject.answers, tolerance)
    except Exception as error:
        return None, in_a_line(error)


def _onnx_engine(subject: _Subject, images_to_come: int, wanted: EngineOption, on_note: Note) -> Engine | None:
    """None where it cannot run the prefix, gives other answers, or is done later than torch."""
    machine, name = machine_key(), f"{subject.name}, onnxruntime {runtime_version()}"
    known = engine_choice.recall_engines(machine, name)
    try:
        kept = exported_path(subject.prefix, subject.sample, label=subject.label)
    except MissingExtraError:
        if wanted == "onnxruntime":
            raise
        return None
    if wanted == "auto" and sooner(images_to_come, subject.rate, known, exported=has_file(kept)) == "torch":
        return None
    started, was_kept, is_lasting = time.perf_counter(), has_file(kept), True
    try:
        engine = OnnxEngine(subject.prefix, subject.sample, kept=kept)
        many = _repeated(subject.sample, engine.image_threads * FEW_IMAGES)
        fault = _fault(_first(engine.run(many), len(subject.sample)), subject.answers, SINGLE)
    except Exception as error:  # an exporter and a runtime that do not know a network say so in many ways
        fault, is_lasting = in_a_line(error), not is_of_the_moment(error)
        if is_lasting:
            with contextlib.suppress(OSError):
                kept.unlink(missing_ok=True)  # damaged, perhaps: exported anew the next time
    if fault:
        on_note(f"{subject.label} is run by torch, not by ONNX Runtime: {fault}")
        if is_lasting and not was_kept:  # a kept file may have been damaged: that says nothing of the network
            engine_choice.remember_engines(machine, name, EngineThroughputs(subject.rate, 0.0, 0.0))
        return None
    setup = max(time.perf_counter() - started, known.setup_seconds if known else 0.0)
    _, rate = _timed(engine, many)
    engine_choice.remember_engines(machine, name, EngineThroughputs(subject.rate, rate, setup))
    return engine if wanted == "onnxruntime" or rate > subject.rate else None


def _fault(found: Outputs, expected: Outputs, tolerance: Tolerance) -> str:
    """Why outputs are not those of the network, or an empty string."""
    shapes, wanted = ([array.shape for array in arrays] for arrays in (found, expected))
    if shapes != wanted:
        return f"it gives arrays of {shapes}, not {wanted}"
    for a, b in zip(found, expected, strict=True):
        rows_a, rows_b = (array.reshape(len(array), -1).astype(np.float64) for array in (a, b))
        difference = np.abs(rows_a - rows_b).max() / max(np.abs(rows_b).max(), np.finfo(np.float32).tiny)
        lengths = np.linalg.norm(rows_a, axis=1) * np.linalg.norm(rows_b, axis=1)
        cosines = np.divide((rows_a * rows_b).sum(axis=1), lengths, out=np.ones(len(a)), where=lengths > 0)
        if not (difference <= tolerance.largest_difference and cosines.min() >= tolerance.smallest_cosine):
            return f"its answers differ by {difference:.1e} of the largest (cosine {cosines.min():.6f})"
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
    if engine.image_threads == 1:
        chunks = [records[i : i + BATCH_IMAGES] for i in range(0, len(records), BATCH_IMAGES)]
        for chunk, inputs in batches(chunks, prepare):
            yield chunk, engine.run(inputs)
        return

    def both(few: Sequence[ImageRecord]) -> Outputs:
        take_one_core()
        return engine.run(np.stack([prepare(record) for record in few]))

    few = [records[i : i + FEW_IMAGES] for i in range(0, len(records), FEW_IMAGES)]
    with one_core_a_thread():
        yield from in_order(both, few, threads=engine.image_threads)


def logits_of(
    classifier: Classifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    on_images: Callable[[int], object] = lambda count: None,
) -> Matrix:
    """(N, K) logits of the evaluation view of each image, by the network as it is."""
    return _collected(EagerEngine(classifier.network), records, spec, on_images)


def answers_of(
    classifier: Classifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    on_images: Callable[[int], object] = lambda count: None,
) -> Matrix:
    """(N, K) logits of the evaluation view of each image, by the engine that is sooner done with them.

    The features are the engine's, the head is the network's own. Few images, and networks whose answer is more than
    their head on their features, are run as they are.
    """
    if len(records) < FEWEST_FOR_AN_ENGINE or not classifier.answers_from_features:
        return logits_of(classifier, records, spec, on_images=on_images)
    sample = np.stack([read_view(record, spec) for record in records[:SAMPLE_IMAGES]])
    engine = choose_engine(
        pooled_features(classifier), sample, label=pooled_label(classifier), images_to_come=len(records)
    )
    few = sample[:2]
    if head_fault(classifier, few, engine.run(few)[0]):
        return logits_of(classifier, records, spec, on_images=on_images)
    return _collected(_WithHead(engine, classifier), records, spec, on_images)


class _WithHead:
    """An engine of features that answers with the head's logits on them: features of all images are never together."""

    def __init__(self, engine: Engine, classifier: Classifier) -> None:
        self.name, self.version, self.image_threads = engine.name, engine.version, engine.image_threads
        self._engine, self._classifier = engine, classifier

    def run(self, images: NetworkInput) -> Outputs:
        """B x height x width x channels -> (logits,)."""
        return (head_answers(self._classifier, self._engine.run(images)[0]),)


def head_answers(classifier: Classifier, features_NF: Matrix) -> Matrix:  # noqa: N803 - shapes
    """(N, K) logits of the classifier's own head, at rest, on features that were computed elsewhere."""
    with torch.inference_mode():
        given = torch.from_numpy(features_NF).to(device_of(classifier.network))
        return classifier.logits_from(given).float().cpu().numpy()


def head_fault(classifier: Classifier, images: NetworkInput, features_NF: Matrix) -> str:  # noqa: N803
    """Why the head on these features does not say of these images what the network says, or an empty string."""
    (own,) = EagerEngine(classifier.network).run(images)
    tolerance = SINGLE if device_of(classifier.network).type == "cpu" else HALF
    return _fault((head_answers(classifier, features_NF),), (own,), tolerance)


def pooled_label(classifier: Classifier) -> str:
    """What the speed and the export of a classifier's features are remembered under."""
    depth = " at every depth" if classifier.head_kind == "multi_depth" else ""
    return f"{classifier.card.name} up to pooled{depth}"


def features_of(
    classifier: Classifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    on_images: Callable[[int], object] = lambda count: None,
    engine: Engine | None = None,
    view: Callable[[ImageRecord], NetworkInput] | None = None,
) -> Matrix:
    """(N, F) pooled features of one view of each image.

    Args:
        classifier: Whose features.
        records: The images.
        spec: What the network sees of them.
        on_images: Called with the number of images just done.
        engine: Made by `choose_engine` for `pooled_features(classifier)`; None runs the network as it is.
        view: Reads an image and makes the view; None: the one that every evaluation sees.
    """
    return _collected(engine or EagerEngine(pooled_features(classifier)), records, spec, on_images, view)


def pooled_features(classifier: Classifier) -> PooledFeatures:
    """The classifier's features as a prefix for `choose_engine`. Puts the network at rest."""
    unused = [site.path for site in classifier.sites]
    return PooledFeatures(classifier.network.eval(), classifier.features, unused=unused)


def _collected(
    engine: Engine,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    on_images: Callable[[int], object],
    view: Callable[[ImageRecord], NetworkInput] | None = None,
) -> Matrix:
    """(N, ...) of one or more images, in their order."""
    found: Matrix | None = None
    done = 0
    for chunk, (rows, *_) in outputs_of(engine, records, view or (lambda record: read_view(record, spec))):
        if found is None:
            found = np.empty((len(records), *rows.shape[1:]), np.float32)
        found[done : done + len(chunk)] = rows
        done += len(chunk)
        on_images(len(chunk))
    assert found is not None
    return found


__all__ = [
    "BATCH_IMAGES",
    "FEWEST_FOR_AN_ENGINE",
    "HALF",
    "SINGLE",
    "Engine",
    "Matrix",
    "Note",
    "Tolerance",
    "choose_engine",
    "features_of",
    "logits_of",
    "outputs_of",
    "pooled_features",
    "to_tensor",
]
