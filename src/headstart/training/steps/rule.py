"""Whether the next step of progressive tuning can pay: a pure function of what the steps so far have shown.

A step costs minutes and gains, at best, the errors that are left. Whatever the clock says plays no part: the cost is
counted in passes through the network, so that the same images and plan train the same steps on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
    steps: Sequence[StepDone] = ()
    """Steps that were trained, in order."""
    first_step: Literal["if_it_can_pay", "always"] = "if_it_can_pay"
    """always: whoever names the epochs wants to see some."""


MOST_REPAIRED = 1 / 3
"""Share of the errors of the linear probe that the best step repaired on the sets it was measured on
(docs/guide/progressive.md)."""


def fewest_errors(significance_level: float) -> int:
    """Errors that must be left for a step to be significantly better if it repairs MOST_REPAIRED and adds none.

    By the sign test: n corrected errors have p = 2^-n where both candidates are equally good.
    """
    return math.ceil(math.ceil(math.log2(1 / significance_level)) / MOST_REPAIRED)


def why_not_worth_it(outlook: StepOutlook) -> str:
    """The reason why the next step is left out, or an empty string."""
    if not outlook.steps and outlook.first_step == "always":
        return ""
    needed = fewest_errors(outlook.significance_level)
    if outlook.errors < needed:
        return (
            f"{count_text(outlook.errors, 'error')} left on {count_text(outlook.images, 'image')}: with fewer than "
            f"{needed} no step can be shown to be better"
        )
    if outlook.steps and not outlook.steps[-1].selected:
        last = outlook.steps[-1]
        return f"{last.phase} was not significantly better than what it started from (p = {last.p_value:.2g})"
    return ""
