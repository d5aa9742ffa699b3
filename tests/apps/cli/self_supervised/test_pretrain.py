"""The command pretrain: what it prints, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headstart.apps.cli.main import app
from headstart.apps.cli.self_supervised.pretrain import pretrained_text
from headstart.training.self_supervised.settings import PretrainedEpoch
from headstart.workflow.pretraining import pretrain as workflow
from headstart.workflow.pretraining.pretrain import DEFAULTS, PretrainResult

RESULT = PretrainResult(
    Path("out"),
    "resnet18:file:out/backbone.safetensors",
    "resnet18",
    120,
    (PretrainedEpoch(1, -0.5, 0.9, 61.0),),
    "budget",
)


def test_the_text_names_the_backbone_and_the_command_that_measures_it() -> None:
    text = pretrained_text(RESULT)
    assert text.startswith("backbone of resnet18, trained on 120 images without labels (stopped by the budget)")
    assert "epoch 1: loss -0.500, spread of features 0.90" in text
    assert "next: headstart probe DATA --model resnet18:file:out/backbone.safetensors" in text
    assert "warning" not in text


def test_collapse_is_said() -> None:
    collapsed = replace(RESULT, epochs=(PretrainedEpoch(1, -1.0, 0.01, 61.0),))
    assert collapsed.to_dict()["has_collapsed"]
    assert "warning: all images have nearly the same features" in pretrained_text(collapsed)


def test_options_reach_the_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def stopped(part: object, **options: object) -> PretrainResult:
        seen.update(part=part, **options)
        return RESULT

    monkeypatch.setattr(workflow, "pretrain_backbone", stopped)
    words = [
        "pretrain",
        "tiles",
        "--init",
        "resnet18",
        "--epochs",
        "3",
        "--batch-size",
        "8",
        "--lr",
        "1e-3",
        "--seed",
        "4",
    ]
    words += [
        "--batch-norm",
        "train",
        "--domain",
        "satellite",
        "--input-size",
        "96",
        "--bands",
        "3,2,1",
        "--budget",
        "2m",
    ]
    done = CliRunner().invoke(app, [*words, "--allow-noncommercial", "--json"])
    assert done.exit_code == 0, done.output
    assert seen["settings"] == replace(DEFAULTS, epochs=3, batch_size=8, lr=1e-3, batch_norm="train", seed=4)
    assert (seen["init"], seen["domain"], seen["input_size"]) == ("resnet18", "satellite", 96)
    assert (seen["budget_seconds"], seen["noncommercial_weights"]) == (120, "allow")
    assert seen["part"].bands == "3,2,1"  # type: ignore[attr-defined]


def test_a_resume_takes_no_other_option() -> None:
    done = CliRunner().invoke(app, ["pretrain", "--resume", "out", "--epochs", "3"])
    assert done.exit_code != 0
    assert "--epochs" in done.output + str(done.exception)
    assert CliRunner().invoke(app, ["pretrain"]).exit_code != 0
