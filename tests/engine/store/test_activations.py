"""Activations come from the store where they are, are computed once where not, and are those of the network."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.data.loading import read_view
from headstart.data.meter import Meter
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.engine.known.features import pooled_part
from headstart.engine.prefix import running
from headstart.engine.prefix.depth_features import with_depths
from headstart.engine.prefix.inference import features_of
from headstart.engine.prefix.onnx_session import version_here
from headstart.engine.store import frozen_part, limit
from headstart.engine.store.activations import Activations, View, library_of, matrix_of, plain_view
from headstart.engine.store.frozen_part import weights_digest
from headstart.engine.store.limit import write_limit
from headstart.engine.store.store import EVALUATION, ActivationStore, Writer, image_digest, random_view, row_ids
from headstart.engine.store.stored_rows import StoredRows
from headstart.errors import DiskFullError
from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model
from headstart.solvers.rows import matrix_of_rows

SPEC = find_model("tf_efficientnet_lite0").card.input.at_size(64)


def build_plain() -> Classifier:
    return build_classifier(find_model("tf_efficientnet_lite0"), kind="linear", num_classes=2, seed=0)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return build_plain()


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
    monkeypatch.setattr(frozen_part, "choose_engine", lambda *args, **options: pytest.fail("an engine was made"))
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
    before = weights_digest(pooled_part(classifier).runner.module)
    other = build_classifier(find_model("tf_efficientnet_lite0"), kind="linear", num_classes=5, seed=3)
    assert weights_digest(pooled_part(other).runner.module) == before  # the head is not part of it
    with torch.no_grad():
        next(other.network.parameters()).mul_(1.01)
    assert weights_digest(pooled_part(other).runner.module) != before
    first, _ = made(classifier, records, tmp_path / "store")
    second, _ = made(other, records, tmp_path / "store")
    assert not np.array_equal(matrix_of(first.reader(records, [plain()])), matrix_of(second.reader(records, [plain()])))


def test_a_store_without_room_is_said_and_the_caller_goes_on_without(
    classifier: Classifier, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    records = list(open_source(str(image_folder)).records)
    activations, _ = made(classifier, records, tmp_path / "store")
    assert activations.room_for([(records, [plain()])])
    monkeypatch.setattr(limit, "bytes_for", lambda root, *own: 10_000)
    assert not activations.room_for([(records, [plain()])])

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


HERE = torch.__version__
ENGINES = {
    "another torch": ("torch", "1.9.0, cpu, 49 norms folded", False),
    "a GPU": ("torch", f"{HERE}, cuda, 49 norms folded, float16", False),
    "another ONNX Runtime": ("onnxruntime", f"1.0.0, exported by torch {HERE}", False),
    "an export of another torch": ("onnxruntime", f"{metadata.version('onnxruntime')}, exported by torch 1.9.0", False),
    "versions as they were once written": ("torch", f"{HERE} 49 norms folded, cpu", False),
    "torch as it is": ("torch", f"{HERE}, cpu, as it is", True),
    "torch with other norms folded": ("torch", f"{HERE}, cpu, 3 norms folded", True),
    "ONNX Runtime": ("onnxruntime", version_here(), True),
}


def forged(activations: Activations, records: list[ImageRecord], engine: str, version: str) -> None:
    """Rows of ones, as if that engine had computed them."""
    space = activations.store.space(activations._key(engine, version, EVALUATION), activations.part.tensors)
    with space.writer() as writer:
        ids = row_ids([activations.digests[record.id] for record in records], EVALUATION)
        writer.add(ids, [np.ones((len(records), 1280), np.float32)])


@pytest.mark.parametrize("who", ENGINES)
def test_only_rows_that_this_process_could_have_computed_are_taken(
    classifier: Classifier, image_folder: Path, tmp_path: Path, who: str
):
    """What a GPU computed in half precision must not be what a run on a CPU reports."""
    engine, version, are_taken = ENGINES[who]
    records = list(open_source(str(image_folder)).records)[:4]
    activations, _ = made(classifier, records, tmp_path / "store")
    forged(activations, records, engine, version)
    found = matrix_of(activations.reader(records, [plain()]))
    assert bool((found == 1).all()) == are_taken
    assert activations.computed == (0 if are_taken else 4)


@pytest.mark.parametrize(("package", "are_found"), [("timm", False), ("torchvision", True), ("numpy", True)])
def test_rows_of_another_version_of_the_networks_own_library_are_not_taken_and_of_any_other_are(
    classifier: Classifier, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, are_found
):
    records = list(open_source(str(image_folder)).records)[:4]
    before, _ = made(classifier, records, tmp_path / "store")
    before.reader(records, [plain()])
    installed = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "99.0" if name == package else installed(name))
    after, _ = made(classifier, records, tmp_path / "store")
    after.reader(records, [plain()])
    assert after.computed == (0 if are_found else 4)
    assert library_of(classifier.card) == f"timm {metadata.version('timm')}"


def test_what_was_stored_before_this_was_written_down_is_not_found(
    classifier: Classifier, image_folder: Path, tmp_path: Path
):
    records = list(open_source(str(image_folder)).records)[:4]
    activations, _ = made(classifier, records, tmp_path / "store")
    activations.part = replace(activations.part, library="")
    forged(activations, records, "torch", f"{HERE}, cpu, as it is")
    again, _ = made(classifier, records, tmp_path / "store")
    again.reader(records, [plain()])
    assert again.computed == 4


def test_who_leaves_after_a_batch_finds_what_was_computed_until_then(
    classifier: Classifier, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(running, "BATCH_IMAGES", 4)  # of one thread; several take four each anyway
    records = list(open_source(str(image_folder)).records)
    first, _ = made(classifier, records, tmp_path / "store", requested_engine="torch")
    engines: list[str | None] = []

    class Left(Exception):
        pass

    def leave(engine: str | None) -> None:
        engines.append(engine)
        if len(engines) == 2:
            raise Left

    done: list[int] = []
    with pytest.raises(Left):
        first.reader(records, [plain()], on_images=done.append, after_batch=leave)
    assert engines == ["torch", "torch"]
    assert 0 < first.computed == sum(done) < len(records)
    second, _ = made(classifier, records, tmp_path / "store", requested_engine="torch")
    found: list[int] = []
    rows = matrix_of(second.reader(records, [plain()], on_images=found.append, after_batch=engines.append))
    assert found[0] == first.computed
    assert second.computed == len(records) - first.computed
    assert len(engines) > 2
    alone, _ = made(classifier, records, tmp_path / "other", requested_engine="torch")
    assert np.array_equal(rows, matrix_of(alone.reader(records, [plain()])))
    second.reader(records, [plain()], after_batch=lambda engine: pytest.fail("nothing was computed"))


def test_rows_that_lie_there_need_no_room_also_while_somebody_reads_them(
    classifier: Classifier, image_folder: Path, tmp_path: Path
):
    records = list(open_source(str(image_folder)).records)
    activations, _ = made(classifier, records, tmp_path / "store")
    half = activations.reader(records[:8], [plain()])
    stored = limit.stored_bytes(tmp_path / "store")
    write_limit(tmp_path / "store", stored + 8 * 2600)
    assert activations.room_for([(records, [plain()])])
    assert not activations.room_for([(records, [plain(), View(random_view(0, 0), EVALUATION, plain().prepare)])])
    assert not activations.room_for([(records, [plain()]), (records, [View(random_view(0, 0), "other", print)])])
    write_limit(tmp_path / "store", stored)
    assert activations.room_for([(records[:8], [plain()])])
    assert not activations.room_for([(records, [plain()])])
    assert len(half) == 8


def test_the_evaluation_view_is_that_of_every_evaluation_and_is_counted(image_folder: Path):
    record, meter = open_source(str(image_folder)).records[0], Meter()
    view = plain_view(SPEC, meter)
    assert (view.name, view.drawn_from) == (EVALUATION, EVALUATION)
    assert np.array_equal(view.prepare(record), read_view(record, SPEC))
    assert meter.reading().views["plain"] == 1
    assert np.array_equal(plain_view(SPEC).prepare(record), read_view(record, SPEC))


def test_features_of_the_plain_head_are_read_out_of_the_rows_of_all_depths(
    classifier: Classifier, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    records = list(open_source(str(image_folder)).records)
    deep, _ = made(with_depths(build_plain(), SPEC.size), records[:10], tmp_path / "store")
    wide = matrix_of(deep.reader(records[:10], [plain()]))
    assert wide.shape[1] > 1280
    narrow, _ = made(classifier, records, tmp_path / "store")
    assert narrow.part.weights == deep.part.weights
    reader = narrow.reader(records[7:2:-1], [plain()])
    assert np.array_equal(matrix_of(reader), wide[7:2:-1, :1280])
    assert np.array_equal(matrix_of_rows(StoredRows(reader, np.array([3, 1]))), wide[[4, 6], :1280])
    assert (narrow.computed, narrow.engine_name) == (0, deep.engine_name)
    monkeypatch.setattr(limit, "bytes_for", lambda root, *own: 0)
    assert narrow.room_for([(records[:10], [plain()])]), "rows that are there need no room"
    monkeypatch.undo()
    narrow.reader(records[5:], [plain()])
    assert narrow.computed == len(records) - 5, "rows that are not all there are computed at their own cut point"
    assert np.abs(matrix_of(narrow.reader(records[5:10], [plain()])) - wide[5:, :1280]).max() <= 2e-3 * wide.max()
    other = build_plain()
    with torch.no_grad():
        next(other.network.parameters()).mul_(1.01)
    elsewhere, _ = made(other, records, tmp_path / "store")
    elsewhere.reader(records[:2], [plain()])
    assert elsewhere.computed == 2, "of other weights"
