"""Inflation by trainings is paired image by image."""

from __future__ import annotations

import pytest
from drift_trained import in_points, leak_table, trained_inflation


def test_inflation_is_the_mean_difference_of_the_same_images():
    by_image = {"a": True, "b": True, "c": True, "d": False}
    by_group = {"a": True, "b": False, "c": True, "d": False}
    rows = [{"correct": [by_image, by_group]}, {"correct": [by_group, by_group]}]
    value, low, high = trained_inflation(rows, ["1", "1", "2", "3"])
    assert value == pytest.approx(1 / 8)
    assert low < value < high
    assert in_points(value, -0.01, 0.26) == "+12.5 (-1.0 to +26.0)"


def test_both_sides_of_a_leak_have_a_line():
    names = {f"00000001_{number}.png": True for number in range(3)} | {"00000002_1.png": False}
    rows = [
        {"set": "chest_xray", "side": "closed form", "value": 0.006, "interval": (0.0, 0.013)},
        {"set": "chest_xray", "side": "trained", "seed": 1, "correct": [names, names]},
    ]
    table = leak_table(rows)
    assert "| chest_xray | closed form | | +0.6 (+0.0 to +1.3) |" in table
    assert "| chest_xray | trained on both | 1 | +0.0" in table
