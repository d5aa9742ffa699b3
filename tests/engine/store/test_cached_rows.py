"""Rows that are there already are found without opening the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.data.preprocess import view_version
from headstart.engine.store.cached_rows import count_cached_rows
from headstart.engine.store.shards import Tensor
from headstart.engine.store.store import EVALUATION, ActivationStore, SpaceKey, random_view, row_ids
from headstart.input_spec import InputSpec

SPEC = InputSpec(32, 32, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
IMAGES = [bytes([number] * 16) for number in range(12)]


def fill(root: Path, images: list[bytes], *, weights: str = "w", cut_point: str = "pooled") -> None:
    key = SpaceKey("net", weights, cut_point, SPEC, view_version(), "torch", "1", library="timm 1")
    space = ActivationStore(root).space(key, (Tensor((4,)),))
    with space.writer() as writer:
        writer.add(row_ids(images, EVALUATION), [np.ones((len(images), 4), np.float32)])


def cached(root: Path, **changes: object) -> int:
    expected = {"model": "net", "library": "timm 1", "cut_point": "pooled"}
    expected |= {"spec": SPEC, "precision": "float16", "views": EVALUATION}
    ids = changes.pop("ids", row_ids(IMAGES, EVALUATION))
    return count_cached_rows(root, ids, **{**expected, **changes})


def test_the_space_with_most_of_the_rows_counts(tmp_path: Path):
    assert cached(tmp_path) == 0
    fill(tmp_path, IMAGES[:3])
    fill(tmp_path, IMAGES[:8], weights="others")
    fill(tmp_path, IMAGES, cut_point="before c")
    assert cached(tmp_path) == 8
    assert cached(tmp_path, cut_point="before c") == 12


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"library": "timm 2"},
        {"cut_point": "c"},
        {"spec": SPEC.at_size(64)},
        {"precision": "float32"},
        {"views": "standard, flip all"},
        {"ids": row_ids(IMAGES, random_view(0, 0))},
    ],
)
def test_rows_of_something_else_do_not_count(tmp_path: Path, change: dict):
    fill(tmp_path, IMAGES)
    assert cached(tmp_path) == 12
    assert cached(tmp_path, **change) == 0


def test_a_damaged_description_is_passed_over(tmp_path: Path):
    fill(tmp_path, IMAGES)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "space.json").write_text("{")
    assert cached(tmp_path) == 12
