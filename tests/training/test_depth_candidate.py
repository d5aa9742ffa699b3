"""A head on all depths as a candidate of a whole run: selected against steps, bundled, and resumed after any stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Prepared, make_images
from headstart.engine.store.store import ActivationStore
from headstart.prediction.bundle import save_bundle
from headstart.prediction.predictor import load
from headstart.runs.events import StopReason
from headstart.runs.observers import Observer
from headstart.training.best_epoch import Outcome
from headstart.training.checkpoint import Candidate, load_state
from headstart.training.loop import fit
from headstart.training.probe import depth_trial
from headstart.training.steps import step_phase
from headstart.training.stopping import StopRequest
from headstart.training.training import Training


class StopWhen(StopRequest):
    """Asks to stop while work of a name is done, as often as it looks from then on."""

    def __init__(self, what: str, reason: StopReason) -> None:
        super().__init__()
        self.what, self.doing, self.why = what, "", reason

    @property
    def reason(self) -> StopReason | None:
        return self.why if self.doing == self.what else None


class Told(Observer):
    """Tells a stop request what is being done."""

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop
        self.sentences: list[str] = []

    def work_started(self, what: str, total: int) -> None:
        self._doing(what)

    def noted(self, event) -> None:
        self.sentences.append(event.sentence())
        self._doing(getattr(event, "what", None))

    def _doing(self, what: str | None) -> None:
        if isinstance(self.stop, StopWhen) and what is not None:
            self.stop.doing = what


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images whose labels say nothing: every head makes errors out of fold."""
    made = make_images(tmp_path_factory.mktemp("deep") / "images", classes=1, per_class=20)
    (made / "other").mkdir()
    for path in sorted((made / "blue").iterdir())[::2]:
        path.rename(made / "other" / path.name)
    return made


@pytest.fixture(scope="module", autouse=True)
def _the_head_on_all_depths_is_selected_and_no_step_is_better():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depth_trial, "why_too_costly", lambda *_, **__: "")
        honest = Candidate.loss_p_value_against
        better = lambda one, other: 0.0 if one.name == "multi_depth" else honest(one, other)  # noqa: E731
        patch.setattr(Candidate, "loss_p_value_against", better)
        patch.setattr(step_phase, "verdict", lambda *_, **__: "not better")
        yield


def task_of(folder: Path, run: Path) -> Prepared:
    """A step of one epoch behind both heads, with an activation cache."""
    task = Prepared(folder, run, strategy="progressive", epochs=1, augmentation="light")
    selection = task.plan.selection.model_copy(update={"significance_level": 0.5})
    task.plan = task.plan.model_copy(update={"phases": task.plan.phases[:2], "selection": selection})
    digests = {name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()}
    task.images = replace(task.images, digests=digests, store=ActivationStore(run.parent / "store"))
    return task


def run_of(task: Prepared, stop: StopRequest | None = None) -> tuple[Training, Outcome, Told]:
    """A run, or the rest of one."""
    stop = StopRequest() if stop is None else stop
    told = Told(stop)
    training = Training(task.plan, task.classifier(), task.images, run=task.run, stop=stop, observer=told)
    return training, fit(training), told


@pytest.fixture(scope="module")
def straight(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, Outcome, Told]:
    return run_of(task_of(folder, tmp_path_factory.mktemp("straight") / "run"))


def test_it_is_the_candidate_that_steps_must_beat_and_they_start_from_the_plain_probe(straight):
    training, outcome, told = straight
    state = training.state
    assert outcome.chosen == "multi_depth"
    (step,) = outcome.progress.steps
    assert step.against == "multi_depth"
    assert outcome.why == step.sentence()
    assert not any(name.startswith("multi_depth.") for name in state.probe.weights)
    assert training.step_start is state.probe
    assert training.before_step is state.depths
    assert [row.checkpoint for row in outcome.progress.rows] == [
        "probe",
        "multi_depth",
        "last_stages/1",
        "last_stages",
    ]
    assert outcome.phases[0].validation_accuracy == max(state.probe.accuracy, state.depths.accuracy)
    assert sum(sentence.startswith("selected the multi_depth head") for sentence in told.sentences) == 1


def test_its_results_are_in_the_table_of_selection(straight):
    training, outcome, _ = straight
    columns = training.state.validation_predictions.columns(outcome.chosen)
    names = list(columns["epoch"])
    assert names.count("multi_depth") == names.count("probe") == len(training.images.roles.train)
    assert set(columns["epoch"][columns["selected"]]) == {"multi_depth"}


def test_its_bundle_predicts_as_the_network_does(straight, tmp_path: Path):
    training, outcome, _ = straight
    images, classifier = training.images, training.classifier
    assert classifier.head_kind == "multi_depth"
    save_bundle(tmp_path / "bundle", classifier, classes=images.roles.classes, spec=images.spec)
    predictor = load(tmp_path / "bundle")
    assert predictor.info.head == "multi_depth"
    found = predictor.probabilities(images.roles.train)
    # Fitted on all of these: nearly all are classified correctly, which out of fold they are not.
    assert (found.argmax(axis=1) == images.labels(images.roles.train)).mean() > outcome.selected_accuracy


@pytest.mark.slow
@pytest.mark.parametrize(
    "what",
    [
        "features of train",
        "the plain head: cross-validation of its L2 penalty",
        "the head on all depths: cross-validation of its L2 penalty",
        "features of augmented views",
    ],
)
def test_a_stop_anywhere_changes_nothing(straight, folder: Path, tmp_path: Path, what: str):
    _, expected, _ = straight
    task = task_of(folder, tmp_path / "run")
    _, left, _ = run_of(task, StopWhen(what, "signal"))
    assert left.stopped == "signal"
    training, outcome, _ = run_of(task)
    timeless = lambda rows: [replace(row, seconds=0.0) for row in rows]  # noqa: E731
    assert timeless(outcome.progress.rows) == timeless(expected.progress.rows)
    assert (outcome.chosen, outcome.why) == (expected.chosen, expected.why)
    found, before = training.classifier.state(), straight[0].classifier.state()
    assert found.keys() == before.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in before.items())


@pytest.mark.slow
def test_a_budget_that_ends_in_the_second_head_leaves_the_first(straight, folder: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("headstart.training.stopping.SOLVE_GRACE_SECONDS", -1.0)
    what = "the head on all depths: cross-validation of its L2 penalty"
    task = task_of(folder, tmp_path / "run")
    training, left, _ = run_of(task, StopWhen(what, "budget"))
    assert (left.stopped, left.chosen, training.classifier.head_kind) == ("budget", "probe", "linear")
    assert [row.checkpoint for row in left.progress.rows] == ["probe"]
    probe = straight[0].state.probe
    assert all(torch.equal(torch.as_tensor(v), probe.weights[n]) for n, v in training.classifier.state().items())
    training, outcome, _ = run_of(task)  # resumed with time enough
    assert outcome.chosen == "multi_depth"
    assert np.array_equal(training.state.depths.losses, straight[0].state.depths.losses)


def test_the_checkpoint_holds_it(straight):
    training, _, _ = straight
    state = load_state(training.run.checkpoint)
    assert state.progress.depths_l2_penalty == training.progress.depths_l2_penalty
    assert np.array_equal(state.depths.correct, training.state.depths.correct)
    weights = training.state.depths.weights
    assert all(torch.equal(state.depths.weights[name], torch.as_tensor(values)) for name, values in weights.items())
    assert not any(name.startswith("multi_depth.") for name in state.network)
