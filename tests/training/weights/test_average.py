"""The average over steps against its formula, and weights that come back bit for bit."""

from __future__ import annotations

import pytest
import torch

from headstart.training.weights.average import WeightAverage


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"w": torch.randn(3, 4, generator=generator), "count": torch.tensor(0)}


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_it_is_the_exponential_average_with_a_short_start(decay: float):
    tensors = weights()
    average = WeightAverage(tensors, decay)
    expected = tensors["w"].double()
    for step in range(1, 30):
        tensors["w"].add_(torch.randn(3, 4, generator=torch.Generator().manual_seed(step)))
        tensors["count"] += 1
        average.add_step()
        now = min(decay, (1 + step) / (10 + step))
        expected = now * expected + (1 - now) * tensors["w"].double()
    with average.in_place():
        assert torch.allclose(tensors["w"].double(), expected, atol=1e-5)
        assert int(tensors["count"]) == 29, "counts are no averages"


def test_weights_come_back_bit_for_bit_also_after_a_fault():
    tensors = weights()
    average = WeightAverage(tensors, 0.9)
    tensors["w"].mul_(1.1)
    average.add_step()
    before = tensors["w"].clone()
    seen = []

    def interrupted() -> None:
        with average.in_place():
            seen.append(tensors["w"].clone())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert not torch.equal(seen[0], before)
    assert torch.equal(tensors["w"], before)


def test_another_process_goes_on_from_its_state():
    tensors = weights()
    whole, first = WeightAverage(tensors, 0.9), WeightAverage(tensors, 0.9)
    for step in range(6):
        if step == 3:
            taken_up = WeightAverage(tensors, 0.9)
            taken_up.load(first.state())
            first = taken_up
        tensors["w"].add_(0.1 * step)
        whole.add_step()
        first.add_step()
    assert torch.equal(whole.state()["averages"]["w"], first.state()["averages"]["w"])
