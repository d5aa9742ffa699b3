"""Outputs of a frozen prefix for images: from the store where they are, computed once by the best engine where not."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.loading import read_view
from headstart.data.preprocess import NetworkInput, view_version
from headstart.data.sources import ImageRecord
from headstart.errors import DiskFullError, NotWritableError
from headstart.features import store_limit
from headstart.features.engine_choice import EngineWish
from headstart.features.engines import (
    FEWEST_FOR_AN_ENGINE,
    SAMPLE_IMAGES,
    Engine,
    Matrix,
    answers_of,
    choose_engine,
    head_answers,
    head_fault,
    outputs_of,
    pooled_features,
)
from headstart.features.shards import Tensor as StoredTensor
from headstart.features.store import EVALUATION, ActivationStore, Space, SpaceKey, row_ids
from headstart.features.store_index import Reader
from headstart.input_spec import InputSpec
from headstart.models.backbone import Classifier

Precision = Literal["float16", "float32"]

POOLED = "pooled"
"""Border of the features that the head reads."""
POOLED_DEPTHS = "pooled at every depth"
"""Border of the features that a multi_depth head reads."""


@dataclass(frozen=True)
class View:
    """What is stored of an image: which view, and how it is made."""

    name: str
    """EVALUATION, or `store.random_view(seed, number)`."""
    drawn_from: str
    """What decides it beside its name and the image: evaluation, or the augmentation's settings."""
    prepare: Callable[[ImageRecord], NetworkInput]
    """Reads the image and makes the view."""


