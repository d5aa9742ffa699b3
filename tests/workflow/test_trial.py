"""One trial: options and paths -> plan -> a run; weights that cannot be had are replaced where that is wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.errors import Interrupted, PlanError, RunError, WeightsUnavailableError
from headstart.plan.plan import DataPlan, Plan
from headstart.plan.request import Request
from headstart.runs.event import Event
from headstart.runs.folder import Run
from headstart.runs.observers import Observer
from headstart.runs.training_events import EpochDone
from headstart.training.checkpoint import trained_seconds
from headstart.workflow import trial as module
from headstart.workflow.trial import (
    TrialTask,
    refuse_unknown_fields,
    resolve_all,
    run_trial,
    trial_plan,
    whole_plan,
    why_no_weights,
)

SMALL = {"input_size": 32, "batch_size": 4, "strategy": "feature_extraction"}


def task(folder: Path, out: Path, **changes: Any) -> TrialTask:
    return TrialTask(out, DataPlan(source=str(folder)), 0, {**SMALL, **changes})


def test_options_alone_stay_options(image_folder: Path, tmp_path: Path):
    made = trial_plan(task(image_folder, tmp_path))
    assert isinstance(made, Request)
    assert (made.strategy, made.seed, made.input_size) == ("feature_extraction", 0, 32)


def test_values_at_paths_make_a_plan_that_knows_how_many_images_there_are(image_folder: Path, tmp_path: Path):
    changes = {"phases[tune].head_lr": 0.5, "phases[tune].backbone_lr": {"rule": "uniform", "lr": 0.5}}
    made = trial_plan(task(image_folder, tmp_path, strategy="full", **changes))
    assert isinstance(made, Plan)
    assert made.phases[1].head_lr == 0.5
    assert made.phases[1].epochs == 5, "few images: five passes"
    assert not [path for path in made.reasons if path.startswith("phases[1].backbone")], "the reason was another's"
    assert "optimizer" in made.reasons
    other = trial_plan(task(image_folder, tmp_path, strategy="full", **{"optimizer.name": "sgd"}))
    assert "optimizer" not in other.reasons


def test_faults_of_a_changed_plan_are_told(image_folder: Path, tmp_path: Path):
    with pytest.raises(PlanError, match=r"phases\[1\].head_lr: 7"):
        trial_plan(task(image_folder, tmp_path, strategy="full", **{"phases[tune].head_lr": 7}))
    with pytest.raises(PlanError, match="is not in this plan"):
        trial_plan(task(image_folder, tmp_path, **{"phases[tune].head_lr": 0.1}))


def test_slips_of_the_pen_are_told():
    refuse_unknown_fields({"strategy": "full", "optimizer.name": "sgd", "phases[0].folds": 3})
    with pytest.raises(PlanError, match=r"stratgy: is neither an option.*strategy") as told:
        refuse_unknown_fields({"stratgy": "full", "seed": 3, "data.source": "x"})
    assert len(told.value.faults) == 3


def test_a_trial_says_how_it_ended(image_folder: Path, tmp_path: Path):
    end = run_trial(task(image_folder, tmp_path / "run"), Observer())
    assert (end.state, end.accuracy, end.resumed) == ("done", "measured", 0)
    assert end.seconds > 0
    assert end.peak_memory_bytes is not None
    assert end.peak_memory_bytes > 100e6


def test_killed_after_its_last_file_it_is_not_run_again(image_folder: Path, tmp_path: Path, monkeypatch: Any):
    first = run_trial(task(image_folder, tmp_path / "run"), Observer())
    monkeypatch.setattr(module, "resume", None)
    again = run_trial(replace(task(image_folder, tmp_path / "run"), start="resume"), Observer())
    assert again == replace(first, peak_memory_bytes=None)


def test_what_is_no_error_of_ours_is_one_line_and_a_file(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(*args: Any, **options: Any) -> None:
        raise MemoryError("no more of it\nand a second line")

    monkeypatch.setattr(module, "train", broken)
    with pytest.raises(RunError, match=r"^MemoryError: no more of it; .*traceback.txt") as told:
        run_trial(task(image_folder, tmp_path / "run"), Observer())
    assert "\n" not in str(told.value)
    assert "Traceback" in (tmp_path / "run" / "traceback.txt").read_text()


def test_a_network_that_cannot_do_it_is_told_before_anything_is_trained(image_folder: Path, tmp_path: Path):
    good = task(image_folder, tmp_path, strategy="partial")
    bad = task(image_folder, tmp_path, strategy="partial", unfreeze=99)
    resolve_all([good], Observer())
    with pytest.raises(PlanError, match="99"):
        resolve_all([good, bad], Observer())


@pytest.mark.parametrize(
    "changes", [{"epochs": "many"}, {"strategy": 5}, {"head": "round"}, {"grain": "fine"}, {"augmentation": "much"}]
)
def test_values_of_the_wrong_kind_are_told(changes: dict[str, Any], image_folder: Path, tmp_path: Path):
    with pytest.raises(PlanError, match=next(iter(changes))):
        whole_plan(task(image_folder, tmp_path, **{"strategy": "full", **changes}))


class Leaving(Observer):
    """Killed in an epoch, before it is saved."""

    def epoch_done(self, row: EpochDone) -> None:
        if row.epoch == 3:
            raise Interrupted("killed")


@pytest.mark.slow
def test_a_budget_is_for_the_whole_trial_however_often_it_is_taken_up(image_folder: Path, tmp_path: Path):
    asked = task(image_folder, tmp_path / "run", strategy="partial", epochs=40, budget_seconds=3600.0)
    with pytest.raises(Interrupted):
        run_trial(asked, Leaving())
    run = Run(asked.folder)
    assert 0 < trained_seconds(run.checkpoint) < 600
    raw = torch.load(run.checkpoint, weights_only=True)
    raw["progress"]["trained_seconds"] = 3600.0
    torch.save(raw, run.checkpoint)
    end = run_trial(replace(asked, start="resume"), Observer())
    metrics = run.metrics()
    assert metrics is not None
    assert metrics.stopped == "budget"
    assert [row.epoch for row in metrics.epochs if row.phase == "tune"] == [1, 2]
    assert end.seconds > 3600
    assert run.plan().budget_seconds == 3600.0, "the plan keeps what was asked for"


def test_weights_are_there_or_it_is_said_why(monkeypatch: pytest.MonkeyPatch):
    assert why_no_weights("tf_efficientnet_lite0:in1k", Observer()) is None

    def offline(card: object) -> Path:
        raise WeightsUnavailableError("no network", remedy="put it at x")

    monkeypatch.setattr("headstart.networks.weights.loading.weight_file", offline)
    assert why_no_weights("tf_efficientnet_lite0:in1k", Observer()) == "no network; put it at x"


class Notes(Observer):
    def __init__(self) -> None:
        self.events: list[str] = []

    def noted(self, event: Event) -> None:
        self.events.append(event.event)


@pytest.mark.parametrize("strategy", ["feature_extraction", "partial"])
@pytest.mark.slow
def test_weights_that_cannot_be_had(strategy: str, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []
    train = module.train

    def offline(request: Request | Plan, **options: Any) -> Any:
        asked.append(request)
        if len(asked) == 1:
            raise WeightsUnavailableError("no network", remedy="put it at x")
        return train(request, **options)

    monkeypatch.setattr(module, "train", offline)
    notes = Notes()
    end = run_trial(task(image_folder, tmp_path / "run", strategy=strategy, epochs=1), notes)
    network = "tf_efficientnet_lite0:in1k"
    assert (end.accuracy, end.missing) == ("needs download", {network: "no network; put it at x"})
    assert asked[-1].model.weights == "random"
    assert "random_weights" in notes.events
    asked.clear()
    strict = TrialTask(tmp_path / "other", DataPlan(source=str(image_folder)), 0, SMALL, missing_weights="fail")
    failed = run_trial(strict, notes)
    assert (failed.state, failed.error, failed.missing) == ("failed", "no network; put it at x", end.missing)
    assert not (tmp_path / "other").exists()
    seeds = [replace(one, seed=1, unavailable=end.missing) for one in (task(image_folder, tmp_path / "next"), strict)]
    ends = [run_trial(one, notes) for one in seeds]
    assert [(one.state, one.missing) for one in ends] == [("done", end.missing), ("failed", end.missing)]
    assert len(asked) == 2, "nobody tries to download again"
