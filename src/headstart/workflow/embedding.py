"""embed: features of all images of DATA, in the activation cache, in a file, or as a matrix.

`train` finds stored rows again: the same weights, cut point and view give the same row.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from headstart.amounts import count_text
from headstart.data.band_count import with_band_count
from headstart.data.checks import image_checks
from headstart.data.loading import reader_threads
from headstart.data.sources.dataset import Links
from headstart.data.sources.reading import Dataset, ImageRecord, open_source
from headstart.data.sources.source_findings import STRICT, find_in_source
from headstart.delivery.features import EmbedFigures, Filled, matrix_of_reader
from headstart.engine.store.index import POOLED
from headstart.engine.store.store import ActivationStore, image_digest
from headstart.errors import DataError, Interrupted, PlanError, require_installed
from headstart.input_spec import Decoding, Resize
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan, NoncommercialWeights
from headstart.plan.request import Request
from headstart.plan.sections import ChannelChoice
from headstart.runs.progress import Progress, no_progress
from headstart.training.channels.adapting import SetAdapter
from headstart.workflow.images import read_watched, training_images
from headstart.workflow.plans import make_plan, refuse_by_licence

if TYPE_CHECKING:
    from headstart.engine.store.activations import Activations, View
    from headstart.engine.store.index import Reader
    from headstart.networks.band_adapter import BandAdapter

MOST_EMBED_VIEWS = 64


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """Options of embed; None means the default of `train`."""

    source: str
    """DATA."""
    model: str | None = None
    layer: str = POOLED
    """pooled: the input of the head. A layer group: the input of the group."""
    views: int = 0
    """Number of seeded augmented views of each image, 0..64, in addition to the plain one; the same as in `train`."""
    input_size: int | None = None
    """Side in pixels."""
    resize: Resize | None = None
    """crop, squash or letterbox."""
    decoding: Decoding = field(default_factory=Decoding)
    """What the bytes of the image files become."""
    channels: ChannelChoice | None = None
    """How bands reach the network; None and auto take `adapting.UNPROBED_METHOD`."""
    links: Links = "inside"
    """Whether links out of DATA are followed."""
    precision: Literal["float16", "float32"] = "float16"
    """Precision of the stored rows."""
    seed: int = 0
    """Seed of the views."""
    store: Path | None = None
    """Folder of the store; None is `$HEADSTART_HOME/store`."""
    noncommercial_weights: NoncommercialWeights = "refuse"


@dataclass(frozen=True, repr=False)
class Embedding:
    """Features of images, with ids, labels and splits."""

    features: npt.NDArray[np.float32]
    """(N, F), of the plain view. Several or spatial tensors are flattened, side by side in the order of
    `headstart.engine.prefix.cut`."""
    ids: tuple[str, ...]
    """(N,) names of the images inside DATA."""
    labels: tuple[str, ...]
    """(N,) names of their classes."""
    splits: tuple[str, ...]
    """(N,) train, val, test, or all."""
    views: npt.NDArray[np.float32]
    """(V, N, F), of the augmented views."""
    model: str
    cut_point: str
    """pooled, or the layer group before which the network is cut."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Image id -> reason why it was left out."""

    def __repr__(self) -> str:
        images, features = self.features.shape
        views = f", {count_text(len(self.views), 'view')}" if len(self.views) else ""
        return f"Embedding({images:,} images x {features:,} features{views}, {self.model}, {self.cut_point})"


def fill_store(options: EmbedOptions, *, progress: Progress = no_progress) -> Filled:
    """Store with all requested rows; missing ones are computed by the fastest engine.

    Files are read once and decoded when they are needed; only where one cannot be decoded all are checked, and the
    unreadable are left out.

    Args:
        options: Images, network and cut point.
        progress: Receives the progress.

    Raises:
        DataError: no image can be read.
        ModelError: no such model or layer, or the network cannot be cut there.
        PlanError: an option is out of range.
        DiskFullError: no room; what was stored before is whole.
        Interrupted: after Ctrl-C; what was computed is stored.
    """
    started = time.monotonic()
    if not 0 <= options.views <= MOST_EMBED_VIEWS:
        raise PlanError([f"views: {options.views} must be 0..{MOST_EMBED_VIEWS}"], source="the request")
    work = _Work(options, open_source(options.source, labels="optional", links=options.links), progress)
    require_installed("torch", extra="train")
    try:
        plain, varied = work.rows()
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"stopped; {work.computed} rows were computed, and finished shards are in {work.store.root}",
            remedy="the same call computes only what is missing",
        ) from stop
    return Filled(tuple(work.records), plain, varied, work.figures(time.monotonic() - started))


