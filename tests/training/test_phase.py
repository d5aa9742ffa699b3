"""A train phase in progress: its position, what it saves on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headstart.training import phase as phase_module
from headstart.training.checkpoint import load_state
from headstart.training.phase_start import entered_phase
from headstart.training.training import Training


@pytest.fixture
def training(prepare: Callable) -> Training:
    task = prepare(strategy="feature_extraction", head_solver="adam", epochs=2, augmentation="none")
    made = Training(task.plan, task.classifier(), task.images, run=task.run)
    made.take_up()
    return made


def test_a_long_epoch_is_saved_on_the_way_but_not_after_its_last_step(
    training: Training, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(phase_module, "SAVE_SECONDS", -1.0)
    with entered_phase(training, training.plan.phases[0]) as phase:
        sizes = [len(records) for records, _ in phase.epoch_batches()]
        assert len(sizes) > 1
        for images in sizes:
            phase.count_step(images, 0.5)
    saved = load_state(training.run.checkpoint).progress
    assert (saved.step, saved.images_seen, saved.loss_sum) == (
        len(sizes) - 1,
        sum(sizes[:-1]),
        0.5 * sum(sizes[:-1]),
    )


def test_steps_that_are_done_are_left_out_and_the_position_says_where_training_stands(training: Training):
    training.progress.step = 2
    with entered_phase(training, training.plan.phases[0]) as phase:
        whole = training.images.epoch_batches(training.plan.batch_size, position=(training.plan.seed, 0, 0))
        assert [records for records, _ in phase.epoch_batches()] == whole[2:]
        assert phase.position == (training.plan.seed, 0, 0, 2)


def test_a_loss_that_is_no_number_ends_the_phase_without_saving(training: Training):
    with entered_phase(training, training.plan.phases[0]) as phase:
        assert phase.goes_on()
        next(phase.epoch_batches())
        phase.count_step(4, float("nan"))
        phase.end_epoch()
        assert not phase.goes_on()
    assert phase.ended == "the loss stopped being a number in epoch 1"
    assert load_state(training.run.checkpoint) is None
