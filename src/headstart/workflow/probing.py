"""probe: accuracy of a linear probe after every layer group of a network on the images of DATA, in one pass."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headstart.advice.probe.by_depth import DepthCurve, GroupProbe, folds_by_group, probe_depths
from headstart.amounts import accuracy_text
from headstart.data.checks import image_checks
from headstart.data.loading import ImageFault, batches, read_image
from headstart.data.preprocess import NetworkInput, evaluation_view, pixels_needed
from headstart.data.sources.reading import ImageRecord
from headstart.data.splits import group_names, join_identical, limited
from headstart.engine.store.store import image_digest
from headstart.errors import DataError, HeadstartError, ModelError, PlanError, require
from headstart.files import is_file, is_folder, not_written, refuse_unwritable
from headstart.input_spec import InputSpec
from headstart.inspection.patches import PATCHES_SUFFIX, Patches, draw_patches
from headstart.inspection.strongest_activations import StrongestPositions
from headstart.measures.intervals import numbered
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan, ModelPlan, NoncommercialWeights
from headstart.plan.request import DEFAULT_MODEL, Request
from headstart.runs.folder import Run
from headstart.runs.progress import Progress, no_progress
from headstart.workflow.images import divided_by_name, drawn_by_name
from headstart.workflow.plans import refuse_by_licence

if TYPE_CHECKING:
    from headstart.advice.probe.reader import DepthReader

_BATCH_IMAGES = 16
"""The maps of all groups are held at once: 100 MB of EfficientNet-Lite0's at 224 px."""


