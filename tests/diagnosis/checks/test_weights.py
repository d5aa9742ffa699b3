from __future__ import annotations

from diagnosis.doctored import found
from diagnosis.gallery.parts import TinyConv, pretrained, trained, two_rates


def test_given_tensors_are_compared():
    state = trained(TinyConv(1000)).state_dict()
    assert "weights_not_loaded" in found(model=TinyConv(3), weights=state)
    assert "weights_not_loaded" not in found(model=pretrained(), weights=state)


def test_a_frozen_network_of_random_weights_is_an_error_whatever_was_meant():
    model = TinyConv(3)
    model.conv1.requires_grad_(False)
    assert found(model=model, weights=None, optimizer=two_rates(model))["weights_not_loaded"].level == "error"
    assert found(model=TinyConv(3), weights=None)["weights_not_loaded"].level == "info"


def test_weights_that_are_no_numbers():
    model = pretrained()
    model.conv1.weight.data[0] = float("inf")
    assert "conv1.weight" in found(model=model)["weights_not_finite"].evidence
