"""Similarity to the images of the weights: its order on real sets, and what it says."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from headstart.advise import nearness
from headstart.advise.nearness import ENOUGH_IMAGES, measure_similarity
from headstart.data.sources import open_source
from headstart.errors import DataError


def test_digits_are_far_and_the_sentence_says_what_was_measured():
    seen: list[int] = []
    records = open_source("digits").records
    found = measure_similarity(records, on_images=seen.append)
    assert found.level == "low"
    assert found.value < 0.2
    assert sum(seen) == found.images == ENOUGH_IMAGES
    assert f"{found.overlap:.3f}" in found.sentence
    assert "low" in found.sentence


def test_it_does_not_depend_on_the_order_of_the_files(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nearness, "ENOUGH_IMAGES", 8)
    records = open_source("digits").records
    assert measure_similarity(records) == measure_similarity(tuple(reversed(records)))


def test_without_images_there_is_nothing_to_compare():
    with pytest.raises(DataError, match="no images"):
        measure_similarity([])


@pytest.mark.realdata
@pytest.mark.slow
def test_photos_come_before_aerial_images_before_x_rays_before_documents_before_digits(real_data: Path, tmp_path: Path):
    found = {}
    for name in ("hymenoptera", "rsscn7", "chest_xray", "documents"):
        with tarfile.open(real_data / f"{name}.tar") as archive:
            archive.extractall(tmp_path / name, filter="data")
        found[name] = measure_similarity(open_source(str(tmp_path / name)).records)
    values = [one.value for one in found.values()]
    assert values == sorted(values, reverse=True)
    assert [one.level for one in found.values()] == ["high", "medium", "medium", "low"]
    assert values[-1] > measure_similarity(open_source("digits").records).value
