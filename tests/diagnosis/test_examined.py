from __future__ import annotations

import pytest
import torch

from diagnosis.gallery.parts import IMAGENET, correct
from headstart.diagnosis.examined import examine
from headstart.diagnosis.setup import Setup


def test_everything_is_computed_from_one_set_up():
    torch.manual_seed(0)
    given = correct()
    examined = examine(
        Setup(
            model=given["model"],
            optimizers=(given["optimizer"],),
            loaders={"train": given["loader"], "validation": given["val_loader"]},
            weights=given["weights"],
        )
    )
    assert (examined.head, examined.outputs, examined.class_count) == ("fc", 3, 3)
    assert examined.is_pretrained
    assert examined.random_views == {"train": True, "validation": False}
    assert examined.entered.shape == (16, 3, 64, 64)
    assert examined.value_map("train").black[0] == pytest.approx(-IMAGENET[0][0] / IMAGENET[1][0], abs=0.01)
    assert {one.name for one in examined.backbone} & {"fc.weight"} == set()


def test_a_network_alone_is_enough():
    examined = examine(Setup(model=correct()["model"]))
    assert examined.train is None
    assert examined.class_count is None
    assert examined.head == "fc"