@dataclass(frozen=True)
class FrozenPart:
    """A prefix that rests: a function from a view to a few tensors."""

    module: nn.Module
    """(B, C, H, W) -> a tensor or a tuple of tensors, batch first."""
    tensors: tuple[StoredTensor, ...]
    """What it gives for one image."""
    model: str
    """Full name of the network."""
    border: str
    """Where it ends: POOLED, POOLED_DEPTHS, or the first layer group behind it."""
    weights: str = field(init=False)
    """Hash of every tensor that it depends on."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", weights_digest(self.module))

    @property
    def label(self) -> str:
        """For messages, and for the speeds that are remembered."""
        return f"{self.model} up to {self.border}"


def pooled_part(classifier: Classifier) -> FrozenPart:
    """The whole backbone: what the head reads."""
    shape = StoredTensor((classifier.num_features,))
    border = POOLED_DEPTHS if classifier.head_kind == "multi_depth" else POOLED
    return FrozenPart(pooled_features(classifier), (shape,), classifier.card.name, border)


def weights_digest(module: nn.Module) -> str:
    """Hash of all parameters and buffers under their names; those that the output does not depend on are left out."""
    unused: tuple[str, ...] = getattr(module, "unused", ())
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(_named(module)):
        if not name.startswith(unused):
            values = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}\0".encode())
            digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _named(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


@dataclass
class Activations:
    """What a frozen part gives for images, kept in a store."""

    part: FrozenPart
    spec: InputSpec
    digests: Mapping[str, bytes]
    """Image id -> hash of its file, 16 bytes."""
    store: ActivationStore
    wanted: EngineWish = "auto"
    precision: Precision = "float16"
    on_note: Callable[[str], object] = lambda sentence: None
    images_to_come: int | None = None
    """Of the whole run, so far as is known; decides which engine pays. None: those that are asked for."""
    engine_name: str | None = None
    """Of the engine that computed the rows, now or when they were stored; None before any were asked for."""
    _engine: Engine | None = None

    def reader(
        self,
        records: Sequence[ImageRecord],
        views: Sequence[View],
        *,
        on_images: Callable[[int], object] = lambda count: None,
    ) -> Reader:
        """Rows of all records in the first view, then in the second, and so on; what is missing is computed.

        All views must be drawn from the same.

        Raises:
            DiskFullError: they do not fit into the store or on the disk; what was stored before is whole.
            DataError: an image cannot be read.
        """
        images = [self.digests[record.id] for record in records]
        ids = np.concatenate([row_ids(images, view.name) for view in views])
        if space := self._complete(ids, views[0].drawn_from):
            self.engine_name = self.engine_name or space.key.engine
            on_images(len(ids))
            return space.reader(ids)
        space = self._space(self._engine_for(records, views), views[0].drawn_from)
        missing = space.missing(ids)
        on_images(len(ids) - len(missing))
        with space.writer() as writer:
            for number, view in enumerate(views):
                mine = missing[missing // len(records) == number] - number * len(records)
                waiting = [records[position] for position in mine]
                at = {record.id: number * len(records) + int(p) for record, p in zip(waiting, mine, strict=True)}
                for chunk, arrays in outputs_of(self._engine_for(records, views), waiting, view.prepare):
                    writer.add(ids[[at[record.id] for record in chunk]], arrays)
                    on_images(len(chunk))
        return space.reader(ids)

    def room_for(self, rows: int) -> bool:
        """Whether so many rows fit into the store, as far as can be told before they are computed."""
        size = sum(int(np.prod(tensor.shape)) * np.dtype(tensor.dtype).itemsize for tensor in self.part.tensors)
        room = store_limit.bytes_for(self.store.root, self.store.root / "not there yet")
        return rows * size / (2 if self.precision == "float16" else 1) <= room

    def _engine_for(self, records: Sequence[ImageRecord], views: Sequence[View]) -> Engine:
        if self._engine is None:
            sample = np.stack([views[0].prepare(record) for record in records[:SAMPLE_IMAGES]])
            self._engine = choose_engine(
                self.part.module,
                sample,
                label=self.part.label,
                images_to_come=max(len(records) * len(views), self.images_to_come or 0),
                wanted=self.wanted,
                on_note=self.on_note,
            )
            self.engine_name = self._engine.name
        return self._engine

    def _key(self, engine: str, version: str, drawn_from: str) -> SpaceKey:
        return SpaceKey(
            model=self.part.model,
            weights=self.part.weights,
            border=self.part.border,
            input=self.spec,
            decode=view_version(),
            engine=engine,
            engine_version=version,
            precision=self.precision,
            views=drawn_from,
        )

    def _space(self, engine: Engine, drawn_from: str) -> Space:
        return self.store.space(self._key(engine.name, engine.version, drawn_from), self.part.tensors)

    def _complete(self, ids: np.ndarray, drawn_from: str) -> Space | None:
        """A space that holds all rows already, whichever engine filled it: each was compared with the network."""
        asked = self._key("", "", drawn_from).describe(self.part.tensors)
        for path in sorted(self.store.root.glob("*/space.json")):
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
                engine, version = found["engine"], found["engine_version"]
            except (OSError, ValueError, KeyError):  # cut by a crash, or just being removed
                continue
            same = {**found, "engine": "", "engine_version": ""}
            same.pop("created", None)
            if json.dumps(same, sort_keys=True) != json.dumps(asked, sort_keys=True):
                continue
            if self.wanted in ("auto", engine):
                space = self.store.space(self._key(engine, version, drawn_from), self.part.tensors)
                if not len(space.missing(ids)):
                    return space
        return None


def matrix_of(reader: Reader) -> Matrix:
    """All rows of a reader of pooled features: (N, F)."""
    return np.ascontiguousarray(reader.matrix(), np.float32)


def stored_answers(
    classifier: Classifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    digests: Mapping[str, bytes],
    store: ActivationStore,
    on_images: Callable[[int], object] = lambda count: None,
) -> Matrix:
    """(N, K) logits as `engines.answers_of` gives them, with features that the store keeps, in single precision.

    For networks whose backbone is that of many runs. Others, and networks whose answer is more than their head on their
    features, are computed without the store.

    Args:
        classifier: As it was loaded.
        records: The images.
        spec: What the network sees of them.
        digests: Image id -> hash of its file, 16 bytes.
        store: Where rows are and will be.
        on_images: Called with the number of images just done.

    Raises:
        DataError: an image cannot be read.
    """
    if classifier.answers_from_features and len(records) >= FEWEST_FOR_AN_ENGINE:
        view = View(EVALUATION, EVALUATION, lambda record: read_view(record, spec))
        kept = Activations(pooled_part(classifier), spec, digests, store, precision="float32")
        with contextlib.suppress(DiskFullError, NotWritableError):
            features = matrix_of(kept.reader(records, [view], on_images=on_images))
            few = np.stack([view.prepare(record) for record in records[:2]])
            if not head_fault(classifier, few, features[:2]):
                return head_answers(classifier, features)
    return answers_of(classifier, records, spec, on_images=on_images)
