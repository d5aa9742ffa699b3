"""Speeds beside each other: what cannot be right is measured again, then marked with its range."""

from __future__ import annotations

from typing import Any

from headstart.comparison.latencies import better_of, doubtful, marked
from headstart.prediction.inference_figures import InferenceFigures

MACS = {"lite0": 0.4e9, "lite1": 0.6e9, "lite2": 0.9e9}


def figures(one_image_ms: float, **values: Any) -> InferenceFigures:
    return InferenceFigures(4000 / one_image_ms, one_image_ms, "torch", 64, 2, **values)


def test_sibling_networks_that_cannot_be_so_far_apart_are_doubtful():
    found = {"lite0": figures(1616), "lite1": figures(83), "lite2": figures(2029)}
    assert doubtful(found, MACS) == {"lite0", "lite2"}
    assert {name for name, one in marked(found, MACS).items() if one.is_unstable} == {"lite0", "lite2"}
    calm = {"lite0": figures(60), "lite1": figures(83), "lite2": figures(140)}
    assert doubtful(calm, MACS) == set()
    assert marked(calm, MACS) == calm
    assert doubtful({**calm, "lite1": figures(83, stability="unstable")}, MACS) == {"lite1"}
    assert doubtful({"gone": figures(2029), **calm}, MACS) == set(), "of a network that is no longer compared"


def test_of_two_measurements_the_quicker_stable_one_stays_with_the_range_of_both():
    slow, quick = figures(2029), figures(83)
    assert better_of(None, slow) == slow
    for pair in ((slow, quick), (quick, slow)):
        kept = better_of(*pair)
        assert (kept.one_image_ms, kept.one_image_ms_range) == (83, (83, 2029))
        assert kept.images_per_second_range == (4000 / 2029, 4000 / 83)
    assert better_of(figures(50, stability="unstable"), quick).one_image_ms == 83
    third = better_of(better_of(slow, quick), figures(90, one_image_ms_range=(85, 3000)))
    assert third.one_image_ms_range == (83, 3000)
