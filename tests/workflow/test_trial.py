"""One trial: options and paths -> plan -> a run; weights that cannot be had are replaced where that is wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headstart.errors import PlanError, RunError, WeightsUnavailableError
from headstart.plan import DataPlan, Plan
from headstart.train.observers import Observer
from headstart.workflow import trial as module
from headstart.workflow.plans import TrainOptions
from headstart.workflow.trial import TrialTask, refuse_unknown, run_trial, settle_all, trial_plan, whole_plan

SMALL = {"input_size": 32, "batch_size": 4, "strategy": "feature_extraction"}


def task(folder: Path, out: Path, **changes: Any) -> TrialTask:
    return TrialTask(out, DataPlan(source=str(folder)), 0, {**SMALL, **changes})


def test_options_alone_stay_options(image_folder: Path, tmp_path: Path):
    made = trial_plan(task(image_folder, tmp_path))
    assert isinstance(made, TrainOptions)
    assert (made.strategy, made.seed, made.input_size) == ("feature_extraction", 0, 32)


def test_values_at_paths_make_a_plan_that_knows_how_many_images_there_are(image_folder: Path, tmp_path: Path):
    changes = {"phases[tune].learning_rate": 0.5, "phases[tune].backbone_rates": {"rule": "uniform", "top": 0.5}}
    made = trial_plan(task(image_folder, tmp_path, strategy="full", **changes))
    assert isinstance(made, Plan)
    assert made.phases[1].learning_rate == 0.5
    assert made.phases[1].epochs == 5, "few images: five passes"
    assert not [path for path in made.reasons if path.startswith("phases[1].backbone")], "the reason was another's"


def test_faults_of_a_changed_plan_are_told(image_folder: Path, tmp_path: Path):
    with pytest.raises(PlanError, match=r"phases\[1\].learning_rate: 7"):
        trial_plan(task(image_folder, tmp_path, strategy="full", **{"phases[tune].learning_rate": 7}))
    with pytest.raises(PlanError, match="leads nowhere"):
        trial_plan(task(image_folder, tmp_path, **{"phases[tune].learning_rate": 0.1}))


def test_slips_of_the_pen_are_told():
    refuse_unknown({"strategy": "full", "optimizer.name": "sgd", "phases[0].folds": 3})
    with pytest.raises(PlanError, match=r"stratgy: is no option.*strategy") as told:
        refuse_unknown({"stratgy": "full", "seed": 3, "data.source": "x"})
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
    bad = task(image_folder, tmp_path, strategy="partial", thaw=99)
    settle_all([good], Observer())
    with pytest.raises(PlanError, match="99"):
        settle_all([good, bad], Observer())


@pytest.mark.parametrize(
    "changes", [{"epochs": "many"}, {"strategy": 5}, {"head": "round"}, {"grain": "fine"}, {"augmentation": "much"}]
)
def test_values_of_the_wrong_kind_are_told(changes: dict[str, Any], image_folder: Path, tmp_path: Path):
    with pytest.raises(PlanError, match=next(iter(changes))):
        whole_plan(task(image_folder, tmp_path, **{"strategy": "full", **changes}))


class Notes(Observer):
    def __init__(self) -> None:
        self.events: list[str] = []

    def noted(self, event: str, values: object) -> None:
        self.events.append(event)


@pytest.mark.parametrize("strategy", ["feature_extraction", "partial"])
def test_weights_that_cannot_be_had(strategy: str, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []
    train = module.train

    def offline(request: TrainOptions | Plan, **options: Any) -> Any:
        asked.append(request)
        if len(asked) == 1:
            raise WeightsUnavailableError("no network")
        return train(request, **options)

    monkeypatch.setattr(module, "train", offline)
    notes = Notes()
    end = run_trial(task(image_folder, tmp_path / "run", strategy=strategy, epochs=1), notes)
    assert end.accuracy == "needs download"
    assert asked[-1].model.weights == "random"
    assert "random_weights" in notes.events
    asked.clear()
    strict = TrialTask(tmp_path / "other", DataPlan(source=str(image_folder)), 0, SMALL, missing_weights="fail")
    with pytest.raises(WeightsUnavailableError):
        run_trial(strict, notes)
    assert not (tmp_path / "other").exists()
