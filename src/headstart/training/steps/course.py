"""The course of progressive tuning: what is known before a step, and the sentence that says why tuning ends."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.amounts import duration_text
from headstart.runs.training_events import StepDone
from headstart.training.steps.rule import StepOutlook, why_not_worth_it
from headstart.training.training import Training


def why_no_step(training: Training) -> str:
    """The reason why the next step of the plan is left out, with what it would have cost; empty where it is trained."""
    best, start = training.before_step, training.step_start
    if best is None or start is None:
        return ""
    outlook = StepOutlook(
        errors=int((~best.correct).sum()),
        images=len(best.correct),
        significance_level=training.plan.selection.significance_level,
        # The head on all depths may have been validated on a sample of the images.
        start_errors=None if start is best else round((1 - start.accuracy) * len(best.correct)),
        steps=tuple(training.progress.steps),
        first_step="always" if training.plan.selection.when_cannot_improve == "tune_anyway" else "if_it_can_pay",
    )
    if not (why := why_not_worth_it(outlook)):
        return ""
    planned = training.plan.phases[training.progress.phase]
    seconds = training.estimates.seconds_of([planned])
    cost = f"{planned.name} would have taken about {duration_text(seconds)}"
    # Only the first step is trained by it; a deeper one that cannot pay is another strategy's.
    anyway = "--strategy full tunes every layer" if training.progress.steps else "--epochs N tunes anyway"
    return f"left out: {why}; {cost} ({anyway})"


def why_selected(steps: Sequence[StepDone]) -> str:
    """The sentence of the last step that was selected, or of the last that was not."""
    selected = [step for step in steps if step.selected]
    return (selected or list(steps))[-1].sentence()
