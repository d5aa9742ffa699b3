"""evaluate and predict: figures and predictions of a bundle."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from headstart.arrays import Doubles
from headstart.data.checks import image_checks
from headstart.data.early_views import make_early_views
from headstart.data.sources.dataset import Links
from headstart.data.sources.inputs import find_inputs
from headstart.data.trained_on import read_trained_on
from headstart.delivery.predictions import Predictions
from headstart.errors import BundleError, DataError
from headstart.findings import Finding
from headstart.plan.group_rule import source_rule
from headstart.prediction.bundle import read_info
from headstart.prediction.evaluation import (
    EvaluatedBundle,
    EvaluateResult,
    RepeatedRun,
    Seen,
    cached_features,
    evaluate_records,
)
from headstart.runs.folder import Run
from headstart.runs.progress import Progress, no_progress
from headstart.workflow.evaluated_images import ImagesToEvaluate, counting, of_data, of_run, run_of, without_seen
from headstart.workflow.images import read_watched
from headstart.workflow.training.run_data import files_hash

if TYPE_CHECKING:
    from headstart.prediction.predictor import CachedFeatures, Predictor

Unreadable: TypeAlias = Literal["leave_out", "stop"]
"""What to do about files that give no prediction: name them in the result, or stop before anything is predicted."""


def evaluate(
    bundle: Path | str,
    source: str | None = None,
    *,
    split: str | None = None,
    group: str | None = None,
    seen: Seen | None = None,
    links: Links = "inside",
    progress: Progress = no_progress,
) -> EvaluateResult:
    """Figures of a bundle on labelled images, or of a run on its held-out test images once more.

    Args:
        bundle: Folder of the bundle, or of the run that made it.
        source: DATA; of split folders, test (else val, else everything) is evaluated unless `split` says otherwise.
            None repeats the test images of the run.
        split: train, val or test.
        group: Pattern whose group 1 names what belongs together, which intervals count; if None, the groups of DATA,
            else the pattern that the bundle was trained with.
        seen: Whether images that the bundle was trained on are evaluated; left out if None, but where a run's own test
            images are repeated.
        links: Whether links out of DATA are followed; of the test images of a run its plan decides.
        progress: Receives how far it is.

    Raises:
        DataError: the images have classes the bundle does not know, cannot be read, or were all trained on.
        BundleError: no bundle, or DATA is missing.
        RunError: the test images of the run are not where training found them.
    """
    from headstart.prediction.predictor import load

    bundle = Path(bundle)
    run = run_of(bundle)
    folder = run.bundle if run is not None else bundle
    known = read_trained_on(folder)
    remembered = None if known is None else known.group
    images = _images(bundle, run, source, split, group, remembered, links)
    predictor = load(folder)
    _refuse_unknown_classes(images, predictor.classes)
    facts = read_watched(images.records, progress, decoding=predictor.info.input.decoding)
    if not facts.readable:
        image_checks.refuse_unusable(facts, source=images.source, strict=True)
    count = counting(images, facts, known)
    policy: Seen = seen or ("leave_out" if images.run is None else "include")
    records, counts, found = without_seen(facts, known, policy, images, bundle)
    cached = None if images.run is None else features_of_run(images.run, facts.digests)
    evaluated = evaluate_records(predictor, records, progress, cached=cached, groups=count.groups)
    repeated, changed = _repeated(images, evaluated, facts)
    findings = (*changed, *found, *evaluated.findings(images.place), *images.findings, *count.findings)
    return EvaluateResult(
        figures=evaluated.figures,
        bundle=folder,
        findings=findings,
        place=images.place,
        group_pattern=count.pattern,
        seen=counts,
        repeats=repeated,
        unreadable=facts.unreadable,
    )


def _images(
    bundle: Path,
    run: Run | None,
    source: str | None,
    split: str | None,
    group: str | None,
    remembered: str | None,
    links: Links,
) -> ImagesToEvaluate:
    """Images to evaluate; `remembered` is the rule of groups that the bundle was trained with.

    Raises:
        BundleError: there is no DATA, and no run whose test images could be repeated.
    """
    if source is not None:
        if group is None and source_rule(remembered) is not None:
            with contextlib.suppress(DataError):  # other images may have no such column or field
                return of_data(source, split, remembered, links)
        return of_data(source, split, group, links)
    if run is None:
        read_info(bundle)
        raise BundleError(
            f"{bundle} does not hold its test images",
            expected="labelled images as DATA",
            remedy="name DATA, or the run folder in place of the bundle: its test images are evaluated once more",
        )
    if split is not None:
        raise BundleError(
            f"--split {split} without DATA",
            expected="no --split: without DATA the run's own test images are evaluated",
            remedy="name DATA, or leave out --split",
        )
    return of_run(run, bundle, group)


def _refuse_unknown_classes(images: ImagesToEvaluate, classes: Sequence[str]) -> None:
    unknown = sorted({record.label for record in images.records} - set(classes))
    if unknown:
        raise DataError(
            f"{images.source} has classes the bundle does not know: {', '.join(unknown[:5])}",
            expected=f"only {', '.join(classes)}",
        )


def _repeated(
    images: ImagesToEvaluate, evaluated: EvaluatedBundle, facts: image_checks.FileFacts
) -> tuple[RepeatedRun | None, list[Finding]]:
    """(the run whose figure is repeated, a finding if the figure is another one)."""
    if images.run is None:
        return None, []
    metrics, accuracy = images.run.metrics(), evaluated.figures.accuracy
    before = None if metrics is None else metrics.test.accuracy
    repeated = RepeatedRun(str(images.run.folder), before)
    if before is None or abs(before - accuracy) < 1e-12:
        return repeated, []
    before_hash = images.run.data().content_of.get("test")
    changed = before_hash is not None and before_hash != files_hash(facts.readable, facts.digests)
    why = "the test images are not the files the run was evaluated on" if changed else "other versions or threads"
    return repeated, [
        Finding(
            "warning",
            "run_not_repeated",
            f"accuracy {accuracy:.4f} where the run has {before:.4f}: {why}",
            "restore the files" if changed else "see environment.json of the run",
        )
    ]


def predict(
    bundle: Path,
    files: Sequence[str],
    *,
    unreadable: Unreadable = "leave_out",
    links: Links = "inside",
    progress: Progress = no_progress,
) -> Predictions:
    """Predictions of images, and the reason for everything that was given and has none.

    Args:
        bundle: Folder of the bundle, or of the run that made it.
        files: Images, folders, patterns such as `photos/*.jpg`, or tables with a column image.
        unreadable: Whether a path without a prediction is left out and named, or stops before anything is predicted.
        links: Whether links out of a folder are followed.
        progress: Receives how far it is.

    Raises:
        BundleError: not a bundle, or a run that has none yet.
        DataError: no file can be read; or any cannot, and `unreadable` is stop.
    """
    from headstart.prediction.predictor import load

    inputs = find_inputs(files, links=links)
    predictor = load(bundle)
    with make_early_views(predictor.info.input):
        facts = read_watched(inputs.records, progress, decoding=predictor.info.input.decoding)
        probabilities = _probabilities(predictor, inputs.left_out, facts, unreadable, progress)
    missing = {**facts.unreadable, **inputs.left_out}
    return Predictions(tuple(predictor.predictions(facts.readable, probabilities)), predictor.classes, missing)


def _probabilities(
    predictor: Predictor,
    left_out: Mapping[str, str],
    facts: image_checks.FileFacts,
    unreadable: Unreadable,
    progress: Progress,
) -> Doubles:
    """Probabilities (N, K) of the readable images.

    Raises:
        DataError: as `predict`.
    """
    missing = {**facts.unreadable, **left_out}
    if missing and (unreadable == "stop" or not facts.readable):
        name, reason = next(iter(missing.items()))
        count = len(missing) + len(facts.readable)
        raise DataError(
            f"{len(missing)} of {count} images give no prediction (first: {name}: {reason})",
            expected="images that can be read",
            remedy="repair or remove them" + (", or leave out --strict" if unreadable == "stop" else ""),
        )
    predictor.make_known(facts.readable)
    return predictor.probabilities(facts.readable, on_images=progress("predict", len(facts.readable)))


def features_of_run(run: Run, digests: Mapping[str, str]) -> CachedFeatures | None:
    """Cached features of a run's test images, as training used them; None if the selected checkpoint was fine-tuned.

    Only features of the pretrained backbone are cached, which other runs share. They are found by the hash of the
    weights in the bundle: what is evaluated is the bundle as it lies on disk.
    """
    plan, metrics = run.plan(), run.metrics()
    selected = None if metrics is None else metrics.selected.checkpoint
    return cached_features(plan.phases, selected, plan.activation_cache, plan.model.weights, digests)
