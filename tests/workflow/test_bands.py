"""Images of five bands from DATA to the bundle: the way is selected, stored, and the same for whoever reads them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

import headstart
from headstart.apps.cli.check import check_text
from headstart.data.sources.reading import open_source
from headstart.engine.known.pretrained import torch_classifier
from headstart.engine.prefix.inference import features_of
from headstart.engine.store.activations import Activations
from headstart.errors import DataError, PlanError
from headstart.input_spec import Decoding
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan
from headstart.prediction.bundle import read_info
from headstart.training.channels.adapting import SetAdapter
from headstart.workflow.embedding import EmbedOptions, fill_store
from headstart.workflow.images import divided_by_name
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


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on no features may be computed."""

    def forbid() -> None:
        monkeypatch.setattr(Activations, "_engine_for", lambda *given: pytest.fail("an engine was made"))

    return forbid


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


def test_check_says_what_belongs_together_in_satellite_images_unless_groups_are_named(tiles: Path):
    found = headstart.check(tiles, progress="none")
    assert found.to_dict()["domain"]["name"] == "satellite"
    assert "domain satellite: keep together tiles of one scene or place: --group" in check_text(found, command=())
    assert headstart.check(tiles, group=r"(\d)\.tif", progress="none").domain is None


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


def test_embedded_features_show_the_bands_and_training_finds_them(
    tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_engine: Callable[[], None]
):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    filled = fill_store(EmbedOptions(str(tiles), input_size=32))
    assert (filled.figures.channels_by, filled.figures.computed) == ("learned", 2 * A_CLASS)
    found = headstart.embed(tiles, input_size=32, progress="none")
    choice, records = find_model("tf_efficientnet_lite0"), open_source(str(tiles)).records
    weights = replace(choice.card.input.at_size(32), decoding=Decoding(band_count=BANDS))
    fitted = divided_by_name(DataPlan(source=str(tiles)), seed=0).roles.train
    given = SetAdapter(fitted).adapted(weights)
    network = torch_classifier(choice, num_classes=2, seed=0, size=32, adapter=given.adapter)
    expected = features_of(network, records, given.spec)
    assert np.abs(found.features - expected).max() <= 2e-3 * np.abs(expected).max()
    no_engine()
    assert fill_store(EmbedOptions(str(tiles), input_size=32)).figures.stored_before == 2 * A_CLASS
    train(tiles, tmp_path / "run", channels="learned")


def test_ways_and_statistics_are_part_of_the_address_of_features(
    tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    some = tmp_path / "some"
    shutil.copytree(tiles, some)
    for name in ("dry/0.tif", "wet/0.tif"):
        (some / name).unlink()
    (some / "dry" / "1.tif").write_bytes(b"no image")
    computed = [
        fill_store(EmbedOptions(str(data), input_size=32, channels=channels)).figures.computed
        for data, channels in ((tiles, "learned"), (tiles, "sum"), (some, "learned"), (tiles, "auto"))
    ]
    assert computed == [2 * A_CLASS, 2 * A_CLASS, 2 * A_CLASS - 3, 0]


def test_unlabelled_tiles_are_embedded(tiles: Path, tmp_path: Path):
    for path in tiles.rglob("*.tif"):
        shutil.copy(path, tmp_path / f"{path.parent.name}-{path.name}")
    found = headstart.embed(tmp_path, input_size=32, layer="stage2", progress="none")
    assert (len(found.ids), set(found.labels)) == (2 * A_CLASS, {""})


@pytest.mark.slow
def test_depths_are_probed_on_bands_with_and_without_the_run(trained: TrainResult, tiles: Path, tmp_path: Path):
    alone = headstart.probe(tiles, progress="none", patches=tmp_path / "patches.png")
    assert (alone.channels_by, alone.accuracy) == ("learned", 1)
    assert (tmp_path / "patches.png").stat().st_size > 1000
    with_run = headstart.probe(tiles, run=trained.run.folder, progress="none")
    assert with_run.channels_by == read_info(trained.bundle).input.channels_by
    # The linear probe left the backbone as it was adapted: the probe adapts it in the same way, bit for bit.
    assert all(group.cka == pytest.approx(1, abs=1e-6) for group in with_run.curve.groups)
    with pytest.raises(PlanError, match="leave out bits, bands, window, contrast and channels"):
        headstart.probe(tiles, run=trained.run.folder, channels="sum", progress="none")


def test_networks_are_ranked_on_bands(tiles: Path):
    lite = "tf_efficientnet_lite0"
    found = headstart.shortlist(tiles, lite, input_size=32, progress="none")
    assert (found.models, found.skipped) == ((f"{lite}:in1k",), {})
    assert found.figures.channels_by == "learned"
    of_three = headstart.shortlist(tiles, lite, input_size=32, bands="3,2,1", progress="none")
    assert of_three.figures.channels_by is None
    assert found.ranking[0].scores.log_loss < of_three.ranking[0].scores.log_loss


@pytest.mark.parametrize("count", [4, 5])
def test_advice_knows_the_bands(tiles: Path, tmp_path: Path, count: int):
    for path in tiles.rglob("*.tif"):
        write(tmp_path / path.parent.name / path.name, tifffile.imread(path)[:, :, :count])
    found = headstart.advise(tmp_path, progress="none")
    assert found.situation.channels == count
    assert any(f"brings {count} bands to the three channels" in step.text for step in found.steps)
    assert not any("similarity was not measured" in warning for warning in found.warnings)


def test_arrays_of_bands_are_fitted_and_predicted_like_files(trained: TrainResult, tiles: Path):
    paths = sorted(tiles.rglob("*.tif"))
    arrays, labels = np.stack([tifffile.imread(path) for path in paths]), [path.parent.name for path in paths]
    of_files = headstart.predict(trained.bundle, [str(path) for path in paths], progress="none")
    predictor = headstart.load(trained.bundle)
    of_arrays = predictor.predict_many(arrays)
    assert [one.probabilities for one in of_arrays] == [one.probabilities for one in of_files]
    assert predictor.predict(arrays[0]).label == labels[0]
    options = {"strategy": "feature_extraction", "input_size": 32}
    model = headstart.HeadstartClassifier(channels="random_convolutions", **options).fit(arrays, labels)
    assert read_info(model.bundle_).input.decoding.band_count == BANDS
    assert model.predict(arrays).tolist() == labels
    with pytest.raises(DataError, match="3 bands, and 5 are expected"):
        model.predict((arrays[:, :, :, :3] // 256).astype(np.uint8))


def test_four_bands_of_bytes_are_read_as_such_where_they_are_numbered(tiles: Path):
    paths = sorted(tiles.rglob("*.tif"))
    values = [tifffile.imread(path)[:, :, 1:] for path in paths]
    arrays, labels = (np.stack(values) // 16).astype(np.uint8), [path.parent.name for path in paths]
    options = {"strategy": "feature_extraction", "input_size": 32, "channels": "random_convolutions"}
    model = headstart.HeadstartClassifier(bands="1,2,3,4", **options).fit(arrays, labels)
    assert read_info(model.bundle_).input.channels == 4
    assert model.predict(arrays).tolist() == labels