@dataclass(frozen=True, repr=False)
class DepthProbe:
    """Accuracy of a linear probe and of nearest neighbours after every layer group of a network."""

    curve: DepthCurve
    model: str
    """Full name of the network."""
    data: str
    """DATA."""
    classes: tuple[str, ...]
    run: str | None
    """Run whose network CKA compares with."""
    input_size: int
    """Side of the input in pixels."""
    unreadable: dict[str, str]
    """Image id -> reason why it was left out."""
    seconds: float
    patches: Patches | None = None
    """Patches with the strongest activations, if requested."""

    @property
    def sentence(self) -> str:
        """Interpretation of the curve in sentences."""
        return self.curve.sentence

    @property
    def best(self) -> str:
        """The layer group with the highest accuracy."""
        return self.curve.best

    @property
    def accuracy(self) -> float:
        """Accuracy of a linear probe on the best layer group, out of fold, 0..1."""
        return self._best.accuracy

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy."""
        return self._best.accuracy_interval

    @property
    def images(self) -> int:
        """Number of images."""
        return self.curve.images

    @property
    def _best(self) -> GroupProbe:
        return next(one for one in self.curve.groups if one.group == self.curve.best)

    def __repr__(self) -> str:
        figures = accuracy_text(self.accuracy, self.interval, self.images)
        return f"DepthProbe({self.model}: best at {self.best}, {figures}, {self.data})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        curve = self.curve
        values = {
            "model": self.model,
            "data": self.data,
            "images": curve.images,
            "classes": list(self.classes),
            "folds": curve.folds,
            "groups": curve.rows(),
            "sentence": self.sentence,
            "seconds": self.seconds,
            "best": curve.best,
            "stops_at": curve.stops_at,
            "falls_from": curve.falls_from,
            "majority_share": curve.majority_share,
            "neighbours": curve.neighbours,
            "input_size": self.input_size,
            "run": self.run,
            "unreadable": self.unreadable,
        }
        return values if self.patches is None else {**values, "patches": self.patches.to_dict()}


def probe(
    data: str | os.PathLike[str],
    *,
    model: str | None = None,
    run: str | os.PathLike[str] | None = None,
    group: str | None = None,
    limit: str | None = None,
    seed: int | None = None,
    patches: str | os.PathLike[str] | None = None,
    noncommercial_weights: NoncommercialWeights = "refuse",
    progress: Progress = no_progress,
) -> DepthProbe:
    """Accuracy of a linear probe and of nearest neighbours after every layer group.

    Only training images are used, with a run those of the run; test images are not used. Every image is read
    once and passes once through each network.

    Args:
        data: DATA; with a run the one it was trained on.
        model: ARCH, ARCH:TAG or ARCH:file:PATH; None takes the run's, else the default of `train`.
        run: A run of the same network: CKA says how far fine-tuning has changed each group. The test images of a bundle
            without its run are unknown, so images are then divided as without one.
        group: Pattern whose group 1 names what lies in one fold and counts together; None takes the run's.
        limit: A seeded sample of these images: `100/class`, or `1000`.
        seed: Give the one to train with, so that no test image is used. None: the run's, else 0.
        patches: A .png to be written: patches with the strongest activations of each group.
        noncommercial_weights: refuse or allow weights whose licence forbids commercial use.
        progress: Receives the progress.

    Raises:
        DataError: nothing to read, a class that cannot be both trained and validated on, or a run of other images.
        ModelError: no such network, it cannot be read at every depth, or the run is one of another.
        BundleError: the run holds no bundle.
        PlanError: an option is wrong, or the run had another seed.
        HeadstartError: the patches cannot be written there.
    """
    started = time.monotonic()
    source, folder = os.fspath(data), None if run is None else _bundle_of(Path(run))
    target = None if patches is None else _checked(Path(patches))
    part = DataPlan.from_options(source=source, group=group, limit_train=limit)
    trained = _run_of(folder)
    name = model or _model_of(folder, trained) or DEFAULT_MODEL
    choice = find_model(name)
    Request(part, model=name, seed=seed or 0, noncommercial_weights=noncommercial_weights)  # raises its faults
    refuse_by_licence(ModelPlan(name=name, noncommercial_weights=noncommercial_weights), choice)
    images = _of_run(trained, part, seed) if trained is not None else _without_run(part, seed or 0)
    require("torch", extra="train")
    reader, tuned, spec = _readers(choice, folder)
    seen = _Pass(spec, [reader] if tuned is None else [reader, tuned], drawn=target is not None)
    seen.look_at(images.records, progress)
    facts = image_checks.FileFacts(tuple(seen.records), seen.unreadable, seen.digests)
    image_checks.refuse_unusable(facts, source=source, strict=False)
    together = join_identical({record.id: images.groups[record.id] for record in seen.records}, seen.digests)
    folds = folds_by_group(seen.records, together, seed=images.seed)
    classes = tuple(sorted({record.label for record in seen.records}))
    tick = progress("probe", len(seen.records) * len(reader.group_names))
    curve = probe_depths(
        seen.features(0),
        np.array([classes.index(record.label) for record in seen.records], np.int64),
        folds,
        numbered([together[record.id] for record in seen.records]),
        names=reader.backbone_names,
        tuned=None if tuned is None else seen.features(1),
        on_group=lambda count: tick(count * len(seen.records)),
    )
    drawn = None if target is None else _drawn(target, seen, reader, curve)
    told = None if run is None else os.fspath(run)
    seconds = time.monotonic() - started
    return DepthProbe(curve, choice.name, source, classes, told, spec.size, seen.unreadable, seconds, drawn)


def _checked(path: Path) -> Path:
    """Path of the patches, checked before anything is computed."""
    if path.suffix.lower() != PATCHES_SUFFIX:
        raise HeadstartError(f"{path} cannot hold the patches", expected=f"a name that ends in {PATCHES_SUFFIX}")
    refuse_unwritable(path)
    return path


def _bundle_of(folder: Path) -> Path:
    return folder / "bundle" if is_folder(folder / "bundle") else folder


def _run_of(bundle: Path | None) -> Run | None:
    """Run that contains a bundle; None if it was moved out of it."""
    known = bundle is not None and is_file(bundle.parent / "plan.resolved.yaml")
    return Run.open(bundle.parent) if bundle is not None and known else None


def _model_of(bundle: Path | None, trained: Run | None) -> str | None:
    """Name of the network as the run gives it; of a bundle alone the one on its card."""
    if trained is not None:
        return trained.plan().model.name
    if bundle is None:
        return None
    from headstart.prediction.bundle import read_info

    return read_info(bundle).card.name


@dataclass(frozen=True)
class _Images:
    """Images to probe."""

    records: tuple[ImageRecord, ...]
    """Training images, in order of id."""
    groups: dict[str, str]
    """Image id -> group that lies in one fold."""
    seed: int
    """Seed of the folds."""


def _without_run(part: DataPlan, seed: int) -> _Images:
    """Images that `train` would train on."""
    named = divided_by_name(part, seed=seed)
    return _Images(named.roles.training_pool, named.groups, seed)


def _of_run(run: Run, requested: DataPlan, seed: int | None) -> _Images:
    """Training images of the run, in the given groups, else in its own.

    Raises:
        DataError: these are not the images that the run was trained on.
        PlanError: the seed is not that of the run.
    """
    plan, data = run.plan(), run.data()
    if not _is_same(requested.source, plan.data.source):
        raise DataError(
            f"{run.folder} was trained on {plan.data.source}, not on {requested.source}",
            expected="the images of the run, because it says which of them are test images, which must not be used",
            remedy=f"probe {plan.data.source}, or leave --run out",
        )
    if seed not in (None, plan.seed):
        fault = f"seed: {seed} is not that of {run.folder}, which divided its images with {plan.seed}; leave it out"
        raise PlanError([fault], source="the request")
    named = drawn_by_name(plan)
    # Names alone do not suffice: the run moved images of one group to one side of the split.
    learned = {*data.ids("train"), *data.ids("validation")}
    drawn = (*named.roles.train, *named.roles.validation, *named.roles.test)
    records = sorted((record for record in drawn if record.id in learned), key=lambda record: record.id)
    if not records:
        raise DataError(f"{requested.source} holds none of the training images of {run.folder}")
    groups = named.groups if requested.group is None else group_names(records, requested.group)
    return _Images(limited(records, requested.limit_train, seed=plan.seed), groups, plan.seed)


def _is_same(source: str, other: str) -> bool:
    return source == other or Path(source).resolve() == Path(other).resolve()


def _readers(choice: ModelChoice, bundle: Path | None) -> tuple[DepthReader, DepthReader | None, InputSpec]:
    """Readers of the pretrained network and of the run's, and their input: that of the run if there is one."""
    from headstart.advice.probe.reader import DepthReader
    from headstart.engine.prefix.depth_features import matching_depths, with_depths
    from headstart.machine import best_device
    from headstart.networks.backbone import build_classifier
    from headstart.prediction.bundle import load_classifier, read_info

    spec = choice.card.input
    if bundle is not None:
        info = read_info(bundle)
        if info.card.architecture != choice.card.architecture:
            raise ModelError(
                f"{bundle} holds {info.card.name}",
                expected=f"a run of {choice.name}, so that groups can be compared",
                remedy=f"--model {info.card.name}",
            )
        spec = info.input
    own = build_classifier(choice, kind="linear", num_classes=2, seed=0, input_size=spec.size)
    reader = DepthReader(own.network.to(best_device()), own.groups, size=spec.size, channels=spec.channels)
    if bundle is None:
        return reader, None, spec
    trained, _ = load_classifier(bundle, deepen=with_depths)
    # Groups are read by the network's own forward: a head on all depths has another one.
    network = matching_depths(trained, (), spec.size).network.to(best_device())
    return reader, DepthReader(network, trained.groups, size=spec.size, channels=spec.channels), spec


