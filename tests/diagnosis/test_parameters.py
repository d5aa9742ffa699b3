from __future__ import annotations

import torch
from torch import nn

from headstart.diagnosis.parameters import facts_of_parameters, names_text


def test_places_of_parameters_in_two_optimizers():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model[0].bias.requires_grad = False
    first = torch.optim.SGD([{"params": model[0].parameters(), "lr": 0.1}, {"params": [torch.ones(1)], "lr": 0.2}], 0.3)
    second = torch.optim.SGD([model[0].weight], 0.4)
    facts, foreign = facts_of_parameters(model, (first, second))
    assert [one.slots for one in facts] == [((0, 0), (1, 0)), ((0, 0),), (), ()]
    assert [one.is_trainable for one in facts] == [True, False, True, True]
    assert facts[0].lr == 0.1
    assert facts[2].lr is None
    assert foreign == 1
    assert names_text(list(facts)) == "4 parameters with 13 values (0.weight, 0.bias, 1.weight, ...)"
