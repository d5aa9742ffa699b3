"""Warnings of fine-tuning that is worse than the linear probe it starts from, or whose epochs are not used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.amounts import count_text, duration_text
from headstart.networks.head_layers import DEPTHS
from headstart.runs.run_metrics import UnusedTuning
from headstart.runs.training_events import PhaseDone
from headstart.runs.warnings import BelowProbe
from headstart.training.checkpoint import Candidate


def below_probe_warning(
    probe: Candidate, first: Candidate, *, on: str, significance_level: float, lr: Mapping[str, float]
) -> BelowProbe | None:
    """Warning of a first tuned epoch that is significantly worse than the probe, with its numbers; None if it is not.

    The test is the one that selects the checkpoint, the other way round: more errors on the same images, and a higher
    log loss with a one-sided paired p-value below the significance level.

    Args:
        probe: The linear probe on the pretrained features.
        first: The network after the first tuned epoch, evaluated on the same images.
        on: These images, in words.
        significance_level: 0..1.
        lr: Layer group -> peak learning rate of the phase.
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
        lr=dict(lr),
        source=on,
    )


def unused_tuning(phases: Sequence[PhaseDone], chosen: str) -> UnusedTuning | None:
    """Epochs, seconds and a sentence where epochs were trained and the probe was selected all the same; else None.

    Args:
        phases: Rows of the phases that began, as `phase_row` makes them.
        chosen: Name of the selected candidate.
    """
    tuned = [row for row in phases if row.kind == "train" and row.epochs_run]
    if not tuned or chosen.partition("/")[0] in [row.name for row in tuned]:
        return None
    epochs, seconds = sum(row.epochs_run for row in tuned), sum(row.seconds for row in tuned)
    was = "was" if epochs == 1 else "were"
    text = f"{count_text(epochs, 'tuned epoch')} took {duration_text(seconds)} and {was} not used; "
    # Of a head on all depths that was tried in addition to the probe, its own option leaves the steps out.
    way = "--head multi_depth" if chosen == DEPTHS else "--strategy feature_extraction"
    return UnusedTuning(epochs, seconds, f"{text}{way} stops at the probe")
