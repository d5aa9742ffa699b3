"""All checks on features, one after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.data.checks.image_checks import FileFacts
from headstart.data.sources.dataset import ImageRecord
from headstart.findings import Finding
from headstart.input_spec import Decoding
from headstart.inspection.features.checked_features import CheckedFeatures
from headstart.runs.progress import no_progress
from headstart.workflow.checking import feature_findings
from headstart.workflow.checking.feature_findings import FEATURE_CHECKS, LEAST_COMPARED_IMAGES, find_in_features


def images(count: int) -> CheckedFeatures:
    records = tuple(ImageRecord(id=str(n), label="ab"[n % 2], split="all", path=Path("x")) for n in range(count))
    features = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    return CheckedFeatures(records, features, FileFacts(records), {r.id: r.id for r in records}, Decoding())


def test_findings_of_every_check_are_joined(monkeypatch: pytest.MonkeyPatch):
    checks = tuple(
        (name, lambda images, name=name: [Finding("info", name, f"{len(images.records)} images", "none")])
        for name in ("first", "second")
    )
    monkeypatch.setattr(feature_findings, "FEATURE_CHECKS", checks)
    assert [f.what for f in find_in_features(images(LEAST_COMPARED_IMAGES), no_progress)] == ["first", "second"]


def test_a_handful_of_images_is_not_compared(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feature_findings, "FEATURE_CHECKS", (("never", lambda images: 1 / 0),))
    assert find_in_features(images(LEAST_COMPARED_IMAGES - 1), no_progress) == []


def test_checks_have_names_of_their_own():
    names = [name for name, _ in FEATURE_CHECKS]
    assert len(set(names)) == len(names)
