"""Figures of prediction: ranges, and files that cannot be read."""

from __future__ import annotations

import pytest

from headstart.prediction.inference_figures import InferenceFigures

FIGURES = InferenceFigures(20.0, 50.0, "torch", 64, 2)


def test_a_figure_without_a_range_is_its_own():
    assert (FIGURES.throughput_range, FIGURES.latency_range, FIGURES.is_unstable) == ((20.0, 20.0), (50.0, 50.0), False)
    wide = InferenceFigures(20.0, 50.0, "torch", 64, 2, "unstable", (2.0, 40.0), (30.0, 90.0))
    assert (wide.throughput_range, wide.latency_range, wide.is_unstable) == ((2.0, 40.0), (30.0, 90.0), True)


def test_they_are_written_and_read_back():
    wide = InferenceFigures(20.0, 50.0, "torch", 64, 2, "unstable", (2.0, 40.0), (30.0, 90.0), 10**9)
    assert InferenceFigures.from_dict(wide.to_dict()) == wide
    assert wide.to_dict()["one_image_ms_range"] == [30.0, 90.0]


@pytest.mark.parametrize("values", [{"engine": "torch"}, "fast", FIGURES.to_dict() | {"one_image_ms": "fast"}])
def test_damaged_figures_are_an_error(values: object):
    with pytest.raises(ValueError, match="validation error"):
        InferenceFigures.from_dict(values)
