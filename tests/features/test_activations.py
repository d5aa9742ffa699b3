"""Activations come from the store where they are, are computed once where not, and are those of the network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.data.loading import read_view
from headstart.data.sources import ImageRecord, open_source
from headstart.errors import DiskFullError
from headstart.features import activations as module
from headstart.features import store_limit
from headstart.features.activations import Activations, View, matrix_of, pooled_part, weights_digest
from headstart.features.engines import features_of
from headstart.features.store import EVALUATION, ActivationStore, Writer, image_digest, random_view
from headstart.models.backbone import Classifier, build_classifier
from headstart.models.catalog import find_model

SPEC = find_model("tf_efficientnet_lite0").card.input.at_size(64)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return build_classifier(find_model("tf_efficientnet_lite0"), kind="linear", num_classes=2, seed=0)


def plain() -> View:
    return View(EVALUATION, EVALUATION, lambda record: read_view(record, SPEC))


def made(
    classifier: Classifier, records: list[ImageRecord], folder: Path, **options: object
) -> tuple[Activations, list[int]]:
    """Activations over a store in `folder`, and the counts of images they report."""
    digests = {record.id: image_digest(record.read()) for record in records}
    return Activations(pooled_part(classifier), SPEC, digests, ActivationStore(folder), **options), []


def test_rows_are_the_networks_features_up_to_half_precision(
    classifier: Classifier, image_folder: Path, tmp_path: Path
):
    records = list(open_source(str(image_folder)).records)
    activations, _ = made(classifier, records, tmp_path / "store")
    found = matrix_of(activations.reader(records, [plain()]))
    expected = features_of(classifier, records, SPEC)
    assert found.shape == (len(records), 1280)
    assert np.abs(found - expected).max() <= 2e-3 * np.abs(expected).max()


def test_a_second_time_nothing_is_computed(
    classifier: Classifier, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    records = list(open_source(str(image_folder)).records)
    first, _ = made(classifier, records, tmp_path / "store")
    rows = matrix_of(first.reader(records, [plain()]))
    monkeypatch.setattr(module, "choose_engine", lambda *args, **options: pytest.fail("an engine was made"))
    second, _ = made(classifier, records, tmp_path / "store")
    done: list[int] = []
    assert np.array_equal(matrix_of(second.reader(records[::-1], [plain()], on_images=done.append)), rows[::-1])
    assert sum(done) == len(records)
    assert second.engine_name == first.engine_name in ("torch", "onnxruntime")


def test_only_what_is_missing_is_computed(classifier: Classifier, image_folder: Path, tmp_path: Path):
    records = list(open_source(str(image_folder)).records)
    activations, _ = made(classifier, records, tmp_path / "store")
    activations.reader(records[:10], [plain()])
    read: list[str] = []

    def prepare(record: ImageRecord):
        read.append(record.id)
        return read_view(record, SPEC)

    activations.reader(records, [View(EVALUATION, EVALUATION, prepare)])
    assert sorted(read) == sorted(record.id for record in records[10:])


def test_copies_of_one_file_are_one_row(classifier: Classifier, image_folder: Path, tmp_path: Path):
    records = list(open_source(str(image_folder)).records)[:4]
    twice = [*records, *(replace(record, id=f"copy/{record.id}") for record in records)]
    activations, _ = made(classifier, twice, tmp_path / "store")
    rows = matrix_of(activations.reader(twice, [plain()]))
    assert np.array_equal(rows[:4], rows[4:])


def test_views_stand_one_behind_the_other(classifier: Classifier, image_folder: Path, tmp_path: Path):
    records = list(open_source(str(image_folder)).records)[:6]
    activations, _ = made(classifier, records, tmp_path / "store")

    def view(number: int) -> View:
        return View(random_view(0, number), "shift", lambda record: read_view(record, SPEC) + np.float32(number))

    reader = activations.reader(records, [view(0), view(1)])
    assert len(reader) == 12
    rows = matrix_of(reader)
    alone = matrix_of(activations.reader(records, [view(1)]))
    assert np.array_equal(rows[6:], alone)
    assert not np.allclose(rows[:6], rows[6:])


def test_other_weights_are_another_function(classifier: Classifier, image_folder: Path, tmp_path: Path):
    records = list(open_source(str(image_folder)).records)[:4]
    before = weights_digest(pooled_part(classifier).module)
    other = build_classifier(find_model("tf_efficientnet_lite0"), kind="linear", num_classes=5, seed=3)
    assert weights_digest(pooled_part(other).module) == before  # the head is not part of it
    with torch.no_grad():
        next(other.network.parameters()).mul_(1.01)
    assert weights_digest(pooled_part(other).module) != before
    first, _ = made(classifier, records, tmp_path / "store")
    second, _ = made(other, records, tmp_path / "store")
    assert not np.array_equal(matrix_of(first.reader(records, [plain()])), matrix_of(second.reader(records, [plain()])))


def test_a_store_without_room_is_said_and_the_caller_goes_on_without(
    classifier: Classifier, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    records = list(open_source(str(image_folder)).records)
    activations, _ = made(classifier, records, tmp_path / "store")
    assert activations.room_for(1000)
    monkeypatch.setattr(store_limit, "bytes_for", lambda root, folder: 10_000)
    assert not activations.room_for(1000)

    def full(*args: object, **options: object) -> None:
        raise DiskFullError("the store is full")

    monkeypatch.setattr(Writer, "add", full)
    with pytest.raises(DiskFullError, match="the store is full"):
        activations.reader(records, [plain()])


def test_single_precision_on_request(classifier: Classifier, image_folder: Path, tmp_path: Path):
    records = list(open_source(str(image_folder)).records)[:8]
    expected = features_of(classifier, records, SPEC)
    errors = []
    for precision in ("float16", "float32"):
        activations, _ = made(classifier, records, tmp_path / "store", precision=precision)
        errors.append(np.abs(matrix_of(activations.reader(records, [plain()])) - expected).max())
    assert errors[1] < errors[0] / 10
