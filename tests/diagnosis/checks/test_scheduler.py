from __future__ import annotations

import torch
from timm.scheduler import CosineLRScheduler
from torch.optim import lr_scheduler

from diagnosis.doctored import found
from diagnosis.gallery.parts import pretrained, two_rates


def scaled(model: torch.nn.Module) -> torch.optim.Optimizer:
    parts = [list(model.conv1.parameters()), [one for name, one in model.named_parameters() if "conv1" not in name]]
    return torch.optim.AdamW([{"params": parts[0], "lr_scale": 0.1}, {"params": parts[1], "lr_scale": 1.0}], lr=1e-5)


def test_timms_scheduler_follows_the_scales():
    model = pretrained()
    adam = scaled(model)
    assert "scheduler_ignores_scales" not in found(
        model=model, optimizer=adam, scheduler=CosineLRScheduler(adam, t_initial=10)
    )


def test_no_scheduler_follows_no_scales():
    model = pretrained()
    assert "scheduler_ignores_scales" in found(model=model, optimizer=scaled(model))


def test_a_scheduler_of_an_older_optimizer():
    model = pretrained()
    old = two_rates(model)
    assert "scheduler_of_other_optimizer" in found(
        model=model, optimizer=two_rates(model), scheduler=lr_scheduler.StepLR(old, 3)
    )


def test_lengths_by_epoch_and_by_step_fit():
    for length in (5, 15):
        model = pretrained()
        adam = two_rates(model)
        cosine = lr_scheduler.CosineAnnealingLR(adam, length)
        assert "schedule_length" not in found(model=model, optimizer=adam, scheduler=cosine, epochs=5)
