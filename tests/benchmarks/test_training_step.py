"""The section on training steps: ratios of the same turns, shares of the bound, and what was compiled."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_step import COMPILED, PLAIN, Step, Variant, ratio, section

ROWS = [
    {
        "network": "resnet18",
        "cut_point": "layer4",
        "giga": 12.0,
        "first": {"plain": 0.5, COMPILED: 66.6},
        # A busy turn and two quiet ones: ratios are those within a turn.
        "seconds": {
            "plain": [0.4, 0.2, 0.2],
            "rewritten": [0.2, 0.1, 0.1],
            COMPILED: [0.4, 0.2, 0.2],
            "bound": [0.1] * 3,
        },
    },
    {
        "network": "mobilenet_v2",
        "cut_point": "stage4",
        "giga": 3.0,
        "first": {"plain": 0.1},
        "seconds": {"plain": [0.3], "rewritten": [0.2], "bound": [0.1]},
    },
]

SMALL = Variant("norms", channels_last=False, optimizer="foreach", batches=(2, 1))


def test_ratios_are_those_within_a_turn_and_every_variant_has_a_line():
    assert ratio(ROWS[0], "rewritten") == 2.0
    lines = section(ROWS, threads=2).splitlines()
    assert "| resnet18 | layer4 | 12.0 | 200 | 100 | 100 | 50% | 100% |" in lines
    assert "| mobilenet_v2 | stage4 | 3.0 | 300 | 200 | 100 | 33% | 50% |" in lines
    assert "| rewritten | 2.00 | 1.50 |" in lines
    assert f"| {COMPILED} | 1.00 | - |" in lines
    assert lines[-1] == "The first step with `torch.compile` took 67 s (resnet18 layer4)."
    assert "2 threads" in section(ROWS, threads=2)


def test_a_step_is_counted_for_its_images_and_moves_what_is_trained(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("training_step.SIZE", 64)
    plain, other = Step("resnet18", "layer4", replace(PLAIN, batches=(3,))), Step("resnet18", "layer4", SMALL)
    assert plain.images == other.images == 3
    assert plain.operations() == other.operations() == pytest.approx(3 * 6 * 33e6, rel=0.05)
    first = other._optimizer.param_groups[0]["params"][0]
    before = first.clone()
    assert other.seconds() > 0
    assert not torch.equal(first, before)
