from __future__ import annotations

import headstart
from diagnosis.doctored import found
from diagnosis.gallery.parts import WEIGHTS, evaluation_loader, pretrained, pretrained_vit, two_rates


def test_without_layers_that_depend_on_it_the_mode_does_not_matter():
    model = pretrained_vit().eval()
    assert "model_in_evaluation_mode" not in found(model=model, optimizer=two_rates(model, "head"))


def test_predicting_in_training_mode():
    ids = {one.id for one in headstart.doctor(pretrained(), test_loader=evaluation_loader(), weights=WEIGHTS).findings}
    assert "model_in_training_mode" in ids
    result = headstart.doctor(pretrained().eval(), test_loader=evaluation_loader(), weights=WEIGHTS)
    assert result.complaints == ()
