"""Comparisons from question to answer; stopped, killed and taken up again, no trial is lost or repeated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.apps.cli.text.comparison import comparison_text
from headstart.comparison.comparison import TrialEnd
from headstart.comparison.grid import GridPlan, Trial
from headstart.comparison.questions import question
from headstart.comparison.record import read_comparison_record
from headstart.errors import (
    DataError,
    DiskFullError,
    HeadstartError,
    Interrupted,
    ModelError,
    PlanError,
    RunError,
    WeightsUnavailableError,
)
from headstart.plan.request import Request
from headstart.prediction.inference_figures import InferenceFigures
from headstart.reports.comparison.facts import read_comparison_facts
from headstart.reports.comparison.report import comparison_page
from headstart.runs.folder import Run
from headstart.runs.observers import Observer
from headstart.training.stopping import StopRequest
from headstart.workflow import trial as trial_module
from headstart.workflow.comparing import Watcher, _common_validation, compare, resume_comparison
from headstart.workflow.trial import TrialTask

SMALL = {"input_size": 32, "batch_size": 4}


@pytest.fixture(autouse=True)
def _short_measurements(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("headstart.prediction.latency.SECONDS", 0.01)
    monkeypatch.setattr("headstart.measures.timing.AGREE", float("inf"))  # no test depends on how busy the machine is


def here(work: Callable[[Any, Observer], Any], task: object, *, observer: Observer, stop: StopRequest) -> Any:
    """In this process: quicker than another one."""
    return work(task, observer)


def failing(name: str, error: HeadstartError | None = None) -> Callable[..., Any]:
    """Where one trial fails."""

    def run(work: Any, task: Any, *, observer: Observer, stop: StopRequest) -> Any:
        if isinstance(task, TrialTask) and task.folder.name == name:
            raise error or RunError("no memory")
        return work(task, observer)

    return run


def grid(folder: Path, **values: Any) -> GridPlan:
    raw = {
        "what": "strategies",
        "data": {"source": str(folder)},
        "base": SMALL,
        "vary": {"strategy": ["feature_extraction", "partial"], "epochs": [1]},
        "seeds": [0, 1],
    }
    return GridPlan.from_dict({**raw, **values}, source="test")


class Watching(Watcher):
    def __init__(self, *, fail_at: int | None = None) -> None:
        self.ended: list[str] = []
        self._fail_at = fail_at

    def trial_started(self, trial: Trial, *, of: int, resumed: str) -> None:
        if trial.number == self._fail_at:
            raise Interrupted("stopped")

    def trial_ended(self, trial: Trial, end: TrialEnd, row: Any) -> None:
        self.ended.append(trial.name)


def features_only(folder: Path, **values: Any) -> GridPlan:
    """The quickest: two heads on the same stored features."""
    vary = {"head_solver": ["logistic", "ridge"]}
    return grid(folder, what="grid", vary=vary, base={**SMALL, "strategy": "feature_extraction"}, **values)


@pytest.mark.slow
def test_from_a_question_to_a_result(image_folder: Path, tmp_path: Path):
    answer = compare(grid(image_folder), out=tmp_path / "c", run_in=here)
    assert answer == read_comparison_record(tmp_path / "c")
    assert answer.finished
    assert [trial.state for trial in answer.trials] == ["done"] * 4
    assert [trial.seed for trial in answer.trials] == [0, 0, 1, 1]
    for row in answer.variants:
        assert (row.accuracy_status, row.seeds_done) == ("measured", 2)
        assert row.test.accuracy == pytest.approx(sum(row.test.by_seed) / 2)
        assert row.inference.images_per_second > 0
        assert row.peak_memory_bytes > 0
    assert {trial.selected_checkpoint for trial in answer.trials} == {"probe"}, "it has all images right"
    assert [entry.same_model for entry in answer.entries] in (
        [("partial, 1",)],
        [("feature_extraction, 1",)],
    )
    assert answer.pairs == (), "a network is not compared with itself"
    assert answer.chosen.headline.startswith("all variants are one model: ")
    assert answer.pareto.minutes
    assert answer.data.test_images == 4
    assert answer.data.validated_on == "held-out 20% of train", "for the solved head as well"
    by_strategy = [[t.validation_accuracy for t in answer.trials if name in t.variant] for name in ("feat", "part")]
    kept = {t.selected_checkpoint for t in answer.trials}
    assert kept != {"probe"} or by_strategy[0] == by_strategy[1], "the same network has the same validation figure"


def test_all_variants_are_validated_in_the_same_way():
    assert _common_validation(["head only", "head only"], values=10) == "auto"
    assert _common_validation(["tuned", "tuned"], values=10**9) == "auto", "both hold out by themselves"
    assert _common_validation(["head only", "tuned"], values=10) == "held_out"
    assert _common_validation(["tuned out of fold"] * 2, values=10) == "held_out", "a fold may decide before the last"
    assert _common_validation(["head only", "head only"], values=10**9) == "held_out", (
        "else each in a sample of its own"
    )


def test_inference_is_measured_once_for_one_network(image_folder: Path, tmp_path: Path):
    calls: list[str] = []

    def counting(work: Any, task: object, *, observer: Observer, stop: StopRequest) -> Any:
        calls.append(work.__name__)
        return work(task, observer)

    compare(features_only(image_folder, seeds=[0]), out=tmp_path / "c", run_in=counting)
    assert calls.count("inference_of_bundle") == 1
    assert calls.count("run_trial") == 2


def test_a_speed_that_is_not_stable_is_measured_again_and_then_marked(image_folder: Path, tmp_path: Path):
    milliseconds = iter([1616.0, 2029.0, 83.0, 84.0])
    measured = []

    def busy(work: Any, task: object, *, observer: Observer, stop: StopRequest) -> Any:
        if work.__name__ != "inference_of_bundle":
            return work(task, observer)
        measured.append(took := next(milliseconds))
        stability = "stable" if took == 84.0 else "unstable"
        return InferenceFigures(10.0, took, "torch", 32, 1, stability, peak_memory_bytes=1)

    plan = features_only(image_folder, seeds=[0])
    first = compare(plan, out=tmp_path / "c", run_in=busy)
    assert measured == [1616.0, 2029.0, 83.0], "twice more, then it is marked"
    for row in first.variants:
        assert (row.inference.stability, row.inference.one_image_ms_range) == ("unstable", (83.0, 2029.0))
    assert first.pareto.inference == (), "it is no figure"
    text = comparison_text(first)
    assert "is unstable: latency 83 to 2,029 ms" in text
    assert "2029" not in text
    again = resume_comparison(tmp_path / "c", run_in=busy)
    assert [row.inference.one_image_ms for row in again.variants] == [84.0, 84.0]
    assert "unstable" not in comparison_text(again)


@pytest.mark.slow
def test_stopped_and_taken_up_again(image_folder: Path, tmp_path: Path):
    plan = features_only(image_folder, seeds=[3])
    with pytest.raises(Interrupted, match="headstart compare --resume"):
        compare(plan, out=tmp_path / "c", watcher=Watching(fail_at=2), run_in=here)
    half = read_comparison_record(tmp_path / "c")
    assert not half.finished
    assert half.trials_to_come == 1
    assert half.resume.endswith(str(tmp_path / "c"))
    ends = sorted((tmp_path / "c").glob("trials/*/trial.json"))
    before = [(path, path.read_bytes(), path.stat().st_mtime_ns) for path in ends]
    assert len(before) == 1
    rest = Watching()
    answer = resume_comparison(tmp_path / "c", watcher=rest, run_in=here)
    assert len(rest.ended) == 1
    assert [(path, path.read_bytes(), path.stat().st_mtime_ns) for path, *_ in before] == before
    whole = compare(plan, out=tmp_path / "whole", run_in=here)
    for key in ("test", "validation"):
        assert [getattr(row, key) for row in answer.variants] == [getattr(row, key) for row in whole.variants]
    assert answer.pairs == whole.pairs


@pytest.mark.slow
def test_killed_in_a_trial_nothing_is_lost_or_repeated(image_folder: Path, tmp_path: Path, command: list[str]):
    grid_file = tmp_path / "grid.yaml"
    grid_file.write_text(grid(image_folder, seeds=[0], vary={"epochs": [1, 40], "strategy": ["partial"]}).to_yaml())
    out = tmp_path / "c"
    arguments = [*command, "compare", "grid", "--grid", str(grid_file), "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL, start_new_session=True) as first:
        deadline = time.monotonic() + 600
        checkpoint = out / "trials" / "002-40-partial-seed0" / "checkpoints" / "last.pt"
        while not checkpoint.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(first.pid, signal.SIGKILL)
    done = out / "trials" / "001-1-partial-seed0" / "trial.json"
    before = done.read_bytes(), done.stat().st_mtime_ns
    assert not (checkpoint.parents[1] / "trial.json").exists()
    answer = resume_comparison(out, run_in=here)
    assert (done.read_bytes(), done.stat().st_mtime_ns) == before
    assert [trial.state for trial in answer.trials] == ["done", "done"]
    assert answer.trials[1].resumed == 1
    rows = json.loads((checkpoint.parents[1] / "metrics.json").read_text())["epochs"]
    epochs = [row["epoch"] for row in rows if row["phase"] == "tune"]
    assert epochs == list(range(1, len(epochs) + 1)), "no epoch twice"


@pytest.mark.slow
def test_halving_drops_the_weaker(image_folder: Path, tmp_path: Path):
    vary = {"phases[0].l2_penalty": [0.1, 1.0, 10.0]}
    base = {"strategy": "feature_extraction", "input_size": 32}
    plan = grid(image_folder, what="grid", vary=vary, base=base, seeds=[0], halving="successive")
    answer = compare(plan, out=tmp_path / "c", run_in=here)
    assert [trial.rung for trial in answer.trials] == [0.25] * 3 + [0.5] * 2 + [1.0] * 2
    states = [row.accuracy_status for row in answer.variants]
    assert sorted(states) == ["dropped", "measured", "measured"]
    assert {row.dropped_at for row in answer.variants if row.accuracy_status == "dropped"} == {0.25}


def test_a_trial_that_fails_stops_no_other(image_folder: Path, tmp_path: Path):
    answer = compare(features_only(image_folder, seeds=[0]), out=tmp_path / "c", run_in=failing("002-ridge-seed0"))
    assert [trial.state for trial in answer.trials] == ["done", "failed"]
    assert answer.trials[1].error == "no memory"
    assert [row.accuracy_status for row in answer.variants] == ["measured", "failed"]
    assert answer.resume, "a failed trial can be tried once more"
    again = resume_comparison(tmp_path / "c", run_in=here)
    assert [trial.state for trial in again.trials] == ["done", "done"]
    assert again.resume is None


def test_without_weights_there_is_time_and_memory_but_no_accuracy(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    plan = grid(
        image_folder,
        what="models",
        vary={"model": ["tf_efficientnet_lite0", "resnet10t"]},
        base={**SMALL, "strategy": "feature_extraction"},
        seeds=[0],
    )
    answer = compare(plan, out=tmp_path / "c", run_in=here)
    row = answer.variants[1]
    assert (row.accuracy_status, row.weights, row.test) == ("needs download", "random", None)
    assert row.seconds.mean > 0
    assert row.inference.images_per_second > 0
    assert answer.pairs == ()
    assert answer.chosen.variant == "tf_efficientnet_lite0"
    assert answer.trials[1].test_accuracy is None


@pytest.mark.slow
def test_an_outage_is_waited_for_once_and_heals_by_a_resume(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Two variants of one network in two seeds: four trials, one download."""
    real, tries = trial_module.train, []

    def offline(request: Any, **options: Any) -> Any:
        if isinstance(request, Request):
            tries.append(request)
            raise WeightsUnavailableError("no network", remedy="put it at x")
        return real(request, **options)

    def no_file(card: Any) -> Path:
        tries.append(card)
        raise WeightsUnavailableError("still no network")

    monkeypatch.setattr(trial_module, "train", offline)
    answer = compare(features_only(image_folder), out=tmp_path / "c", run_in=here)
    assert len(tries) == 1
    assert [row.accuracy_status for row in answer.variants] == ["needs download"] * 2
    assert answer.variants[0].weights_missing == "no network; put it at x"
    assert answer.why_resume == "4 trials lack pretrained weights; try again with"

    trials = sorted((tmp_path / "c").glob("trials/*/metrics.json"))
    before = [path.stat().st_mtime_ns for path in trials]
    with monkeypatch.context() as patch:
        patch.setattr("headstart.networks.weights.loading.weight_file", no_file)
        answer = resume_comparison(tmp_path / "c", run_in=here)
    assert len(tries) == 2
    assert answer.resume, "the way out stays"
    assert [path.stat().st_mtime_ns for path in trials] == before, "no trial was run again for nothing"
    assert answer.variants[0].seconds.mean > 0

    monkeypatch.setattr(trial_module, "train", real)
    watching = Watching()
    answer = resume_comparison(tmp_path / "c", watcher=watching, run_in=here)
    assert len(watching.ended) == 4
    assert [row.accuracy_status for row in answer.variants] == ["measured"] * 2
    assert [row.weights_missing for row in answer.variants] == [None, None]
    assert answer.resume is None


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ({"vary": {"strategy": ["full", "fulll"]}}, PlanError, "fulll"),
        ({"vary": {"stratgy": ["full", "partial"]}}, PlanError, "stratgy: is neither an option"),
        ({"vary": {"model": ["resnet18", "resnet181"]}}, ModelError, "resnet181"),
        ({"vary": {"phases[tune].rate": [1, 2]}}, PlanError, "is not in this plan"),
        ({"vary": {"unfreeze": [1, 99]}, "base": {**SMALL, "strategy": "partial"}}, PlanError, "99"),
        ({"vary": {"epochs": [1, "many"]}}, PlanError, "many"),
    ],
)
def test_faults_leave_no_folder(image_folder: Path, tmp_path: Path, values: Any, kind: type, message: str):
    with pytest.raises(kind, match=message):
        compare(grid(image_folder, **values), out=tmp_path / "c", run_in=here)
    assert not (tmp_path / "c").exists()


