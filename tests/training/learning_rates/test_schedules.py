"""Shapes of the learning rate against closed forms and against torch's own schedulers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.plan.plan import Schedule, TrainPhase
from headstart.training.learning_rates.schedules import (
    cosine,
    learning_rate_at,
    learning_rates_at,
    multi_step,
    one_cycle,
    plateau_factor,
)


def rates(schedule: Schedule, *, peak: float = 1e-3, epochs: int = 5, steps: int = 7) -> list[float]:
    return [
        learning_rate_at(schedule, peak=peak, step=i, steps_per_epoch=steps, epochs=epochs, validation_losses=[])
        for i in range(epochs * steps)
    ]


def torch_rates(make, *, peak: float = 1e-3, count: int = 35) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    scheduler, found = make(optimizer), []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_every_group_follows_the_shape_from_its_own_peak():
    schedule, peaks = Schedule(name="one_cycle"), {"stage7": 1e-4, "head": 1e-3}
    phase = TrainPhase(name="tune", epochs=5, unfreeze=1, head_lr=1e-3, schedule=schedule, lr_by_group=peaks)
    for step in (0, 10, 34):
        found = learning_rates_at(phase, step=step, steps_per_epoch=7, validation_losses=[])
        assert found == {name: rates(schedule, peak=peak)[step] for name, peak in peaks.items()}


def test_cosine_is_torchs_cosine_annealing_with_the_same_floor():
    reference = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=35, eta_min=1e-6))
    assert rates(Schedule(name="cosine")) == pytest.approx(reference, rel=1e-6)


def test_one_cycle_rises_for_thirty_percent_and_peaks_at_the_peak():
    found = rates(Schedule(name="one_cycle"), epochs=10, steps=10)
    assert found[0] == pytest.approx(1e-3 / 25)
    assert max(found) == pytest.approx(1e-3, rel=1e-3)
    assert found.index(max(found)) == 30
    assert found[-1] < 1e-3 / 500


def test_warmup_rises_linearly_to_the_peak_before_the_shape_starts():
    found = rates(Schedule(name="constant", warmup_epochs=2))
    assert found[:14] == pytest.approx([1e-3 * (i + 1) / 14 for i in range(14)])
    assert found[14:] == pytest.approx([1e-3] * 21)


def test_a_group_whose_peak_is_under_the_floor_stays_at_its_peak():
    assert rates(Schedule(name="cosine"), peak=1e-7) == pytest.approx([1e-7] * 35)


@given(losses=st.lists(st.floats(0.01, 10), max_size=40), patience=st.integers(0, 6))
def test_plateau_equals_torchs_reduce_on_plateau(losses: list[float], patience: int):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience, eps=0)
    for loss in losses:
        reference.step(loss)
    ours = plateau_factor(losses, factor=0.5, patience_epochs=patience)
    assert ours == pytest.approx(optimizer.param_groups[0]["lr"])


def test_plateau_stops_at_its_minimum():
    schedule = Schedule(name="plateau", plateau_patience_epochs=0, plateau_min_lr=1e-4)
    found = learning_rate_at(schedule, peak=1e-3, step=0, steps_per_epoch=1, epochs=50, validation_losses=[1.0] * 20)
    assert found == 1e-4


@pytest.mark.parametrize("milestones", [(0.4, 0.6, 0.8), (0.3, 0.6, 0.9), (0.5,), ()])
@pytest.mark.parametrize(("epochs", "steps"), [(5, 7), (50, 10), (250, 2), (3, 1)])
def test_multi_step_is_torchs_multi_step(milestones: tuple[float, ...], epochs: int, steps: int):
    total = epochs * steps
    at = [math.ceil(round(share * total, 6)) for share in milestones]
    reference = torch_rates(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, milestones=at, gamma=0.1), count=total)
    found = rates(Schedule(name="multi_step", milestones=milestones), epochs=epochs, steps=steps)
    assert found == pytest.approx(reference, rel=1e-9)


def test_multi_step_counts_its_milestones_from_the_first_step_of_the_warm_up():
    found = rates(Schedule(name="multi_step", milestones=(0.4,), warmup_epochs=1), epochs=5, steps=10)
    assert found[:10] == pytest.approx([1e-3 * (i + 1) / 10 for i in range(10)])
    assert found[10:20] == pytest.approx([1e-3] * 10)
    assert found[20:] == pytest.approx([1e-4] * 30)


@given(position=st.floats(0, 1), peak=st.floats(1e-8, 1))
def test_no_shape_leaves_zero_to_peak(position: float, peak: float):
    assert 0 < cosine(peak, position, floor=1e-6) <= peak * (1 + 1e-9)
    assert 0 < one_cycle(peak, position, pct_start=0.3) <= peak * (1 + 1e-9)
    assert 0 < multi_step(peak, position, milestones=(0.3, 0.6, 0.9), factor=0.1) <= peak


@given(name=st.sampled_from(["cosine", "one_cycle", "plateau", "multi_step", "constant"]), step=st.integers(0, 34))
def test_groups_keep_their_ratio_above_the_floors(name: str, step: int):
    """One shape for all: the planned ratio of two groups holds at every step."""
    schedule = Schedule(name=name, final_lr=0.0)
    high, low = (
        learning_rate_at(schedule, peak=p, step=step, steps_per_epoch=7, epochs=5, validation_losses=[])
        for p in (1e-2, 1e-3)
    )
    assert high == pytest.approx(10 * low)
