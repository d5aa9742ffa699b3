"""evaluate and predict: what a bundle says of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from headstart.data import checks
from headstart.data.inputs import find_inputs
from headstart.data.source_findings import STRICT, find_in_source
from headstart.data.sources import Dataset, ImageRecord, open_source
from headstart.errors import DataError
from headstart.workflow.images import read_watched
from headstart.workflow.progress import Progress, no_progress

if TYPE_CHECKING:
    from headstart.features.predictor import Kept, Predictor

LeftOut: TypeAlias = Literal["name", "stop"]
"""What to do about files that give no prediction."""


def evaluate(
    bundle: Path, source: str, *, split: str | None = None, progress: Progress = no_progress
) -> dict[str, Any]:
    """Figures of a bundle on labelled images.

    Args:
        bundle: Folder of the bundle.
        source: DATA; of split folders, test (else val, else everything) is judged unless `split` says otherwise.
        split: train, val or test.
        progress: Told how far it is.

    Raises:
        DataError: the images have classes the bundle does not know, or cannot be read.
    """
    from headstart.features.predictor import load

    predictor = load(bundle)
    dataset = open_source(source)
    records = _judged_split(dataset, split)
    unknown = sorted({record.label for record in records} - set(predictor.classes))
    if unknown:
        raise DataError(
            f"{source} has classes the bundle does not know: {', '.join(unknown[:5])}",
            expected=f"only {', '.join(predictor.classes)}",
        )
    facts = read_watched(records, progress, bits=predictor.info.input.bits)
    if not facts.readable:
        checks.refuse_unusable(facts, source=source, strict=True)
    figures, _ = judge_records(predictor, facts.readable, progress)
    findings = [f.to_dict() for f in find_in_source(dataset) if f.what in STRICT]
    return {**figures, "unreadable": facts.unreadable, "findings": findings}


def predict(
    bundle: Path,
    files: Sequence[str],
    *,
    left_out: LeftOut = "name",
    progress: Progress = no_progress,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """(predictions, path -> reason of everything that was given and has none).

    Args:
        bundle: Folder of the bundle.
        files: Images, or folders of images.
        left_out: What to do about a path that gives no prediction: name it, or stop before anything is predicted.
        progress: Told how far it is.

    Raises:
        DataError: no file can be read; or any cannot, and `left_out` is stop.
    """
    from headstart.features.predictor import load

    inputs = find_inputs(files)
    predictor = load(bundle)
    facts = read_watched(inputs.records, progress, bits=predictor.info.input.bits)
    missing = {**facts.unreadable, **inputs.left_out}
    if missing and (left_out == "stop" or not facts.readable):
        name, reason = next(iter(missing.items()))
        count = len(missing) + len(facts.readable)
        raise DataError(
            f"{len(missing)} of {count} images give no prediction (first: {name}: {reason})",
            expected="images that can be read",
            remedy="repair or remove them" + (", or leave out --strict" if left_out == "stop" else ""),
        )
    probabilities = predictor.probabilities(facts.readable, on_images=progress("predict", len(facts.readable)))
    return [p.to_dict() for p in predictor.predictions(facts.readable, probabilities)], missing


def judge_records(
    predictor: Predictor, records: Sequence[ImageRecord], progress: Progress, *, kept: Kept | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(figures, one row an image); `kept` is where features of the images are kept."""
    import numpy as np

    from headstart.evaluate.metrics import judge

    probabilities = predictor.probabilities(records, on_images=progress("evaluate", len(records)), kept=kept)
    index = {name: i for i, name in enumerate(predictor.classes)}
    labels = np.array([index[record.label] for record in records], np.int64)
    rows = [
        {
            "image": r.id,
            "label": r.label,
            "predicted": predictor.classes[int(p.argmax())],
            "probabilities": p.tolist(),
        }
        for r, p in zip(records, probabilities, strict=True)
    ]
    return judge(probabilities, labels, predictor.classes), rows


def _judged_split(dataset: Dataset, split: str | None) -> Sequence[ImageRecord]:
    if split is not None:
        records = dataset.of(split)
        if not records:
            raise DataError(
                f"{dataset.source} has no split {split!r}", expected=f"one of {', '.join(dataset.splits())}"
            )
        return records
    for name in ("test", "val"):
        if dataset.of(name):
            return dataset.of(name)
    return dataset.records