def test_where_no_trial_can_be_run_that_is_an_error(image_folder: Path, tmp_path: Path):
    def broken(work: Any, task: Any, *, observer: Observer, stop: StopRequest) -> Any:
        if isinstance(task, TrialTask):
            raise RunError("no memory")
        return work(task, observer)

    with pytest.raises(RunError, match=r"no trial.*could be run: no memory"):
        compare(features_only(image_folder, seeds=[0]), out=tmp_path / "c", run_in=broken)


def test_a_full_disk_ends_it_and_nothing_counts_as_failed(image_folder: Path, tmp_path: Path):
    full = failing("002-ridge-seed0", DiskFullError("the disk is full", remedy="make room; headstart train --resume x"))
    way_on = r"^the disk is full; what was saved before is intact; free some space, then resume with: headstart compare"
    with pytest.raises(DiskFullError, match=way_on):
        compare(features_only(image_folder, seeds=[0]), out=tmp_path / "c", run_in=full)
    answer = resume_comparison(tmp_path / "c", run_in=here)
    assert [trial.state for trial in answer.trials] == ["done", "done"]


@pytest.mark.slow
def test_speed_that_a_kill_left_out_is_measured_by_the_next_call(image_folder: Path, tmp_path: Path):
    plan = features_only(image_folder, seeds=[0])
    compare(plan, out=tmp_path / "c", run_in=here)
    (tmp_path / "c" / "inference.json").unlink()
    answer = resume_comparison(tmp_path / "c", run_in=here)
    assert all(row.inference.images_per_second > 0 for row in answer.variants)


