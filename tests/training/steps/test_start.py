"""Cross-fitted steps in the loop: what each network starts from and sees, and that a stop changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Prepared, make_images
from headstart.runs.observers import Observer
from headstart.training.checkpoint import Candidate, load_state
from headstart.training.loop import fit
from headstart.training.phase import CrossFittedPhase
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
    return Prepared(folder, run, strategy="progressive", epochs=2, augmentation="light")


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
def _every_step_is_selected():
    """So that the next one starts from it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Candidate, "p_value_against", lambda self, other: 0.0)
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
    seen: list[tuple[int, set[str]]] = []

    class Spy(CrossFittedPhase):
        def _hold(self, fold: int) -> None:
            super()._hold(fold)
            seen.append((fold, set()))

        def targets(self, records):
            seen[-1][1].update(record.id for record in records)
            return super().targets(records)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headstart.training.phase.CrossFittedPhase", Spy)
        outcome = run_fit(task)
    return task, outcome, seen, load_state(task.run.checkpoint)


@pytest.mark.slow
def test_no_network_ever_trains_on_the_images_that_validate_it(straight):
    task, _, seen, _ = straight
    everyone = {record.id for record in task.images.roles.train}
    by_fold: dict[int, set[str]] = {}
    for fold, ids in seen:
        by_fold.setdefault(fold, set()).update(ids)
    held = [everyone - ids for ids in by_fold.values()]
    assert len(held) == 3
    assert set.union(*held) == everyone
    assert sum(map(len, held)) == len(everyone)


@pytest.mark.slow
def test_every_epoch_validates_all_training_images(straight):
    task, outcome, _, state = straight
    assert task.images.roles.validation == ()
    assert [row.phase for row in outcome.progress.rows] == ["probe", *["last_stages"] * 2, *["half"] * 2, *["all"] * 2][
        : len(outcome.progress.rows)
    ]
    predictions = state.validation_predictions
    assert {len(correct) for correct in predictions.correct.values()} == {len(task.images.roles.train)}


@pytest.mark.slow
def test_the_weights_of_a_candidate_are_the_mean_of_its_networks(straight):
    _, _, _, state = straight
    candidate = state.step
    assert candidate.name.startswith("all/"), "the last step"
    assert len(candidate.folds) == 3
    for name, tensor in candidate.folds[0].items():
        mean = np.mean([fold[name].numpy() for fold in candidate.folds], axis=0, dtype=np.float64)
        assert np.allclose(candidate.weights[name].numpy(), mean, atol=1e-6), name
        assert tensor.shape == candidate.weights[name].shape


@pytest.mark.slow
@pytest.mark.parametrize("looks", [20, 33])  # inside an epoch of a fold, in a later step
def test_a_stopped_step_goes_on_bit_for_bit(straight, folder: Path, tmp_path: Path, looks: int):
    _, expected, _, state = straight
    task = task_of(folder, tmp_path / "run")
    assert run_fit(task, StopAfter(looks)).stopped == "signal"
    outcome = run_fit(task)
    found = load_state(task.run.checkpoint)
    assert [replace(row, seconds=0.0) for row in outcome.progress.rows] == [
        replace(row, seconds=0.0) for row in expected.progress.rows
    ]
    assert outcome.chosen == expected.chosen
    assert all(torch.equal(found.step.weights[name], tensor) for name, tensor in state.step.weights.items())


def test_held_out_images_validate_in_place_of_folds(prepare: Callable):
    from headstart.training.steps.start import is_cross_fitted

    task = prepare(strategy="progressive")
    phase = task.plan.phases[1]
    assert is_cross_fitted(phase, task.images)
    roles = replace(task.images.roles, validation=task.images.roles.test)
    assert not is_cross_fitted(phase, replace(task.images, roles=roles))
    assert not is_cross_fitted(phase.model_copy(update={"folds": 0}), task.images)
