"""Probing a network on images: one pass, honest images, and the run it is compared with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import headstart
from headstart.data.sources import ImageRecord
from headstart.errors import BundleError, DataError, HeadstartError, ModelError, PlanError
from headstart.facts import depth_of
from headstart.features.depth_reader import DepthReader
from headstart.plan import DataPlan
from headstart.workflow.plans import TrainOptions
from headstart.workflow.probing import probe
from headstart.workflow.train import train

FORMAT = ["model", "data", "images", "classes", "folds", "groups", "sentence", "seconds"]


def trained(folder: Path, out: Path, **options: object) -> Path:
    chosen = {"strategy": "feature_extraction", "input_size": 32, **options}
    train(TrainOptions(DataPlan(source=str(folder)), **chosen), out=out)
    return out


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> tuple[Counter[str], list[int]]:
    """How often each image was read, and how many images went through networks."""
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


def test_every_image_is_read_once_and_the_answer_has_the_literature_beside(
    image_folder: Path, counted: tuple[Counter[str], list[int]]
):
    reads, images = counted
    found = headstart.probe(image_folder)
    assert isinstance(found, headstart.DepthProbe)
    values = found.to_dict()
    json.dumps(values, allow_nan=False)
    assert list(values)[: len(FORMAT)] == FORMAT
    assert set(reads.values()) == {1}
    assert len(reads) == sum(images) == values["images"] == 12
    groups = values["groups"]
    assert [row["group"] for row in groups] == ["stem", *(f"stage{n}" for n in range(1, 8))]
    for row in groups:
        fact = depth_of(row["position"], row["count"])
        assert (row["literature_share"], row["detects"]) == (fact.transfer_share, fact.detects)
        assert row["accuracy"] == 1
        assert row["cka"] is None
    assert groups[-1]["features"] == 1280
    assert (values["classes"], values["folds"], values["run"]) == (["blue", "green"], 5, None)


def test_a_run_that_left_its_backbone_has_not_moved(
    image_folder: Path, tmp_path: Path, counted: tuple[Counter[str], list[int]]
):
    run = trained(image_folder, tmp_path / "run")
    reads, images = counted
    reads.clear()
    found = probe(image_folder, run=run).to_dict()
    assert [row["cka"] for row in found["groups"]] == pytest.approx([1] * 8, abs=1e-6)
    assert "left its backbone as it was pretrained" in found["sentence"]
    assert (found["input_size"], found["run"]) == (32, str(run))
    assert set(reads.values()) == {1}
    assert sum(images) == 2 * 12


def test_what_training_moved_is_seen(make_folder: Callable[..., Path], tmp_path: Path):
    folder = make_folder("few", per_class=8)
    run = trained(folder, tmp_path / "run", strategy="scratch", epochs=1)
    found = probe(folder, run=run / "bundle", model="tf_efficientnet_lite0").to_dict()
    assert min(row["cka"] for row in found["groups"]) < 0.9
    assert "Tuning moved" in found["sentence"]


def test_a_multi_depth_run_is_compared_by_its_backbone(image_folder: Path, tmp_path: Path):
    run = trained(image_folder, tmp_path / "run", head="multi_depth")
    found = probe(image_folder, run=run).to_dict()
    assert [row["cka"] for row in found["groups"]] == pytest.approx([1] * 8, abs=1e-6)


def test_a_deep_head_is_taken_off_before_groups_are_read():
    from headstart.features.depths import with_depths
    from headstart.models.backbone import build_classifier
    from headstart.models.catalog import find_model
    from headstart.models.heads import DEPTHS
    from headstart.workflow.probing import _without_deep_head

    choice = find_model("tf_efficientnet_lite0")
    made = build_classifier(choice, kind="linear", num_classes=2, seed=0, input_size=32, weights="random")
    names = list(made.network.state_dict())
    network = _without_deep_head(with_depths(made, 32))
    assert list(network.state_dict()) == names
    assert not hasattr(network, DEPTHS)
    assert DepthReader(network, made.groups, size=32).group_names == made.group_names[:-1]


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
    with pytest.raises(PlanError, match="limit_train"):
        probe(image_folder, limit="some")
    with pytest.raises(ModelError, match="no model 'resnet1888'"):
        probe(image_folder, model="resnet1888")
    with pytest.raises(BundleError, match="is no bundle"):
        probe(image_folder, run=tmp_path)


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
