"""Records of known networks come back, and are found by the tensors of a bundle."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from headstart.engine.known.network import (
    KnownNetwork,
    backbone_hash,
    backbone_names,
    read_record,
    record_of_tensors,
    records_folder,
    write_record,
)
from headstart.networks.cards.finding import find_model
from headstart.networks.head_layers import HeadSite

SITES = (HeadSite("fc", 2, "linear", "main"), HeadSite("aux.fc", 2, "linear", "auxiliary"))
TENSORS = {
    "conv.weight": np.arange(4, dtype=np.float32),
    "bn.num_batches_tracked": np.array(3),
    "fc.weight": np.ones((3, 2), np.float32),
    "aux.fc.weight": np.ones((3, 2), np.float32),
}
NETWORK = KnownNetwork(
    backbone=backbone_hash(TENSORS, SITES),
    weights="w",
    features=2,
    parameters=4,
    sites=SITES,
    shares=(1.0,),
    export="a.onnx",
    engine_version="1",
    depth_columns={"stem": (2, 4), "flat": None, "last": (0, 2)},
)


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    NETWORK.export_path.parent.mkdir()
    NETWORK.export_path.touch()


def test_a_record_is_found_by_its_backbone_whatever_the_head(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    assert record_of_tensors(folder, TENSORS) is None
    write_record(folder, NETWORK)
    assert record_of_tensors(folder, {**TENSORS, "fc.weight": np.zeros((9, 2), np.float32)}) == NETWORK
    assert list(read_record(folder / f"{NETWORK.backbone}.json").depth_columns) == ["stem", "flat", "last"]
    assert record_of_tensors(folder, {**TENSORS, "conv.weight": np.zeros(4, np.float32)}) is None
    assert NETWORK.main_sites == SITES[:1]


def test_the_hash_knows_names_types_and_bits() -> None:
    first = NETWORK.backbone
    negative = TENSORS["conv.weight"].copy()
    negative[0] = -0.0
    for changed in (negative, TENSORS["conv.weight"].astype(np.float64), TENSORS["conv.weight"].reshape(2, 2)):
        assert backbone_hash({**TENSORS, "conv.weight": changed}, SITES) != first
    renamed = {
        **{name: values for name, values in TENSORS.items() if name != "conv.weight"},
        "c": TENSORS["conv.weight"],
    }
    assert backbone_hash(renamed, SITES) != first
    assert backbone_names(TENSORS, SITES) == ["bn.num_batches_tracked", "conv.weight"]


def test_records_without_an_export_go_and_damaged_ones_count_as_none(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    write_record(folder, replace(NETWORK, backbone="old", export="gone.onnx"))
    write_record(folder, NETWORK)
    assert [path.stem for path in folder.glob("*.json")] == [NETWORK.backbone]
    (folder / f"{NETWORK.backbone}.json").write_text('{"backbone": 1}')
    assert read_record(folder / f"{NETWORK.backbone}.json") is None
    for columns in ([], {"stem": [1]}, {"stem": 1}):
        damaged = json.dumps({**asdict(NETWORK), "depth_columns": columns})
        (folder / f"{NETWORK.backbone}.json").write_text(damaged)
        assert read_record(folder / f"{NETWORK.backbone}.json") is None
    assert record_of_tensors(folder, TENSORS) is None


def test_another_size_card_or_cut_point_is_another_folder() -> None:
    card = find_model("resnet18").card
    folders = {
        records_folder(card, cut_point="pooled", size=32),
        records_folder(card, cut_point="pooled", size=64),
        records_folder(card, cut_point="pooled at every depth", size=32),
        records_folder(find_model("resnet34").card, cut_point="pooled", size=32),
    }
    assert len(folders) == 4
