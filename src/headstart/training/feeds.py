"""What a training step is fed with: views of images for the whole network, or stored activations for its last part.

A phase whose first groups rest with pretrained statistics computes them once: each image in a few seeded views, stored
where the frozen part ends. From then on only what learns is run, in training as in judging the validation images.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from headstart.arrays import Singles
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
from headstart.engine.views import augmented_input, view_rng
from headstart.errors import DiskFullError, ModelError, NotWritableError
from headstart.networks.backbone import Classifier
from headstart.plan.plan import AugmentationPlan, FrozenPrefixPlan, TrainPhase
from headstart.runs.events import ActivationsCached, NotCached
from headstart.runs.observers import Observer, measured_span
from headstart.runs.warnings import JitterWithoutEffect
from headstart.training.activation_source import ActivationSource

Batch: TypeAlias = tuple[Sequence[ImageRecord], tuple[Tensor, ...]]

SELECT_IMAGES = 256
"""Stored rows that are judged at once."""

COMPUTED = FrozenPrefixPlan(activations="computed")
"""Nothing is stored."""


class Feed(Protocol):
    """Gives the steps of a phase what they compute on."""

    @property
    def engine(self) -> str | None:
        """Which engine computed what is stored; None: nothing is."""

    @property
    def way(self) -> FrozenPrefixPlan:
        """What is stored, as a settled plan says it."""

    @property
    def channel_jitter(self) -> float:
        """How far a step may shift the channels of what it is given; 0 for pixels, which vary as views do."""

    def batches(self, chunks: Sequence[Sequence[ImageRecord]], *, epoch: int) -> Iterator[Batch]:
        """(records, tensors) for each chunk in turn; `epoch` counts over all phases and decides the views."""

    @property
    def network(self) -> nn.Module:
        """What a step runs on the tensors of a batch: the whole network, or its trainable suffix."""

    def select_logits(self, on_images: Callable[[int], object]) -> Singles:
        """(N, K) logits of the validation images."""


@dataclass(frozen=True)
class PixelFeed:
    """Every image is read, varied and run through the whole network in every epoch."""

    classifier: Classifier
    images: TrainingImages
    augmentation: AugmentationPlan
    seed: int
    engine: str | None = None
    way: FrozenPrefixPlan = COMPUTED
    channel_jitter: float = 0.0

    def batches(self, chunks: Sequence[Sequence[ImageRecord]], *, epoch: int) -> Iterator[Batch]:
        """Views prepared ahead in threads."""
        device = next(self.classifier.network.parameters()).device
        for records, inputs in batches(chunks, self._view(epoch)):
            yield records, (to_tensor(inputs, device),)

    def _view(self, epoch: int) -> Callable[[ImageRecord], NetworkInput]:
        spec, wish = self.images.spec, self.augmentation

        def view(record: ImageRecord) -> NetworkInput:
            if wish.preset == "none":
                with self.images.meter.view("plain"):
                    return read_view(record, spec)
            rng = view_rng(self.seed, epoch, record.id)
            with self.images.meter.view("augmented"):
                return augmented_input(record, spec, preset=wish.preset, flip=wish.flip, rng=rng)

        return view

    @property
    def network(self) -> nn.Module:
        """The whole network."""
        return self.classifier.network

    def select_logits(self, on_images: Callable[[int], object]) -> Singles:
        """Of the whole network."""
        return logits_of(self.classifier, self.images.roles.validation, self.images.spec, on_images=on_images)


@dataclass(frozen=True)
class StoredFeed:
    """Activations at the border of the frozen part, from the store; only the part behind it is run."""

    classifier: Classifier
    images: TrainingImages
    made: CutNetwork
    training: Reader
    """All training images in the first view, then in the second..."""
    select: Reader
    views: int
    seed: int
    engine: str | None
    channel_jitter: float = 0.0

    @property
    def way(self) -> FrozenPrefixPlan:
        """The border, and how many views."""
        return FrozenPrefixPlan(activations="cached", cut_point=self.made.cut_point, views=self.views)

    def batches(self, chunks: Sequence[Sequence[ImageRecord]], *, epoch: int) -> Iterator[Batch]:
        """One of the stored views of each image, another one in each epoch until all were seen."""
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

    def select_logits(self, on_images: Callable[[int], object]) -> Singles:
        """Of the part behind the border, on the evaluation views."""
        self.classifier.network.eval()
        found = []
        for start in range(0, len(self.select), SELECT_IMAGES):
            rows = np.arange(start, min(start + SELECT_IMAGES, len(self.select)))
            with torch.inference_mode():
                found.append(self.made.suffix(*self._tensors(self.select, rows)).float().cpu().numpy())
            on_images(len(rows))
        return np.concatenate(found)


def view_number(seed: int, epoch: int, image_id: str, views: int) -> int:
    """Which of the stored views of an image an epoch sees: a pure function of its arguments.

    `views` epochs see all of them, in an order drawn for this image, and the next ones all in another order: with
    drawing each time anew a third of what was computed would never be seen, and the rest too often.
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
    made: CutNetwork | None = None,
) -> Feed:
    """Stored activations or pixels, as the phase says.

    Where it says `auto`, activations are stored at the border of its first trained group, if what lies before it rests
    with pretrained statistics; `RunEstimates.resolve` compares that with the other ways.

    Args:
        phase: Settled.
        source: Of the frozen activations; its observer is told which way was taken and why.
        augmentation: What varies between views.
        seed: Of the run.
        made: The network cut where the phase says; None: it is cut here.

    Raises:
        DataError: an image cannot be read.
    """
    classifier, images, observer = source.classifier, source.images, source.observer
    pixels = PixelFeed(classifier, images, augmentation, seed)
    wanted = _wanted(phase, classifier, augmentation)
    if images.store is None or wanted.cut_point is None:
        _note_without_jitter(augmentation, phase.name, observer)
        return pixels
    try:
        made = made or cut_at(classifier, wanted.cut_point, size=images.spec.size)
        kept = source.activations(frozen_part(classifier, made))
        assert kept is not None
        plain = plain_view(images.spec, images.meter)
        views = [plain]
        if augmentation.preset != "none":
            numbers, spec, digests, meter = range(wanted.views), images.spec, images.digests, images.meter
            views = [training_view_of(n, spec, digests, augmentation, seed=seed, meter=meter) for n in numbers]
        training, select = _filled(kept, source, views, plain)
    except (
        ModelError,
        DiskFullError,
        NotWritableError,
    ) as error:  # no cut there, or no room: slower, and the same in the end
        observer.noted(NotCached(wanted.cut_point or "", str(error), phase.name))
        _note_without_jitter(augmentation, phase.name, observer)
        return pixels
    name = kept.engine_name
    observer.noted(ActivationsCached(phase.name, made.cut_point, len(views), name or "none needed"))
    jitter = augmentation.channel_jitter
    return StoredFeed(classifier, images, made, training, select, len(views), seed, name, jitter)


