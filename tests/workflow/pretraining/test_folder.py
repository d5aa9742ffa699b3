"""The folder of a pretraining: what is written is read back, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart.errors import RunError
from headstart.networks.cards.user_card import card_file
from headstart.training.self_supervised.settings import PretrainedEpoch
from headstart.workflow.pretraining.folder import PretrainFolder, PretrainRequest
from headstart.workflow.pretraining.pretrain import DEFAULTS

REQUEST = PretrainRequest(
    init="resnet18:IMAGENET1K_V1",
    input_size=96,
    domain="satellite",
    data={"source": "tiles"},
    images=10,
    content="abc",
    settings=DEFAULTS,
)


def test_what_was_requested_is_read_back(tmp_path: Path) -> None:
    made = PretrainFolder.create(tmp_path / "out", REQUEST, stem="x")
    assert PretrainFolder.open(tmp_path / "out").request() == REQUEST
    assert made.metrics() is None
    made.write_metrics([PretrainedEpoch(1, -0.4, 0.9, 3.0)], ended="budget")
    assert made.metrics() == {"ended": "budget", "epochs": [{"epoch": 1, "loss": -0.4, "spread": 0.9, "seconds": 3.0}]}
    assert str(tmp_path / "out") in made.resume_sentence


def test_a_card_lies_next_to_the_backbone(tmp_path: Path) -> None:
    made = PretrainFolder.create(tmp_path / "out", REQUEST, stem="x")
    made.write_card({"size": 96, "mean": [0.5], "bits": 12}, licence="MIT", domain="satellite", source="made of x")
    card = json.loads(card_file(made.backbone).read_text(encoding="utf-8"))
    assert card["input"] == {"size": 96, "mean": [0.5]}
    assert (card["licence"], card["domain"], card["source"]) == ("MIT", "satellite", "made of x")


def test_other_folders_and_damaged_files_are_refused(tmp_path: Path) -> None:
    made = PretrainFolder.create(tmp_path / "out", REQUEST, stem="x")
    with pytest.raises(RunError, match="exists already"):
        PretrainFolder.create(tmp_path / "out", REQUEST, stem="x")
    with pytest.raises(RunError, match="is not the folder of a pretraining"):
        PretrainFolder.open(tmp_path)
    (made.path / "pretrain.json").write_text('{"init": 3}')
    with pytest.raises(RunError, match="damaged"):
        made.request()
