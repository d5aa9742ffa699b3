"""A rewritten step gives logits and gradients of the plain one, for every parameter."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headstart.engine.store.frozen_part import graph_of_classifier
from headstart.engine.training_step import rewrites
from headstart.engine.training_step.depthwise import Convolution
from headstart.engine.training_step.rewrites import Rewrites, folding_pays, step_rewrites
from headstart.errors import ModelError
from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model
from headstart.networks.groups.layers import freeze, set_batch_norm

LABELS = torch.tensor([0, 2, 1, 2])


def images(size: int, channels: int = 3) -> Tensor:
    return torch.randn(4, channels, size, size, generator=torch.Generator().manual_seed(0))


def with_random_norms(network: nn.Module) -> nn.Module:
    """Statistics and weights of norms that are not those of a new network."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                if tensor is not None:
                    tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator)
    return network


def gradients(network: nn.Module, logits: Tensor) -> dict[str, Tensor]:
    network.zero_grad(set_to_none=True)
    F.cross_entropy(logits, LABELS.to(logits.device)).backward()
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


@pytest.fixture
def folded_at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of a test are so small that most weights have more numbers than their outputs."""
    monkeypatch.setattr(rewrites, "folding_pays", lambda convolution: True)


def assert_same_step(network: nn.Module, run: AbstractContextManager[object], given: Tensor) -> None:
    """Compared with plain autograd in 64-bit floats, which none of the rewrites touches."""
    torch.manual_seed(0)
    with run:
        logits = network(given)
    found = gradients(network, logits)
    exact = copy.deepcopy(network).double()
    torch.manual_seed(0)
    expected = exact(given.double())
    right = gradients(exact, expected)
    assert float((logits - expected).abs().max().detach()) <= 1e-4 * float(expected.abs().max().detach())
    assert found.keys() == right.keys()
    for name, gradient in right.items():
        assert float((found[name] - gradient).abs().max()) <= 1e-3 * float(gradient.abs().max()) + 1e-9, name


class Small(nn.Module):
    """Every kind of layer that is rewritten or must not be."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.wide, self.wide_norm = nn.Conv2d(16, 16, 5, padding=2, groups=16, bias=False), nn.BatchNorm2d(16)
        self.bare, self.bare_norm = nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16, affine=False)
        self.read_twice, self.twice_norm = nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.stem_norm(self.stem(x)), inplace=True)
        x = F.hardswish(self.wide_norm(self.wide(x)))
        x = self.bare_norm(self.bare(x))
        x = self.read_twice(x)
        return self.head((self.twice_norm(x) + x).mean((2, 3)))


def small() -> Small:
    torch.manual_seed(0)
    network = with_random_norms(Small()).train()
    assert isinstance(network, Small)
    for module in network.modules():
        module.training = not isinstance(module, nn.BatchNorm2d)
    return network


@pytest.mark.usefixtures("folded_at_any_size")
def test_every_kind_of_layer_gives_the_gradients_of_plain_autograd():
    network = small()
    run = step_rewrites(network, network, [images(8)[:1]])
    assert isinstance(run, Rewrites)
    assert [norm for _, norm in run.pairs] == [network.stem_norm, network.wide_norm, network.bare_norm]
    assert_same_step(network, run, images(8))
    with torch.no_grad():  # as an optimizer does: the next step runs on what it left
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    assert_same_step(network, run, images(8))


@pytest.mark.parametrize(("side", "folds"), [(4, False), (5, True)])
def test_a_norm_is_folded_where_its_output_has_more_numbers_than_the_weight(side: int, folds: bool):
    # 4 images of 5 x 5 positions are more than the 72 numbers of a filter, those of 4 x 4 are not
    convolution = Convolution(torch.ones(4, 8, 2 * side, 2 * side), torch.ones(16, 8, 3, 3), stride=2, padding=1)
    assert folding_pays(convolution) == folds
    conv, norm = nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16).eval()
    with_random_norms(norm)
    seen = []
    norm.register_forward_hook(lambda module, given, output: seen.append(given[0] is output))
    with Rewrites([(conv, norm)]):
        found = norm(conv(convolution.input))
    assert seen == [folds]
    assert torch.allclose(found, norm(conv(convolution.input)), atol=1e-5)


