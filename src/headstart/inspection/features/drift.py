"""Findings about splits that differ: drift that features show, and other class shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.arrays import Labels
from headstart.findings import Finding, Level
from headstart.inspection.features.checked_features import CheckedFeatures
from headstart.inspection.features.split_drift import Sides, SplitAuroc, SplitDrift, split_drift
from headstart.measures.intervals import unpaired_difference_interval

DRIFT, CLASS_SHARES = "drift", "class_shares"
"""Kinds of the findings."""
FALSE_DRIFT_SHARE = 0.05
"""Chance that any split is said to differ where all are alike."""
LARGE_DRIFT = 0.7
"""Area under the ROC curve from which drift is a warning: less is common between places and seasons."""
_LARGE_SHARE = 0.05
_MOST_NAMED = 3
_MOST_IMAGES = 100


def find_drift(images: CheckedFeatures) -> list[Finding]:
    """Findings about each split that differs from the training split.

    Args:
        images: With features, groups and splits.
    """
    names = [str(name) for name in np.unique(images.splits)]
    if "train" not in names or len(names) < 2:
        return []
    others = [name for name in names if name != "train"]
    return [finding for name in others for finding in _about_split(images, name, compared=len(others))]


def _about_split(images: CheckedFeatures, name: str, *, compared: int) -> list[Finding]:
    rows = np.flatnonzero((images.splits == "train") | (images.splits == name))
    groups = images.group_numbers[rows]
    is_second = np.asarray(images.splits[rows] == name)
    # A group on both sides is a finding of its own; here it would hide drift.
    crossing = np.intersect1d(groups[is_second], groups[~is_second])
    alone = ~np.isin(groups, crossing)
    rows, groups, is_second = rows[alone], groups[alone], is_second[alone]
    labels = images.labels[rows] if images.has_labels else np.zeros(len(rows), np.int64)
    if len(rows) == 0:
        return []
    found = _class_shares(labels, is_second, groups, images.classes, name, compared) if images.has_labels else []
    drift = split_drift(images.features[rows], labels, is_second, groups)
    if drift is None or drift.overall.chance >= FALSE_DRIFT_SHARE / compared:
        return found
    ids = [images.records[row].id for row in rows[is_second]]
    return [_drift_finding(drift, name, ids, is_second, images.classes if images.has_labels else ()), *found]


def _drift_finding(
    drift: SplitDrift, name: str, ids: Sequence[str], is_second: Sides, classes: Sequence[str]
) -> Finding:
    overall = drift.overall
    evidence = (
        f"images of {name} differ from those of train: a linear classifier on features tells them apart within their "
        f"class with AUROC {auroc_text(overall)}, where 0.5 is chance{classes_text(drift, classes)}"
    )
    # Those that look least like the training images come first.
    order = np.argsort(-drift.scores_N[is_second], kind="stable")[:_MOST_IMAGES]
    level: Level = "warning" if overall.auroc >= LARGE_DRIFT else "info"
    remedy = (
        f"if {name} is from another camera, place or time, its figure says how well the classifier travels; for the "
        "figure at home, hold out a part of train; to travel better, train on some images of that kind too"
    )
    return Finding(level, DRIFT, evidence, remedy, (tuple(ids[index] for index in order),))


def auroc_text(found: SplitAuroc) -> str:
    """`0.83 (95 % interval 0.79..0.87)`."""
    low, high = found.interval
    return f"{found.auroc:.2f} (95 % interval {low:.2f}..{high:.2f})"


def classes_text(drift: SplitDrift, classes: Sequence[str]) -> str:
    """`; most in a 0.91, b 0.85`: the classes that drift beyond chance, the strongest first.

    Args:
        drift: Of all classes.
        classes: Their names.
    """
    if len(classes) < 2:
        return ""
    level = FALSE_DRIFT_SHARE / max(1, len(drift.by_class))
    beyond = {label: found for label, found in drift.by_class.items() if found.chance < level}
    if not beyond:
        return ""
    strongest = sorted(beyond, key=lambda label: -beyond[label].auroc)[:_MOST_NAMED]
    return "; most in " + ", ".join(f"{classes[label]} {beyond[label].auroc:.2f}" for label in strongest)


def _class_shares(
    labels: Labels, is_second: Sides, groups: Labels, classes: Sequence[str], name: str, compared: int
) -> list[Finding]:
    """Finding about classes with another share in the split, which is no drift of the images."""
    level = 1 - FALSE_DRIFT_SHARE / (compared * len(classes))
    moved = []
    for label, of_class in enumerate(classes):
        sides = [(labels[side] == label, groups[side]) for side in (is_second, ~is_second)]
        if min(len(np.unique(group)) for _, group in sides) < 2:
            return []
        low, high = unpaired_difference_interval(sides[0], sides[1], level=level)
        there, here = (float(is_label.mean()) for is_label, _ in sides)
        if (low > 0 or high < 0) and abs(there - here) >= _LARGE_SHARE:
            moved.append((abs(there - here), f"{of_class} {100 * there:.0f} % against {100 * here:.0f} %"))
    if not moved:
        return []
    named = ", ".join(text for _, text in sorted(moved, reverse=True)[:_MOST_NAMED])
    evidence = f"classes have other shares in {name} than in train: {named}"
    return [Finding("info", CLASS_SHARES, evidence, f"read balanced accuracy, or recall by class, of {name}")]
