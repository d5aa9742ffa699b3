"""Going on with a run: from another folder, and where its images or its weights are named relative to one."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from PIL import Image

from headstart.errors import DataError, Interrupted, RunError
from headstart.plan.plan import DataPlan, Plan
from headstart.plan.request import Request
from headstart.training import loop
from headstart.workflow.training.result import TrainResult
from headstart.workflow.training.resume import resume
from headstart.workflow.training.train import train


@pytest.fixture
def run(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainResult:
    """Of `photos` and a relative file of weights, begun in the folder that holds both."""
    (tmp_path / "elsewhere").mkdir()
    image_folder.rename(tmp_path / "elsewhere" / "photos")
    monkeypatch.chdir(tmp_path / "elsewhere")
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet").state_dict(), "mine.pth")
    asked = Request(
        DataPlan(source="photos"), strategy="feature_extraction", input_size=32, model="test_resnet:file:mine.pth"
    )
    return train(asked, out="runs/first")


def test_a_run_goes_on_from_another_folder(run: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert Plan.read(Path("runs/first/plan.yaml")).data.source == "photos", "as it was given"
    assert run.run.data().source == "photos"
    assert run.run.resume_command == f"headstart train --resume {tmp_path}/elsewhere/runs/first"
    settled = run.run.plan()
    monkeypatch.chdir("/")
    again = resume(tmp_path / "elsewhere" / "runs" / "first")
    assert again.metrics.test == run.metrics.test
    assert again.metrics.engine == settled.engine


def test_images_that_were_moved_are_taken_where_they_are_said_to_be(
    run: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    Path("photos").rename(tmp_path / "moved")
    folder = run.run.folder.absolute()
    with pytest.raises(DataError) as caught:
        resume(folder)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/elsewhere/photos does not exist; ")
    assert said.endswith(f"if they were moved, say where they are: headstart train DATA --resume {folder}")
    monkeypatch.chdir(tmp_path)
    again = resume(folder, data="moved")
    assert again.metrics.test == run.metrics.test
    monkeypatch.chdir("/")
    assert resume(folder).metrics.test == run.metrics.test, "it was remembered"


def test_other_images_are_refused_with_both_counts_and_hashes_and_change_nothing(run: TrainResult):
    Path("photos").rename("others")
    Image.new("RGB", (40, 40), (1, 2, 3)).save("others/blue/new.png")
    before = run.run.plan()
    with pytest.raises(RunError) as caught:
        resume("runs/first", data="others")
    said = str(caught.value)
    assert "17 images with the hash " in said
    assert f"not 16 with {run.run.data().content[:8]}" in said
    assert run.run.plan() == before


class Gone(DataError):
    """An image that went away."""


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            Gone("no a.png", remedy="restore it"),
            Gone,
            "no a.png; restore it; then go on with: ",
        ),
        (KeyboardInterrupt(), Interrupted, "stopped at once; what was saved last is whole; go on with: "),
    ],
)
def test_whatever_ends_training_names_the_command_that_goes_on(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, kind: type, said: str
):
    def fail(*given: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(loop, "fit", fail)
    asked = Request(DataPlan(source=str(image_folder)), strategy="feature_extraction", input_size=32)
    with pytest.raises(kind) as caught:
        train(asked, out=tmp_path / "run")
    assert str(caught.value) == f"{said}headstart train --resume {tmp_path}/run"
