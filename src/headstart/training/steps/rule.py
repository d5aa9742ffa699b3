"""Whether the next step of progressive tuning can pay: a pure function of what the steps so far have shown.

A step costs minutes and gains, at best, the errors that are left. Whatever the clock says plays no part: the cost is
counted in passes through the network, so that the same images and plan train the same steps on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist
from typing import Literal

from headstart.amounts import count_text
from headstart.runs.training_events import StepDone


@dataclass(frozen=True)
class StepOutlook:
    """What is known before a step begins."""

    errors: int
    """Of the best candidate, on the images that validate."""
    images: int
    """That validate."""
    significance_level: float
    start_errors: int | None = None
    """Of the candidate that the step starts from, on as many images; None: that is the best. A head on all depths is no
    start."""
    steps: Sequence[StepDone] = ()
    """Steps that were trained, in order."""
    first_step: Literal["if_it_can_pay", "always"] = "if_it_can_pay"
    """always: whoever names the epochs wants to see some."""


_SMALLEST_P = 1e-15
"""Smaller ones are 1 - 1 in double precision."""

NEXT_GAIN = 1 / 4
"""Lead in log loss of a deeper step as a share of that of the selected step before it: the upper middle of what was
measured out of fold, which was -0.4 to 0.35 (docs/benchmarks.md)."""

MOST_REPAIRED = Fraction(1, 3)
"""Share of the errors of the linear probe that the best step repaired on the sets it was measured on
(docs/guide/progressive.md)."""


def fewest_errors(significance_level: float) -> int:
    """Errors that must be left for a step to be significantly better if it repairs MOST_REPAIRED and adds none."""
    return math.ceil(_fewest_repaired(significance_level) / MOST_REPAIRED)


def _fewest_repaired(significance_level: float) -> int:
    """Errors that must be corrected, and none added, for a candidate to be significantly better.

    By the sign test: n corrected errors have p = 2^-n where both candidates are equally good.
    """
    return math.ceil(math.log2(1 / significance_level))


def why_not_worth_it(outlook: StepOutlook) -> str:
    """The reason why the next step is left out, or an empty string.

    A first step that was not selected is no proof against a deeper one, which so has the trial of one fold, unless a
    head on all depths was selected; after two such steps, or where one gained and the next did not, none has.
    """
    steps = outlook.steps
    if not steps and outlook.first_step == "always":
        return ""
    needed = fewest_errors(outlook.significance_level)
    if outlook.errors < needed:
        return (
            f"{count_text(outlook.errors, 'error')} left on {count_text(outlook.images, 'image')}: with fewer than "
            f"{needed} no step can be shown to be better"
        )
    if why := _why_out_of_reach(outlook):
        return why
    trial = len(steps) == 1 and outlook.start_errors is None  # the head on all depths has had what early layers know
    if not steps or (trial and not steps[0].selected):
        return ""
    last = steps[-1]
    if not last.selected:
        return f"{last.phase} was not significantly better than what it started from (p = {last.p_value:.2g})"
    if not _next_can_be_significant(last, outlook.significance_level):
        return (
            f"{last.phase} gained {last.log_loss_before - last.log_loss:.3f} nats of log loss, and a deeper step gains "
            f"about a quarter of that: too little to be significant on {count_text(outlook.images, 'image')}"
        )
    return ""


def _why_out_of_reach(outlook: StepOutlook) -> str:
    """The reason why a step that repairs MOST_REPAIRED of the errors it starts from would not beat the best one."""
    start = outlook.start_errors
    if start is None:
        return ""
    left = math.ceil(start * (1 - MOST_REPAIRED))
    if outlook.errors - left >= _fewest_repaired(outlook.significance_level):
        return ""
    return (
        f"the head on all depths left {outlook.errors} of the {count_text(start, 'error')} that a step starts from, "
        "and no step repaired more than a third"
    )


def _next_can_be_significant(last: StepDone, significance_level: float) -> bool:
    """Whether NEXT_GAIN of the lead of a selected step would be significant on the same images.

    The normal deviate of a lead is proportional to it where the spread of the losses is the same.
    """
    normal = NormalDist()
    deviate = normal.inv_cdf(1 - max(last.p_value, _SMALLEST_P))
    return NEXT_GAIN * deviate >= normal.inv_cdf(1 - significance_level)
