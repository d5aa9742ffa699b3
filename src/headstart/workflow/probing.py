"""probe: accuracy of a linear probe after every layer group of a network on the images of DATA, in one pass."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.advice.probe.by_depth import DepthCurve, GroupProbe, folds_by_group, probe_depths
from headstart.amounts import accuracy_text
from headstart.data.band_count import with_band_count
from headstart.data.checks import image_checks
from headstart.data.sources.reading import ImageRecord
from headstart.data.sources.source_names import absolute_source
from headstart.data.splits import group_names, join_identical, limited
from headstart.errors import DataError, HeadstartError, PlanError, require_installed
from headstart.files import is_file, is_folder, refuse_unwritable
from headstart.input_spec import ChannelMethod, Decoding
from headstart.inspection.features_by_depth import bundle_input, cached_by_depth, computed_by_depth
from headstart.inspection.patches import PATCHES_SUFFIX, Patches
from headstart.measures.intervals import numbered
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model
from headstart.plan.group_rule import source_rule
from headstart.plan.plan import DataPlan, ModelPlan, NoncommercialWeights
from headstart.plan.request import DEFAULT_MODEL, Request
from headstart.plan.sections import ChannelChoice
from headstart.runs.folder import Run
from headstart.runs.progress import Progress, no_progress
from headstart.training.channels.adapting import AdaptedInput, SetAdapter
from headstart.workflow.images import divided_by_name, drawn_by_name, read_watched
from headstart.workflow.plans import refuse_by_licence

if TYPE_CHECKING:
    from headstart.engine.known.classifier import AnyClassifier


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
    channels_by: ChannelMethod | None = None
    """How the bands of the images reach the network; None: they have its channels."""

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
            "channels_by": self.channels_by,
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
    decoding: Decoding = Decoding(),  # noqa: B008 - frozen
    channels: ChannelChoice | None = None,
    patches: str | os.PathLike[str] | None = None,
    noncommercial_weights: NoncommercialWeights = "refuse",
    progress: Progress = no_progress,
) -> DepthProbe:
    """Accuracy of a linear probe and of nearest neighbours after every layer group.

    Only training images are used, with a run those of the run; test images are not used. Without `run` and `patches`
    features come from the activation cache, where `train` finds them too; what is missing there is computed and cached
    in half precision. Otherwise every image is read once and passes once through each network.

    Args:
        data: DATA; with a run the one it was trained on.
        model: ARCH, ARCH:TAG or ARCH:file:PATH; None takes the run's, else the default of `train`.
        run: A run of the same network: CKA says how far fine-tuning has changed each group. The test images of a bundle
            without its run are unknown, so images are then divided as without one.
        group: Pattern whose group 1 names what lies in one fold and counts together; None takes the run's.
        limit: A seeded sample of these images: `100/class`, or `1000`.
        seed: Give the one to train with, so that no test image is used. None: the run's, else 0.
        decoding: What the values of a file become; with a run as that was trained.
        channels: How 2 or 4 to 16 bands reach the network; None takes `learned`, with a run as that was trained.
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
    if folder is not None and (decoding != Decoding() or channels is not None):
        faults = ["decoding: that of the run is used; leave out bits, bands, window, contrast and channels"]
        raise PlanError(faults, source="the request")
    target = None if patches is None else _checked(Path(patches))
    part = DataPlan.from_options(source=source, group=group, limit_train=limit)
    trained = _run_of(folder)
    name = model or _model_of(folder, trained) or DEFAULT_MODEL
    choice = find_model(name)
    Request(part, model=name, seed=seed or 0, noncommercial_weights=noncommercial_weights)  # raises its faults
    refuse_by_licence(ModelPlan(name=name, noncommercial_weights=noncommercial_weights), choice)
    images = _of_run(trained, part, seed) if trained is not None else _without_run(part, seed or 0)
    require_installed("torch", extra="train")
    given = _input(choice, images, source, folder, decoding, channels or "auto", progress)
    own = None if folder is not None or target is not None else _classifier(choice, given)
    cached = None if own is None else cached_by_depth(own, given.spec, images.records, source, progress)
    found = cached or computed_by_depth(choice, own, given, folder, images.records, source, target, progress)
    records, labels = found.facts.readable, [record.label for record in found.facts.readable]
    together = join_identical({record.id: images.groups[record.id] for record in records}, found.facts.digests)
    folds = folds_by_group(records, together, seed=images.seed)
    classes = tuple(sorted(set(labels)))
    tick = progress("probe", len(records) * len(found.features))
    curve = probe_depths(
        found.features,
        np.array([classes.index(label) for label in labels], np.int64),
        folds,
        numbered([together[record.id] for record in records]),
        names=found.backbone_names,
        tuned=found.tuned,
        on_group=lambda count: tick(count * len(records)),
    )
    drawn, told = found.draw(curve), None if run is None else os.fspath(run)
    left_out, seconds = found.facts.unreadable, time.monotonic() - started
    by, size = given.spec.channels_by, found.input_size
    return DepthProbe(curve, choice.name, source, classes, told, size, left_out, seconds, drawn, by)


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
    train: tuple[ImageRecord, ...]
    """Those on which weights are fitted, which the statistics of bands are of."""
    groups: dict[str, str]
    """Image id -> group that lies in one fold."""
    seed: int
    """Seed of the folds."""


