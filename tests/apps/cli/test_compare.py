"""The command `headstart compare`: what is asked for, what does not go together, and the whole way."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from headstart.apps.cli.main import app
from headstart.comparison.grid import GridPlan
from headstart.workflow import comparing


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[GridPlan]:
    """The plans that the command line asks for, without running them."""
    plans: list[GridPlan] = []

    def compare(plan: GridPlan, **options: Any) -> Any:
        plans.append(plan)
        return SimpleNamespace(to_dict=lambda: {"plan": plan.model_dump(mode="json")})

    monkeypatch.setattr(comparing, "compare", compare)
    return plans


def ask(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["compare", *arguments, "--json"])


def test_the_three_questions(asked: list[GridPlan]):
    assert ask("models", "photos", "--models", "a, b", "--seeds", "2", "--limit-train", "5/class").exit_code == 0
    assert ask("strategies", "photos", "--metric", "log_loss", "--halving", "successive").exit_code == 0
    assert (
        ask("learning_rates", "photos", "--learning-rates", "1e-2,1e-3", "--seed", "7", "--model", "resnet18").exit_code
        == 0
    )
    models, strategies, rates = asked
    assert [variant.name for variant in models.variants()] == ["a", "b"]
    assert (models.seeds, models.data.limit_train) == ((0, 1), "5/class")
    assert (strategies.metric, strategies.halving, strategies.seeds) == ("log_loss", "successive", (0, 1, 2))
    assert rates.seeds == (7, 8, 9)
    assert rates.base == {"model": "resnet18", "strategy": "full"}


def test_a_grid_file_and_what_the_line_changes(asked: list[GridPlan], tmp_path: Path):
    (tmp_path / "g.yaml").write_text("data: {source: x}\nvary: {epochs: [1, 2]}\nseeds: [4]\n")
    assert ask("grid", "--grid", str(tmp_path / "g.yaml")).exit_code == 0
    other = ("grid", "photos", "--grid", str(tmp_path / "g.yaml"))
    assert ask(*other, "--seeds", "2", "--strategy", "full").exit_code == 0
    assert ask(*other, "--quick").exit_code == 0
    assert ask(*other, "--seed", "5").exit_code == 0
    assert (asked[2].seeds, asked[2].base, asked[2].data.limit_train) == ((0,), {"input_size": 96}, "30/class")
    assert asked[3].seeds == (5,)
    assert (asked[0].seeds, asked[0].data.source) == ((4,), "x")
    assert (asked[1].seeds, asked[1].data.source, asked[1].base) == ((0, 1), "photos", {"strategy": "full"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "WHAT"),
        (["models"], "DATA"),
        (["grid"], "--grid"),
        (["models", "x", "--learning-rates", "1"], "--learning-rates does not go with models"),
        (["strategies", "x", "--grid", "g.yaml"], "--grid does not go with strategies"),
        (["models", "x", "--resume", "y", "--seeds", "2"], "have no effect together with --resume"),
        (["models", "x", "--augmentation", "much"], "augmentation"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(arguments: list[str], message: str, asked: list[GridPlan]):
    done = ask(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())
    assert not asked


@pytest.mark.slow
def test_the_whole_way(image_folder: Path, tmp_path: Path, command: list[str]):
    arguments = ["compare", "strategies", str(image_folder), "--strategies", "feature_extraction,partial"]
    arguments += ["--input-size", "32", "--epochs", "1", "--seeds", "1", "--out", str(tmp_path / "c")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "1/2 feature_extraction, seed 0: test accuracy" in done.stderr
    assert "chosen: " in done.stdout
    assert "partial" in done.stdout
    assert f"headstart report {tmp_path / 'c'}" in done.stdout
    answer = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert answer["finished"]
    assert answer["command"].startswith("headstart compare strategies")


def test_faults_are_one_line(image_folder: Path, tmp_path: Path, command: list[str]):
    arguments = ["compare", "models", str(image_folder), "--models", "resnet18,resnet181", "--out", str(tmp_path / "c")]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "resnet181" in done.stderr
    assert not (tmp_path / "c").exists()
