"""shortlist: ranking of pretrained networks by their features of the images of DATA.

Only training images are used, no test images. Features go through the activation cache, so that a later `train` with a
network of the list finds them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from headstart.advice.shortlist.cautions import Circumstances, cautions
from headstart.advice.shortlist.halving import (
    LabelArray,
    classes_in_one_group,
    last_round_size,
    nested_order,
    stratified_folds,
)
from headstart.advice.shortlist.ranking import (
    USUAL_LENGTH,
    Shortlist,
    ShortlistCandidate,
    ShortlistFigures,
    final_ranking,
    run_halving,
)
from headstart.data.band_count import with_band_count
from headstart.data.checks import image_checks
from headstart.data.sources.reading import ImageRecord
from headstart.data.splits import Roles
from headstart.errors import DataError, Interrupted, ModelError, PlanError, require_installed
from headstart.input_spec import Decoding
from headstart.measures.intervals import Together, numbered
from headstart.networks.cards.catalog import ModelChoice, all_cards
from headstart.networks.cards.finding import find_model
from headstart.networks.cards.search import ModelQuery, search
from headstart.plan.plan import DataPlan, NoncommercialWeights
from headstart.plan.request import Request
from headstart.plan.sections import ChannelChoice
from headstart.runs.progress import Progress, no_progress
from headstart.training.channels.adapting import SetAdapter
from headstart.workflow.images import divided_by_name, joined_groups, read_watched
from headstart.workflow.shortlist_networks import CandidateNetworks

MOST_CANDIDATES = 40
"""Largest number of candidates of a search: each must be downloaded and run."""
LEAST_OF_A_CLASS = 2


@dataclass(frozen=True, slots=True)
class ShortlistOptions:
    """Options of a shortlist; None for defaults."""

    source: str
    """DATA."""
    models: tuple[str, ...] = ()
    """Names of networks; otherwise give `query`."""
    query: ModelQuery | None = None
    """Search of the catalog, in place of names."""
    keep: int = USUAL_LENGTH
    """Length of the list."""
    images: int | None = None
    """Number of images of the last round."""
    group: str | None = None
    """Pattern whose group 1 names what must stay together."""
    input_size: int | None = None
    """Side in pixels for all networks; None takes each one's own."""
    decoding: Decoding = field(default_factory=Decoding)
    """What the bytes of the image files become."""
    channels: ChannelChoice | None = None
    """How bands reach the networks; None and auto take `adapting.UNPROBED_METHOD`."""
    seed: int = 0
    """Seed of the sample, the folds and the test set: the one to train with."""
    store: Path | None = None
    """Folder of the store; None is `$HEADSTART_HOME/store`."""
    noncommercial_weights: NoncommercialWeights = "refuse"


def shortlist(
    source: str | os.PathLike[str],
    models: str | Sequence[str] = (),
    *,
    query: ModelQuery | None = None,
    keep: int = USUAL_LENGTH,
    images: int | None = None,
    group: str | None = None,
    input_size: int | None = None,
    decoding: Decoding = Decoding(),  # noqa: B008 - frozen
    channels: ChannelChoice | None = None,
    seed: int = 0,
    store: str | os.PathLike[str] | None = None,
    noncommercial_weights: NoncommercialWeights = "refuse",
    progress: Progress = no_progress,
) -> Shortlist:
    """Networks worth training on DATA, best first: `headstart.shortlist("photos", ["resnet18", "resnet50"]).models`.

    Args:
        source: DATA.
        models: Names, or one text with commas between them.
        query: In place of names: a search, `headstart.networks.cards.search.ModelQuery(max_params=10e6)`.
        keep: Length of the list.
        images: Number in the last round; None: 512, or more for many classes.
        group: Regular expression on the image path; what its group 1 matches stays in one fold.
        input_size: Side in pixels for all; None takes each network's own.
        decoding: What the bytes of the image files become.
        channels: How 2 or 4 to 16 bands reach the networks; None takes `learned`, because nothing is trained here.
        seed: Give `train` the same, so that its test images are not used here.
        store: Folder of the store; None is `$HEADSTART_HOME/store`.
        noncommercial_weights: refuse skips weights whose licence forbids commercial use.
        progress: Receives the progress.

    Raises:
        HeadstartError: see its subclasses; Interrupted after Ctrl-C, with all features stored.
    """
    names = models.split(",") if isinstance(models, str) else models
    options = ShortlistOptions(
        os.fspath(source),
        tuple(dict.fromkeys(name.strip() for name in names if name.strip())),
        query,
        keep,
        images,
        group,
        input_size,
        decoding,
        channels,
        seed,
        None if store is None else Path(store),
        noncommercial_weights,
    )
    return run_shortlist(options, progress=progress)


