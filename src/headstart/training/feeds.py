"""Inputs of training steps: views of images for the whole network, or cached activations for its trainable suffix.

A phase whose first groups are frozen, with pretrained BatchNorm statistics, computes them once: each image in a few
seeded views, whose activations at the cut point are cached. From then on only the trainable suffix is run, in training
and in validation passes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from headstart.arrays import Positions, Singles
from headstart.data.loading import batches, read_view
from headstart.data.preprocess import NetworkInput
from headstart.data.sources.reading import ImageRecord
from headstart.engine.costs.estimate import views_to_cache
from headstart.engine.prefix.cut import CutNetwork
from headstart.engine.prefix.inference import logits_of
from headstart.engine.prefix.torch_engine import to_tensor
from headstart.engine.store.activations import Activations, View, plain_view
from headstart.engine.store.frozen_part import cut_at, frozen_part, training_view_of
from headstart.engine.store.index import Reader
from headstart.engine.store.training_images import TrainingImages
from headstart.engine.training_step.rewrites import step_rewrites
from headstart.engine.views import augmented_input, view_rng
from headstart.errors import DiskFullError, ModelError, NotWritableError
from headstart.machine import device_of
from headstart.networks.backbone import Classifier
from headstart.plan.plan import AugmentationPlan, FrozenPrefixPlan, TrainPhase
from headstart.runs.events import ActivationsCached, NotCached
from headstart.runs.observers import Observer, measured_span
from headstart.runs.warnings import JitterWithoutEffect
from headstart.training.activation_source import ActivationSource

Batch: TypeAlias = tuple[Sequence[ImageRecord], tuple[Tensor, ...]]

VALIDATION_ROWS = 256
"""Cached rows that go through the suffix at once in a validation pass."""

COMPUTED = FrozenPrefixPlan(activations="computed")
"""Nothing is cached."""


class Feed(Protocol):
    """The inputs of a phase's steps, and the part of the network that runs on them."""

    @property
    def engine(self) -> str | None:
        """The engine that computed the cached activations; None where there are none."""

    @property
    def frozen_prefix(self) -> FrozenPrefixPlan:
        """What is cached, as a resolved plan says it."""

    @property
    def channel_jitter(self) -> float:
        """Magnitude of the shift of channels in a step; 0 for pixels, whose views are augmented already."""

    def batches(self, chunks: Sequence[Sequence[ImageRecord]], *, epoch: int) -> Iterator[Batch]:
        """(records, tensors) for each chunk in turn; `epoch` counts over all phases and decides the views."""

    @property
    def network(self) -> nn.Module:
        """The module that a step runs on the tensors of a batch: the whole network, or its trainable suffix."""

    @property
    def rewrites(self) -> AbstractContextManager[object]:
        """In this context the network of a step runs faster on a CPU, with the same gradients."""

    def validation_logits(self, on_images: Callable[[int], object], rows: Positions | None = None) -> Singles:
        """(N, K) logits of the images that validate, or of those at some positions among them."""


@dataclass(frozen=True)
class PixelFeed:
    """Augmented views of the images, read anew in every epoch, for the whole network."""

    classifier: Classifier
    images: TrainingImages
    augmentation: AugmentationPlan
    seed: int
    validation: Sequence[ImageRecord] | None = None
    """Images that validate; None: the validation images."""
    engine: str | None = None
    frozen_prefix: FrozenPrefixPlan = COMPUTED
    channel_jitter: float = 0.0

    def batches(self, chunks: Sequence[Sequence[ImageRecord]], *, epoch: int) -> Iterator[Batch]:
        """Batches of augmented views, prepared ahead in threads."""
        device = next(self.classifier.network.parameters()).device
        for records, inputs in batches(chunks, self._view(epoch)):
            yield records, (to_tensor(inputs, device),)

    def _view(self, epoch: int) -> Callable[[ImageRecord], NetworkInput]:
        spec, augmentation = self.images.spec, self.augmentation

        def view(record: ImageRecord) -> NetworkInput:
            if augmentation.preset == "none":
                with self.images.meter.view("plain"):
                    return read_view(record, spec)
            rng = view_rng(self.seed, epoch, record.id)
            with self.images.meter.view("augmented"):
                return augmented_input(record, spec, preset=augmentation.preset, flip=augmentation.flip, rng=rng)

        return view

    @property
    def network(self) -> nn.Module:
        """The whole network."""
        return self.classifier.network

    @cached_property
    def rewrites(self) -> AbstractContextManager[object]:
        """Those of the whole network."""
        size = self.images.spec.size
        image = torch.zeros(1, self.classifier.image_channels, size, size, device=device_of(self.network))
        return step_rewrites(self.network, self.network, [image])

    def validation_logits(self, on_images: Callable[[int], object], rows: Positions | None = None) -> Singles:
        """Logits (N, K) of images that validate, from the whole network."""
        records = self.images.roles.validation if self.validation is None else self.validation
        records = records if rows is None else [records[row] for row in rows]
        return logits_of(self.classifier, records, self.images.spec, on_images=on_images)


