"""A first tuned epoch that is worse than the probe is named, and so are epochs that were not used."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from headstart.runs.run_metrics import UnusedTuning
from headstart.runs.training_events import PhaseDone
from headstart.runs.warnings import BelowProbe
from headstart.training.below_probe import below_probe_warning, unused_tuning
from headstart.training.checkpoint import Candidate

RATES = {"stage6": 1e-3, "stage7": 3e-3, "head": 0.03}


def candidate(name: str, wrong: int, loss: float, count: int = 84) -> Candidate:
    rng = np.random.default_rng(wrong)
    return Candidate(name, np.arange(count) >= wrong, loss + rng.uniform(0, 0.5, count), {})


PROBE = candidate("probe", 12, 0.5)


def warning(first: Candidate, significance_level: float = 0.05) -> BelowProbe | None:
    return below_probe_warning(
        PROBE, first, on="held-out 20% of train", significance_level=significance_level, lr=RATES
    )


def test_a_first_epoch_below_the_probe_is_named_with_its_numbers():
    found = warning(candidate("tune/1", 50, 2.0))
    assert found is not None
    assert (found.event, found.phase, found.epoch) == ("first_epoch_below_probe", "tune", 1)
    assert found.accuracy == pytest.approx(34 / 84)
    assert found.probe_accuracy == pytest.approx(72 / 84)
    assert found.lr == RATES
    for words in ("accuracy 0.405 after 0.857", "held-out 20% of train", "head 0.03, backbone up to 0.003"):
        assert words in found.sentence()


@pytest.mark.parametrize(
    "first",
    [
        candidate("tune/1", 13, 0.5),
        candidate("tune/1", 12, 2.0),
        candidate("tune/1", 5, 0.2),
        candidate("tune/1", 0, 9),
    ],
    ids=["within noise", "as many errors", "better", "fewer errors"],
)
def test_there_is_no_warning_within_noise(first: Candidate):
    assert warning(first) is None


def test_the_noise_level_decides():
    first = candidate("tune/1", 50, 2.0)
    assert warning(first, significance_level=1e-300) is None


def row(name: str, kind: Literal["linear_probe", "train"], epochs: int, seconds: float) -> PhaseDone:
    return PhaseDone(name, kind, ["head"], {}, "pretrained_statistics", None, epochs, 0.5, seconds, "done")


PHASES = [row("probe", "linear_probe", 0, 3.0), row("a", "train", 5, 50.0), row("b", "train", 10, 80.0)]


def test_epochs_that_were_not_used_are_counted():
    assert unused_tuning(PHASES, "probe") == UnusedTuning(
        15,
        130.0,
        "15 tuned epochs took 2 min 10 s and were not used; --strategy feature_extraction stops at the probe",
    )


def test_where_a_head_on_all_depths_was_selected_its_option_is_named():
    found = unused_tuning(PHASES, "multi_depth")
    assert found is not None
    assert (found.epochs, found.seconds) == (15, 130.0)
    assert found.text.endswith("were not used; --head multi_depth stops at the probe")


@pytest.mark.parametrize(
    ("phases", "chosen"),
    [
        (PHASES, "b/3"),
        (PHASES[:1], "probe"),
        ([PHASES[0], row("tune", "train", 0, 0.0)], "probe"),
        (PHASES[1:], "a/2"),
    ],
    ids=["a tuned epoch was selected", "nothing was tuned", "tuning was skipped", "there is no probe"],
)
def test_nothing_is_unused_where_nothing_was_wasted(phases: list[PhaseDone], chosen: str):
    assert unused_tuning(phases, chosen) is None