def run_shortlist(options: ShortlistOptions, *, progress: Progress = no_progress) -> Shortlist:
    """Shortlist for given options.

    Raises:
        HeadstartError: see `shortlist`.
    """
    started = time.monotonic()
    _refuse_wrong(options)
    choices, skipped = _choices(options)
    sample = _sample(options, progress)
    require_installed("torch", extra="train")
    networks = CandidateNetworks(
        choices,
        sample.records,
        sample.digests,
        input_size=options.input_size,
        decoding=sample.decoding,
        adapter=sample.adapter,
        store=options.store,
        noncommercial_weights=options.noncommercial_weights,
        progress=progress,
    )
    candidates = [ShortlistCandidate.of(choice) for choice in choices.values()]
    try:
        rounds, failed = run_halving(
            candidates,
            networks.features,
            sample.labels,
            sample.together,
            sample.folds,
            num_classes=len(sample.classes),
            keep=options.keep,
            on_round=networks.hold,
        )
    except KeyboardInterrupt as stop:
        raise Interrupted(
            f"stopped; {networks.computed} rows of features are in the store",
            remedy="the same call computes only what is missing",
        ) from stop
    ranking = final_ranking(candidates, rounds)
    notes = (*sample.notes, *networks.notes)
    told = Circumstances("named" if sample.is_grouped else "unknown", notes, sample.unlearned)
    return Shortlist(
        options.source,
        sample.classes,
        ranking,
        options.keep,
        rounds,
        {**skipped, **failed},
        cautions(ranking, keep=options.keep, circumstances=told),
        _figures(sample, networks, seconds=time.monotonic() - started),
    )


def _refuse_wrong(options: ShortlistOptions) -> None:
    """Refuse wrong options before anything is read.

    Raises:
        PlanError: with every fault; or the input size is invalid.
    """
    faults = []
    if bool(options.models) == (options.query is not None):
        both = "not both" if options.models else "such as --models resnet18,resnet50, or --max-params 10M --pareto"
        faults.append(f"models: name them, or search the catalog, {both}")
    if options.keep < 1:
        faults.append(f"keep: {options.keep} must be >= 1")
    if faults:
        raise PlanError(faults, source="the request")
    Request(DataPlan.from_options(source=options.source), input_size=options.input_size)  # raises its faults


def _choices(options: ShortlistOptions) -> tuple[dict[str, ModelChoice], dict[str, str]]:
    """Full name -> network, and hub repositories that cannot be reached.

    Raises:
        ModelError: a name is wrong, or the search finds nothing or too much.
    """
    names = options.models
    if options.query is not None:
        names = tuple(card.name for card in search(all_cards(), options.query))
        if not 0 < len(names) <= MOST_CANDIDATES:
            raise ModelError(
                f"the search finds {len(names)} models",
                expected=f"1 to {MOST_CANDIDATES}",
                remedy="headstart models takes the same options and shows them; --pareto leaves few",
            )
    found: dict[str, ModelChoice] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            choice = find_model(name)
        except ModelError as error:
            if not name.replace("_", "-").startswith("hf-hub:"):
                raise
            skipped[name] = str(error)
            continue
        found.setdefault(choice.name, choice)
    if not found:
        raise ModelError("; ".join(f"{name}: {reason}" for name, reason in skipped.items()))
    return found, skipped


