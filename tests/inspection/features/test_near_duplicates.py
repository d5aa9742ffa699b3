"""Altered copies among images, from candidates to findings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.data.checks.image_checks import FileFacts
from headstart.data.checks.near_duplicates import NearDuplicates
from headstart.data.sources.dataset import ImageRecord
from headstart.input_spec import Decoding
from headstart.inspection.features.alignment import structure
from headstart.inspection.features.checked_features import CheckedFeatures
from headstart.inspection.features.near_duplicates import (
    MOST_WITHOUT_COPY,
    candidate_pairs,
    copies,
    find_altered_copies,
)
from inspection.features.test_alignment import cropped, picture, turned


@pytest.fixture
def saved(tmp_path: Path):
    """Images in files, with features that follow from what they show."""

    def save(images: Sequence[tuple[str, int, Image.Image]], near: NearDuplicates | None = None) -> CheckedFeatures:
        records, rows = [], []
        for name, scene, image in images:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
            split, label = name.split("/")[:2]
            records.append(ImageRecord(id=name, label=label, split=split, path=path))
            rng = np.random.default_rng(scene)
            rows.append(rng.normal(size=40) + np.random.default_rng(len(rows)).normal(size=40) / 10)
        facts = FileFacts(tuple(records), near=near or NearDuplicates())
        groups = {record.id: record.id for record in records}
        return CheckedFeatures(tuple(records), np.array(rows, np.float32), facts, groups, Decoding())

    return save


def others(count: int = 8) -> list[tuple[str, int, Image.Image]]:
    return [(f"train/a/{seed}.png", seed, picture(seed)) for seed in range(10, 10 + count)]


def test_copies_across_splits_and_classes_are_named(saved):
    flipped = picture(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    planted = [
        ("train/a/p.png", 0, picture(0)),
        ("test/a/q.png", 0, flipped),
        ("train/a/r.png", 1, picture(1)),
        ("train/b/s.png", 1, cropped(picture(1))),
    ]
    found = {f.what: f for f in find_altered_copies(saved([*planted, *others()]))}
    assert found["altered_copies_in_two_splits"].images == (("train/a/p.png", "test/a/q.png"),)
    assert found["altered_copies_in_two_classes"].images == (("train/a/r.png", "train/b/s.png"),)
    assert found["altered_copies"].images == (("train/a/r.png", "train/b/s.png"),)
    assert "1 mirrored" in found["altered_copies"].evidence
    assert "1 cropped" in found["altered_copies"].evidence


def test_turned_copies_of_one_class_are_one_finding(saved):
    (found,) = find_altered_copies(
        saved([("all/a/p.png", 0, picture(0)), ("all/a/q.png", 0, turned(picture(0), 10)), *others()])
    )
    assert (found.what, found.level) == ("altered_copies", "warning")
    assert "2 of 10 images are altered copies of another (1 group, all pairs: 1 turned)" in found.evidence


def test_what_thumbnails_found_is_not_reported_again(saved):
    pair = ("all/a/p.png", "all/a/q.png")
    images = [(pair[0], 0, picture(0)), (pair[1], 0, cropped(picture(0))), *others()]
    assert find_altered_copies(saved(images))
    assert not find_altered_copies(saved(images, NearDuplicates((pair,))))


def test_equal_features_of_other_pixels_are_no_copies(saved):
    images = [("all/a/p.png", 0, picture(0)), ("all/a/q.png", 0, picture(1)), *others()]
    assert not find_altered_copies(saved(images))


@settings(max_examples=15, deadline=None)
@given(st.integers(5, 60), st.integers(0, 50))
def test_candidates_are_pairs_of_nearest_images(count, seed):
    rows = np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)
    known = np.arange(count) // 2
    unit = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    alike = unit @ unit.T - 2 * np.eye(count)
    nearest = np.argsort(-alike, axis=1)[:, :3]
    expected = {(min(i, j), max(i, j)) for i in range(count) for j in nearest[i].tolist() if known[i] != known[j]}
    found = candidate_pairs(rows, known)
    assert {tuple(pair) for pair in found.tolist()} == expected
    assert len(found) == len(expected)


def test_the_pair_that_stands_out_comes_first():
    rows = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    rows[31] = rows[7] * 1.01
    assert candidate_pairs(rows, np.arange(50))[0].tolist() == [7, 31]
    assert candidate_pairs(rows[:1], np.arange(1)).shape == (0, 2)


def test_search_ends_after_many_pairs_without_a_copy():
    looked_at = []

    def of(at: int) -> None:
        looked_at.append(at)

    assert not list(copies(np.stack([np.arange(900), np.arange(1, 901)], axis=1), of))
    assert len(looked_at) == 2 * MOST_WITHOUT_COPY
    assert structure(np.zeros((128, 128), np.uint8)) is None
