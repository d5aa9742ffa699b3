from __future__ import annotations

import pytest
import torch
from torch import nn

import headstart
from diagnosis.gallery.parts import correct, pretrained
from headstart.arguments import ArgumentError
from headstart.diagnosis.adapters.choosing import setup_of
from headstart.diagnosis.setup import Setup


def test_what_is_nothing_that_can_be_examined_is_refused():
    with pytest.raises(ArgumentError, match="LightningModule, fastai Learner"):
        headstart.doctor(3.5)


def test_wrappers_of_optimizers_and_networks_come_off():
    model = pretrained()
    adam = torch.optim.AdamW(model.parameters(), 1e-5)
    wrapped = type("AcceleratedOptimizer", (), {"optimizer": adam})()
    found = setup_of(nn.DataParallel(model), Setup(model=None, optimizers=(wrapped,)))
    assert found.model is model
    assert found.optimizers == (adam,)


def test_loaders_alone_are_examined():
    given = correct()
    found = headstart.doctor(loader=given["loader"], val_loader=given["loader"])
    assert "same_image_in_two_loaders" in {one.id for one in found.findings}
    assert {one.reason for one in found.omitted} >= {"no model was given", "no optimizer was given"}
