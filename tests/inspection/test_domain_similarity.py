"""Similarity to the images of the weights: its order on real sets, and what it says."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.data.sources.reading import ImageRecord, open_source
from headstart.errors import DataError
from headstart.inspection import domain_similarity
from headstart.inspection.domain_similarity import ENOUGH_IMAGES, measure_similarity


@pytest.mark.slow
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
    monkeypatch.setattr(domain_similarity, "ENOUGH_IMAGES", 8)
    records = open_source("digits").records
    assert measure_similarity(records) == measure_similarity(tuple(reversed(records)))


def drawing_order(records: tuple[ImageRecord, ...]) -> list[ImageRecord]:
    return sorted(records, key=lambda record: hashlib.blake2b(record.id.encode()).digest())


@pytest.mark.slow
def test_in_place_of_images_that_cannot_be_read_come_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(domain_similarity, "ENOUGH_IMAGES", 8)
    records = drawing_order(open_source("digits").records)
    broken = [replace(record, content=b"no image") for record in records[:2]]
    gone = [replace(records[5], content=None, path=tmp_path / "gone.png")]
    holed = (*broken, *records[2:5], *gone, *records[6:])
    whole = (*records[2:5], *records[6:])
    assert measure_similarity(holed) == measure_similarity(whole)
    assert measure_similarity(holed).images == 8
    few = measure_similarity((*broken, *records[2:5]))
    assert few.images == 3
    assert few == measure_similarity(records[2:5])


def test_only_where_nothing_can_be_read_is_it_an_error():
    broken = [replace(record, content=b"no image") for record in open_source("digits").records[:3]]
    with pytest.raises(DataError, match=r"none of 3 images can be read.*headstart check names them"):
        measure_similarity(broken)


def test_without_images_there_is_nothing_to_compare():
    with pytest.raises(DataError, match="no images"):
        measure_similarity([])
