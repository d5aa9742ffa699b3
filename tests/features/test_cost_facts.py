"""Durations and sizes in words, and the sums of a forecast."""

from __future__ import annotations

import pytest

from headstart.features.cost_facts import (
    PIXELS,
    Forecast,
    PhaseCost,
    bytes_text,
    duration_text,
    frozen_stretch,
    judging_stretch,
    steps_stretch,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (0.42, "0.4 s"),
        (0.97, "1 s"),
        (6.2, "6 s"),
        (59.4, "59 s"),
        (59.8, "1 min"),
        (130, "2 min 10 s"),
        (3599.7, "1 h"),
        (3900, "1 h 5 min"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, text: str):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(629_000, "0.629 MB"), (119_600_000, "120 MB"), (999_600_000, "1 GB"), (1_500_000_000, "1.5 GB")],
)
def test_sizes_are_said_in_megabytes_and_gigabytes(count: int, text: str):
    assert bytes_text(count) == text


def test_a_forecast_is_the_sum_of_its_phases():
    one = PhaseCost("a", views_seconds=1, frozen_seconds=2, steps_seconds=3, judging_seconds=4, other_seconds=5)
    two = PhaseCost("b", steps_seconds=1, stored_bytes=7)
    made = Forecast((one, two), memory_bytes=0, origin="guessed")
    assert (one.seconds, made.seconds, made.stored_bytes) == (15, 16, 7)


def test_stretches_have_names_of_their_own():
    names = [frozen_stretch("c", "torch"), frozen_stretch("c", "onnxruntime"), frozen_stretch("b", "torch")]
    names += [steps_stretch(PIXELS, "c"), steps_stretch("c", "c"), judging_stretch(PIXELS), judging_stretch("c")]
    assert len(set(names)) == len(names)
