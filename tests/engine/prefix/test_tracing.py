"""One forward pass as steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headstart.engine.prefix.program import IMAGES, PerImage, Program, Value
from headstart.engine.prefix.tracing import (
    MODES,
    Form,
    Trace,
    Untraceable,
    joined_templates,
    sample,
    still,
    trace_modes,
)

EXAMPLE = torch.zeros(1, 3, 8, 8)


class Small(nn.Module):
    """Two leaves with a function of one's own between and after them."""

    def __init__(self, between: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4))
        self.last = nn.Linear(4, 2)
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.register_buffer("grid", torch.arange(16.0))
        self.cached = None
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        x = self.between(self, self.first(x))
        return self.last(x.flatten(1, -2).mean(1) if x.ndim > 2 else x)


def tokens(network: nn.Module, x: Tensor) -> Tensor:
    batch, _, height, width = x.shape
    x = x.flatten(2).transpose(1, 2).reshape(batch * height, width, -1).reshape(batch, -1, 4)
    x = torch.cat([network.token.expand(batch, -1, -1), x], dim=1)
    return x + torch.zeros(batch, 1, 4, device=x.device) + network.grid[:1]


def in_place(network: nn.Module, x: Tensor) -> Tensor:
    corner = x[:, :, :2, :2]
    corner.mul_(2)
    x[:, :, 0] += 1
    return F.relu(x, inplace=True).mean((2, 3))


def unpacked(network: nn.Module, x: Tensor) -> Tensor:
    a, b = x.reshape(-1, 2, 4, 8).transpose(0, 1)
    values, indices = a.mean(2).max(dim=1, keepdim=True)
    return b.mean(2) * values + indices


def by_mode(network: nn.Module, x: Tensor) -> Tensor:
    x = x.mean((2, 3))
    return x * 2 if network.training else x


def traced(network: nn.Module) -> dict[str, Trace]:
    leaves = {m: p for p, m in network.named_modules() if p.split(".")[0] in ("first", "last")}
    return trace_modes(network, leaves, EXAMPLE)


def replay(network: nn.Module, trace: Trace, images: Tensor) -> Tensor:
    return Program((Value(IMAGES, 0),), tuple(enumerate(trace.steps)), trace.output).run(network, [images])


@pytest.mark.parametrize("between", [tokens, in_place, unpacked, by_mode])
def test_the_steps_give_what_forward_gives_for_every_batch(between: Callable):
    network = Small(between).eval()
    traces = traced(network)
    for batch in (1, 2, 5):
        images = torch.randn(batch, 3, 8, 8)
        for mode in MODES:
            network.train(mode == "training")
            network.first.eval()
            assert torch.equal(network(images), replay(network, traces[mode], images))


def test_leaves_are_one_step_each_and_sizes_of_the_batch_are_distinguished_from_others():
    steps = traced(Small(tokens))["evaluation"].steps
    assert [s.target for s in steps if isinstance(s.target, str)] == ["first", "last"]
    shapes = [s.args for s in steps if s.target in (Tensor.reshape, Tensor.expand)]
    assert shapes[0][1:] == (PerImage(4), 4, -1)
    assert shapes[1][1:] == (PerImage(1), -1, 4)


def test_modes_that_do_not_differ_share_a_trace():
    same, other = traced(Small(tokens)), traced(Small(by_mode))
    assert same["evaluation"] is same["training"]
    assert len(other["training"].steps) == len(other["evaluation"].steps) + 1


def test_the_network_and_the_random_generator_are_as_before():
    network = Small(lambda network, x: F.dropout(x, 0.5, training=network.training).mean((2, 3)))
    network.first[1].eval()
    before = {n: t.clone() for n, t in network.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    traced(network)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(t, before[n]) for n, t in network.state_dict().items())
    assert (network.training, network.first[1].training, network.last.training) == (True, False, True)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (lambda n, x: x.mean((2, 3)) * (2 if x.sum() > 0 else 3), "decides by what a tensor holds"),
        (lambda n, x: x.mean((2, 3)) * n.token.sum().item(), "decides by what a tensor holds"),
        (lambda n, x: x.mean((2, 3)) / x.shape[0] ** 0.5, "for 2 images and"),
        (lambda n, x: x.mean((2, 3)) if x.shape[0] == 2 else x.mean((2, 3)) + 1, "other steps"),
        (lambda n, x: x.mean((2, 3)) + torch.from_numpy(x.mean((2, 3)).numpy()), "decides by what a tensor holds"),
    ],
)
def test_steps_that_cannot_be_recorded_are_refused(between: Callable, reason: str):
    with pytest.raises(Untraceable, match=reason):
        traced(Small(between))


def test_an_object_that_may_hold_tensors_is_refused():
    class Boxed(nn.Linear):
        def forward(self, box: object) -> Tensor:
            return super().forward(box.content)

    class Box:
        def __init__(self, content: Tensor) -> None:
            self.content = content

    network = nn.Module()
    network.last = Boxed(4, 2)
    network.forward = lambda x: network.last(Box(x))
    with pytest.raises(Untraceable, match="Box is passed between layers"):
        trace_modes(network, {network.last: "last"}, torch.zeros(1, 4))


def test_a_constant_may_be_read():
    network = Small(lambda n, x: x.mean((2, 3)) * n.grid.sum().item())
    assert traced(network)["evaluation"].steps


def test_templates_of_two_passes_become_one():
    assert joined_templates((2, [98, "a"], {"b": 7}, slice(0, 4)), (3, [147, "a"], {"b": 7}, slice(0, 6)), (2, 3)) == (
        PerImage(1),
        [PerImage(49), "a"],
        {"b": 7},
        slice(0, PerImage(2)),
    )
    assert joined_templates(float("nan"), float("nan"), (2, 3)) != 0
    for a, b in [(2, 4), (True, False), (1.0, 1.5), ((1,), (1, 2)), ("a", "b"), (1, 1.0)]:
        with pytest.raises(Untraceable):
            joined_templates(a, b, (2, 3))


def test_forms_say_what_is_the_same_for_every_batch():
    network = Small(tokens).to(memory_format=torch.channels_last)
    forms = traced(network)["evaluation"].forms
    assert forms[Value(IMAGES, 0)] == Form((3, 8, 8), torch.float32, channels_last=False)
    assert forms[Value(0, 0)] == Form((4, 4, 4), torch.float32, channels_last=True)
    assert Form((4, 4, 4), torch.float32, channels_last=False, rows=4) in forms.values()  # rows side by side
    assert forms[Value(1, 0)].rows == 1


def test_what_does_not_grow_with_the_batch_has_no_shape_of_one_image():
    network = Small(lambda n, x: x.mean((2, 3)).t().contiguous().t() + n.token.exp()[0])
    forms = traced(network)["evaluation"].forms
    assert [form.shape for form in forms.values()].count(None) >= 2


def test_samples_have_the_layout_of_the_example():
    example = EXAMPLE.contiguous(memory_format=torch.channels_last)
    made = sample(example, 4)
    assert made.shape == (4, 3, 8, 8)
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(made, sample(EXAMPLE, 4))


def test_derived_tensors_that_a_network_caches_in_evaluation_are_let_go():
    class Caching(nn.Linear):
        def train(self, mode: bool = True) -> nn.Module:
            if mode:
                self.derived = None
            return super().train(mode)

        def forward(self, x: Tensor) -> Tensor:
            self.derived = self.weight * 2
            return F.linear(x, self.derived)

    network = nn.Sequential(Caching(2, 2)).eval()
    with still(network):
        network(torch.zeros(1, 2))
    assert network[0].derived is None
    assert not network[0].training
