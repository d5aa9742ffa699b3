"""The start of a train phase, and that it lets go of what it held."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headstart.training.phase_start import entered_phase
from headstart.training.training import Training


@pytest.fixture
def training(prepare: Callable) -> Training:
    task = prepare(strategy="feature_extraction", head_solver="adam", epochs=2, augmentation="none")
    made = Training(task.plan, task.classifier(), task.images, run=task.run)
    made.take_up()
    return made


def test_a_phase_that_is_over_holds_neither_feed_nor_optimizer(training: Training):
    with entered_phase(training, training.plan.phases[0]) as phase:
        assert phase.feed
    assert not hasattr(phase, "feed")
    assert not hasattr(phase, "optimizer")
