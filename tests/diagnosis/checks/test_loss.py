from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import DataLoader

from diagnosis.doctored import found
from diagnosis.gallery.parts import Pictures, pretrained, standard


def ended(layer: nn.Module, outputs: int = 3) -> nn.Module:
    model = pretrained()
    model.fc = nn.Sequential(nn.Linear(32, outputs), layer)
    return model


def binary(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(outputs, nn.functional.one_hot(labels, 3).float())


binary.__name__ = "binary_cross_entropy_with_logits"


def test_each_loss_with_the_outputs_it_needs():
    assert not found(model=ended(nn.LogSoftmax(dim=1)), criterion=nn.NLLLoss())
    assert "softmax_before_loss" in found(model=ended(nn.Softmax(dim=1)), criterion=None)
    assert "sigmoid_before_loss" in found(model=ended(nn.Sigmoid()), criterion=binary)
    assert "sigmoid_before_loss" not in found(criterion=binary)


def test_a_loss_that_raises_is_quoted():
    assert "size" in found(criterion=nn.BCEWithLogitsLoss())["loss_fails"].evidence


def test_sums_and_weights():
    assert "16 times" in found(criterion=nn.CrossEntropyLoss(reduction="sum"))["loss_is_summed"].evidence
    data = Pictures(standard(), count=60)
    data.targets = [0] * 40 + [1] * 15 + [2] * 5
    right = nn.CrossEntropyLoss(weight=torch.tensor([0.5, 1.3, 4.0]))
    assert "class_weights_inverted" not in found(loader=DataLoader(data, 16, shuffle=True), criterion=right)


def test_a_loss_that_is_no_number():
    def broken(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return (outputs * float("nan")).sum()

    assert "loss_not_finite" in found(criterion=broken)