def test_statistics_that_move_are_not_folded():
    network = small().train()
    run = step_rewrites(network, network, [images(8)[:1]])
    plain = copy.deepcopy(network)
    with run:
        logits = network(images(8))
    assert torch.equal(logits, plain(images(8)))
    for name, buffer in plain.named_buffers():
        assert torch.equal(buffer, network.get_buffer(name))
    assert network.stem_norm.num_batches_tracked == 1


def test_finding_the_pairs_leaves_no_trace():
    network = small().train()
    modes = [module.training for module in network.modules()]
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    step_rewrites(network, network, [images(8)[:1]])
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())


@pytest.mark.usefixtures("folded_at_any_size")
def test_a_weight_of_two_convolutions_is_not_folded():
    network = small()
    network.read_twice.weight = network.bare.weight
    run = step_rewrites(network, network, [images(8)[:1]])
    assert isinstance(run, Rewrites)
    assert [norm for _, norm in run.pairs] == [network.stem_norm, network.wide_norm]
    assert_same_step(network, run, images(8))


class OtherInTraining(Small):
    """Puts something between a convolution and its norm in training, or leaves the norm out."""

    change = "between"

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if self.training and self.change == "between":
            x = F.relu(x)
        if not self.training or self.change == "between":
            x = self.stem_norm(x)
        return self.head(x.mean((2, 3)))


@pytest.mark.usefixtures("folded_at_any_size")
@pytest.mark.parametrize("change", ["between", "without"])
def test_another_order_of_layers_in_training_is_refused(change: str):
    network = OtherInTraining()
    network.change = change
    for module in network.modules():
        module.training = not isinstance(module, nn.BatchNorm2d)
    run = step_rewrites(network, network, [images(8)[:1]])
    with pytest.raises(ModelError, match="same order of layers in both modes"), run:
        network(images(8))


def test_elsewhere_than_on_a_cpu_the_part_runs_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rewrites, "device_of", lambda network: torch.device("cuda"))
    network = small()
    with step_rewrites(network, network, [images(8)[:1]]):
        assert torch.equal(network(images(8)), small()(images(8)))


def classifier_of(name: str) -> Classifier:
    made = build_classifier(find_model(name), kind="linear", num_classes=3, seed=0, input_size=64, weights="random")
    with_random_norms(made.network)
    return made


@pytest.mark.usefixtures("folded_at_any_size")
@pytest.mark.parametrize(
    ("name", "cut_point", "folded"),
    [("tf_efficientnet_lite0", "stage5", 25), ("mobilenet_v2", None, 52), ("resnet18", "layer4", 5)],
)
def test_networks_and_their_suffixes_give_the_gradients_of_plain_autograd(
    name: str, cut_point: str | None, folded: int
):
    classifier = classifier_of(name)
    network, names = classifier.network, list(classifier.group_names)
    trained = names if cut_point is None else names[names.index(cut_point) :]
    freeze(network, classifier.groups, trained=trained)
    policy, affine = "pretrained_statistics", "trained"
    for module in network.modules():  # no noise in what is compared
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    set_batch_norm(network, classifier.groups, policy=policy, affine=affine, trained=trained)
    given = images(64)
    part, sample = network, [given[:1]]
    if cut_point is not None:
        made = graph_of_classifier(classifier, size=64).cut(cut_point)
        set_batch_norm(network, classifier.groups, policy=policy, affine=affine, trained=trained)
        part, sample = made.suffix, [tensor[:1] for tensor in made.prefix(given)]
    run = step_rewrites(network, part, sample)
    assert isinstance(run, Rewrites)
    assert len(run.pairs) == folded
    assert_same_step(network, run, given)
