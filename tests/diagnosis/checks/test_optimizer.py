from __future__ import annotations

import torch
from torch import nn

from diagnosis.doctored import found
from diagnosis.gallery.parts import frozen, pretrained, pretrained_vit, two_rates


def test_an_optimizer_of_another_network_holds_nothing_of_this_one():
    findings = found(optimizer=two_rates(pretrained()))
    assert "holds no parameter" in findings["optimizer_misses_trainable"].what
    assert "12 of its tensors" in findings["optimizer_of_other_parameters"].evidence or findings


def test_the_same_parameter_in_two_optimizers():
    model = pretrained()
    pair = [torch.optim.AdamW(model.parameters(), 1e-5), torch.optim.AdamW(model.fc.parameters(), 1e-3)]
    assert "optimizer 1" in found(model=model, optimizer=pair)["parameter_in_two_groups"].evidence


def test_a_forward_pass_that_detaches():
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = pretrained()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net.fc(self.net.features(x).detach())

    model = Detached()
    findings = found(model=model, optimizer=two_rates(model, "net.fc"))
    assert "conv1" in findings["no_gradient"].evidence


def test_a_misspelt_attribute_of_a_parameter_freezes_nothing():
    model = pretrained()
    for parameter in model.conv1.parameters():
        parameter.require_grad = False
    assert "conv1.weight.require_grad" in found(model=model)["freeze_without_effect"].evidence


def test_frozen_ones_that_stay_are_a_warning():
    model = frozen(pretrained_vit(), "head")
    finding = found(model=model, optimizer=torch.optim.AdamW(model.parameters(), 1e-3))["optimizer_holds_frozen"]
    assert finding.level == "warning"