def embed(
    source: str | os.PathLike[str],
    *,
    model: str | None = None,
    layer: str = POOLED,
    views: int = 0,
    input_size: int | None = None,
    resize: Resize | None = None,
    decoding: Decoding = Decoding(),  # noqa: B008 - frozen
    channels: ChannelChoice | None = None,
    links: Links = "inside",
    precision: Literal["float16", "float32"] = "float16",
    seed: int = 0,
    store: str | os.PathLike[str] | None = None,
    noncommercial_weights: NoncommercialWeights = "refuse",
    progress: Progress = no_progress,
) -> Embedding:
    """Features of all readable images of DATA as one matrix: `headstart.embed("photos").features`.

    They are stored in the activation cache; a second call only reads them.

    Args:
        source: DATA.
        model: ARCH, ARCH:TAG or ARCH:file:PATH; None takes the default of `train`.
        layer: pooled, or the name of a layer group: its input, flattened (a whole map for each image).
        views: Seeded augmented views of each image in addition to the plain one.
        input_size: Side in pixels; None takes the weights' own.
        resize: crop, squash or letterbox: how an image becomes a square; None takes the way of the weights.
        decoding: What the bytes of the image files become.
        channels: How 2 or 4 to 16 bands reach the network; None takes `learned`, because nothing is trained here.
        links: Whether links out of DATA are followed.
        precision: Of the stored rows; float16 rounds a row by at most 1/1024 of its length.
        seed: Of the views.
        store: Folder of the store; None is `$HEADSTART_HOME/store`.
        noncommercial_weights: refuse or allow weights whose licence forbids commercial use.
        progress: Receives the progress.

    Raises:
        HeadstartError: see `fill_store`.
    """
    options = EmbedOptions(
        source=os.fspath(source),
        model=model,
        layer=layer,
        views=views,
        input_size=input_size,
        resize=resize,
        decoding=decoding,
        channels=channels,
        links=links,
        precision=precision,
        seed=seed,
        store=None if store is None else Path(store),
        noncommercial_weights=noncommercial_weights,
    )
    return embedding_of(fill_store(options, progress=progress))


def embedding_of(filled: Filled) -> Embedding:
    """Embedding with all rows of a filled store."""
    features, count = matrix_of_reader(filled.plain), len(filled.records)
    views = np.empty((0, *features.shape), np.float32)
    if filled.augmented is not None:
        views = matrix_of_reader(filled.augmented).reshape(-1, count, features.shape[1])
    return Embedding(
        features,
        ids=tuple(record.id for record in filled.records),
        labels=tuple(record.label for record in filled.records),
        splits=tuple(record.split for record in filled.records),
        views=views,
        model=filled.figures.model,
        cut_point=filled.figures.cut_point,
        unreadable=filled.figures.unreadable,
    )


