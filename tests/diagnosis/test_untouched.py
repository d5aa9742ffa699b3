from __future__ import annotations

import random

import numpy as np
import torch
from torch.utils.data import DataLoader

from headstart.diagnosis.untouched import generators_of, untouched_randomness


def test_all_generators_are_where_they_were():
    own = torch.Generator().manual_seed(3)
    loader = DataLoader(range(8), 2, shuffle=True, generator=own)
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    expected = [torch.rand(1).item(), np.random.rand(), random.random()]
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    before = own.get_state()
    with untouched_randomness([loader]):
        list(loader)
        torch.rand(5), np.random.rand(5), random.random()
    assert [torch.rand(1).item(), np.random.rand(), random.random()] == expected
    assert torch.equal(own.get_state(), before)
    assert generators_of(loader)


def test_what_is_random_inside_is_the_same_each_time():
    drawn = []
    for _ in range(2):
        with untouched_randomness():
            drawn.append((torch.rand(1).item(), np.random.rand(), random.random()))
    assert drawn[0] == drawn[1]
