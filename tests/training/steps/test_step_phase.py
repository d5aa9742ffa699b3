"""Cross-fitted steps in the loop: what each network starts from and sees, and that a stop changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Prepared, make_images
from headstart.runs.observers import Observer
from headstart.training.checkpoint import load_state
from headstart.training.loop import fit
from headstart.training.probe.probe import fit_probe
from headstart.training.steps.rounds import rounds_of
from headstart.training.steps.step_phase import StepTraining
from headstart.training.stopping import StopRequest
from headstart.training.training import Training


class StopAfter(StopRequest):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def reason(self) -> str | None:
        self.looks -= 1
        return "signal" if self.looks <= 0 else None


def task_of(folder: Path, run: Path) -> Prepared:
    """Two steps of two epochs; three errors are enough for the second to begin."""
    task = Prepared(folder, run, strategy="progressive", epochs=2, augmentation="light")
    selection = task.plan.selection.model_copy(update={"significance_level": 0.5})
    task.plan = task.plan.model_copy(update={"phases": task.plan.phases[:3], "selection": selection})
    return task


def run_fit(task: Prepared, stop: StopRequest | None = None, observer: Observer | None = None):
    return fit(
        Training(
            task.plan,
            task.classifier(),
            task.images,
            run=task.run,
            stop=stop or StopRequest(),
            observer=observer or Observer(),
        )
    )


@pytest.fixture(scope="module", autouse=True)
def _two_folds_decide():
    """The first leaves it open, the second selects the step, so that the next one starts from it."""
    with pytest.MonkeyPatch.context() as patch:
        decide = lambda *_, looks, **__: "better" if looks == 2 else "open"  # noqa: E731
        patch.setattr("headstart.training.steps.step_phase.verdict", decide)
        patch.setattr("headstart.training.steps.rule._next_can_be_significant", lambda *_: True)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images whose labels say nothing: the probe makes errors out of fold."""
    made = make_images(tmp_path_factory.mktemp("steps") / "images", classes=1, per_class=20)
    other = made / "other"
    other.mkdir()
    for path in sorted((made / "blue").iterdir())[::2]:
        path.rename(other / path.name)
    return made


@pytest.fixture(scope="module")
def straight(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """Task and outcome of a run that nobody stopped."""
    task = task_of(folder, tmp_path_factory.mktemp("run") / "straight")
    seen: dict[tuple[str, int], set[str]] = {}
    views: dict[tuple[str, int], list[int]] = {}

    class Spy(StepTraining):
        def epoch_batches(self):
            views.setdefault((self.phase.name, self._state.round), []).append(self._epoch_of_views)
            return super().epoch_batches()

        def targets(self, records):
            seen.setdefault((self.phase.name, self._state.round), set()).update(record.id for record in records)
            return super().targets(records)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headstart.training.phase_start.StepTraining", Spy)
        outcome = run_fit(task)
    return task, outcome, seen, load_state(task.run.checkpoint), views


@pytest.mark.slow
def test_no_network_ever_trains_on_the_images_that_validate_it(straight):
    """The second step goes on in the same folds; its last round, like the first step's, sees every image."""
    task, _, seen, _, _ = straight
    everyone = {record.id for record in task.images.roles.train}
    rounds = rounds_of(task.plan.phases[1], task.images, seed=task.plan.seed)
    assert list(seen) == [("last_stages", n) for n in (0, 1, 3)] + [("most_stages", n) for n in (0, 1, 2)]
    for (_, number), ids in seen.items():
        if number < 2:
            held = {task.images.roles.train[row].id for row in rounds[number].validation_rows}
            assert ids == everyone - held
        else:
            assert ids == everyone


def test_a_probe_that_was_fitted_without_torch_is_gone_on_from(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of a network that is known on the machine the weights are numpy arrays."""

    def fitted_without_torch(*args, **kwargs):
        fitted = fit_probe(*args, **kwargs)
        weights = {name: tensor.numpy() for name, tensor in fitted.candidate.weights.items()}
        return replace(fitted, candidate=replace(fitted.candidate, weights=weights))

    stop = StopAfter(1_000_000)

    class StopsInItsFirstStep(StepTraining):
        def targets(self, records):
            stop.looks = 0
            return super().targets(records)

    monkeypatch.setattr("headstart.training.loop.fit_probe", fitted_without_torch)
    monkeypatch.setattr("headstart.training.phase_start.StepTraining", StopsInItsFirstStep)
    task = task_of(folder, tmp_path / "run")
    assert run_fit(task, stop).stopped == "signal"
    assert load_state(task.run.checkpoint).progress.phase == 1


@pytest.mark.slow
def test_each_epoch_of_a_round_has_augmented_views_of_its_own(straight):
    """Of the round on all images too, which adds no rows to the table of epochs."""
    *_, views = straight
    assert len(views) == 6
    assert all(len(set(epochs)) == 2 for epochs in views.values())


@pytest.mark.slow
def test_the_rows_are_those_of_the_folds_and_one_of_the_step(straight):
    task, outcome, _, state, _ = straight
    assert task.images.roles.validation == ()
    checkpoints = [row.checkpoint for row in outcome.progress.rows]
    each = [
        f"{step}/{epoch}" if epoch else step for step in ("last_stages", "most_stages") for epoch in (1, 2, 3, 4, 0)
    ]
    assert checkpoints == ["probe", *each]
    assert outcome.chosen == "most_stages"
    columns = state.validation_predictions.columns(outcome.chosen)
    images = len(task.images.roles.train)
    validated = len(state.step.rows)
    assert validated < images
    assert list(columns["epoch"]).count("probe") == images
    assert list(columns["epoch"]).count("most_stages") == validated
    assert not np.isnan(columns["log_loss"]).any()
    assert outcome.why.startswith("most_stages is significantly better than last_stages")


@pytest.mark.slow
def test_the_network_of_the_bundle_was_trained_on_all_images_and_is_none_of_the_folds(straight):
    _, _, _, state, _ = straight
    assert len(state.step.folds) == 2
    weights = state.step.weights
    for fold in state.step.folds:
        assert any(not torch.equal(weights[name], tensor) for name, tensor in fold.items())
        assert set(fold) < set(weights)


@pytest.mark.slow
@pytest.mark.parametrize("looks", [14, 24])  # inside an epoch of a fold, in a later step
def test_a_stopped_step_goes_on_bit_for_bit(straight, folder: Path, tmp_path: Path, looks: int):
    _, expected, _, state, _ = straight
    task = task_of(folder, tmp_path / "run")
    assert run_fit(task, StopAfter(looks)).stopped == "signal"
    outcome = run_fit(task)
    found = load_state(task.run.checkpoint)
    assert [replace(row, seconds=0.0) for row in outcome.progress.rows] == [
        replace(row, seconds=0.0) for row in expected.progress.rows
    ]
    assert outcome.chosen == expected.chosen
    assert all(torch.equal(found.step.weights[name], tensor) for name, tensor in state.step.weights.items())
