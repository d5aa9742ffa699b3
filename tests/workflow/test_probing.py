"""Probing a network on images: one pass, honest images, and the run it is compared with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

import headstart
from headstart.advice.probe.depth_rows import cached_depths
from headstart.advice.probe.reader import DepthReader
from headstart.arguments import ArgumentError
from headstart.data import loading
from headstart.data.loading import read_view
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.engine.known.remembering import make_known
from headstart.engine.store.activations import POOLED_DEPTHS, Activations
from headstart.errors import BundleError, DataError, HeadstartError, ModelError, PlanError
from headstart.input_spec import Decoding
from headstart.inspection import depth_pass
from headstart.knowledge.transfer import depth_of
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan
from headstart.plan.request import DEFAULT_MODEL, Request
from headstart.training.channels.adapting import AdaptedInput
from headstart.workflow import probing
from headstart.workflow.images import divided_by_name
from headstart.workflow.probing import probe
from headstart.workflow.training.train import train

FORMAT = ["model", "data", "images", "classes", "folds", "groups", "sentence", "seconds"]


def trained(folder: Path, out: Path, *, data: dict[str, object] | None = None, **options: object) -> Path:
    chosen = {"strategy": "feature_extraction", "input_size": 32, **options}
    train(Request(DataPlan(source=str(folder), **(data or {})), **chosen), out=out)
    return out


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> tuple[Counter[str], list[int]]:
    """How often each image was read, and how many images went through networks outside the activation cache."""
    reads: Counter[str] = Counter()
    images: list[int] = []
    read, run = ImageRecord.read, DepthReader.read

    def reading(record: ImageRecord) -> bytes:
        reads[record.id] += 1
        return read(record)

    def running(reader: DepthReader, inputs: np.ndarray) -> object:
        images.append(len(inputs))
        return run(reader, inputs)

    monkeypatch.setattr(ImageRecord, "read", reading)
    monkeypatch.setattr(DepthReader, "read", running)
    return reads, images


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """Rows of the activation cache that were computed, by cut point and precision."""
    rows: Counter[tuple[str, str]] = Counter()
    reader = Activations.reader

    def reading(activations: Activations, *given: object, **options: object) -> object:
        before = activations.computed
        try:
            return reader(activations, *given, **options)
        finally:
            rows[activations.part.cut_point, activations.precision] += activations.computed - before

    monkeypatch.setattr(Activations, "reader", reading)
    return rows


def by_group(found: headstart.DepthProbe) -> list[tuple[object, ...]]:
    return [(one.group, one.position, one.features, one.accuracy, one.knn_accuracy) for one in found.curve.groups]


@pytest.mark.slow
def test_every_image_is_decoded_once_and_the_result_has_the_literature_too(
    image_folder: Path,
    tmp_path: Path,
    counted: tuple[Counter[str], list[int]],
    computed: Counter[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))  # in which no image is known
    reads, images = counted
    decoded, decode = [], loading.decode_with_facts
    monkeypatch.setattr(
        loading, "decode_with_facts", lambda encoded, **options: decoded.append(encoded) or decode(encoded, **options)
    )
    found = headstart.probe(image_folder)
    assert len(decoded) == len(set(decoded)) == 12
    assert computed == {(POOLED_DEPTHS, "float16"): 12}
    assert images == []
    decoded.clear()
    assert by_group(headstart.probe(image_folder)) == by_group(found)
    assert decoded == []
    assert computed == {(POOLED_DEPTHS, "float16"): 12}
    assert isinstance(found, headstart.DepthProbe)
    values = found.to_dict()
    json.dumps(values, allow_nan=False)
    assert list(values)[: len(FORMAT)] == FORMAT
    assert len(reads) == values["images"] == 12
    groups = values["groups"]
    assert [row["group"] for row in groups] == ["stem", *(f"stage{n}" for n in range(1, 8))]
    for row in groups:
        fact = depth_of(row["position"], row["count"])
        assert (row["literature_share"], row["detects"]) == (fact.transfer_share, fact.detects)
        assert row["accuracy"] == 1
        assert row["cka"] is None
    assert groups[-1]["features"] == 1280
    assert (values["classes"], values["folds"], values["run"]) == (["blue", "green"], 5, None)


@pytest.mark.slow
def test_cached_rows_give_the_result_of_a_pass_through_the_network(
    make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    folder = make_folder("three", classes=3, per_class=10)
    for number in range(5):
        (folder / "red" / f"0{number}.png").write_bytes(b"no image")
    options = {"limit": "6/class", "seed": 1, "group": r"/\d(\d)"}
    cached = probe(folder, **options)
    monkeypatch.setattr(probing, "cached_by_depth", lambda *given: None)
    passed = probe(folder, **options)
    assert by_group(cached) == by_group(passed)
    assert cached.unreadable
    left_out = {"seconds", "groups"}
    ours, theirs = cached.to_dict(), passed.to_dict()
    assert {k: v for k, v in ours.items() if k not in left_out} == {
        k: v for k, v in theirs.items() if k not in left_out
    }


@pytest.mark.slow
def test_a_training_before_or_after_shares_its_rows(
    image_folder: Path, tmp_path: Path, computed: Counter[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
):
    """Of the training images; test images, which a probe does not read, are computed in single precision."""
    results = []
    for home in ("probe first", "train first"):
        monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / home))
        commands = [
            lambda: results.append(by_group(probe(image_folder))),
            lambda home=home: train(Request(DataPlan(source=str(image_folder))), out=tmp_path / f"{home}, run"),
        ]
        for command in commands if home == "probe first" else reversed(commands):
            command()
        assert computed.pop((POOLED_DEPTHS, "float16")) == 12, home
    assert results[0] == results[1]


WITHOUT_TORCH = """
import json, sys
from headstart import probe
values = probe(sys.argv[1]).to_dict()
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"torch", "timm", "torchvision", "onnx", "sklearn"}, loaded
print(json.dumps(values["groups"]))
"""


@pytest.mark.slow
def test_a_known_network_needs_no_torch(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    found = probe(image_folder)
    choice = find_model(DEFAULT_MODEL)
    rows = cached_depths(probing._classifier(choice, AdaptedInput(choice.card.input)), choice.card.input)
    records = open_source(str(image_folder)).records[:8]
    make_known(rows.classifier, np.stack([read_view(record, rows.spec) for record in records]))
    words = [sys.executable, "-c", WITHOUT_TORCH, str(image_folder)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == found.to_dict()["groups"]


def test_a_run_that_left_its_backbone_has_not_moved(
    image_folder: Path, tmp_path: Path, counted: tuple[Counter[str], list[int]]
):
    run = trained(image_folder, tmp_path / "run")
    reads, images = counted
    reads.clear()
    found = probe(image_folder, run=run).to_dict()
    assert [row["cka"] for row in found["groups"]] == pytest.approx([1] * 8, abs=1e-6)
    assert "did not change its backbone" in found["sentence"]
    assert (found["input_size"], found["run"]) == (32, str(run))
    assert set(reads.values()) == {1}
    assert sum(images) == 2 * 12


@pytest.mark.parametrize(
    ("data", "seed"),
    [
        ({}, 3),
        ({"test_seed": 7, "test_fraction": 0.4}, 2),
        ({"limit_train": "3/class"}, 4),
        ({"group": r"/\d(\d)"}, 5),
    ],
)
@pytest.mark.slow
def test_nothing_that_a_run_reported_on_is_read(
    image_folder: Path, tmp_path: Path, counted: tuple[Counter[str], list[int]], data: dict[str, object], seed: int
):
    """Nor what it left out; a copy of a file that reports is no image to learn from either."""
    for label in ("blue", "green"):
        for file in sorted((image_folder / label).iterdir())[:4]:
            (image_folder / label / f"1{file.name}").write_bytes(file.read_bytes())
    run = trained(image_folder, tmp_path / "run", data=data, seed=seed)
    images = json.loads((run / "data.json").read_text(encoding="utf-8"))["images"]
    reads, _ = counted
    reads.clear()
    found = probe(image_folder, run=run, seed=seed)
    assert set(reads) == {*images["train"], *images["validation"]}
    assert images["test"]
    assert not set(reads) & set(images["test"])
    reads.clear()
    assert probe(image_folder, run=run, limit="2/class").curve.images == 4 < found.curve.images
    assert set(reads) < {*images["train"], *images["validation"]}


def test_what_was_given_apart_to_report_or_to_choose_is_not_read(
    make_folder: Callable[..., Path], tmp_path: Path, counted: tuple[Counter[str], list[int]]
):
    folder, val = make_folder("few", per_class=6), make_folder("apart", per_class=3, seed=9)
    run = trained(folder, tmp_path / "run", data={"val": str(val)})
    reads, _ = counted
    reads.clear()
    assert probe(folder, run=run / "bundle").curve.images == len(reads) == 12
    assert not any(name.startswith("val:") for name in reads)


@pytest.mark.slow
def test_groups_may_be_told_beside_a_run(image_folder: Path, tmp_path: Path):
    run = trained(image_folder, tmp_path / "run", seed=1)
    alone, paired = probe(image_folder, run=run).curve, probe(image_folder, run=run, group=r"/\d(\d)").curve
    assert alone.images == paired.images == 12
    assert paired.groups[0].accuracy_interval[0] < alone.groups[0].accuracy_interval[0]


def test_a_run_of_other_images_or_another_seed_is_refused_in_one_line(
    image_folder: Path, make_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = trained(image_folder, tmp_path / "run", seed=3)
    other = make_folder("other")
    with pytest.raises(
        DataError, match=r"run was trained on .*images, not on .*other; expected.*leave --run out"
    ) as told:
        probe(other, run=run)
    assert "\n" not in str(told.value)
    with pytest.raises(PlanError, match=r"seed: 4 is not that of .*run, which divided its images with 3"):
        probe(image_folder, run=run, seed=4)
    monkeypatch.chdir(image_folder.parent)
    assert probe("images", run=run).curve.images == 12, "the same folder by another name"
    image_folder.rename(tmp_path / "gone")
    make_folder("images").joinpath("blue").rename(tmp_path / "images" / "brown")
    (tmp_path / "images" / "green").rename(tmp_path / "images" / "grey")
    with pytest.raises(DataError, match=r"holds none of the training images of .*run"):
        probe(image_folder, run=run)


@pytest.mark.slow
def test_a_seed_divides_where_there_is_no_run(image_folder: Path, counted: tuple[Counter[str], list[int]]):
    reads, _ = counted
    seen = []
    for seed in (None, 0, 5):
        reads.clear()
        probe(image_folder, seed=seed)
        seen.append(set(reads))
    assert seen[0] == seen[1] != seen[2]
    learned = divided_by_name(DataPlan(source=str(image_folder)), seed=5).roles.training_pool
    assert seen[2] == {record.id for record in learned}


def test_what_training_moved_is_seen(make_folder: Callable[..., Path], tmp_path: Path):
    folder = make_folder("few", per_class=8)
    run = trained(folder, tmp_path / "run", strategy="scratch", epochs=1)
    found = probe(folder, run=run / "bundle", model="tf_efficientnet_lite0").to_dict()
    assert min(row["cka"] for row in found["groups"]) < 0.9
    assert "Fine-tuning changed" in found["sentence"]


@pytest.mark.slow
def test_a_multi_depth_run_is_compared_by_its_backbone(image_folder: Path, tmp_path: Path):
    run = trained(image_folder, tmp_path / "run", head="multi_depth")
    found = probe(image_folder, run=run).to_dict()
    assert [row["cka"] for row in found["groups"]] == pytest.approx([1] * 8, abs=1e-6)


def test_what_reports_in_training_is_not_looked_at(
    make_folder: Callable[..., Path], tmp_path: Path, counted: tuple[Counter[str], list[int]]
):
    make_folder("split/train", per_class=6)
    make_folder("split/test", per_class=4, seed=5)
    found = probe(tmp_path / "split").to_dict()
    assert found["images"] == 12
    assert {name.split("/")[0] for name in counted[0]} == {"train"}


def test_unreadable_images_are_left_out_and_named(image_folder: Path):
    for file in list((image_folder / "green").iterdir())[:3]:
        file.write_bytes(b"no image")
    found = probe(image_folder)
    assert found.curve.images == 12 - len(found.unreadable)
    assert found.unreadable
    assert all(name.startswith("green/") for name in found.unreadable)


def test_groups_stay_together_and_limits_hold(make_folder: Callable[..., Path]):
    folder = make_folder("many", per_class=10)
    assert probe(folder, limit="3/class").curve.images == 6
    # Names are 00 to 09: tens of one digit make one group, so nothing could be held out.
    with pytest.raises(DataError, match="group"):
        probe(folder, group="/(.)")
    assert probe(folder, group=r"/\d(\d)").curve.folds == 5


@pytest.mark.slow
def test_patches_are_drawn_in_the_same_pass(
    image_folder: Path, tmp_path: Path, counted: tuple[Counter[str], list[int]]
):
    found = probe(image_folder, patches=tmp_path / "p.png").to_dict()
    assert sum(counted[1]) == 12
    drawn = found["patches"]
    assert (tmp_path / "p.png").is_file()
    assert set(drawn["groups"]) | set(drawn["without"]) == {row["group"] for row in found["groups"]}
    for one in drawn["groups"].values():
        assert 1 <= one["side"] <= 224
        assert len(one["channels"]) == 4
        for channel in one["channels"]:
            assert len(channel["patches"]) == 4
            assert len({patch["image"] for patch in channel["patches"]}) == 4


def test_what_cannot_be_is_said_before_anything_is_run(image_folder: Path, tmp_path: Path):
    with pytest.raises(HeadstartError, match=r"ends in \.png"):
        probe(image_folder, patches=tmp_path / "p.jpg")
    with pytest.raises(HeadstartError, match="is no folder"):
        probe(image_folder, patches=tmp_path / "no" / "p.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(HeadstartError, match=r"folder\.png is a folder; expected the name of a file"):
        probe(image_folder, patches=tmp_path / "folder.png")
    with pytest.raises(HeadstartError, match=r"/proc/p\.png cannot be written \(.+\); choose another file"):
        probe(image_folder, patches="/proc/p.png")
    with pytest.raises(PlanError, match="limit_train"):
        probe(image_folder, limit="some")
    with pytest.raises(ModelError, match="no model 'resnet1888'"):
        probe(image_folder, model="resnet1888")
    with pytest.raises(BundleError, match="is no bundle"):
        probe(image_folder, run=tmp_path)


@pytest.mark.slow
def test_a_sheet_that_cannot_be_written_in_the_end_is_one_line(image_folder: Path, monkeypatch: pytest.MonkeyPatch):
    def denied(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(depth_pass, "draw_patches", denied)
    target = image_folder / "p.png"
    with pytest.raises(HeadstartError, match=r"p\.png cannot be written \(Permission denied\); choose another file"):
        probe(image_folder, patches=target)


def test_a_run_of_another_network_cannot_be_compared(image_folder: Path, tmp_path: Path):
    run = trained(image_folder, tmp_path / "run")
    with pytest.raises(ModelError, match=r"holds tf_efficientnet_lite0.*--model tf_efficientnet_lite0"):
        probe(image_folder, run=run, model="mobilenet_v2")


@pytest.mark.realdata
@pytest.mark.slow
def test_on_photos_the_curve_rises_with_depth(real_data: Path):
    curve = probe(real_data / "hymenoptera.tar").curve
    by_name = {one.group: one.accuracy for one in curve.groups}
    assert by_name["stem"] < by_name["stage3"] < by_name["stage7"]
    assert curve.groups[-1].accuracy_interval[0] > curve.groups[0].accuracy_interval[1]
    assert curve.falls_from is None


def five_bands(folder: Path) -> Path:
    """Tiles of five bands and 12 bits, which tell the classes apart in band 5 only."""
    rng = np.random.default_rng(0)
    for index in range(24):
        values = rng.integers(0, 2000, (40, 40, 5)).astype(np.uint16)
        values[..., 4] += 1800 * (index % 2)
        file = folder / "ab"[index % 2] / f"{index:02d}.tif"
        file.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(file, values, photometric="minisblack", planarconfig="contig")
    return folder


def test_bands_are_chosen_as_in_training(tmp_path: Path):
    folder = five_bands(tmp_path / "tiles")
    chosen = Decoding(12, (5, 5, 5))
    assert probe(folder, decoding=chosen).accuracy > 0.9
    advice = headstart.advise(folder, bands="5,1,2", bits=12, similarity=0.5, progress="none")
    assert (advice.plan.data.bands, advice.plan.data.bits) == ("5,1,2", 12)
    assert advice.situation.channels == 3
    assert "--bits 12 --bands 5,1,2" in advice.command("tiles")
    with pytest.raises(ArgumentError, match="about DATA"):
        headstart.advise(images=50, bands="5,1,2")
    with pytest.raises(PlanError, match="decoding: that of the run is used"):
        probe(folder, run=tmp_path, decoding=chosen)
