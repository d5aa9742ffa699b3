"""A backbone from images without labels: resumed bit for bit, read by probe and train, licence and card with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from safetensors.numpy import load_file
from typer.testing import CliRunner

from headstart.apps.cli.main import app
from headstart.errors import DataError, Interrupted, PlanError, RunError
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan
from headstart.training.self_supervised import epochs as module
from headstart.training.self_supervised.settings import PretrainSettings
from headstart.training.stopping import StopRequest
from headstart.workflow.pretraining.pretrain import DEFAULTS, PretrainResult, pretrain_backbone, resume_backbone
from headstart.workflow.probing import probe

pytest.importorskip("lightly", reason='pip install "headstart[pretrain]"')
SMALL = replace(DEFAULTS, epochs=2, batch_size=4, lr=1e-3)


def run(folder: Path | DataPlan, out: Path, settings: PretrainSettings = SMALL, **options: Any) -> PretrainResult:
    return pretrain_backbone(folder, input_size=32, settings=settings, out=out, **options)


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes a signal come after so many steps; 0: none."""

    def choose(steps: int) -> None:
        seen = {"steps": 0}
        real = module.SelfSupervisedTraining._step

        def step(self: Any, pairs: Any) -> None:
            real(self, pairs)
            seen["steps"] += 1

        monkeypatch.setattr(module.SelfSupervisedTraining, "_step", step)
        reason = property(lambda self: "signal" if steps and seen["steps"] == steps else None)
        monkeypatch.setattr(StopRequest, "reason", reason)

    return choose


def test_the_result_is_a_backbone_like_any_other(image_folder: Path, tmp_path: Path):
    found = run(image_folder, tmp_path / "out")
    assert (found.images, found.ended, len(found.epochs)) == (16, "finished", 2)
    assert found.model == f"tf_efficientnet_lite0:file:{tmp_path / 'out' / 'backbone.safetensors'}"
    card = find_model(found.model).card
    assert (card.input.size, card.licence) == (32, find_model("tf_efficientnet_lite0").card.licence)
    assert "without labels on 16 images" in json.loads((tmp_path / "out" / "backbone.card.json").read_text())["source"]
    assert probe(image_folder, model=found.model).images == 12
    tensors = load_file(tmp_path / "out" / "backbone.safetensors")
    assert not [name for name in tensors if name.startswith("classifier.")]


def test_statistics_stay_unless_the_policy_says_otherwise(image_folder: Path, tmp_path: Path):
    from headstart.networks.backbone import build_classifier

    start = build_classifier(find_model("tf_efficientnet_lite0"), kind="linear", num_classes=2, seed=0).network
    before = {name: one.numpy() for name, one in start.state_dict().items()}
    for policy in ("pretrained_statistics", "train"):
        settings = replace(SMALL, epochs=1, batch_norm=policy)
        run(image_folder, tmp_path / policy, settings)  # type: ignore[arg-type]
        after = load_file(tmp_path / policy / "backbone.safetensors")
        moved = {name for name in after if not (before[name] == after[name]).all()}
        assert any(name.endswith("conv_stem.weight") for name in moved)
        assert any("running_mean" in name for name in moved) == (policy == "train")


@pytest.mark.slow
def test_stopped_and_resumed_it_is_the_same_bit_for_bit(
    image_folder: Path, tmp_path: Path, stop_after: Callable[[int], None]
):
    run(image_folder, tmp_path / "whole")
    for steps in (3, 6):
        stop_after(steps)
        with pytest.raises(Interrupted) as caught:
            run(image_folder, tmp_path / f"parts{steps}")
        assert f"headstart pretrain --resume {tmp_path / f'parts{steps}'}" in str(caught.value)
        stop_after(0)
        found = resume_backbone(tmp_path / f"parts{steps}")
        assert [epoch.epoch for epoch in found.epochs] == [1, 2]
        whole, parts = (load_file(tmp_path / name / "backbone.safetensors") for name in ("whole", f"parts{steps}"))
        assert all((whole[name] == parts[name]).all() for name in whole)


def test_other_images_and_other_folders_are_not_resumed(image_folder: Path, tmp_path: Path):
    run(image_folder, tmp_path / "out", replace(SMALL, epochs=1))
    with pytest.raises(RunError, match="exists already"):
        run(image_folder, tmp_path / "out")
    next((image_folder / "blue").iterdir()).unlink()
    with pytest.raises(RunError, match="have changed since"):
        resume_backbone(tmp_path / "out")
    with pytest.raises(RunError, match="is not the folder of a pretraining"):
        resume_backbone(tmp_path)


def test_a_spent_budget_leaves_a_backbone_and_can_be_gone_on_from(image_folder: Path, tmp_path: Path):
    found = run(image_folder, tmp_path / "out", budget_seconds=1e-9)
    assert (found.ended, found.epochs) == ("budget", ())
    assert (tmp_path / "out" / "backbone.safetensors").exists()
    assert resume_backbone(tmp_path / "out").ended == "finished"


def test_what_cannot_be_trained_is_refused_before_a_folder_is_made(image_folder: Path, tmp_path: Path):
    for settings, kind, words in (
        (replace(SMALL, batch_size=17), DataError, "16 readable images, fewer than a batch of 17"),
        (replace(SMALL, batch_size=2, epochs=0), PlanError, "epochs: 0 .*\n.*batch_size: 2|epochs: 0 must"),
    ):
        with pytest.raises(kind, match=words):
            run(image_folder, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


def test_labels_are_not_needed_and_the_command_says_what_comes_next(image_folder: Path, tmp_path: Path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for index, file in enumerate(sorted(image_folder.rglob("*.png"))):
        (flat / f"{index}.png").write_bytes(file.read_bytes())
    words = ["pretrain", str(flat), "--epochs", "1", "--batch-size", "4", "--input-size", "32"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out"), "--batch-norm", "adapt_statistics"])
    assert done.exit_code == 0, done.output
    assert "trained on 16 images without labels (all epochs)" in done.output
    assert f"next: headstart probe DATA --model tf_efficientnet_lite0:file:{tmp_path}" in done.output
    assert torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["position"][0] == 1


def test_bands_are_refused_with_the_way_out(tmp_path: Path):
    (tmp_path / "tiles").mkdir()
    for index in range(4):
        values = np.full((40, 40, 5), index, np.uint16)
        tifffile.imwrite(tmp_path / "tiles" / f"{index}.tif", values, photometric="minisblack", planarconfig="contig")
    with pytest.raises(DataError, match=r"4 of 4 images .* 5 bands, .* choose by number, such as --bands 3,2,1"):
        run(tmp_path / "tiles", tmp_path / "out")
    with pytest.raises(PlanError, match=r"5,4,3,2,1 are 5 bands, and pretraining takes one or three"):
        run(DataPlan(source=str(tmp_path / "tiles"), bands="5,4,3,2,1"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
