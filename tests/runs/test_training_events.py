"""Sentences of phases, estimates and searches of learning rates."""

from __future__ import annotations

from dataclasses import replace

from every_event import ESTIMATE, RATES_FOUND
from headstart.plan.plan import ProbePhase, TrainPhase
from headstart.runs.training_events import EpochDone, PhaseStarted


def test_an_estimate_is_one_line():
    said = (
        "estimate: probe 6.1 s, tune 2 min 10 s (frozen part 40 s once, 10 epochs of 9 s), end 3.2 s; 2 min 25 s in "
        "total; 120 MB stored; 1.2 GB of memory"
    )
    untested = f"{said} (from measured speeds; not tested yet by enough runs on this machine)"
    assert ESTIMATE.sentence() == untested
    assert "rough guess" in replace(ESTIMATE, speeds="guessed").sentence()
    assert (
        ", or 15 s if tuning cannot improve on the linear probe; 120 MB"
        in replace(ESTIMATE, without_tuning_seconds=15.0).sentence()
    )
    kept = replace(ESTIMATE, speeds="related", low_seconds=100.0, high_seconds=250.0, past_runs=7).sentence()
    assert kept.endswith("range 1 min 40 s to 4 min 10 s, from the errors of the last 7 estimates on this machine")


def test_a_search_of_learning_rates_has_its_place_in_the_estimate():
    tune = replace(ESTIMATE.phases[1], search_seconds=15.0, once_seconds=55.0)
    assert tune.text() == "tune 2 min 10 s (learning-rate search 15 s, frozen part 40 s once, 10 epochs of 9 s)"
    computed = replace(tune, cut_point=None, once_seconds=15.0)
    assert computed.text() == "tune 2 min 10 s (learning-rate search 15 s, 10 epochs of 9 s)"


def test_found_learning_rates_are_one_line():
    start = "tune: learning rates searched in 12 s: head 0.001 -> 0.0004 (x0.4), backbone 1e-06..5e-05 "
    assert RATES_FOUND.sentence() == start + "-> 2e-06..0.0001 (x2)"
    stays = replace(RATES_FOUND.tests[1], factor=None, why="the loss does not react")
    found = replace(RATES_FOUND, tests=(RATES_FOUND.tests[0], stays))
    assert found.sentence() == start + "stays: the loss does not react"


def test_a_phase_says_what_it_does():
    tune = TrainPhase(name="tune", epochs=1, unfreeze="all", head_lr=1e-3)
    assert PhaseStarted.of(0, ProbePhase()).sentence() == "phase 0 probe: fits the head on frozen features"
    assert PhaseStarted.of(1, tune).sentence() == "phase 1 tune: trains for up to 1 epoch"


def test_an_epoch_names_its_checkpoint():
    row = EpochDone("tune", 2, 0.5, 0.25, 0.75, {"head": 1e-3}, improved=True, seconds=2.0)
    assert row.checkpoint == "tune/2"
    assert row.sentence() == "tune 2: training loss 0.5000, validation loss 0.2500, validation accuracy 0.7500"
    assert replace(row, epoch=0, phase="probe", train_loss=None).checkpoint == "probe"