@dataclass(frozen=True)
class CachedFeed:
    """Cached activations at the cut point, for the trainable suffix."""

    classifier: Classifier
    images: TrainingImages
    made: CutNetwork
    training: Reader
    """All training images in the first view, then in the second..."""
    validation: Reader
    """Images that validate, in the plain view."""
    views: int
    seed: int
    engine: str | None
    channel_jitter: float = 0.0

    @property
    def frozen_prefix(self) -> FrozenPrefixPlan:
        """The cut point and the number of views."""
        return FrozenPrefixPlan(activations="cached", cut_point=self.made.cut_point, views=self.views)

    def batches(self, chunks: Sequence[Sequence[ImageRecord]], *, epoch: int) -> Iterator[Batch]:
        """One of the cached views of each image, another one in each epoch until all were used."""
        position = {record.id: index for index, record in enumerate(self.images.roles.train)}
        count = len(position)
        for records in chunks:
            rows = [position[r.id] + count * view_number(self.seed, epoch, r.id, self.views) for r in records]
            yield records, self._tensors(self.training, rows)

    def _tensors(self, reader: Reader, rows: Sequence[int] | np.ndarray) -> tuple[Tensor, ...]:
        device = next(self.classifier.network.parameters()).device
        started = time.perf_counter()
        arrays = reader.take(rows)
        self.images.meter.add_read(sum(array.nbytes for array in arrays), time.perf_counter() - started)
        found = []
        for array, crossing in zip(arrays, self.made.crossing, strict=True):
            tensor = torch.from_numpy(array).to(device)
            if crossing.channels_last:  # the layout in which the same kernels run on it as in the whole network
                tensor = tensor.contiguous(memory_format=torch.channels_last)
            found.append(tensor)
        return tuple(found)

    @property
    def network(self) -> nn.Module:
        """The trainable suffix behind the cut point."""
        return self.made.suffix

    @cached_property
    def rewrites(self) -> AbstractContextManager[object]:
        """Those of the trainable suffix."""
        network, device = self.classifier.network, device_of(self.classifier.network)
        sample = [torch.zeros(1, *one.shape, dtype=one.dtype, device=device) for one in self.made.crossing]
        return step_rewrites(network, self.made.suffix, sample)

    def validation_logits(self, on_images: Callable[[int], object], rows: Positions | None = None) -> Singles:
        """Logits (N, K) of images that validate, from the suffix on their cached activations."""
        self.classifier.network.eval()
        found, wanted = [], np.arange(len(self.validation)) if rows is None else rows
        for start in range(0, len(wanted), VALIDATION_ROWS):
            some = wanted[start : start + VALIDATION_ROWS]
            with torch.inference_mode():
                found.append(self.made.suffix(*self._tensors(self.validation, some)).float().cpu().numpy())
            on_images(len(some))
        return np.concatenate(found)


def view_number(seed: int, epoch: int, image_id: str, views: int) -> int:
    """Number of the cached view of an image that an epoch uses: a pure function of its arguments.

    Every `views` epochs use all of them once, in an order drawn for this image; the next ones do so in another order.
    Independent draws in each epoch would leave about a third of the computed views unused (1/e where they are many).
    """
    tour, turn = divmod(epoch, views)
    digest = hashlib.blake2b(f"{seed}\0{tour}\0{image_id}".encode()).digest()  # 512 bits; the orders of 64 need 296
    number, left = int.from_bytes(digest, "little"), list(range(views))
    for _ in range(turn):
        number, at = divmod(number, len(left))
        left.pop(at)
    return left[number % len(left)]


