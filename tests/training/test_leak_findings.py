"""Findings from the features of the probe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from headstart.data.sources.reading import WHOLE, ImageRecord
from headstart.data.splits import Roles
from headstart.engine.store.training_images import TrainingImages
from headstart.input_spec import InputSpec
from headstart.networks.cards.catalog import all_cards
from headstart.solvers.rows import MatrixRows
from headstart.training import leak_findings as module
from headstart.training.leak_findings import leak_findings

RNG = np.random.default_rng(0)
SCENES = np.repeat(RNG.normal(size=(40, 8)), 5, axis=0) + 0.1 * RNG.normal(size=(200, 8))
OTHERS = RNG.normal(size=(60, 8))


def spec() -> InputSpec:
    return next(iter(all_cards())).input


def images_of(reported_on: str, groups: dict[str, str] | None = None) -> TrainingImages:
    fit = tuple(ImageRecord(f"{'ab'[k // 5 % 2]}/{k:03d}", "ab"[k // 5 % 2], WHOLE) for k in range(200))
    fit = tuple(sorted(fit, key=lambda r: r.id))
    report = tuple(ImageRecord(f"test/a/{k:03d}", "a", "test") for k in range(60))
    return TrainingImages(Roles(fit, (), report, ("a", "b"), "out of fold in train", reported_on), spec(), groups or {})


def rows_of(records: Sequence[ImageRecord]) -> MatrixRows:
    values = SCENES if records[0].id[:4] != "test" else OTHERS
    return MatrixRows(np.stack([values[int(Path(r.id).name)] for r in records]))


def found(images: TrainingImages) -> dict[str, str]:
    findings = leak_findings(images, rows_of(images.roles.train), rows_of)
    assert all(finding.level == "warning" for finding in findings)
    return {finding.what: finding.evidence for finding in findings}


def test_scenes_that_nobody_named_are_told_with_numbers():
    said = found(images_of("test"))
    assert set(said) == {"neighbouring_files", "nearer_inside_training"}
    assert "but for 10% of the images of test" in said["nearer_inside_training"]
    assert "(4% by chance)" in said["neighbouring_files"]


def test_a_split_of_headstart_is_not_compared_with_training():
    assert set(found(images_of("held-out 20% of the images"))) == {"neighbouring_files"}


def test_named_groups_are_not_told_again():
    images = images_of("test")
    groups = {record.id: str(int(Path(record.id).name) // 5) for record in images.roles.train}
    assert found(images_of("test", groups)) == {}
    assert found(images_of("test", dict.fromkeys(groups, "one"))) == {}


def test_of_many_images_a_sample_is_compared(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_COMPARED", 100)
    asked: list[int] = []
    images = images_of("test")

    class Rows(MatrixRows):
        def subset(self, positions):
            asked.extend(positions.tolist())
            return super().subset(positions)

    values = np.concatenate([block for _, block in rows_of(images.roles.train).blocks()])
    findings = leak_findings(images, Rows(values), rows_of)
    assert asked == list(range(0, 200, 2))
    assert [finding.what for finding in findings] == ["nearer_inside_training"]