@pytest.mark.slow
def test_images_that_change_between_trials_are_told(image_folder: Path, tmp_path: Path):
    plan = features_only(image_folder, seeds=[0])
    with pytest.raises(Interrupted):
        compare(plan, out=tmp_path / "c", watcher=Watching(fail_at=2), run_in=here)
    before, other = image_folder / "blue" / "00.png", image_folder / "blue" / "other.png"
    before.rename(other)
    words = r"changed between the trials 001-logistic-seed0 and 002-ridge-seed0; .* restore them, .*compare --resume"
    for _ in range(2):  # nothing of a mixture is published, however often it is tried
        with pytest.raises(RunError, match=words):
            resume_comparison(tmp_path / "c", run_in=here)
        answer = read_comparison_record(tmp_path / "c")
        assert [trial.state for trial in answer.trials] == ["done", "to_come"]
    other.rename(before)
    answer = resume_comparison(tmp_path / "c", run_in=here)
    assert [trial.state for trial in answer.trials] == ["done", "done"]


def test_stopped_before_the_first_trial_ended_there_is_an_answer_that_says_how_to_go_on(
    image_folder: Path, tmp_path: Path
):
    out = tmp_path / "my c"
    with pytest.raises(Interrupted):
        compare(features_only(image_folder, seeds=[0]), out=out, watcher=Watching(fail_at=1), run_in=here)
    assert read_comparison_record(out).trials_to_come == 2
    with pytest.raises(RunError, match=rf"no finished trial yet; .*headstart compare --resume '{out}'"):
        read_comparison_facts(out)