@dataclass(frozen=True)
class _Sample:
    """Images in the order in which rounds take them."""

    records: tuple[ImageRecord, ...]
    roles: Roles
    groups: dict[str, str]
    """Image id -> group; copies of a file share one."""
    digests: dict[str, bytes]
    classes: tuple[str, ...]
    is_grouped: bool
    unreadable: dict[str, str]
    seed: int
    decoding: Decoding
    """As the images were read: where they have several bands, with the number."""
    adapter: SetAdapter | None
    """Of networks to the bands of the images; None: they have none."""

    @property
    def labels(self) -> LabelArray:
        index = {name: number for number, name in enumerate(self.classes)}
        return np.array([index[record.label] for record in self.records], np.int64)

    @property
    def together(self) -> Together:
        return numbered([self.groups[record.id] for record in self.records])

    def folds(self, images: int) -> LabelArray:
        return stratified_folds(self.records[:images], self.groups, seed=self.seed)

    @property
    def unlearned(self) -> tuple[str, ...]:
        """Classes in a single group, which no fold can both train and validate on."""
        return classes_in_one_group(self.records, self.groups)

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.unreadable:
            return ()
        name, reason = next(iter(self.unreadable.items()))
        return (f"{len(self.unreadable)} images that cannot be read were left out (first: {name}: {reason})",)


def _figures(sample: _Sample, networks: CandidateNetworks, *, seconds: float) -> ShortlistFigures:
    return ShortlistFigures(
        images=len(sample.records),
        training_images=len(sample.roles.training_pool),
        tested_on=sample.roles.test_source,
        groups=len({sample.groups[record.id] for record in sample.records}),
        seed=sample.seed,
        unreadable=sample.unreadable,
        computed=networks.computed,
        stored_before=networks.stored_before,
        store=networks.store,
        seconds=seconds,
        channels_by=None if sample.adapter is None else sample.adapter.method,
    )


def _band_adapter(options: ShortlistOptions, roles: Roles, decoding: Decoding, progress: Progress) -> SetAdapter:
    """Adapter to the bands of all training images, as `train` sees them: then it finds the cached features."""
    readable = read_watched(roles.train, progress, decoding=decoding).readable
    return SetAdapter(readable, channels=options.channels or "auto", seed=options.seed)


def _sample(options: ShortlistOptions, progress: Progress) -> _Sample:
    """Images of the last round, each read once.

    Raises:
        DataError: too few classes or groups to compare networks.
        PlanError: fewer images are requested than every class needs.
    """
    part = DataPlan.from_options(source=options.source, group=options.group)
    named = divided_by_name(part, seed=options.seed)
    groups, roles = named.groups, named.roles
    least = LEAST_OF_A_CLASS * len(roles.classes)
    if options.images is not None and options.images < least:
        raise PlanError(
            [f"images: {options.images} must be >= {least}, two for each of {len(roles.classes)} classes"],
            source="the request",
        )
    wanted = last_round_size(len(roles.training_pool), len(roles.classes), requested=options.images)
    some = nested_order(roles.training_pool, seed=options.seed)[:wanted]
    decoding = with_band_count(options.decoding, roles.training_pool, channels=options.channels or "auto")
    facts = read_watched(some, progress, decoding=decoding, near_duplicates="find")
    image_checks.refuse_unusable(facts, source=options.source, strict=False)
    joined = joined_groups({record.id: groups[record.id] for record in facts.readable}, facts)
    classes = tuple(sorted({record.label for record in facts.readable}))
    if len(classes) < 2 or len(set(joined.values())) < 2:
        raise DataError(
            f"the {len(facts.readable)} images to compare networks on have {len(classes)} classes in "
            f"{len(set(joined.values()))} groups",
            expected="at least two of each",
            remedy="add images, or loosen --group (or the column group)",
        )
    sample = _Sample(
        facts.readable,
        roles,
        joined,
        {name: bytes.fromhex(digest) for name, digest in facts.digests.items()},
        classes,
        part.group is not None or any(record.group is not None for record in facts.readable),
        facts.unreadable,
        options.seed,
        decoding,
        None if decoding.band_count is None else _band_adapter(options, roles, decoding, progress),
    )
    if len(sample.unlearned) == len(classes):
        raise DataError(
            f"all {len(classes)} classes lie in a single group each, so none can be both trained and validated on",
            expected="classes of at least two groups",
            remedy="add images of other groups, or loosen --group (or the column group)",
        )
    return sample
