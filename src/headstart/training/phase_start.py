"""Start of a train phase: its frozen prefix, its head, its optimizer, its feed and its learning rates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from headstart.plan.plan import TrainPhase
from headstart.training.feeds import Feed, feed_for
from headstart.training.guard.rescue import lowered
from headstart.training.learning_rates.finder import Rehearsal, find_learning_rates
from headstart.training.learning_rates.param_groups import enter
from headstart.training.phase import PhaseTraining
from headstart.training.steps.step_phase import StepTraining
from headstart.training.training import Training
from headstart.training.tuning_start import start_head


@contextmanager
def entered_phase(training: Training, phase: TrainPhase) -> Iterator[PhaseTraining]:
    """The phase, ready for its next step, and its feed for as long as the block lasts.

    The feed ends with the block, because what it reads in the store cannot make room for the next phase.
    """
    started, plan, classifier = time.monotonic(), training.plan, training.torch_classifier()
    progress = training.progress
    found = training.estimates.resolve(phase, training.observer)
    phase = training.resolve_frozen_prefix(phase, found.plan)
    is_step = phase.begins == "if_it_can_pay"
    if not is_step and not progress.rescues:
        start_head(plan, phase, training.progress, training.source)
    entered = enter(classifier, lowered(phase, progress.rescues), plan.optimizer, start=training.start)
    if training.state.optimizer is not None:  # the phase had begun in another process
        entered.optimizer.load_state_dict(training.state.optimizer)
        if entered.average is not None and training.state.average is not None:
            entered.average.load(training.state.average)
    feed = feed_for(
        phase,
        training.source,
        augmentation=plan.augmentation,
        seed=plan.seed,
        validation=training.images.roles.train if is_step and not training.images.roles.validation else None,
        made=found.cut,
    )
    phase = training.resolve_frozen_prefix(phase, feed.frozen_prefix)  # a store that is too full after all changes it
    training.resolve_engine(feed.engine)
    if phase.peak_lr == "find":
        phase = _with_found_learning_rates(training, phase, feed)
        # The optimizer again: its parameter groups hold the learning rates.
        entered = enter(classifier, phase, plan.optimizer, start=training.start)
    training.progress.epoch_seconds += time.monotonic() - started
    phase = lowered(phase, progress.rescues)
    current = (StepTraining if is_step else PhaseTraining)(training, phase, entered, feed)
    try:
        yield current
    finally:
        current.close()


def _with_found_learning_rates(training: Training, phase: TrainPhase, feed: Feed) -> TrainPhase:
    """The phase with peak learning rates from range tests; they are written into the plan, so a resume has them."""
    plan, progress = training.plan, training.progress
    rehearsal = Rehearsal(
        training.torch_classifier(),
        phase,
        progress.phase,
        feed,
        training.images,
        plan.optimizer,
        weights=plan.model.weights,
        batch_size=plan.batch_size,
        augmentation=plan.augmentation,
        seed=plan.seed,
        epochs_before=len(progress.rows),
        observer=training.observer,
        stop_if_requested=training.stop_if_requested,
    )
    found = find_learning_rates(rehearsal)
    training.observer.noted(found.event())
    return training.resolve_phase(found.phase, found.reasons(f"phases[{progress.phase}]"))
