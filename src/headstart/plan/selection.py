"""The section of a plan that says which checkpoint is selected."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headstart.measures.figures import SelectionMetric
from headstart.plan.sections import Section


class SelectionPlan(Section):
    """Which checkpoint is selected, on validation images."""

    patience: Annotated[int, Field(ge=1)] | None = 5
    """Early stopping: a phase ends after this many epochs without a better one; None never stops early."""
    significance_level: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """A tuned epoch replaces the linear probe only if it is better by the metric and has a lower log loss (each at its
    best temperature) on the same images, with a one-sided paired p-value below this."""
    metric: SelectionMetric | Literal["auto"] = "auto"
    """Selects epochs and candidates, and comes first in results. With balanced_accuracy and macro_f1 every class counts
    the same in the log loss too. auto: accuracy, or balanced_accuracy where classes are balanced."""
    interpolate: Literal["none", "auto"] = "none"
    """auto: behind the last epoch, weights between the linear probe's network and the best epoch are validated too
    (WiSE-FT, Wortsman et al. 2022), and selected where they are better than that epoch."""
    after_alarm: Literal["go_on", "rescue"] = "go_on"
    """After an alarm (forgetting, collapse, divergence) a phase goes on, or goes back to its best weights, or to those
    it began with where they are better, and begins its schedule anew with learning rates divided by ten."""
    most_rescues: Annotated[int, Field(ge=1, le=5)] = 2
    """In one phase; later alarms only warn."""
    when_cannot_improve: Literal["skip_tuning", "tune_anyway"] = "skip_tuning"
    """What to do when the linear probe classifies every validation image correctly, so that no tuned epoch can be
    better."""
