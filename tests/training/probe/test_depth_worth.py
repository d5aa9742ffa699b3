"""Whether a head on all depths can pay: by errors that are left and by MACs, never by the clock."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.networks.cards.finding import find_model
from headstart.plan.plan import ProbePhase
from headstart.plan.presets import STEPS, progressive
from headstart.plan.request import Request
from headstart.training.checkpoint import Candidate
from headstart.training.probe.depth_worth import macs_that_follow, why_too_costly, why_too_few_errors
from headstart.training.steps.rule import fewest_errors

LITE0 = find_model("tf_efficientnet_lite0").card


def plain(errors: int, images: int = 200) -> Candidate:
    return Candidate("probe", np.arange(images) >= errors, np.zeros(images), {})


def test_errors_must_be_left_for_a_head_to_be_shown_to_be_better():
    needed = fewest_errors(0.05)
    assert why_too_few_errors(plain(needed), 0.05) == ""
    assert f"{needed - 1} errors left on 200 images" in why_too_few_errors(plain(needed - 1), 0.05)


def test_its_fits_are_small_beside_a_step_but_for_many_classes_on_small_images():
    phases = progressive(Request("photos")).phases
    large, small = (macs_that_follow(phases, LITE0, size=size) for size in (224, 64))
    assert why_too_costly(1000, 1776, 10, following=large) == ""
    assert "% of the MACs of the step that follows" in why_too_costly(1000, 1776, 1000, following=large)
    assert why_too_costly(1000, 1776, 50, following=large) == ""
    assert why_too_costly(1000, 1776, 50, following=small)
    # Beyond the sample that its penalty is chosen on, each image costs less.
    assert why_too_costly(4_000, 1776, 400, following=large)
    assert why_too_costly(50_000, 1776, 400, following=large) == ""


def test_what_follows_is_counted_in_passes_of_the_network():
    phases = progressive(Request("photos", epochs=6)).phases
    macs = macs_that_follow(phases, LITE0, size=LITE0.input.size)
    assert macs == pytest.approx(6 * (2 - 1 / 3) * 3 * STEPS[0].most_trained_share * LITE0.gmacs * 1e9)


def test_where_nothing_follows_there_is_nothing_to_compare_with():
    assert macs_that_follow([ProbePhase()], LITE0, size=224) is None
    assert why_too_costly(100, 5000, 1000, following=None) == ""
