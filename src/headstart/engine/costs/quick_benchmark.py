"""Quick benchmark before a first run: speeds of the network and seconds of a view, where nothing was measured yet.

It takes a quarter of a second on a quiet machine; longer with a network of which one image does, and with a GPU that
has to wake up, as it would in the first step.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from headstart.data.loading import read_view
from headstart.data.meter import ViewKind
from headstart.data.sources.reading import ImageRecord
from headstart.engine.costs.memory import Measurements, figure_of
from headstart.engine.costs.network import NetworkFacts
from headstart.engine.costs.speeds import completed, has_seen, own_speeds, view_figure
from headstart.engine.costs.throughput import known_throughput
from headstart.engine.known.classifier import AnyClassifier
from headstart.engine.prefix.engine_choice import recall_engines
from headstart.engine.prefix.onnx_session import runtime_version
from headstart.engine.store.activations import pooled_label
from headstart.engine.store.training_images import TrainingImages
from headstart.errors import DataError
from headstart.machine import device_of, machine_key, thread_count
from headstart.plan.sections import AugmentationPlan

if TYPE_CHECKING:
    from torch import Tensor, nn

_LONG_SECONDS = 0.2
"""One image that takes longer says enough of a heavy network."""
_TOGETHER_SECONDS = 0.1
"""Of all cores together: as many images as they would do in that time undisturbed."""
_MOST_IMAGES = 6
"""But no more."""
_GPU_IMAGES = 64
"""With fewer it would wait for its orders."""
_VIEWS = 3
"""The first one warms up."""
_VIEWS_SECONDS = 0.03
"""Of each kind of view; one image is read in any case."""


@dataclass(frozen=True, slots=True)
class QuickThroughput:
    """Images a second of a network as it is."""

    together: float
    """All cores on one batch, as in training; or the GPU."""
    one_core: float | None
    """One of the cores by itself: engines give each core images of its own. None on a GPU."""


def quick_benchmark(
    classifier: AnyClassifier,
    facts: NetworkFacts,
    images: TrainingImages,
    known: Measurements,
    *,
    augmentation: AugmentationPlan | None,
) -> dict[str, float]:
    """Figures, as `Measurements` has them, of what no run here has measured; they count until one has.

    Args:
        classifier: Of the run; not changed.
        facts: Of its network.
        images: Of the run.
        known: What runs have measured.
        augmentation: Of training; None where only a linear probe is fitted.
    """
    own, found = own_speeds(known, facts.name), dict[str, float]()
    if "forward" not in own and (augmentation is not None or not own):
        speeds = benchmarked_speeds(classifier, facts, size=images.spec.size)
        found = {figure_of(name, facts.name): speed for name, speed in speeds.items()}
    augmented = augmentation is not None and augmentation.preset != "none"
    kinds: tuple[ViewKind, ...] = ("plain", "augmented") if augmented else ("plain",)
    unseen = [kind for kind in kinds if not has_seen(known, kind, pixels=images.pixels)]
    views = benchmarked_views(images, augmentation or AugmentationPlan(), unseen)
    return found | {view_figure(kind, pixels=images.pixels): seconds for kind, seconds in views.items()}


def benchmarked_speeds(classifier: AnyClassifier, facts: NetworkFacts, *, size: int) -> dict[str, float]:
    """Billions of MACs a second: from what other commands measured on this machine, else from a quick benchmark.

    Args:
        classifier: Of the run; not changed.
        facts: Of its network.
        size: Side of the images in pixels.
    """
    card, gmacs = classifier.card, facts.gmacs
    found: dict[str, float] = {}
    part = f"{pooled_label(classifier)}, {size}x{size}x{classifier.image_channels}, onnxruntime {runtime_version()}"
    if timed := recall_engines(machine_key(), part):
        found = {"forward": timed.torch * gmacs, "onnxruntime": timed.onnxruntime * gmacs}
    if throughput := known_throughput(card):
        found["forward"] = throughput * gmacs * (card.input.size / size) ** 2
    if "forward" in found:
        return {name: speed for name, speed in found.items() if speed > 0}
    seen = quick_throughput(classifier.built().network, channels=classifier.image_channels, size=size)
    if seen is None:
        return {}
    if seen.one_core is None:
        return {"forward": seen.together * gmacs}
    # Engines give each core images of its own: a busy machine disturbs that less than cores that share a batch.
    separate = math.sqrt(seen.one_core * thread_count() * seen.together) * gmacs
    engines = completed({"forward": separate}, facts.utilisation)
    return {"forward": seen.together * gmacs, "torch": engines["torch"], "onnxruntime": engines["onnxruntime"]}


def benchmarked_views(
    images: TrainingImages, augmentation: AugmentationPlan, kinds: Iterable[ViewKind]
) -> dict[ViewKind, float]:
    """Kind -> seconds of one core for a view of a few images of train; without a kind where an image cannot be read."""
    train, spec = images.roles.train, images.spec
    chosen = [train[round(at)] for at in np.linspace(0, len(train) - 1, _VIEWS)]

    def make(kind: ViewKind, record: ImageRecord) -> None:
        if kind == "plain":
            read_view(record, spec)
            return
        from headstart.engine.views import augmented_input, view_rng

        rng = view_rng(0, 0, record.id)
        augmented_input(record, spec, preset=augmentation.preset, flip=augmentation.flip, rng=rng)

    found: dict[ViewKind, float] = {}
    for kind in kinds:
        seconds: list[float] = []
        with contextlib.suppress(DataError):  # training reports it, if it needs that image
            while len(seconds) < len(chosen) and sum(seconds) < _VIEWS_SECONDS:
                started = time.thread_time()
                make(kind, chosen[len(seconds)])
                seconds.append(time.thread_time() - started)
        if seconds:
            found[kind] = max(mean(seconds[1:] or seconds), 1e-6)
    return found


def quick_throughput(network: nn.Module, *, channels: int, size: int) -> QuickThroughput | None:
    """Throughput on some ten images of zeros; None where the network cannot run on them.

    Args:
        network: (B, C, H, W) -> anything. Its modes, its statistics and the state of random numbers stay as they are.
        channels: Of an image.
        size: Side in pixels.
    """
    import torch

    from headstart.networks.groups.layers import in_evaluation_mode

    device = device_of(network)
    generators = [device] if device.type == "cuda" else []

    def seconds(count: int) -> float:
        return _seconds_of(network, torch.zeros(count, channels, size, size, device=device))

    try:
        with in_evaluation_mode(network), torch.random.fork_rng(devices=generators), torch.inference_mode():
            if device.type == "cpu":
                return _on_cores(seconds)
            seconds(1)
            return QuickThroughput(_GPU_IMAGES / min(seconds(_GPU_IMAGES) for _ in range(2)), None)
    except Exception:  # whatever a foreign forward raises: training reports it better
        return None


def _on_cores(seconds: Callable[[int], float]) -> QuickThroughput:
    """One core first: on a busy machine cores wait for each other in every layer, and that hides what each can do."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        warm = seconds(1)
        if warm >= _LONG_SECONDS:
            return QuickThroughput(threads / warm, 1 / warm)
        began = time.thread_time()
        alone = seconds(1)
        undisturbed = max(time.thread_time() - began, 1e-9)
    finally:
        torch.set_num_threads(threads)
    count = max(1, min(_MOST_IMAGES, int(_TOGETHER_SECONDS * threads / undisturbed)))
    return QuickThroughput(count / seconds(count), 1 / alone)


def _seconds_of(network: nn.Module, images: Tensor) -> float:
    """One pass, in NHWC memory layout."""
    import torch

    images = images.to(memory_format=torch.channels_last)
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    network(images)
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return max(time.perf_counter() - started, 1e-9)
