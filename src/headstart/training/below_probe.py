"""Tuning against the solved probe it starts from: a first epoch that is worse, and epochs that are not used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.amounts import count_text, duration_text
from headstart.runs.training_events import PhaseDone
from headstart.runs.warnings import BelowProbe
from headstart.training.checkpoint import Candidate


def below_probe_alarm(
    probe: Candidate, first: Candidate, *, on: str, significance_level: float, rates: Mapping[str, float]
) -> BelowProbe | None:
    """Warning of a first tuned epoch that is worse than the probe beyond noise, with its numbers; None if it is not.

    Worse beyond noise is what better beyond noise is when the weights are selected, the other way round: more errors on
    the same images, and a higher log loss with a one-sided paired p-value below the noise level. Weights that all fail
    in the same way have no p-value to speak of, but their losses differ from the probe's.

    Args:
        probe: The solved head on the pretrained features.
        first: The network after the first tuned epoch, evaluated on the same images.
        on: These images, in words.
        significance_level: 0..1.
        rates: Layer group -> peak learning rate of the phase.
    """
    p_value = probe.p_value_against(first)
    if p_value >= significance_level:
        return None
    phase, _, epoch = first.name.partition("/")
    return BelowProbe(
        phase=phase,
        epoch=int(epoch),
        accuracy=first.accuracy,
        probe_accuracy=probe.accuracy,
        p_value=p_value,
        lr=dict(rates),
        source=on,
    )


def unused_tuning(phases: Sequence[PhaseDone], chosen: str) -> dict[str, Any] | None:
    """Epochs, seconds and a sentence where epochs were trained and the probe was selected all the same; else None.

    Args:
        phases: Rows of the phases that began, as `phase_row` makes them.
        chosen: Name of the selected candidate.
    """
    tuned = [row for row in phases if row.kind == "train" and row.epochs_run]
    if not tuned or chosen not in [row.name for row in phases if row.kind != "train"]:
        return None
    epochs, seconds = sum(row.epochs_run for row in tuned), sum(row.seconds for row in tuned)
    was = "was" if epochs == 1 else "were"
    return {
        "epochs": epochs,
        "seconds": seconds,
        "text": f"{count_text(epochs, 'tuned epoch')} took {duration_text(seconds)} and {was} not used; "
        "--strategy feature_extraction stops at the probe",
    }
