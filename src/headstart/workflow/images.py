"""The images of a plan, read and divided into roles."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from headstart.data.band_count import with_band_count
from headstart.data.checks import image_checks
from headstart.data.early_views import early_views
from headstart.data.folds import folds_divide_groups, planned_folds, pooled_splits, roles_of_fold, with_fold_as_test
from headstart.data.header_groups import with_header_groups
from headstart.data.redraw import Fixed, redrawn, without_group_mates
from headstart.data.sources.dataset import LabelPolicy
from headstart.data.sources.reading import Dataset, ImageRecord, open_source
from headstart.data.sources.source_findings import refuse_left_out
from headstart.data.sources.source_names import absolute_source, is_missing
from headstart.data.splits import (
    VAL_PREFIX,
    Roles,
    assign_roles,
    group_names,
    join_identical,
    refuse_shared_groups,
    without_others,
)
from headstart.errors import DataError
from headstart.input_spec import Decoding, InputSpec
from headstart.networks.cards.finding import find_model
from headstart.plan.group_rule import group_column
from headstart.plan.image_counts import steps_hold_out
from headstart.plan.plan import DataPlan, Plan, ProbePhase
from headstart.plan.request import DEFAULT_MODEL, Request
from headstart.runs.progress import Progress


@dataclass(frozen=True)
class NamedImages:
    """Images by name, and the role of each; none has been read."""

    dataset: Dataset
    val: Dataset | None
    """Images of the folder that was given as `val`: the test set."""
    groups: dict[str, str]
    """Image id -> group, which stays on one side of every split."""
    roles: Roles


@dataclass(frozen=True)
class CheckedData:
    """Images that were all read once, and the role of each."""

    dataset: Dataset
    facts: image_checks.FileFacts
    roles: Roles
    groups: dict[str, str]
    decoding: Decoding
    """As they were read: where they have several bands, with the number."""


def check_for_training(plan: Plan, progress: Progress) -> CheckedData:
    """Find, read and divide the images of a plan.

    Raises:
        DataError: they cannot make a classifier.
    """
    part, named = plan.data, drawn_by_name(plan)
    drawn, dataset = named.roles, named.dataset
    if named.val is not None:
        dataset = replace(dataset, account=dataset.account.joined(named.val.account, prefix=VAL_PREFIX))
    if part.unreadable == "stop":
        refuse_left_out(dataset)
    # Roles are drawn by name, so that only the images of a sample are read, and a file that breaks moves no other.
    records = (*drawn.train, *drawn.validation, *drawn.test)
    decoding = with_band_count(part.decoding, records, channels=plan.input.channels)
    facts = read_watched(records, progress, decoding=decoding, near_duplicates="find")
    early_views().close()
    image_checks.refuse_unusable(facts, source=part.source, val=part.val, strict=part.unreadable == "stop")
    groups = joined_groups({record.id: named.groups[record.id] for record in facts.readable}, facts)
    roles = without_others(drawn, set(facts.digests))
    if part.test_fold is not None:
        roles = _in_whole_folds(roles, groups, plan, named)
    roles = _kept_apart(roles, groups, plan, named)
    _refuse_empty(drawn, roles)
    if any(isinstance(phase, ProbePhase) for phase in plan.phases):  # only the linear probe is cross-validated
        _refuse_one_group(roles, groups)
    return CheckedData(dataset, facts, roles, groups, decoding)


def view_of_probe(plan: Plan) -> InputSpec | None:
    """View in which a linear probe will read all images next; None where no phase does."""
    if not any(isinstance(phase, ProbePhase) for phase in plan.phases):
        return None
    weights = find_model(plan.model.name).card.input
    return weights.as_requested(size=plan.input.size, resize=plan.input.resize, decoding=plan.data.decoding)


def joined_groups(groups: dict[str, str], facts: image_checks.FileFacts) -> dict[str, str]:
    """Group of each image, with equal files and near-identical images in one."""
    near = facts.near.names()
    return join_identical(join_identical(groups, facts.digests), {name: near.get(name, name) for name in groups})


def _kept_apart(drawn: Roles, groups: dict[str, str], plan: Plan, named: NamedImages) -> Roles:
    """The roles, drawn again where a group lies on two sides of a split that was drawn here."""
    part = plan.data
    fixed: Fixed = "nothing"
    if named.val is not None or len(named.dataset.splits()) > 1:
        fixed = "test and validation" if drawn.validation_source == "val" else "test"
    can_move: Fixed = fixed
    if fixed == "nothing" and (part.fold or (part.test_seed is not None and part.limit_train is not None)):
        can_move = "test"  # folds stay whole; and other seeds read other images, but are tested on the same
    roles = redrawn(drawn, groups, fixed=can_move, seed=plan.seed, test_seed=part.test_seed)
    return without_group_mates(roles, groups, fixed=fixed)


def _in_whole_folds(roles: Roles, groups: dict[str, str], plan: Plan, named: NamedImages) -> Roles:
    """The roles, dealt again where near-identical images lie in two folds; the same folds in the run of each.

    A run on a sample does not read all images, so it cannot know: there the folds stay.

    Args:
        roles: Of the readable images, with the folds that were dealt by name.
        groups: Image id -> group, near-identical images joined.
        plan: Whose images they are.
        named: All images as they were dealt by name.
    """
    part, known = plan.data, named.dataset.records
    if part.limit_train is not None or part.limit_test is not None:
        return roles
    if not folds_divide_groups(part, known, named.groups, groups, seed=plan.seed):
        return roles
    readable = tuple(record for record in known if record.id in groups)
    pool = replace(named.dataset, records=readable)
    return _assigned(part, pool, None, groups, seed=plan.seed, tuned=bool(roles.validation))


def drawn_by_name(plan: Plan) -> NamedImages:
    """The images of a plan and the role of each, before any is read.

    Raises:
        DataError: there is nothing to read, or too little.
    """
    tuned = not all(isinstance(phase, ProbePhase) or phase.folds > 1 for phase in plan.phases)
    drawn = divided_by_name(plan.data, seed=plan.seed, tuned=tuned)
    if tuned or drawn.roles.validation or not steps_hold_out(plan, len(drawn.roles.train)):
        return drawn
    return divided_by_name(plan.data, seed=plan.seed, tuned=True)


def training_images(plan: Plan, records: Sequence[ImageRecord]) -> tuple[ImageRecord, ...]:
    """Those of the images that a plan would train on; all of them where it could not, as without labels.

    Args:
        plan: Whose images they are.
        records: Those that can be read.
    """
    try:
        names = {record.id for record in drawn_by_name(plan).roles.train}
    except DataError:
        return tuple(records)
    return tuple(record for record in records if record.id in names)


def divided_by_name(part: DataPlan, *, seed: int, tuned: bool = False) -> NamedImages:
    """The images of DATA and the role of each, as `train` draws them, before any is read.

    Args:
        part: Which images.
        seed: Of the draw.
        tuned: Whether a validation set must be held out, on which epochs are compared.

    Raises:
        DataError: there is nothing to read, or too little.
    """
    dataset, val = sources_of(part)
    if part.test_fold is not None:
        dataset = pooled_splits(dataset)
    everything = dataset.records + (val.records if val is not None else ())
    groups = group_names(everything, part.group)
    refuse_shared_groups(everything, groups)
    image_checks.refuse_small_classes(dataset.of("train") or dataset.records)
    return NamedImages(dataset, val, groups, _assigned(part, dataset, val, groups, seed=seed, tuned=tuned))


def _assigned(
    part: DataPlan, dataset: Dataset, val: Dataset | None, groups: dict[str, str], *, seed: int, tuned: bool
) -> Roles:
    """Role of each image; arguments as in `assign_roles`."""
    fold = part.test_fold
    if fold is not None:
        dataset = with_fold_as_test(dataset, planned_folds(part, dataset.records, groups, seed=seed), fold)
    roles = assign_roles(
        dataset,
        val=val,
        groups=groups,
        test_share=part.test_fraction,
        validation_share=part.validation_fraction,
        tuned=tuned or part.validation == "held_out",
        limit_train=part.limit_train,
        limit_test=part.limit_test,
        seed=seed,
        test_seed=part.test_seed,
    )
    return roles if fold is None else roles_of_fold(roles, fold)


def _refuse_one_group(roles: Roles, groups: dict[str, str]) -> None:
    """Refuse training images of a single group: the linear probe is cross-validated, and a group stays in one fold.

    Raises:
        DataError: all training images belong to one group.
    """
    if len({groups[record.id] for record in roles.train}) < 2:
        raise DataError(
            f"all {len(roles.train)} training images belong to one group",
            expected="at least two groups, so that the head can be cross-validated between them",
            remedy="add images of other groups, or choose a finer --group (or column group)",
        )


def _refuse_empty(drawn: Roles, roles: Roles) -> None:
    """Refuse data in which unreadable images leave a class without training images, or no test image.

    Raises:
        DataError: with the class.
    """
    missing = sorted(set(drawn.classes) - {record.label for record in roles.train})
    if missing or not roles.test:
        raise DataError(
            f"no readable training image of class {missing[0]!r} is left"
            if missing
            else "no readable test image is left",
            remedy="headstart check names the unreadable files",
        )


def with_absolute_paths(data: DataPlan) -> DataPlan:
    """The same images, named so that another working folder does not matter."""
    paths = {
        name: absolute_source(value)
        for name in ("source", "val")
        if (value := getattr(data, name)) is not None and not is_missing(value)
    }
    return data.model_copy(update=paths)


def content_hash(data: CheckedData) -> str:
    """One hash of names, roles, labels and bytes of all images that take part."""
    digest = hashlib.blake2b(digest_size=16)
    for role, records in (  # in the names of the first runs, which resume by this hash
        ("fit", data.roles.train),
        ("select", data.roles.validation),
        ("report", data.roles.test),
    ):
        for record in records:
            if record.weight is not None:
                digest.update(f"{record.weight}\n".encode())
            digest.update(f"{role}\0{record.id}\0{record.label}\0{data.facts.digests[record.id]}\n".encode())
    return digest.hexdigest()


def requested_input(options: Request) -> InputSpec:
    """Input of the network that a request names."""
    weights = find_model(options.model or DEFAULT_MODEL).card.input
    return weights.as_requested(size=options.input_size, resize=options.resize, decoding=options.data.decoding)


def read_watched(
    records: Sequence[ImageRecord],
    progress: Progress,
    *,
    decoding: Decoding = Decoding(),  # noqa: B008 - frozen
    near_duplicates: Literal["find", "ignore"] = "ignore",
) -> image_checks.FileFacts:
    """Read images once, with progress; `decoding` as in `read_image`."""
    tick = progress("read", len(records))
    return image_checks.read_all(records, decoding=decoding, near_duplicates=near_duplicates, on_image=lambda: tick(1))


def sources_of(part: DataPlan, *, labels: LabelPolicy = "needed") -> tuple[Dataset, Dataset | None]:
    """Images of DATA, and those of `val` with ids that differ from them."""
    column = group_column(part.group)
    dataset = open_source(part.source, labels=labels, group=column, links=part.links)
    if part.val is None:
        return replace(dataset, records=with_header_groups(dataset.records, part.group)), None
    given = open_source(part.val, labels=labels, group=column, links=part.links)
    held = tuple(replace(r, id=f"{VAL_PREFIX}{r.id}", split="val") for r in given.records)
    grouped = with_header_groups((*dataset.records, *held), part.group)  # of both: a patient may be in both
    count = len(dataset.records)
    return replace(dataset, records=grouped[:count]), replace(given, records=grouped[count:])
