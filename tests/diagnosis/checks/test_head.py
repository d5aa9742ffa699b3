from __future__ import annotations

import torch

from diagnosis.doctored import found
from diagnosis.gallery.parts import pretrained


def test_the_remedy_names_the_layer_and_the_number_of_classes():
    finding = found(model=pretrained(None))["head_not_replaced"]
    assert "1,000 outputs" in finding.evidence
    assert "model.fc = torch.nn.Linear(features, 3)" in finding.remedy


def test_more_outputs_than_classes_are_a_warning_and_fewer_an_error():
    assert found(model=pretrained(5))["head_size"].level == "warning"
    assert found(model=pretrained(2), val_loader=None)["head_size"].level == "error"


def test_a_new_head_that_is_frozen_stays_random():
    model = pretrained()
    model.fc.requires_grad_(False)
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], 1e-5)
    assert "head_frozen" in found(model=model, optimizer=optimizer)


def test_the_weights_own_head_may_be_frozen():
    model = pretrained(None)
    model.fc.requires_grad_(False)
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], 1e-5)
    assert "head_frozen" not in found(model=model, optimizer=optimizer)
