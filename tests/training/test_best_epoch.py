"""The selected checkpoint: the probe unless an epoch is significantly better."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.errors import RunError
from headstart.training.best_epoch import choose
from headstart.training.checkpoint import Candidate


def candidate(name: str, wrong: int, loss: float, count: int = 100) -> Candidate:
    rng = np.random.default_rng(wrong)
    return Candidate(name, np.arange(count) >= wrong, loss + rng.uniform(0, 0.5, count), {})


PROBE, BETTER, EQUAL = candidate("probe", 20, 0.6), candidate("tune/3", 10, 0.2), candidate("tune/2", 19, 0.6)


@pytest.mark.parametrize(
    ("probe", "best", "selected", "words"),
    [
        (PROBE, None, PROBE, "only candidate"),
        (None, EQUAL, EQUAL, "best of the epochs on val"),
        (PROBE, BETTER, BETTER, "significantly better than the linear probe (val: accuracy 0.900 against 0.800"),
        (PROBE, EQUAL, PROBE, "no epoch is significantly better than the linear probe"),
    ],
)
def test_the_probe_stays_unless_it_is_beaten(probe, best, selected, words: str):
    chosen, why = choose(probe, best, on="val", significance_level=0.05)
    assert chosen is selected
    assert words in why


def test_the_noise_level_decides():
    assert choose(PROBE, BETTER, on="val", significance_level=1e-300)[0] is PROBE


def test_nothing_to_keep_says_what_to_change():
    with pytest.raises(RunError, match=r"before one epoch was evaluated.*lower the learning rate"):
        choose(None, None, on="val", significance_level=0.05)
