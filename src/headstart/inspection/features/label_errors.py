"""Likely label errors: labels that contradict a head and neighbours that never saw the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.amounts import count_text
from headstart.arrays import Doubles, Floats, Labels, Positions
from headstart.findings import Finding
from headstart.inspection.features.checked_features import CheckedFeatures
from headstart.inspection.features.label_noise import fit_label_noise
from headstart.inspection.features.left_out import (
    left_out_scores,
    neighbour_votes,
    standardised,
    without_large_groups,
)

LEAST_PROBABILITY = 0.5
"""Labels that are wrong with less than this are not listed."""
_LEAST_IMAGES = 20
_WARNING_SHARE = 0.01
"""Estimated share of wrong labels from which on the finding is a warning."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """Probability of each label being wrong, and what the features say instead."""

    wrong: Doubles
    """(N,) probability that the label is wrong."""
    suggested: Labels
    """(N,) most probable other class."""
    share: float
    """Estimated share of wrong labels."""

    def listed(self) -> Positions:
        """Positions of the images whose label is rather wrong than correct, the most probable errors first."""
        order = np.argsort(-self.wrong, kind="stable")
        return np.asarray(order[self.wrong[order] > LEAST_PROBABILITY], np.int64)


def estimate_label_errors(features: Floats, labels: Labels, groups: Positions) -> LabelErrors:
    """Probability of each label being wrong, by a linear head and by neighbours that never saw the image's group.

    Args:
        features: (N, F).
        labels: (N,) class of each, 0..K-1 with K >= 2, each of them used.
        groups: (N,) group of each, at least two groups.
    """
    groups = without_large_groups(groups, labels)
    rows = standardised(features)
    head = left_out_scores(rows, labels, groups)
    noise = fit_label_noise([head.scores, neighbour_votes(rows, labels, groups)], labels)
    others = noise.probabilities.copy()
    others[np.arange(len(labels)), labels] = -1
    return LabelErrors(noise.wrong, np.asarray(others.argmax(axis=1), np.int64), noise.share)


def find_label_errors(images: CheckedFeatures) -> list[Finding]:
    """Finding about labels that are probably wrong, with the estimated number of wrong ones among those listed.

    Args:
        images: With their features.
    """
    if not images.has_labels or len(images.classes) < 2 or len(images.records) < _LEAST_IMAGES:
        return []
    found = estimate_label_errors(images.features, images.labels, images.group_numbers)
    listed = found.listed()
    if not len(listed):
        return []
    shown = "; ".join(
        f"{images.records[at].id} is labelled {images.records[at].label}, looks like "
        f"{images.classes[found.suggested[at]]} ({found.wrong[at]:.0%})"
        for at in listed[:_SHOWN]
    )
    count, expected = len(images.records), float(found.wrong[listed].sum())
    estimated = max(1, round(found.share * count))
    return [
        Finding(
            "warning" if found.share >= _WARNING_SHARE else "info",
            "label_errors",
            f"about {estimated:,} of {count:,} labels are wrong by estimate; of {count_text(len(listed), 'image')} "
            f"listed, about {expected:.0f}: {shown}",
            "look at them, the most probable first, and correct or remove those that are wrong",
            (tuple(images.records[at].id for at in listed),),
        )
    ]
