"""The replay of rules on recorded steps, and the cost of a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from step_table import CHOSEN, RULES, StepRule, replayed, section

N = 270
STEPS = ("last_stages", "most_stages", "all")
SHARES = (0.4, 0.6, 1.0)


def step(name: str, loss: float, *, before: str = "probe", selected: bool = False, wrong: int = 90) -> dict[str, Any]:
    noise = np.resize([0.02, -0.02], N) * len(name)  # another one for each step
    found = {"correct": [0] * wrong + [1] * (N - wrong), "losses": (loss + noise).tolist()}
    rounds = [list(range(start, N, 3)) for start in range(3)]
    share = dict(zip(STEPS, SHARES, strict=True)).get(name, 0.0)
    facts = {"share": share, "epochs": 8, "views": 4 if share < 1 else 0, "rounds": rounds}
    return {"name": name, **found, **facts, "before": before, "selected": selected, "test": found}


def row(*losses: float, selected: tuple[bool, bool, bool]) -> dict[str, Any]:
    """A probe of log loss 1 and three steps."""
    steps, best = [step("probe", 1.0)], "probe"
    for name, loss, one in zip(STEPS, losses, selected, strict=True):
        steps.append(step(name, loss, before=best, selected=one))
        best = name if one else best
    return {"set": "rsscn7", "seed": 1, "train": N, "steps": steps}


def rule(name: str) -> StepRule:
    return next(one for one in RULES if one.name.startswith(name))


NOTHING = row(1.1, 1.1, 1.1, selected=(False, False, False))
CLEAR = row(0.7, 0.4, 0.2, selected=(True, True, True))


@pytest.mark.parametrize(
    ("name", "trained", "selected"),
    [("probe only", 0, 0), ("last_stages", 1, 1), ("on after", 3, 3), ("headstart", 3, 3)],
)
def test_clear_gains_take_every_rule_as_deep_as_it_may(name: str, trained: int, selected: int):
    found = replayed(CLEAR, rule(name))
    assert (found.trained, found.selected) == (trained, selected)


@pytest.mark.parametrize(("name", "trained"), [("on after", 1), ("headstart", 2), ("each step", 3)])
def test_after_a_refused_step_rules_differ_in_how_much_they_try(name: str, trained: int):
    found = replayed(NOTHING, rule(name))
    assert (found.trained, found.selected) == (trained, 0)


def test_passes_count_folds_cached_views_and_the_training_on_all_images():
    """One fold: 5 x 0.6 of the prefix, and 3 x 0.4 x 8 epochs over two thirds of the images; selected: over all too."""
    refused, selected = replayed(NOTHING, rule("last_stages")), replayed(CLEAR, rule("last_stages"))
    assert refused.passes == pytest.approx(5 * 0.6 + 3 * 0.4 * 8 * 2 / 3)
    assert selected.passes == pytest.approx(5 * 0.6 + 3 * 0.4 * 8 * (2 / 3 + 1))


def test_the_section_has_a_line_for_each_step_and_each_rule():
    text = section([CLEAR])
    assert all(f"| {name} |" in text for name in (*STEPS, *(one.name for one in RULES)))
    assert CHOSEN in RULES
    assert "| rsscn7, 1 | 270 | 90 | last_stages | -0.300, +0.0 |" in text
