"""Outputs of a frozen prefix for images: from the store where they are, computed once by the best engine where not."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Literal, Protocol

import numpy as np

from headstart.arrays import Singles
from headstart.data.loading import read_view
from headstart.data.meter import Meter
from headstart.data.preprocess import NetworkInput, view_version
from headstart.data.sources.reading import ImageRecord
from headstart.engine.prefix.engine_choice import EngineOption, could_run
from headstart.engine.prefix.running import SAMPLE_IMAGES, Engine, outputs_of
from headstart.engine.store import limit
from headstart.engine.store.first_columns import FirstColumns
from headstart.engine.store.index import POOLED, Reader
from headstart.engine.store.shards import ID_BYTES, Ids
from headstart.engine.store.shards import Tensor as StoredTensor
from headstart.engine.store.store import EVALUATION, ActivationStore, Space, SpaceKey, row_ids
from headstart.files import stored_paths
from headstart.input_spec import InputSpec
from headstart.networks.cards.catalog import ModelCard
from headstart.plan.request import HeadKind

Precision = Literal["float16", "float32"]

POOLED_DEPTHS = "pooled at every depth"
"""Cut point of the features that a multi_depth head reads."""


@dataclass(frozen=True)
class View:
    """A view of an image that is cached: its name, and how it is made."""

    name: str
    """EVALUATION, or `store.random_view(seed, number)`."""
    drawn_from: str
    """What decides it besides its name and the image: evaluation, or the augmentation's settings."""
    prepare: Callable[[ImageRecord], NetworkInput]
    """Reads the image and makes the view."""


def plain_view(spec: InputSpec, meter: Meter | None = None) -> View:
    """The view of an image in every evaluation.

    Args:
        spec: What the network sees.
        meter: Counts the seconds of making views.
    """
    used = Meter() if meter is None else meter

    def prepare(record: ImageRecord) -> NetworkInput:
        with used.view("plain"):
            return read_view(record, spec)

    return View(EVALUATION, EVALUATION, prepare)


class PrefixRunner(Protocol):
    """What runs a frozen prefix: its network in torch, or its export alone."""

    @property
    def device(self) -> str:
        """Kind of the device that it lies on: cpu, cuda or mps."""

    def engine(
        self,
        sample: NetworkInput,
        *,
        label: str,
        images_to_come: int,
        requested: EngineOption,
        on_note: Callable[[str], object],
    ) -> Engine:
        """An engine for it; see `engines.choose_engine`."""


@dataclass(frozen=True)
class FrozenPart:
    """A frozen prefix: a function from a view to a few tensors."""

    runner: PrefixRunner
    tensors: tuple[StoredTensor, ...]
    """What it gives for one image."""
    model: str
    """Full name of the network."""
    cut_point: str
    """Where it ends: POOLED, POOLED_DEPTHS, or the first layer group behind it."""
    library: str
    """Whose code it runs, and which version of it: see `library_of`."""
    weights: str
    """Hash of every tensor that it depends on."""

    @property
    def label(self) -> str:
        """For messages, and for the speeds that are remembered."""
        return f"{self.model} up to {self.cut_point}"


class _HasHead(Protocol):
    """A classifier of any kind."""

    @property
    def card(self) -> ModelCard: ...
    @property
    def head_kind(self) -> HeadKind: ...


def cut_point_label(group: str) -> str:
    """The store's name of the cut point before a layer group."""
    return f"before {group}"


def pooled_name(classifier: _HasHead) -> str:
    """Name of the cut point whose activations the head of a classifier reads."""
    return POOLED_DEPTHS if classifier.head_kind == "multi_depth" else POOLED


def pooled_label(classifier: _HasHead) -> str:
    """Name under which the speed and the export of a classifier's features are remembered."""
    return f"{classifier.card.name} up to {pooled_name(classifier)}"


def library_of(card: ModelCard) -> str:
    """The library that its network is made by, with its version: another one may run the same weights otherwise."""
    return f"{card.library} {metadata.version(card.library)}"