def feed_for(
    phase: TrainPhase,
    source: ActivationSource,
    *,
    augmentation: AugmentationPlan,
    seed: int,
    validation: Sequence[ImageRecord] | None = None,
    made: CutNetwork | None = None,
) -> Feed:
    """The feed of a phase: cached activations or pixels, as the phase says.

    Where it says `auto`, activations are cached at the cut point before its first trained group, if what lies before is
    frozen with pretrained statistics; `RunEstimates.resolve` compares that with the alternatives.

    Args:
        phase: Resolved.
        source: Of the frozen activations; its observer receives what was decided and why.
        augmentation: Of the views.
        seed: Of the run.
        validation: Images that validate the epochs; None: the validation images.
        made: The network cut where the phase says; None: it is cut here.

    Raises:
        DataError: an image cannot be read.
    """
    classifier, images, observer = source.classifier.built(), source.images, source.observer
    pixels = PixelFeed(classifier, images, augmentation, seed, validation)
    planned = _planned_prefix(phase, classifier, augmentation)
    if images.store is None or planned.cut_point is None:
        _note_without_jitter(augmentation, phase.name, observer)
        return pixels
    try:
        made = made or cut_at(classifier, planned.cut_point, size=images.spec.size)
        activations = source.activations(frozen_part(classifier, made))
        assert activations is not None
        plain = plain_view(images.spec, images.meter)
        views = [plain]
        if augmentation.preset != "none":
            numbers, spec, digests, meter = range(planned.views), images.spec, images.digests, images.meter
            views = [training_view_of(n, spec, digests, augmentation, seed=seed, meter=meter) for n in numbers]
        validation = images.roles.validation if validation is None else validation
        training, validating = _filled(activations, source, views, validation, plain)
    except (
        ModelError,
        DiskFullError,
        NotWritableError,
    ) as error:  # no cut there, or no room: slower, and the same in the end
        observer.noted(NotCached(planned.cut_point or "", str(error), phase.name))
        _note_without_jitter(augmentation, phase.name, observer)
        return pixels
    name = activations.engine_name
    observer.noted(ActivationsCached(phase.name, made.cut_point, len(views), name or "none needed"))
    jitter = augmentation.channel_jitter
    return CachedFeed(classifier, images, made, training, validating, len(views), seed, name, jitter)


def _filled(
    activations: Activations,
    source: ActivationSource,
    views: Sequence[View],
    validation: Sequence[ImageRecord],
    plain: View,
) -> tuple[Reader, Reader]:
    """(rows of the training images in all views, rows of those that validate in the plain one), all in the cache.

    Raises:
        DiskFullError: they do not fit.
    """
    train, observer = source.images.roles.train, source.observer
    if not activations.room_for([(train, views), (validation, [plain])]):
        raise DiskFullError(
            f"{len(train) * len(views)} views do not fit into the activation cache", remedy="headstart cache --limit"
        )
    rows = len(train) * len(views) + len(validation)
    advance = measured_span(observer, "frozen_part", f"frozen part up to {activations.part.cut_point}", rows)
    training_rows = activations.reader(train, views, on_images=advance, after_batch=source.after_batch)
    validation_rows = activations.reader(validation, [plain], on_images=advance, after_batch=source.after_batch)
    observer.span_ended("frozen_part")
    return training_rows, validation_rows


def _note_without_jitter(augmentation: AugmentationPlan, phase: str, observer: Observer) -> None:
    if augmentation.channel_jitter > 0:
        observer.noted(JitterWithoutEffect(phase, augmentation.channel_jitter))


def _planned_prefix(phase: TrainPhase, classifier: Classifier, augmentation: AugmentationPlan) -> FrozenPrefixPlan:
    """The frozen prefix of the phase; for `auto` the longest: up to the first trained group."""
    if phase.frozen_prefix != "auto":
        return phase.frozen_prefix
    first_trained = next((name for name in classifier.group_names if name in phase.lr_by_group), None)
    if first_trained in (None, classifier.group_names[0]) or phase.batch_norm != "pretrained_statistics":
        return COMPUTED
    return FrozenPrefixPlan(
        activations="cached", cut_point=first_trained, views=views_to_cache(augmentation, phase.epochs)
    )
