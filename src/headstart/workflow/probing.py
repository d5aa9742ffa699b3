"""probe: how much of a network transfers to the images of DATA, measured after every layer group in one pass."""

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
from headstart.plan.plan import DataPlan, NoncommercialWeights
from headstart.plan.request import DEFAULT_MODEL, Request
from headstart.runs.folder import Run
from headstart.runs.progress import Progress, no_progress
from headstart.workflow.images import divided_by_name, drawn_by_name
from headstart.workflow.plans import make_plan, refuse_by_licence

if TYPE_CHECKING:
    from torch import nn

    from headstart.advice.probe.reader import DepthReader
    from headstart.networks.backbone import Classifier

_BATCH_IMAGES = 16
"""The maps of all groups are held at once: 100 MB of EfficientNet-Lite0's at 224 px."""


@dataclass(frozen=True, repr=False)
class DepthProbe:
    """Accuracy of a linear probe and of nearest neighbours after every layer group of a network."""

    curve: DepthCurve
    model: str
    """Full name."""
    data: str
    """DATA."""
    classes: tuple[str, ...]
    run: str | None
    """Whose network CKA compares with."""
    input_size: int
    """Side of what the network saw, in pixels."""
    unreadable: dict[str, str]
    """Image id -> reason of those that are left out."""
    seconds: float
    patches: Patches | None = None
    """What was drawn, if it was asked for."""

    @property
    def sentence(self) -> str:
        """What the curve means, in words."""
        return self.curve.sentence

    @property
    def best(self) -> str:
        """The layer group with the highest accuracy."""
        return self.curve.best

    @property
    def accuracy(self) -> float:
        """Of a linear probe on the best layer group, out of fold, 0..1."""
        return self._best.accuracy

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy."""
        return self._best.accuracy_interval

    @property
    def images(self) -> int:
        """Images that were probed."""
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
    """Measure after every layer group how well a linear head and the nearest neighbours tell the classes.

    Only images that `train` would learn from are looked at, with a run those that it has learned from; those that
    report stay untouched. Every image is read once and passes once through each network.

    Args:
        data: DATA; with a run the one it was trained on.
        model: ARCH, ARCH:TAG or ARCH:file:PATH; None takes the run's, else the default of `train`.
        run: A run of the same network: CKA says how far tuning has moved each group. Of a bundle without its run nobody
            knows who reported, so images are then divided as without one.
        group: Pattern whose group 1 names what lies in one fold and counts together; None takes the run's.
        limit: A seeded sample of these images: `100/class`, or `1000`.
        seed: Give the one to train with, and no image that reports is seen here. None: the run's, else 0.
        patches: A .png to be written: the patches of the images that excite each group most.
        noncommercial_weights: refuse or allow weights whose licence forbids commercial use.
        progress: Told how far it is.

    Raises:
        DataError: nothing to read, a class that cannot be both learned and judged, or a run of other images.
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
    options = Request(part, model=name, seed=seed or 0, noncommercial_weights=noncommercial_weights)
    refuse_by_licence(make_plan(options), choice)
    images = _of_run(trained, part, seed) if trained is not None else _by_itself(part, seed or 0)
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
    """A place for the patches, before anything is computed."""
    if path.suffix.lower() != PATCHES_SUFFIX:
        raise HeadstartError(f"{path} cannot hold the patches", expected=f"a name that ends in {PATCHES_SUFFIX}")
    refuse_unwritable(path)
    return path


def _bundle_of(folder: Path) -> Path:
    return folder / "bundle" if is_folder(folder / "bundle") else folder


def _run_of(bundle: Path | None) -> Run | None:
    """The run that a bundle lies in; None where it was taken out of one."""
    known = bundle is not None and is_file(bundle.parent / "plan.resolved.yaml")
    return Run.open(bundle.parent) if bundle is not None and known else None


def _model_of(bundle: Path | None, trained: Run | None) -> str | None:
    """The name under which the run read its weights; of a bundle alone the one on its card."""
    if trained is not None:
        return trained.plan().model.name
    if bundle is None:
        return None
    from headstart.prediction.bundle import read_info

    return read_info(bundle).card.name


@dataclass(frozen=True)
class _Images:
    """What is looked at."""

    records: tuple[ImageRecord, ...]
    """To learn from, in order of id."""
    groups: dict[str, str]
    """Image id -> what must lie in one fold."""
    seed: int
    """Of the folds."""


def _by_itself(part: DataPlan, seed: int) -> _Images:
    """What `train` would learn from."""
    named = divided_by_name(part, seed=seed)
    return _Images(named.roles.training_pool, named.groups, seed)


def _of_run(run: Run, asked: DataPlan, seed: int | None) -> _Images:
    """What the run has learned from, in the groups that were asked for, else in its own.

    Raises:
        DataError: these are not the images that the run was trained on.
        PlanError: another seed than the run's was asked for.
    """
    plan, images = run.plan(), run.data()["images"]
    if not _is_same(asked.source, plan.data.source):
        raise DataError(
            f"{run.folder} was trained on {plan.data.source}, not on {asked.source}",
            expected="the images of the run, because it says which of them reported and are not to be looked at",
            remedy=f"probe {plan.data.source}, or leave --run out",
        )
    if seed not in (None, plan.seed):
        fault = f"seed: {seed} is not that of {run.folder}, which divided its images with {plan.seed}; leave it out"
        raise PlanError([fault], source="the request")
    named = drawn_by_name(plan)
    # The drawn names are not enough: the run moved images that belong together to one side.
    learned = {*images["fit"], *images["select"]}
    drawn = (*named.roles.train, *named.roles.validation, *named.roles.test)
    records = sorted((record for record in drawn if record.id in learned), key=lambda record: record.id)
    if not records:
        raise DataError(f"{asked.source} holds none of the images that {run.folder} has learned from")
    groups = named.groups if asked.group is None else group_names(records, asked.group)
    return _Images(limited(records, asked.limit_train, seed=plan.seed), groups, plan.seed)


def _is_same(source: str, other: str) -> bool:
    return source == other or Path(source).resolve() == Path(other).resolve()


def _readers(choice: ModelChoice, bundle: Path | None) -> tuple[DepthReader, DepthReader | None, InputSpec]:
    """Of the pretrained network and of the run's, and what both see: the run's input where there is a run."""
    from headstart.advice.probe.reader import DepthReader
    from headstart.engine.prefix.depth_features import with_depths
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
    network = _without_deep_head(trained).to(best_device())
    return reader, DepthReader(network, trained.groups, size=spec.size, channels=spec.channels), spec


def _without_deep_head(trained: Classifier) -> nn.Module:
    """The network as its library knows it; a multi_depth head reads the groups itself, in a forward of its own."""
    from headstart.networks.heads import DEPTHS

    network = trained.network
    if trained.head_kind == "multi_depth":
        del network.forward  # the instance's: the class's own comes to light
        delattr(network, DEPTHS)
    return network


def _drawn(target: Path, seen: _Pass, reader: DepthReader, curve: DepthCurve) -> Patches:
    """The patches, on their sheet.

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
    """One pass over images: each is read once, and goes once through each network."""

    spec: InputSpec
    readers: Sequence[DepthReader]
    drawn: bool
    """Whether the strongest positions are kept."""
    records: list[ImageRecord] = field(default_factory=list)
    """Those that could be read, in order."""
    unreadable: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    strongest: dict[str, StrongestPositions] = field(default_factory=dict)
    """Group of the first network -> where its channels are excited most."""
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
        """The evaluation view; of what cannot be read an empty one, and the reason is kept. Called from threads."""
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