class _Work:
    """One filling of the store: network, images and counts."""

    def __init__(self, options: EmbedOptions, dataset: Dataset, progress: Progress) -> None:
        self.options, self._progress = options, progress
        self.store = ActivationStore(options.store)
        self.records: Sequence[ImageRecord] = dataset.records
        self.unreadable: dict[str, str] = {}
        self._findings = tuple(f for f in find_in_source(dataset) if f.what in STRICT)
        self._activations: Activations | None = None
        self._digests: dict[str, bytes] = {}
        self._plan = make_plan(
            Request(
                DataPlan.from_options(source=options.source, links=options.links),
                model=options.model,
                input_size=options.input_size,
                resize=options.resize,
                channels=options.channels,
                seed=options.seed,
                noncommercial_weights=options.noncommercial_weights,
            )
        )
        self._choice = find_model(self._plan.model.name)
        refuse_by_licence(self._plan.model, self._choice)
        asked = self._plan.input
        decoding = with_band_count(options.decoding, self.records, channels=asked.channels)
        self._spec = self._choice.card.input.as_requested(size=asked.size, resize=asked.resize, decoding=decoding)

    def rows(self) -> tuple[Reader, Reader | None]:
        """Fill the store and open what is in it; copies of a file are computed once."""
        if self._spec.decoding.band_count is None:  # then a network that cannot be had is named before files are read
            activations = self._activations = self._frozen_part(None)
            self._read()
        else:
            self._read()
            activations = self._activations = self._frozen_part(self._adapted_to_bands())
        try:
            self._fill(activations)
        except DataError:
            # A file that has bytes but is no image shows only now; all are read, so that each such file is named.
            facts = read_watched(self.records, self._progress, decoding=self._spec.decoding)
            if not facts.unreadable:
                raise
            self._leave_out(facts)
            self._fill(activations)
        plain, varied = self._views()
        return activations.reader(self.records, [plain]), activations.reader(self.records, varied) if varied else None

    @property
    def computed(self) -> int:
        """Rows that were not stored before."""
        return 0 if self._activations is None else self._activations.computed

    def figures(self, seconds: float) -> EmbedFigures:
        """Counts and place of the rows, after `rows`."""
        return EmbedFigures(
            store=str(self.store.root),
            model=self._part.model,
            cut_point=self._part.cut_point,
            images=len(self.records),
            views=self.options.views,
            computed=self.computed,
            stored_before=max(0, len(self._distinct()) * (1 + self.options.views) - self.computed),
            bytes=self._bytes(),
            seconds=seconds,
            engine=None if self._activations is None else self._activations.engine_name,
            unreadable=self.unreadable,
            findings=self._findings,
            channels_by=self._spec.channels_by,
        )

    def _adapted_to_bands(self) -> BandAdapter | None:
        """Adapter of the network to the bands of the images; the input is then that of the bands."""
        # An image that cannot be read must not stop the statistics.
        self._leave_out(read_watched(self.records, self._progress, decoding=self._spec.decoding))
        records = training_images(self._plan, self.records)
        found = SetAdapter(records, channels=self._plan.input.channels, seed=self.options.seed).adapted(self._spec)
        self._spec = found.spec
        return found.adapter

    def _frozen_part(self, adapter: BandAdapter | None) -> Activations:
        from headstart.engine.known.features import pooled_part
        from headstart.engine.known.pretrained import feature_extractor, torch_classifier
        from headstart.engine.store.activations import Activations

        size, grain = self._spec.size, self._plan.model.grain
        if self.options.layer == POOLED:
            self._part = pooled_part(
                feature_extractor(self._choice, size=size, grain=grain, purpose="features", adapter=adapter)
            )
        else:
            from headstart.engine.store.frozen_part import cut_at, frozen_part

            # Only what comes before the head is read; its classes and its seed change no feature.
            classifier = torch_classifier(self._choice, num_classes=2, seed=0, size=size, grain=grain, adapter=adapter)
            self._part = frozen_part(classifier, cut_at(classifier, self.options.layer, size=size))
        return Activations(
            self._part,
            self._spec,
            self._digests,
            self.store,
            precision=self.options.precision,
            images_to_come=len(self.records) * (1 + self.options.views),
        )

    def _read(self) -> None:
        """Hash every file."""
        tick = self._progress("read", len(self.records))

        def look(record: ImageRecord) -> bytes | OSError:
            try:
                return image_digest(record.read())
            except OSError as error:
                return error

        with ThreadPoolExecutor(reader_threads()) as pool:
            for record, found in zip(self.records, pool.map(look, self.records), strict=True):
                tick(1)
                if isinstance(found, bytes):
                    self._digests[record.id] = found
                else:
                    self.unreadable[record.id] = str(found)
        self.records = [record for record in self.records if record.id in self._digests]
        self._refuse_nothing()

    def _leave_out(self, facts: image_checks.FileFacts) -> None:
        self.unreadable.update(facts.unreadable)
        self.records = list(facts.readable)
        self._refuse_nothing()

    def _refuse_nothing(self) -> None:
        if not self.records:
            facts = image_checks.FileFacts((), self.unreadable)
            image_checks.refuse_unusable(facts, source=self.options.source, strict=False)

    def _distinct(self) -> list[ImageRecord]:
        """One record of each file."""
        # A dict keeps the last value of a key, and the first record of a file is wanted: hence reversed, twice.
        return list({self._digests[record.id]: record for record in reversed(self.records)}.values())[::-1]

    def _fill(self, activations: Activations) -> None:
        distinct, (plain, varied) = self._distinct(), self._views()
        tick = self._progress(f"features ({self._part.cut_point})", len(distinct) * (1 + len(varied)))
        for views in ([plain], varied):
            if views:
                activations.reader(distinct, views, on_images=tick)

    def _views(self) -> tuple[View, list[View]]:
        from headstart.engine.store.activations import plain_view

        if not self.options.views:
            return plain_view(self._spec), []
        from headstart.engine.store.frozen_part import training_view_of  # it brings torch

        spec, augmentation, seed = self._spec, self._plan.augmentation, self.options.seed
        numbers = range(self.options.views)
        varied = [training_view_of(number, spec, self._digests, augmentation, seed=seed) for number in numbers]
        return plain_view(spec), varied

    def _bytes(self) -> int:
        """Of the spaces in which these rows lie, whichever engine filled them."""
        from headstart.workflow.cache import show_cache

        asked = (self._part.model, self._part.cut_point, self._spec.size, self.options.precision)
        spaces = show_cache(self.store.root).spaces
        return sum(s.bytes for s in spaces if (s.model, s.cut_point, s.input_size, s.precision) == asked)
