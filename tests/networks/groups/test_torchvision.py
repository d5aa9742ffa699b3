"""The table of torchvision's networks."""

from __future__ import annotations

import pytest
import timm
import torchvision.models

from headstart.networks.groups.order import without_weights
from headstart.networks.groups.torchvision import SCHEMES, named_tensors_in_order, torchvision_draft


@pytest.mark.slow
def test_the_table_names_every_class_of_torchvision_and_no_other():
    built = [
        type(without_weights(lambda name=name: torchvision.models.get_model(name, weights=None))).__name__
        for name in torchvision.models.list_models(module=torchvision.models)
        if "_l" not in name and "_h" not in name and "128gf" not in name
    ]
    assert set(built) == set(SCHEMES)


def test_networks_of_another_library_are_left_to_it():
    assert torchvision_draft(without_weights(lambda: timm.create_model("resnet18")), "stage") is None


def test_flat_lists_are_cut_where_they_shrink():
    network = without_weights(torchvision.models.vgg11)
    draft = dict(torchvision_draft(network, "stage"))
    assert list(draft) == ["stem", "stage1", "stage2", "stage3", "stage4", "fc"]
    assert draft["stage2"] == [f"features.{i}.{p}" for i in (6, 8) for p in ("weight", "bias")]
    assert {name.split(".")[0] for name in draft["fc"]} == {"classifier"}


def test_downsampling_opens_the_stage_after_it():
    draft = dict(torchvision_draft(without_weights(torchvision.models.convnext_tiny), "stage"))
    assert "features.2.1.weight" in draft["stage2"]
    assert "features.2.1.weight" not in draft["stage1"]


def test_buffers_stand_beside_their_layer():
    names = [name for name, _ in named_tensors_in_order(without_weights(torchvision.models.resnet18))]
    at = names.index("bn1.weight")
    assert names[at : at + 5] == [
        f"bn1.{n}" for n in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    ]
