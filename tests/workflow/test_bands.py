"""Images of five bands from DATA to the bundle: the way is selected, stored, and the same for whoever reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

import headstart
from headstart.errors import DataError, PlanError
from headstart.prediction.bundle import read_info
from headstart.workflow.training.result import TrainResult

RNG = np.random.default_rng(0)
BANDS, SIDE, A_CLASS = 5, 40, 10


def write(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")


def tile(label: str) -> np.ndarray:
    values = RNG.integers(1000, 3000, (SIDE, SIDE, BANDS)).astype(np.uint16)
    if label == "wet":
        values[:, :, 4] //= 3  # only the fifth band tells the classes apart
    return values


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bands") / "tiles"
    for label in ("dry", "wet"):
        for index in range(A_CLASS):
            write(folder / label / f"{index}.tif", tile(label))
    return folder


def train(tiles: Path, out: Path, **options: object) -> TrainResult:
    given = {"strategy": "feature_extraction", "input_size": 32, **options}
    return headstart.train(tiles, out=out, progress="none", **given)


@pytest.fixture(scope="module")
def trained(tiles: Path) -> TrainResult:
    return train(tiles, tiles.parent / "run")


def test_a_probe_selects_the_way_and_says_why_in_plan_and_events(trained: TrainResult):
    plan = yaml.safe_load((trained.run.folder / "plan.resolved.yaml").read_text())
    spec = read_info(trained.bundle).input
    assert plan["input"]["channels"] == spec.channels_by
    assert spec.channels_by in ("learned", "random_convolutions", "repeat")  # the ways that show the fifth band
    assert plan["data"]["band_count"] == spec.decoding.band_count == BANDS
    reason = plan["reasons"]["input.channels"]
    assert "lowest log loss of linear probes, out-of-fold on 16 training images" in reason
    for method in ("band_map", "repeat", "sum", "learned", "random_convolutions"):
        assert method in reason or method == spec.channels_by
    assert reason in (trained.run.folder / "events.jsonl").read_text()


def test_statistics_are_those_of_the_training_images(trained: TrainResult, tiles: Path):
    spec = read_info(trained.bundle).input
    train_ids = trained.run.data().images["train"]
    assert len(train_ids) == 16
    means = np.mean([tifffile.imread(tiles / name).mean(axis=(0, 1)) for name in train_ids], axis=0) / 65535
    assert spec.mean == pytest.approx(means, rel=0.02)
    assert len(spec.std) == spec.channels == BANDS


def test_evaluate_and_predict_read_the_bands_as_training_did(trained: TrainResult, tiles: Path):
    assert trained.accuracy == 1
    found = headstart.predict(trained.bundle, [str(tiles)], unreadable="stop", progress="none")
    assert all(one.label == Path(one.file).parent.name for one in found)
    assert headstart.evaluate(trained.bundle, tiles, progress="none").accuracy == 1


def test_an_image_of_other_bands_is_refused_by_name(trained: TrainResult, tiles: Path, tmp_path: Path):
    Image.fromarray(RNG.integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)).save(tmp_path / "photo.png")
    with pytest.raises(DataError, match=r"photo\.png.*3 bands, and 5 are expected"):
        headstart.predict(trained.bundle, [str(tmp_path / "photo.png")], unreadable="stop", progress="none")


def test_images_of_other_bands_are_left_out_of_training_and_named(tiles: Path, tmp_path: Path):
    mixed = tmp_path / "mixed"
    shutil.copytree(tiles, mixed)
    Image.fromarray(RNG.integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)).save(mixed / "dry" / "photo.png")
    write(mixed / "wet" / "four.tif", tile("wet")[:, :, :4])
    found = headstart.check(mixed, progress="none", checks="files")
    assert set(found.unreadable) == {"dry/photo.png", "wet/four.tif"}
    assert found.unreadable["wet/four.tif"] == "4 bands, and 5 are expected"


def test_check_finds_nothing_dark_in_reflectance(tiles: Path):
    found = headstart.check(tiles, progress="none", checks="files")
    assert not found.unreadable
    assert not {"nearly_black", "small_range"} & {finding.what for finding in found.findings}


@pytest.mark.parametrize(
    "channels", ["repeat", *(pytest.param(n, marks=pytest.mark.slow) for n in ("sum", "band_map"))]
)
def test_a_given_way_is_taken(tiles: Path, tmp_path: Path, channels: str):
    result = train(tiles, tmp_path / "run", channels=channels)
    assert read_info(result.bundle).input.channels_by == channels
    assert "channels_selected" not in (result.run.folder / "events.jsonl").read_text()


@pytest.mark.slow
def test_chosen_bands_are_adapted_too(tiles: Path, tmp_path: Path):
    result = train(tiles, tmp_path / "run", bands="5,1", channels="learned")
    spec = read_info(result.bundle).input
    assert (spec.decoding.bands, spec.channels, spec.channels_by) == ((5, 1), 2, "learned")
    found = headstart.predict(result.bundle, [str(tiles / "dry" / "0.tif")], unreadable="stop", progress="none")
    assert len(found) == 1


def test_plain_takes_three_bands_with_the_statistics_of_the_weights(tiles: Path, tmp_path: Path):
    spec = read_info(train(tiles, tmp_path / "three", bands="5,3,2").bundle).input
    assert (spec.channels_by, spec.mean) == (None, (0.5, 0.5, 0.5))
    with pytest.raises(PlanError, match="must be one number for grey or three"):
        train(tiles, tmp_path / "two", bands="5,1", channels="plain")
    with pytest.raises(DataError, match="5 bands, and the network takes three"):
        train(tiles, tmp_path / "all", channels="plain")


def test_two_bands_have_no_map(tiles: Path, tmp_path: Path):
    with pytest.raises(PlanError, match="band_map needs three bands"):
        train(tiles, tmp_path / "run", bands="5,1", channels="band_map")


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"strategy": "progressive"}, {"head": "multi_depth"}, {"strategy": "full"}])
def test_every_strategy_tunes_a_network_of_bands(tiles: Path, tmp_path: Path, options: dict[str, object]):
    epochs = {} if "head" in options else {"epochs": 1}
    result = train(tiles, tmp_path / "run", channels="random_convolutions", **options, **epochs)
    predicted = headstart.predict(result.bundle, [str(tiles)], unreadable="stop", progress="none")
    assert np.mean([one.label == Path(one.file).parent.name for one in predicted]) >= 0.9


@pytest.mark.slow
def test_a_resumed_run_gives_the_bundle_it_would_have_had(tiles: Path, tmp_path: Path):
    given = {"strategy": "discriminative", "epochs": 2}
    whole = train(tiles, tmp_path / "whole", channels="random_convolutions", **given)
    train(tiles, tmp_path / "stopped", channels="random_convolutions", **given)
    for name in ("bundle", "metrics.json"):
        target = tmp_path / "stopped" / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    again = headstart.resume(tmp_path / "stopped", progress="none")
    first, second = ((one.bundle / "model.safetensors").read_bytes() for one in (whole, again))
    assert first == second
    assert read_info(whole.bundle) == read_info(again.bundle)
