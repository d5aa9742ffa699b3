"""Features of all images, computed once, and found by training."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import headstart
from headstart.data.sources.reading import open_source
from headstart.engine.prefix.inference import features_of
from headstart.engine.store.activations import Activations
from headstart.errors import DataError, Interrupted, ModelError, PlanError
from headstart.networks.backbone import build_classifier
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.workflow.cache import show_cache
from headstart.workflow.embedding import EmbedOptions, embed, fill_store
from headstart.workflow.training.train import train

SIZE = 32


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on nothing may be computed."""

    def forbid() -> None:
        monkeypatch.setattr(Activations, "_engine_for", lambda *given: pytest.fail("an engine was made"))

    return forbid


def test_the_matrix_is_the_networks_features_in_the_order_of_the_records(image_folder: Path):
    found = headstart.embed(image_folder, input_size=SIZE)
    records = open_source(str(image_folder)).records
    choice = find_model("tf_efficientnet_lite0")
    classifier = build_classifier(choice, kind="linear", num_classes=2, seed=0)
    expected = features_of(classifier, records, choice.card.input.at_size(SIZE))
    assert found.features.shape == (16, 1280)
    assert found.features.dtype == np.float32
    assert np.abs(found.features - expected).max() <= 2e-3 * np.abs(expected).max()
    assert found.ids == tuple(record.id for record in records)
    assert found.labels == ("blue",) * 8 + ("green",) * 8
    assert found.splits == ("all",) * 16
    assert found.views.shape == (0, 16, 1280)
    assert (found.model, found.cut_point) == (choice.name, "pooled")


def test_training_finds_what_was_embedded(image_folder: Path, tmp_path: Path, no_engine: Callable[[], None]):
    fill_store(EmbedOptions(str(image_folder), input_size=SIZE))
    no_engine()
    options = Request(DataPlan(source=str(image_folder)), strategy="feature_extraction", input_size=SIZE)
    answer = train(options, out=tmp_path / "run")
    assert answer.metrics.test.accuracy == 1


def test_a_second_call_computes_only_what_is_missing(image_folder: Path, tmp_path: Path, no_engine: Callable[[], None]):
    some = shutil.copytree(image_folder / "blue", tmp_path / "part" / "azure").parent
    first = fill_store(EmbedOptions(str(some), input_size=SIZE)).figures
    assert (first.images, first.computed, first.stored_before) == (8, 8, 0)
    second = fill_store(EmbedOptions(str(image_folder), input_size=SIZE)).figures
    assert (second.images, second.computed, second.stored_before) == (16, 8, 8)
    no_engine()
    third = fill_store(EmbedOptions(str(image_folder), input_size=SIZE)).figures
    assert (third.computed, third.stored_before) == (0, 16)
    assert third.engine == second.engine in ("torch", "onnxruntime")
    assert third.bytes == sum(space.bytes for space in show_cache().spaces)


def test_a_store_elsewhere_single_precision_and_copies(image_folder: Path, tmp_path: Path, home: Path):
    shutil.copy(image_folder / "blue" / "00.png", image_folder / "green" / "copy.png")
    found = embed(image_folder, input_size=SIZE, precision="float32", store=tmp_path / "own")
    assert np.array_equal(found.features[0], found.features[found.ids.index("green/copy.png")])
    figures = fill_store(
        EmbedOptions(str(image_folder), input_size=SIZE, precision="float32", store=tmp_path / "own")
    ).figures
    assert figures.store == str(tmp_path / "own")
    assert (figures.images, figures.stored_before) == (17, 16)  # the same bytes are one row
    assert not (home / "store").exists()


def test_views_are_those_of_training(image_folder: Path, tmp_path: Path, no_engine: Callable[[], None]):
    filled = fill_store(EmbedOptions(str(image_folder), input_size=SIZE, layer="stage6", views=2))
    assert (filled.figures.cut_point, filled.figures.computed) == ("before stage6", 48)
    assert len(filled.plain) == 16
    assert len(filled.augmented) == 32
    first, second = (filled.augmented.take(np.arange(16) + 16 * number)[0] for number in (0, 1))
    assert not np.allclose(first, second)


def test_a_map_is_flattened(image_folder: Path):
    found = embed(image_folder, input_size=SIZE, layer="stage6", views=1)
    filled = fill_store(EmbedOptions(str(image_folder), input_size=SIZE, layer="stage6", views=1))
    (maps,) = filled.plain.take(np.arange(16))
    assert maps.ndim == 4
    assert np.array_equal(found.features, maps.reshape(16, -1))
    assert found.views.shape == (1, 16, found.features.shape[1])
    assert np.array_equal(found.views[0], filled.augmented.take(np.arange(16))[0].reshape(16, -1))


def test_what_cannot_be_read_is_left_out_and_named(image_folder: Path):
    whole = (image_folder / "blue" / "01.png").read_bytes()
    (image_folder / "blue" / "01.png").write_bytes(whole[: len(whole) // 2])
    (image_folder / "green" / "02.png").write_bytes(b"no image")
    filled = fill_store(EmbedOptions(str(image_folder), input_size=SIZE))
    assert sorted(filled.figures.unreadable) == ["blue/01.png", "green/02.png"]
    assert filled.figures.images == filled.figures.computed == len(filled.plain) == 14
    for path in image_folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"16 of 16 images in .* cannot be read"):
        fill_store(EmbedOptions(str(image_folder), input_size=SIZE))


def test_ctrl_c_keeps_what_was_computed(make_folder: Callable[..., Path]):
    folder = make_folder("many", per_class=40)

    def stopping(what: str, total: int) -> Callable[[int], object]:
        done = 0

        def tick(count: int) -> None:
            nonlocal done
            done += count
            if what.startswith("features") and done >= 40:
                raise KeyboardInterrupt

        return tick

    with pytest.raises(Interrupted, match=r"stopped; \d+ rows were computed.*the same call computes only"):
        fill_store(EmbedOptions(str(folder), input_size=SIZE), progress=stopping)
    figures = fill_store(EmbedOptions(str(folder), input_size=SIZE)).figures
    assert figures.stored_before >= 40
    assert figures.stored_before + figures.computed == 80


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"views": 65}, PlanError, r"views: 65 must be 0\.\.64"),
        ({"layer": "stage66"}, ModelError, "stage66"),
        ({"model": "tf_efficientnet_lite9"}, ModelError, "did you mean"),
        ({"input_size": 8}, PlanError, "input_size: 8 must be"),
    ],
)
def test_wrong_options_are_refused(image_folder: Path, options: dict, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        fill_store(EmbedOptions(str(image_folder), **{"input_size": SIZE, **options}))
