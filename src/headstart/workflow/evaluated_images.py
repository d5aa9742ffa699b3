"""Labelled images on which a bundle is evaluated: those of DATA, or the test images of its run once more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from headstart.data.checks.image_checks import FileFacts
from headstart.data.header_groups import with_header_groups
from headstart.data.sources.dataset import Links
from headstart.data.sources.reading import WHOLE, Dataset, ImageRecord, open_source
from headstart.data.sources.source_findings import STRICT, find_in_source
from headstart.data.splits import group_names, join_identical
from headstart.data.trained_on import TrainedOn
from headstart.errors import DataError, HeadstartError, RunError
from headstart.files import is_file
from headstart.findings import Finding
from headstart.plan.group_rule import group_column
from headstart.prediction.evaluation import Seen, SeenCounts
from headstart.runs.folder import Run
from headstart.workflow.images import sources_of


@dataclass(frozen=True, slots=True)
class ImagesToEvaluate:
    """Labelled images on which a bundle is evaluated."""

    source: str
    """Their name in messages."""
    place: str
    """Where they are from, in words."""
    records: Sequence[ImageRecord]
    pattern: str | None = None
    """Of groups, where the user gave one."""
    run: Run | None = None
    """The run whose test images these are."""
    findings: Sequence[Finding] = ()
    """Files in DATA that are not read."""


@dataclass(frozen=True, slots=True)
class Counting:
    """Groups that intervals count, and findings about them."""

    groups: Mapping[str, str]
    findings: Sequence[Finding] = field(default_factory=tuple)
    pattern: str | None = None


def run_of(folder: Path) -> Run | None:
    """The run that a path names: the folder of a run, or the bundle in it."""
    for place in (folder, folder.parent if folder.name == "bundle" else folder):
        if is_file(place / "plan.resolved.yaml"):
            return Run.open(place)
    return None


def of_data(source: str, split: str | None, pattern: str | None, links: Links = "inside") -> ImagesToEvaluate:
    """The images of DATA; of split folders, test (else val, else everything) unless `split` says otherwise.

    Args:
        source: DATA.
        split: train, val or test.
        pattern: Rule of groups; one that names a column is read from it.
        links: Whether links out of DATA are followed.

    Raises:
        DataError: there is nothing to read, or no such split.
    """
    found = open_source(source, group=group_column(pattern), links=links)
    dataset = replace(found, records=with_header_groups(found.records, pattern))
    name, records = _split_of(dataset, split)
    unread = tuple(finding for finding in find_in_source(dataset) if finding.what in STRICT)
    place = source if name is None else f"{source}, split {name}"
    return ImagesToEvaluate(source, place, records, pattern, findings=unread)


def of_run(run: Run, folder: Path, pattern: str | None = None) -> ImagesToEvaluate:
    """The test images of a run, in its order.

    Args:
        run: The run.
        folder: As the user named it, for messages.
        pattern: Rule of groups; that of the run if None.

    Raises:
        RunError: they are not where training found them.
    """
    data, plan = run.data(), run.plan()
    part = plan.data if pattern is None else plan.data.model_copy(update={"group": pattern})
    requested = data.ids("test")
    elsewhere = f"evaluate other labelled images: headstart evaluate {folder} DATA"
    try:
        found, given = sources_of(part)
    except HeadstartError as error:
        raise RunError(
            f"the test images of {run.folder} cannot be read where training found them ({error.found})",
            expected="the images of the run, from the folder it was started in",
            remedy=elsewhere,
        ) from error
    records = {record.id: record for record in (*found.records, *(given.records if given is not None else ()))}
    if not requested:
        raise RunError(f"{run.folder} does not list its test images: an older version made it", remedy=elsewhere)
    gone = [name for name in requested if name not in records]
    if gone:
        raise RunError(
            f"{len(gone)} of {len(requested)} test images of {run.folder} are gone (first: {gone[0]})",
            expected="the files the run was evaluated on",
            remedy=f"restore them, or {elsewhere}",
        )
    return ImagesToEvaluate(plan.data.source, data.test_source, [records[name] for name in requested], part.group, run)


def _split_of(dataset: Dataset, split: str | None) -> tuple[str | None, Sequence[ImageRecord]]:
    """(name of the split or None, its images)."""
    if split is not None:
        if dataset.splits() == (WHOLE,):
            raise DataError(
                f"{dataset.source} has no splits, so there is no --split {split}",
                expected="images divided into train, val and test (folders, or a column split of a table)",
                remedy="leave out --split to evaluate all its images",
            )
        records = dataset.of(split)
        if not records:
            raise DataError(
                f"{dataset.source} has no split {split!r}", expected=f"one of {', '.join(dataset.splits())}"
            )
        return split, records
    for name in ("test", "val"):
        if dataset.of(name):
            return name, dataset.of(name)
    return None, dataset.records


def counting(images: ImagesToEvaluate, facts: FileFacts, known: TrainedOn | None) -> Counting:
    """Groups by the pattern that was given, else by the source, else by the pattern the bundle was trained with.

    Raises:
        DataError: the given pattern matches nothing.
    """
    records, pattern, findings = facts.readable, images.pattern, []
    remembered = known.group if known is not None else None
    if pattern is None and remembered is not None and not any(record.group for record in records):
        try:
            groups = group_names(records, remembered)
            pattern = remembered
        except DataError:
            findings.append(
                Finding(
                    "info",
                    "groups_unknown",
                    f"the bundle was trained with --group {remembered!r}, which matches none of these paths: "
                    "intervals count images",
                    "if images belong together, say how with --group",
                )
            )
            groups = group_names(records, None)
    else:
        groups = group_names(records, pattern)
    return Counting(join_identical(groups, facts.digests), tuple(findings), pattern)


def without_seen(
    facts: FileFacts, known: TrainedOn | None, seen: Seen, images: ImagesToEvaluate, bundle: Path
) -> tuple[Sequence[ImageRecord], SeenCounts, list[Finding]]:
    """(images to evaluate, how many of them training has seen, findings about those).

    Raises:
        DataError: training has seen all of them, and they are left out.
    """
    total = len(facts.readable)
    if known is None:
        return facts.readable, SeenCounts(known=False, policy=seen), [_UNKNOWN]
    uses = {record.id: known.use_of(facts.digests[record.id]) for record in facts.readable}
    found = Counter(use for use in uses.values() if use is not None)
    counts = SeenCounts(known=True, train=found["train"], validation=found["validation"], policy=seen)
    if not found:
        return facts.readable, counts, []
    said = f"{found.total():,} of {total:,} images were in training ({found['train']:,} train, {found['validation']:,} "
    said += "validation)"
    if seen == "include":
        remedy = "they are evaluated all the same, so these figures are too good"
        return facts.readable, counts, [Finding("warning", "seen_in_training", said, remedy)]
    kept = [record for record in facts.readable if uses[record.id] is None]
    if not kept:
        again = f", or repeat the held-out test images: headstart evaluate {run_folder(bundle)}"
        raise DataError(
            f"all {total:,} images of {images.place} were in training ({found['train']:,} train, "
            f"{found['validation']:,} validation), so none is left to evaluate",
            expected="images the bundle was not trained on",
            remedy=f"choose others, evaluate these all the same with --seen include{again if run_of(bundle) else ''}",
        )
    counts = replace(counts, left_out=found.total())
    remedy = f"they are left out, the figures are of the other {len(kept):,} (--seen include evaluates all)"
    return kept, counts, [Finding("warning", "seen_in_training", said, remedy)]


def run_folder(bundle: Path) -> Path:
    """Folder of the run of a bundle, as a user names it; the bundle itself without one."""
    run = run_of(bundle)
    return bundle if run is None else run.folder


_UNKNOWN = Finding(
    "info",
    "training_images_unknown",
    "the bundle keeps no hashes of its training images, so it cannot say whether these are among them",
    "make sure that they are not, or train again with this version",
)
