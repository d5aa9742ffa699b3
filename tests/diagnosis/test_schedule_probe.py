from __future__ import annotations

import math

import pytest
import torch
from timm.scheduler import CosineLRScheduler
from torch.optim import lr_scheduler

from headstart.diagnosis.schedule_probe import facts_of_schedule, length_of_schedule, peak_lrs


def optimizer(lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.ones(2))], "lr": lr}], lr)


def test_rates_follow_the_formula_and_the_scheduler_stays_where_it_is():
    adam = optimizer()
    cosine = lr_scheduler.CosineAnnealingLR(adam, T_max=10)
    facts = facts_of_schedule(cosine, (adam,), steps=None)
    assert [row[0] for row in facts.lrs] == pytest.approx([0.05 * (1 + math.cos(math.pi * t / 10)) for t in range(10)])
    assert (cosine.last_epoch, adam.param_groups[0]["lr"]) == (0, 0.1)
    assert facts.is_own
    assert facts.length == 10


def test_the_peak_comes_after_a_warm_up():
    sgd = optimizer()
    warm = lr_scheduler.LambdaLR(sgd, lambda step: min(1.0, step / 20))
    facts = facts_of_schedule(warm, (sgd,), steps=100)
    assert peak_lrs((facts,), (sgd,)) == {(0, 0): pytest.approx(0.1)}


def test_timms_schedulers_count_from_outside():
    sgd = optimizer()
    sgd.param_groups[0]["lr_scale"] = 0.5
    facts = facts_of_schedule(CosineLRScheduler(sgd, t_initial=10), (sgd,), steps=None)
    assert facts.lrs[5][0] == pytest.approx(0.5 * 0.05 * (1 + math.cos(math.pi * 5 / 10)), rel=0.01)


def test_what_needs_a_metric_is_not_run():
    sgd = optimizer()
    facts = facts_of_schedule(lr_scheduler.ReduceLROnPlateau(sgd), (sgd,), steps=None)
    assert facts.lrs == ((0.1,),)
    assert length_of_schedule(facts) is None


def test_the_scheduler_of_another_optimizer_is_seen():
    sgd = optimizer()
    facts = facts_of_schedule(lr_scheduler.StepLR(optimizer(), 3), (sgd,), steps=None)
    assert not facts.is_own
    assert peak_lrs((facts,), (sgd,)) == {(0, 0): 0.1}
