from __future__ import annotations

import torch

from diagnosis.doctored import found
from diagnosis.gallery.parts import pretrained, pretrained_vit, two_rates


def test_a_group_of_zero_is_named():
    model = pretrained()
    assert "Group 0" in found(model=model, optimizer=two_rates(model, low=0.0))["learning_rate_zero"].evidence


def test_a_warm_up_from_zero_is_no_rate_of_zero():
    model = pretrained()
    optimizer = two_rates(model)
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 10))
    assert "learning_rate_zero" not in found(model=model, optimizer=optimizer, scheduler=warm)


def test_the_peak_of_the_schedule_counts():
    model = pretrained_vit()
    optimizer = two_rates(model, "head", low=1e-6)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=[3e-2, 3e-2], total_steps=40)
    assert "learning_rate_erases" in found(model=model, optimizer=optimizer, scheduler=cycle)


def test_momentum_multiplies_a_step():
    def erases(momentum: float) -> bool:
        model = pretrained()
        return "learning_rate_erases" in found(
            model=model, optimizer=torch.optim.SGD(model.parameters(), 0.05, momentum=momentum)
        )

    assert not erases(0.0)
    assert erases(0.99)