@dataclass
class Activations:
    """Cached activations: outputs of a frozen prefix for images, in a store."""

    part: FrozenPart
    spec: InputSpec
    digests: Mapping[str, bytes]
    """Image id -> hash of its file, 16 bytes."""
    store: ActivationStore
    requested_engine: EngineOption = "auto"
    precision: Precision = "float16"
    on_note: Callable[[str], object] = lambda sentence: None
    images_to_come: int | None = None
    """Of the whole run, so far as is known; decides which engine pays. None: those of a request."""
    engine_name: str | None = None
    """Of the engine that computed the rows, now or when they were stored; None before the first request."""
    computed: int = 0
    """Rows that were computed by this object and given to the store; the others were there."""
    _engine: Engine | None = None

    def reader(
        self,
        records: Sequence[ImageRecord],
        views: Sequence[View],
        *,
        on_images: Callable[[int], object] = lambda count: None,
        after_batch: Callable[[str | None], object] = lambda engine: None,
    ) -> Reader:
        """Rows of all records in the first view, then in the second, and so on; what is missing is computed.

        Args:
            records: The images.
            views: All drawn from the same.
            on_images: Called with the number of rows that are there, then with those just computed.
            after_batch: Called with the engine's name after each batch that was computed. What it raises ends the
                work; all rows that were computed until then are stored.

        Raises:
            DiskFullError: they do not fit into the store or on the disk; what was stored before is whole.
            DataError: an image cannot be read.
        """
        ids = self._ids(records, views)
        # Before any engine is made: rows that are all there need neither engine nor timing.
        if found := self._complete(ids, views[0].drawn_from):
            engine_name, rows = found
            self.engine_name = self.engine_name or engine_name
            on_images(len(ids))
            return rows
        engine = self._engine_for(records, views)
        space = self.store.space(self._key(engine.name, engine.version, views[0].drawn_from), self.part.tensors)
        missing = space.missing(ids)
        on_images(len(ids) - len(missing))
        with space.writer() as writer:
            for number, view in enumerate(views):
                # ids hold all records of view 0, then of view 1, ...: number // N is the view, and the remainder the
                # record.
                mine = missing[missing // len(records) == number] - number * len(records)
                waiting = [records[position] for position in mine]
                # Batches come back in order, but rows are found by id: a record's row lies at its own position of this
                # view.
                at = {record.id: number * len(records) + int(p) for record, p in zip(waiting, mine, strict=True)}
                # Closed even when an error leaves the loop: its threads must not go on decoding.
                with contextlib.closing(outputs_of(engine, waiting, view.prepare)) as batches:  # and its threads
                    for chunk, arrays in batches:
                        writer.add(ids[[at[record.id] for record in chunk]], arrays)
                        self.computed += len(chunk)
                        on_images(len(chunk))
                        after_batch(engine.name)
        return space.reader(ids)

    def room_for(self, requests: Sequence[tuple[Sequence[ImageRecord], Sequence[View]]]) -> bool:
        """Whether the rows of all records in all views of each pair fit into the store, as far as is known before.

        Those that lie there already need no room, also where another process holds them open.
        """
        missing, own = 0, []
        for records, views in requests:
            ids = self._ids(records, views)
            if self._complete(ids, views[0].drawn_from):
                continue
            fewest, folder = len(np.unique(ids)), None
            for space in self._spaces(views[0].drawn_from):
                # The space that holds most of the rows needs the least room.
                if len(left := space.missing(ids)) < fewest:
                    fewest, folder = len(left), space.folder
            missing += fewest
            own += [folder] if folder is not None else []
        size = sum(int(np.prod(tensor.shape)) * np.dtype(tensor.dtype).itemsize for tensor in self.part.tensors)
        # Half of the bytes in half precision; shards that need single precision are the exception.
        size = (size // 2 if self.precision == "float16" else size) + ID_BYTES
        return missing * size <= limit.bytes_for(self.store.root, *own)

    def _ids(self, records: Sequence[ImageRecord], views: Sequence[View]) -> Ids:
        images = [self.digests[record.id] for record in records]
        return np.concatenate([row_ids(images, view.name) for view in views])

    def _engine_for(self, records: Sequence[ImageRecord], views: Sequence[View]) -> Engine:
        if self._engine is None:
            sample = np.stack([views[0].prepare(record) for record in records[:SAMPLE_IMAGES]])
            self._engine = self.part.runner.engine(
                sample,
                label=self.part.label,
                images_to_come=max(len(records) * len(views), self.images_to_come or 0),
                requested=self.requested_engine,
                on_note=self.on_note,
            )
            self.engine_name = self._engine.name
        return self._engine

    def _key(self, engine: str, version: str, drawn_from: str, cut_point: str | None = None) -> SpaceKey:
        return SpaceKey(
            model=self.part.model,
            weights=self.part.weights,
            cut_point=cut_point or self.part.cut_point,
            input=self.spec,
            decode=view_version(),
            engine=engine,
            engine_version=version,
            precision=self.precision,
            views=drawn_from,
            library=self.part.library,
        )

    def _complete(self, ids: Ids, drawn_from: str) -> tuple[str, Reader] | None:
        """(name of the engine that computed them, the rows), if they are all there already."""
        for space in self._spaces(drawn_from):
            if not len(space.missing(ids)):
                return space.key.engine, space.reader(ids)
        if self.part.cut_point == POOLED:
            # The features of the plain head come first in the rows of a head on all depths.
            (tensor,) = self.part.tensors
            for space in self._spaces(drawn_from, POOLED_DEPTHS):
                if not len(space.missing(ids)):
                    return space.key.engine, FirstColumns(space.reader(ids), tensor.shape[0])
        return None

    def _spaces(self, drawn_from: str, cut_point: str | None = None) -> Iterator[Space]:
        """Spaces of this function, filled by any engine that could run here now: each was compared with the network.

        Rows of another version of an engine, or of another kind of device, are not what this process would compute:
        half precision on a GPU must not become the figures that a run on a CPU reports.

        Args:
            drawn_from: Of the views.
            cut_point: Of the same network, whatever its tensors are; None: where the part ends, with its tensors.
        """
        expected = self._key("", "", drawn_from, cut_point).describe(self.part.tensors)
        for path in stored_paths(self.store.root, "*/space.json"):
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
                engine, version = str(found["engine"]), str(found["engine_version"])
            # Another process may remove a space between the listing and the reading.
            except (OSError, ValueError, KeyError, TypeError):  # cut by a crash, or just being removed
                continue
            # Engine and version are left out of the comparison: rows of any engine that agreed with the network serve.
            same = {**found, "engine": "", "engine_version": ""}
            same.pop("created", None)
            tensors = self.part.tensors
            if cut_point is not None:
                with contextlib.suppress(TypeError, KeyError, ValueError):  # of a damaged description
                    tensors = tuple(StoredTensor(tuple(one["shape"]), one["dtype"]) for one in found["tensors"])
                same["tensors"] = expected["tensors"]
            if json.dumps(same, sort_keys=True) != json.dumps(expected, sort_keys=True):
                continue
            if self.requested_engine in ("auto", engine) and could_run(self.part.runner.device, engine, version):
                yield self.store.space(self._key(engine, version, drawn_from, cut_point), tensors)


def matrix_of(reader: Reader) -> Singles:
    """All rows of a reader of pooled features: (N, F)."""
    return np.ascontiguousarray(reader.matrix(), np.float32)
