"""check: read every image, say what is there; and divide the images of a plan into roles."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.data import checks
from headstart.data.sources import Dataset, ImageRecord, open_source
from headstart.data.splits import (
    Roles,
    assign_roles,
    group_names,
    join_identical,
    refuse_shared_groups,
    unmatched_count,
)
from headstart.errors import require
from headstart.models.catalog import find_model
from headstart.plan import DataPlan, Plan, SolvePhase
from headstart.workflow.plans import TrainOptions, make_plan

Progress = Callable[[str, int], Callable[[int], object]]
"""(what, number of images) -> a function to call with the number of images just done."""


def no_progress(what: str, total: int) -> Callable[[int], object]:
    """Shows nothing."""
    return lambda count: None


@dataclass(frozen=True)
class CheckedData:
    """Images that were all read once, and what each is used for."""

    dataset: Dataset
    facts: checks.FileFacts
    roles: Roles
    groups: dict[str, str]


def check(
    source: str, *, val: str | None = None, group: str | None = None, progress: Progress = no_progress
) -> dict[str, Any]:
    """Read every image of DATA and say what is there.

    Args:
        source: DATA.
        val: A folder that reports, as in `train`.
        group: Pattern whose group 1 names what must stay together.
        progress: Told how far the reading is.

    Raises:
        DataError: there is nothing to read.
    """
    dataset = open_source(source)
    if val is not None:
        dataset = _joined(dataset, open_source(val))
    facts = read_watched(dataset.records, progress)
    answer = checks.summary(dataset, facts)
    if group is not None:
        groups = group_names(facts.readable, DataPlan.from_options(source=source, group=group).group)
        answer["groups"] = {
            "groups": len(set(groups.values())),
            "unmatched": unmatched_count(facts.readable, groups),
        }
        answer["findings"] = [f.to_dict() for f in checks.shared(facts.readable, groups)] + answer["findings"]
    return answer


def check_for_training(plan: Plan, progress: Progress) -> CheckedData:
    """Find, read and divide the images of a plan.

    Raises:
        DataError: they cannot make a classifier.
    """
    part = plan.data
    dataset = open_source(part.source)
    val = open_source(part.val) if part.val is not None else None
    if val is not None:
        dataset, val = _told_apart(dataset, val)
    everything = dataset.records + (val.records if val is not None else ())
    groups = group_names(everything, part.group)
    refuse_shared_groups(everything, groups)
    tuned = not all(isinstance(phase, SolvePhase) for phase in plan.phases)

    def roles_of(readable: Sequence[ImageRecord], groups: dict[str, str]) -> Roles:
        kept = {record.id for record in readable}
        return assign_roles(
            _only(dataset, kept),
            val=_only(val, kept) if val is not None else None,
            groups=groups,
            report_share=part.report_share,
            select_share=part.select_share,
            tuned=tuned,
            limit_train=part.limit_train,
            limit_test=part.limit_test,
            seed=plan.seed,
        )

    checks.refuse_small_classes(dataset.of("train") or dataset.records)
    if part.limit_train is None and part.limit_test is None:
        candidates: Sequence[ImageRecord] = everything
    else:  # sampling is by name, so only the sample needs to be read
        named = roles_of(everything, groups)
        candidates = (*named.fit, *named.select, *named.report)
    facts = read_watched(candidates, progress)
    checks.refuse_unusable(facts, source=part.source, strict=part.unreadable == "stop")
    groups = join_identical({r.id: groups[r.id] for r in facts.readable}, facts.digests)
    roles = roles_of(facts.readable, groups)
    checks.refuse_small_classes(roles.fit)
    return CheckedData(dataset, facts, roles, groups)


def content_hash(data: CheckedData) -> str:
    """One hash of names, roles and bytes of all images that take part."""
    digest = hashlib.blake2b(digest_size=16)
    for role, records in (
        ("fit", data.roles.fit),
        ("select", data.roles.select),
        ("report", data.roles.report),
    ):
        for record in records:
            digest.update(f"{role}\0{record.id}\0{data.facts.digests[record.id]}\n".encode())
    return digest.hexdigest()


def preview(options: TrainOptions, path: Path) -> None:
    """Write a contact sheet: images exactly as the network sees them, evaluation view beside training views.

    Raises:
        DataError: nothing to show.
    """
    require("torch", extra="train")
    from headstart.inspect.contact_sheet import write_contact_sheet

    plan = make_plan(options)
    dataset = open_source(plan.data.source)
    card = find_model(plan.model.name).card
    spec = card.input if plan.input.size == "auto" else card.input.at_size(plan.input.size)
    write_contact_sheet(
        path,
        _examples(dataset),
        spec,
        preset=plan.augmentation.preset,
        flip=plan.augmentation.flip,
        seed=plan.seed,
    )


def read_watched(records: Sequence[ImageRecord], progress: Progress) -> checks.FileFacts:
    """Read images once, with progress."""
    tick = progress("read", len(records))
    return checks.read_all(records, on_image=lambda: tick(1))


def _only(dataset: Dataset, ids: set[str]) -> Dataset:
    return Dataset(dataset.name, dataset.source, tuple(r for r in dataset.records if r.id in ids), dataset.ignored)


def _told_apart(dataset: Dataset, val: Dataset) -> tuple[Dataset, Dataset]:
    """Ids of two sources made unique by the name of their role."""
    train = tuple(replace(r, id=f"train:{r.id}") for r in dataset.records)
    held = tuple(replace(r, id=f"val:{r.id}", split="val") for r in val.records)
    return replace(dataset, records=train), replace(val, records=held)


def _joined(dataset: Dataset, val: Dataset) -> Dataset:

    train, held = _told_apart(dataset, val)
    first = tuple(replace(r, split="train") for r in train.records)
    return replace(train, records=first + held.records)


def _examples(dataset: Dataset, *, per_class: int = 2, most: int = 12) -> list[ImageRecord]:
    """A few images of every class."""
    taken: Counter[str] = Counter()
    chosen: list[ImageRecord] = []
    for record in dataset.records:
        if taken[record.label] < per_class and len(chosen) < most:
            taken[record.label] += 1
            chosen.append(record)
    return chosen
