"""Findings of all checks on features, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from headstart.findings import Finding
from headstart.inspection.features.checked_features import CheckedFeatures
from headstart.inspection.features.drift import find_drift
from headstart.inspection.features.label_errors import find_label_errors
from headstart.inspection.features.leak import find_leaks
from headstart.inspection.features.near_duplicates import find_altered_copies
from headstart.inspection.features.outliers import find_outliers
from headstart.inspection.features.shortcuts import find_shortcuts
from headstart.runs.progress import Progress

FeatureCheck: TypeAlias = Callable[[CheckedFeatures], Sequence[Finding]]

FEATURE_CHECKS: tuple[tuple[str, FeatureCheck], ...] = (
    ("label errors", find_label_errors),
    ("altered copies", find_altered_copies),
    ("outliers", find_outliers),
    ("drift between splits", find_drift),
    ("shortcuts", find_shortcuts),
    ("leaking splits", find_leaks),
)
"""(name for the progress, check)."""
LEAST_COMPARED_IMAGES = 20
"""Below so many images features say nothing beyond chance."""


def find_in_features(images: CheckedFeatures, progress: Progress) -> list[Finding]:
    """Findings of every check.

    Args:
        images: With their features.
        progress: Receives the progress.
    """
    if len(images.records) < LEAST_COMPARED_IMAGES:
        return []
    tick = progress("checks on features", len(FEATURE_CHECKS))
    found: list[Finding] = []
    for _, check in FEATURE_CHECKS:
        found += check(images)
        tick(1)
    return found
