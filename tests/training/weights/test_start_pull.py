"""L2-SP under SGD is the gradient of its penalty."""

from __future__ import annotations

import torch

from headstart.training.weights.start_pull import StartPull


def test_with_sgd_it_is_the_gradient_step_of_the_penalty():
    torch.manual_seed(0)
    pulled, free = torch.randn(5, dtype=torch.float64, requires_grad=True), torch.randn(3, requires_grad=True)
    start, coefficient, lr = torch.randn(5, dtype=torch.float64), 0.3, 0.05
    by_penalty = pulled.detach().clone().requires_grad_()
    optimizer = torch.optim.SGD([{"params": [pulled], "lr": lr}, {"params": [free], "lr": 1.0}])
    pull, before = StartPull(optimizer, {pulled: start}, coefficient), free.detach().clone()
    reference = torch.optim.SGD([by_penalty], lr=lr)
    for _ in range(20):
        pull.apply()
        reference.zero_grad()
        (coefficient / 2 * (by_penalty - start).square().sum()).backward()
        reference.step()
    assert torch.allclose(pulled, by_penalty, rtol=1e-12)
    assert torch.equal(free, before)


def test_the_learning_rate_of_the_step_counts():
    weights = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.AdamW([{"params": [weights], "lr": 1.0}])
    pull = StartPull(optimizer, {weights: torch.zeros(2)}, 0.5)
    optimizer.param_groups[0]["lr"] = 0.1
    pull.apply()
    assert torch.allclose(weights, torch.full((2,), 0.95))
    optimizer.param_groups[0]["lr"] = 100.0
    pull.apply()
    assert torch.equal(weights, torch.zeros(2)), "never past the start"