def test_where_all_trials_failed_there_is_a_report(image_folder: Path, tmp_path: Path):
    def broken(work: Any, task: Any, *, observer: Observer, stop: StopRequest) -> Any:
        if isinstance(task, TrialTask):
            raise RunError("no memory")
        return work(task, observer)

    with pytest.raises(RunError, match=r"could be run: no memory; once that is fixed, resume with: headstart compare"):
        compare(features_only(image_folder, seeds=[0]), out=tmp_path / "c", run_in=broken)
    page = comparison_page(read_comparison_facts(tmp_path / "c"))
    assert "001-logistic-seed0" in page
    assert "no memory" in page


@pytest.mark.slow
def test_no_image_is_validation_in_one_seed_and_test_in_another(image_folder: Path, tmp_path: Path):
    compare(features_only(image_folder, seeds=[0, 1]), out=tmp_path / "c", run_in=here)
    folders = sorted((tmp_path / "c" / "trials").iterdir())
    images = [json.loads((folder / "data.json").read_text())["images"] for folder in folders]
    report = {name for one in images for name in one["test"]}
    assert len(report) == len(images[0]["test"])
    assert not report & {name for one in images for role in ("train", "validation") for name in one[role]}


@pytest.mark.slow
def test_learning_rates_are_labelled(image_folder: Path, tmp_path: Path):
    plan = question("learning_rates", str(image_folder), ["1e-1", "1e-4"], base={**SMALL, "epochs": 1}, seeds=[0])
    answer = compare(plan, out=tmp_path / "c", run_in=here)
    labels = {row.name: row.learning_rate_label.label for row in answer.variants}
    assert set(labels) == {"1e-1", "1e-4"}
    assert labels["1e-4"] in ("sweet spot", "undertrains")