def _filled(kept: Activations, source: ActivationSource, views: Sequence[View], plain: View) -> tuple[Reader, Reader]:
    """(the training images in all views, the validation images in the plain one).

    Raises:
        DiskFullError: they do not fit.
    """
    train, validation, observer = source.images.roles.train, source.images.roles.validation, source.observer
    if not kept.room_for([(train, views), (validation, [plain])]):
        raise DiskFullError(
            f"{len(train) * len(views)} views do not fit into the store", remedy="headstart cache --limit"
        )
    rows = len(train) * len(views) + len(validation)
    advance = measured_span(observer, "frozen_part", f"frozen part up to {kept.part.cut_point}", rows)
    training_rows = kept.reader(train, views, on_images=advance, after_batch=source.after_batch)
    validation_rows = kept.reader(validation, [plain], on_images=advance, after_batch=source.after_batch)
    observer.span_ended("frozen_part")
    return training_rows, validation_rows


def _note_without_jitter(augmentation: AugmentationPlan, phase: str, observer: Observer) -> None:
    if augmentation.channel_jitter > 0:
        observer.noted(JitterWithoutEffect(phase, augmentation.channel_jitter))


def _wanted(phase: TrainPhase, classifier: Classifier, augmentation: AugmentationPlan) -> FrozenPrefixPlan:
    """What the phase says; for `auto` the latest border that rests."""
    if phase.frozen_prefix != "auto":
        return phase.frozen_prefix
    border = next((name for name in classifier.group_names if name in phase.lr_by_group), None)
    if border in (None, classifier.group_names[0]) or phase.batch_norm != "pretrained_statistics":
        return COMPUTED
    return FrozenPrefixPlan(activations="cached", cut_point=border, views=views_to_cache(augmentation, phase.epochs))
