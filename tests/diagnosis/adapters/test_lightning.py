from __future__ import annotations

import torch
from torch import nn

import headstart
from diagnosis.gallery.parts import WEIGHTS, evaluation_loader, frozen, loader, pretrained
from headstart.diagnosis.adapters.lightning import configured, is_data_module, is_lightning_module, loaders_of


class Module(nn.Module):
    """What LightningModule has, without its trainer."""

    def __init__(self, network: nn.Module, *, freeze: str = "") -> None:
        super().__init__()
        self.net, self.freeze, self.loss_fn = network, freeze, nn.CrossEntropyLoss()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def training_step(self, batch: tuple, index: int) -> torch.Tensor:
        return self.loss_fn(self(batch[0]), batch[1])

    def configure_optimizers(self) -> dict:
        if self.freeze:
            frozen(self.net)
        adam = torch.optim.AdamW([one for one in self.parameters() if one.requires_grad], 1e-5)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 10)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": scheduler, "interval": "epoch"}}

    def train_dataloader(self):
        return loader()

    def val_dataloader(self):
        return [evaluation_loader()]

    def test_dataloader(self):
        raise NotImplementedError


class Data:
    def setup(self, stage: str) -> None:
        self.stage = stage

    def train_dataloader(self):
        assert self.stage == "fit"
        return loader()


def test_shapes_of_configured_optimizers():
    adam = torch.optim.SGD([nn.Parameter(torch.ones(1))], 0.1)
    step = torch.optim.lr_scheduler.StepLR(adam, 1)
    for raw, schedulers in ((adam, ()), ([adam], ()), (([adam], [step]), (step,)), ([{"optimizer": adam}], ())):
        module = type("M", (), {"configure_optimizers": lambda self, raw=raw: raw})()
        assert configured(module) == ((adam,), schedulers)


def test_a_sound_module_has_no_complaint_and_stays_as_it_is():
    module = Module(pretrained())
    result = headstart.doctor(module, weights=WEIGHTS)
    assert result.complaints == ()
    assert result.subject == "Lightning set-up of Module"


def test_freezing_in_configure_optimizers_is_seen_in_a_copy():
    module = Module(pretrained(), freeze="yes").eval()
    ids = {one.id for one in headstart.doctor(module, datamodule=Data(), weights=WEIGHTS).findings}
    assert "frozen_batch_norm_drifts" in ids
    assert all(one.requires_grad for one in module.parameters())


def test_objects_are_told_by_what_they_can_do():
    assert is_lightning_module(Module(pretrained()))
    assert not is_lightning_module(pretrained())
    data = Data()
    assert is_data_module(data)
    assert set(loaders_of(data)) == {"train"}
    assert not hasattr(data, "stage")
