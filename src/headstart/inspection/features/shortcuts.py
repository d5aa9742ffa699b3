"""Findings about acquisition shortcuts: the class follows from the edge, the colour or the file alone.

Classes that were collected in different places differ in more than what they show. A network learns what tells them
apart most easily, and its test figure, measured on images of the same places, does not show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from headstart.arrays import Labels
from headstart.findings import Finding
from headstart.inspection.features.checked_features import CheckedFeatures
from headstart.inspection.features.held_out import FOLD_COUNT, HeldOut
from headstart.inspection.features.image_parts import CORNER, FRAME, frame_rows, square_rows
from headstart.inspection.features.shortcut_rule import (
    CORNER_AT,
    ImagePart,
    PartSkills,
    Shortcut,
    clearest,
    known_classes,
    part_skills,
    shortcuts_of,
)
from headstart.inspection.features.small_views import VIEW_SIDE, SmallViews, read_small_views

SHORTCUT = "shortcut"
"""Kind of the finding."""
_MOST_PARTS = 3
_REMEDIES = {
    ImagePart.SIZE: "bring all images to one size and shape before they are used (--resize squash hides neither)",
    ImagePart.FORMAT: "decode and save the images of all sources in one way, with one program and one quality",
    ImagePart.BYTES: "decode and save the images of all sources in one way, with one program and one quality",
    ImagePart.EDGE: f"crop the edge, {100 * FRAME / VIEW_SIDE:.0f} % on each side or more",
    ImagePart.COLOUR: "bring the images of all sources to one brightness and colour, unless these are what the "
    "classes mean",
    ImagePart.COARSE: "crop all sources to the same part and bring them to one brightness, unless light and dark are "
    "what the classes mean",
}
_CORNER_REMEDY = f"crop or cover the corner, {100 * CORNER / VIEW_SIDE:.0f} % of the side"


def find_shortcuts(images: CheckedFeatures) -> list[Finding]:
    """One finding for each part that gives a class away, the clearest first; see `shortcut_rule`.

    Reads every image once, at a reduced size where its format allows it.

    Args:
        images: With features and groups.
    """
    if not images.has_labels or len(images.classes) < 2:
        return []
    # Every class needs a group in each fold; what is said of smaller ones would be chance.
    rows = known_classes(images.labels, images.group_numbers, least_groups=FOLD_COUNT)
    names, labels = np.unique(images.labels[rows], return_inverse=True)
    if len(names) < 2:
        return []
    records = [images.records[row] for row in rows]
    small = read_small_views(records, decoding=images.decoding)
    skills = part_skills(images.features[rows], small, labels, images.group_numbers[rows])
    classes = [images.classes[name] for name in names]
    ids = [record.id for record in records]
    return [_finding(one, skills, small, classes, ids) for one in clearest(shortcuts_of(skills))[:_MOST_PARTS]]


def _finding(
    one: Shortcut, skills: PartSkills, small: SmallViews, classes: Sequence[str], ids: Sequence[str]
) -> Finding:
    predictions = one.predictions
    hits = predictions.predicted_N == predictions.labels_N
    if one.label is None:
        evidence = (
            f"the {one.part} alone {_tells(one.part)} the classes about as well as the whole image: balanced "
            f"accuracy {_accuracy(predictions)} against {skills.whole.balanced_accuracy:.2f}"
        )
    else:
        inside = predictions.labels_N == one.label
        hits &= inside
        evidence = f"{_of_class(one, skills, classes)}{_difference(one.part, small, inside)}"
    remedy = (
        f"{_REMEDIES.get(one.part, _CORNER_REMEDY)}; a network may learn this instead of what the images show: take "
        "each class from every source, or test on a source that was not trained on"
    )
    return Finding("warning", SHORTCUT, evidence, remedy, (tuple(np.asarray(ids)[hits].tolist()),))


def _tells(part: ImagePart) -> str:
    return "tell" if part in (ImagePart.SIZE, ImagePart.FORMAT, ImagePart.COLOUR, ImagePart.COARSE) else "tells"


def _accuracy(predictions: HeldOut) -> str:
    low, high = predictions.balanced_accuracy_interval()
    return f"{predictions.balanced_accuracy:.2f} (95 % interval {low:.2f}..{high:.2f})"


def _of_class(one: Shortcut, skills: PartSkills, classes: Sequence[str]) -> str:
    """`width and height alone tell class a from the others: balanced accuracy ...`."""
    assert one.label is not None
    alone = one_against_others(one.predictions, one.label)
    whole = one_against_others(skills.whole, one.label)
    others = f"class {classes[1 - one.label]}" if len(classes) == 2 else "the others"
    elsewhere = "" if one.elsewhere is None else f", the same area elsewhere {(1 + one.elsewhere) / 2:.2f}"
    return (
        f"the {one.part} alone {_tells(one.part)} class {classes[one.label]} from {others}: balanced accuracy "
        f"{_accuracy(alone)}, the whole image {whole.balanced_accuracy:.2f}{elsewhere}"
    )


def one_against_others(predictions: HeldOut, label: int) -> HeldOut:
    """Predictions of two classes, this one (0) and all others together (1), each class of the others weighing alike.

    Args:
        predictions: Of all classes.
        label: The class.
    """
    is_named = predictions.predicted_N == label
    named_NK = np.stack([is_named, ~is_named], axis=1).astype(np.float64)  # noqa: N806 - shapes
    labels: Labels = np.asarray(predictions.labels_N != label, np.int64)
    weights = 1 / np.bincount(predictions.labels_N)[predictions.labels_N]
    return replace(predictions, labels_N=labels, probabilities_NK=named_NK, weights_N=weights)


def _difference(part: ImagePart, small: SmallViews, inside_N: npt.NDArray[np.bool_]) -> str:  # noqa: N803
    """How the class differs there, in a few words."""
    sides = [np.flatnonzero(which) for which in (inside_N, ~inside_N)]
    ours, theirs = (_in_words(part, small, rows) for rows in sides)
    return f" ({ours} against {theirs})" if ours != theirs else ""


def _in_words(part: ImagePart, small: SmallViews, rows: npt.NDArray[np.int64]) -> str:
    """Typical value of a part over some images."""
    traces = [small.traces[row] for row in rows]
    if part is ImagePart.SIZE:
        ((width, height), count), *_ = Counter((trace.width, trace.height) for trace in traces).most_common(1)
        if 2 * count > len(traces):
            return f"{100 * count / len(traces):.0f} % have {width} x {height} pixels"
        sides = np.median([(trace.width, trace.height) for trace in traces], axis=0)
        return f"median {sides[0]:.0f} x {sides[1]:.0f} pixels"
    if part is ImagePart.BYTES:
        return f"median {np.median([trace.encoded_bytes for trace in traces]) / 1000:.1f} kB"
    if part is ImagePart.FORMAT:
        named = (" ".join(filter(None, (trace.kind, trace.compression, trace.tags))) for trace in traces)
        (text, count), *_ = Counter(named).most_common(1)
        return f"{100 * count / len(traces):.0f} % {text or 'without a header'}"
    views = small.views_NSSC[rows]
    seen = frame_rows(views) if part is ImagePart.EDGE else square_rows(views, *CORNER_AT[part])
    return f"mean brightness {seen.mean():.0f} of 255"