def _without_run(part: DataPlan, seed: int) -> _Images:
    """Images that `train` would train on."""
    named = divided_by_name(part, seed=seed)
    return _Images(named.roles.training_pool, named.roles.train, named.groups, seed)


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
    rule = source_rule(requested.group)
    if rule is not None and rule != plan.data.group:
        raise PlanError([f"group: the run was not divided by {rule!r}; leave it out"], source="the request")
    named = drawn_by_name(plan)
    # Names alone do not suffice: the run moved images of one group to one side of the split.
    learned = {*data.ids("train"), *data.ids("validation")}
    drawn = (*named.roles.train, *named.roles.validation, *named.roles.test)
    records = sorted((record for record in drawn if record.id in learned), key=lambda record: record.id)
    if not records:
        raise DataError(f"{requested.source} holds none of the training images of {run.folder}")
    groups = named.groups if requested.group is None else group_names(records, requested.group)
    fitted = set(data.ids("train"))
    train = tuple(record for record in drawn if record.id in fitted)
    return _Images(limited(records, requested.limit_train, seed=plan.seed), train, groups, plan.seed)


def _is_same(source: str, other: str) -> bool:
    return absolute_source(source) == absolute_source(other)


def _input(
    choice: ModelChoice,
    images: _Images,
    source: str,
    bundle: Path | None,
    decoding: Decoding,
    channels: ChannelChoice,
    progress: Progress,
) -> AdaptedInput:
    """Input of the network for the images, and its adapter if they have bands; of a run those that it was trained with.

    Raises:
        ModelError: the run is one of another network.
        DataError: no training image can be read.
    """
    weights = replace(choice.card.input, decoding=with_band_count(decoding, images.records, channels=channels))
    if bundle is not None:
        weights = bundle_input(bundle, choice)
        channels = weights.channels_by or "plain"
    if weights.decoding.band_count is None:
        return AdaptedInput(weights)
    facts = read_watched(images.train, progress, decoding=weights.decoding)
    image_checks.refuse_unusable(facts, source=source, strict=False)
    found = SetAdapter(facts.readable, channels=channels, seed=images.seed).adapted(weights)
    return found if bundle is None else replace(found, spec=weights)


def _classifier(choice: ModelChoice, given: AdaptedInput) -> AnyClassifier:
    """The pretrained network, without torch where it is known.

    Raises:
        HeadstartError: the weights cannot be loaded, or they do not fit the network.
    """
    from headstart.engine.known.pretrained import feature_extractor

    # Its tensors are kept for a bundle: the training that comes next then needs no torch either, unless it tunes.
    return feature_extractor(choice, size=given.spec.size, purpose="bundle", adapter=given.adapter)
