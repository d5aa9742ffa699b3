"""Heads: shape, start, and where they are put."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headstart.models.heads import make_head, replace_head, set_linear


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_fresh_head_favours_no_class(kind: str):
    logits = make_head(kind, 12, 4).eval()(torch.randn(5, 12))
    assert logits.shape == (5, 4)
    assert torch.equal(logits, torch.zeros(5, 4))


def test_the_mlp_is_the_one_of_the_textbook():
    kinds = [(type(m), getattr(m, "p", None), getattr(m, "out_features", None)) for m in make_head("mlp", 12, 4)]
    assert kinds == [
        (nn.Dropout, 0.5, None),
        (nn.Linear, None, 256),
        (nn.ReLU, None, None),
        (nn.Dropout, 0.3, None),
        (nn.Linear, None, 4),
    ]


def test_replace_head_reaches_nested_places():
    network = nn.ModuleDict({"classifier": nn.Sequential(nn.ReLU(), nn.Linear(3, 2))})
    head = nn.Linear(3, 7)
    replace_head(network, "classifier.1", head)
    assert network["classifier"][1] is head


def test_set_linear_writes_and_refuses_other_heads():
    head = nn.Linear(3, 2)
    set_linear(head, torch.ones(2, 3), torch.tensor([1.0, 2.0]))
    assert torch.equal(head(torch.ones(1, 3)), torch.tensor([[4.0, 5.0]]))
    with pytest.raises(TypeError, match="not Sequential"):
        set_linear(make_head("mlp", 3, 2), torch.ones(2, 3), torch.ones(2))
