"""Checks of labels: range, type, and whether they say anything."""

from __future__ import annotations

import numpy as np

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding


def find_labels_out_of_range(examined: Examined) -> list[DoctorFinding]:
    """`labels_out_of_range`: a label is below 0, or not below the number of outputs."""
    outputs = examined.outputs or examined.class_count
    found = []
    for role, facts in examined.loaders.items():
        labels = facts.labels
        if labels is None or not len(labels) or outputs is None:
            continue
        limit = 2 if outputs == 1 else outputs
        wrong = (labels < 0) | (labels >= limit)
        if not wrong.any():
            continue
        low, high = int(labels.min()), int(labels.max())
        hint = "They start at 1: subtract 1." if low == 1 and high == limit else "Map class names to 0, 1, 2 ... once."
        found.append(
            DoctorFinding(
                "labels_out_of_range",
                "error",
                f"Labels of the {role} loader are out of range.",
                f"{int(wrong.sum()):,} of {len(labels):,} labels are not in 0..{limit - 1}; they run from {low} "
                f"to {high}.",
                f"{hint} On a GPU this ends in a device-side assert.",
            )
        )
    return found


def find_single_label(examined: Examined) -> list[DoctorFinding]:
    """`one_class_only`: all labels of the training images are the same."""
    facts = examined.train
    labels = None if facts is None else facts.dataset.labels
    if labels is None or len(labels) < 4 or len(np.unique(labels)) > 1:
        return []
    return [
        DoctorFinding(
            "one_class_only",
            "error",
            "All training images have one label.",
            f"{len(labels):,} images, all with label {int(labels[0])}.",
            "Look at how labels are made: a folder too deep, a filter, or a column of one value.",
        )
    ]