@pytest.mark.slow
def test_folds_test_each_image_once_and_pair_the_variants(image_folder: Path, tmp_path: Path):
    """Rows of a verdict are folds, on the same images for both variants; the given splits are pooled."""
    plan = features_only(image_folder, folds=4, seeds=[0], metric="balanced_accuracy")
    found = compare(plan, out=tmp_path / "c", run_in=here)
    assert [(trial.seed, trial.fold) for trial in found.trials] == [(0, f"{n}/4") for n in (1, 1, 2, 2, 3, 3, 4, 4)]
    assert {trial.state for trial in found.trials} == {"done"}
    runs = [Run(tmp_path / "c" / "trials" / trial.trial) for trial in found.trials]
    tested = [set(run.data().ids("test")) for run in runs]
    assert [one == other for one, other in zip(tested[::2], tested[1::2], strict=True)] == [True] * 4
    assert sum(map(len, tested[::2])) == len(set.union(*tested)) == found.data.test_images == 16
    assert {run.data().test_source for run in runs} == {f"fold {n} of 4" for n in (1, 2, 3, 4)}
    [row, _] = found.variants
    assert (row.seeds_done, row.test.images, row.test.predictions, len(row.test.by_seed)) == (4, 16, 16, 4)
    assert all((pair.seeds, pair.images) == (4, 16) for pair in found.pairs_on("test"))
    text = comparison_text(found)
    assert "folds" in text.splitlines()[2]
    assert "bal acc" in text.splitlines()[2]
    assert "on test images (4 folds, each image tested once a seed)" in text or not found.pairs
    assert comparison_page(read_comparison_facts(tmp_path / "c")).count("seed, fold") == 1


def test_a_set_of_one_fold_is_refused_before_any_folder_is_made(image_folder: Path, tmp_path: Path):
    with pytest.raises(PlanError, match=r"data.val: 'held' and 3 folds are both the test set"):
        features_only(image_folder, folds=3, data={"source": str(image_folder), "val": "held"})
    with pytest.raises(DataError, match="16 groups cannot make 17 folds"):
        compare(features_only(image_folder, folds=17), out=tmp_path / "c", run_in=here)
    assert not (tmp_path / "c").exists()