def _drawn(target: Path, seen: _Pass, reader: DepthReader, curve: DepthCurve) -> Patches:
    """Patches with the strongest activations, written as one sheet.

    Raises:
        HeadstartError: it cannot be written.
    """
    sides = reader.receptive_sides(seen.first_inputs)
    try:
        return draw_patches(
            target, seen.records, seen.spec, seen.strongest, grids=reader.grids, sides=sides, curve=curve
        )
    except OSError as error:
        raise not_written(target, error) from error


@dataclass
class _Pass:
    """One pass over images: each is read once, and passes once through each network."""

    spec: InputSpec
    readers: Sequence[DepthReader]
    drawn: bool
    """Whether the strongest positions are recorded."""
    records: list[ImageRecord] = field(default_factory=list)
    """Readable images, in order."""
    unreadable: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    strongest: dict[str, StrongestPositions] = field(default_factory=dict)
    """Group of the first network -> positions of the strongest activations of its channels."""
    first_inputs: NetworkInput = field(default_factory=lambda: np.empty((0, 0, 0, 0), np.float32))
    """A few images as the network sees them."""
    _found: list[dict[str, list[npt.NDArray[np.float32]]]] = field(default_factory=list)

    def look_at(self, records: Sequence[ImageRecord], progress: Progress) -> None:
        """Read and run all images; those that cannot be read are left out."""
        self._found = [{name: [] for name in reader.group_names} for reader in self.readers]
        tick = progress("read at every depth", len(records))
        chunks = [records[start : start + _BATCH_IMAGES] for start in range(0, len(records), _BATCH_IMAGES)]
        for chunk, inputs in batches(chunks, self._prepare):
            readable = [index for index, record in enumerate(chunk) if record.id in self.digests]
            if readable:
                self._run([chunk[index] for index in readable], inputs[readable])
            tick(len(chunk))

    def features(self, network: int) -> dict[str, npt.NDArray[np.float32]]:
        """Group -> (N, F) of one of the networks."""
        return {name: np.concatenate(rows) for name, rows in self._found[network].items()}

    def _prepare(self, record: ImageRecord) -> NetworkInput:
        """Evaluation view; empty for an unreadable image, whose reason is recorded. Called from threads."""
        found = read_image(record, at_least=pixels_needed(self.spec), bits=self.spec.bits)
        if isinstance(found, ImageFault):
            self.unreadable[record.id] = found.reason
            return np.zeros((self.spec.size, self.spec.size, self.spec.channels), np.float32)
        self.digests[record.id] = image_digest(found.encoded).hex()
        return evaluation_view(found.pixels, self.spec)

    def _run(self, records: Sequence[ImageRecord], inputs: NetworkInput) -> None:
        numbers = np.arange(len(self.records), len(self.records) + len(records))
        self.records.extend(records)
        if not len(self.first_inputs):
            self.first_inputs = inputs
        for index, reader in enumerate(self.readers):
            for name, reading in reader.read(inputs).items():
                self._found[index][name].append(reading.pooled_BF)
                if self.drawn and index == 0 and reading.strongest_BC is not None:
                    assert reading.positions_BC is not None
                    channels = reading.strongest_BC.shape[1]
                    kept = self.strongest.setdefault(name, StrongestPositions(channels))
                    kept.add(numbers, reading.strongest_BC, reading.positions_BC)
