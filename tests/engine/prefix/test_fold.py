"""Folding changes a copy, joins only what may be joined, and keeps every output."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from headstart.engine.prefix.cut import cut
from headstart.engine.prefix.fold import PooledFeatures, folded, separate_copy
from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def with_random_statistics(network: nn.Module) -> nn.Module:
    """Statistics and weights of norms that are not those of a new network."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                if tensor is not None:
                    tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator)
    return network.eval()


def classifier_of(name: str) -> Classifier:
    made = build_classifier(find_model(name), kind="linear", num_classes=2, seed=0, input_size=64, weights="random")
    with_random_statistics(made.network)
    return made


def close(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= 1e-5 * b.abs().max())


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class ReadTwice(Block):
    def forward(self, x: Tensor) -> Tensor:
        before = self.conv(x)
        return self.norm(before) + before


class CrossesToo(Block):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        before = self.conv(x)
        return self.norm(before), before


class RunTwice(Block):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.norm(self.conv(2 * x))


class NormElsewhere(Block):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)) + self.norm(torch.ones(1, 8, 1, 1))


class StandardisedConv(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight / self.weight.std(), self.bias)


class Changed(Block):
    def __init__(self) -> None:
        super().__init__()
        self.conv = StandardisedConv(3, 8, 3)


class Activated(Block):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).relu())


@pytest.mark.parametrize("kind", [Block, ReadTwice, CrossesToo, RunTwice, NormElsewhere, Changed, Activated])
def test_only_a_norm_that_alone_reads_a_plain_convolution_is_taken_in(kind: type[Block]) -> None:
    network = with_random_statistics(kind())
    made, count = folded(network, IMAGES)
    assert count == (kind is Block)
    assert isinstance(made.norm, nn.Identity) == (kind is Block)
    for ours, theirs in zip(_tuple(made(IMAGES)), _tuple(network(IMAGES)), strict=True):
        assert close(ours, theirs)


def _tuple(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)


def test_a_folded_convolution_has_the_weights_of_the_formula() -> None:
    network = with_random_statistics(Block())
    made, _ = folded(network, IMAGES)
    norm, conv = network.norm, network.conv
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    assert torch.allclose(made.conv.weight, conv.weight * factor[:, None, None, None], atol=1e-6)
    assert torch.allclose(made.conv.bias, (conv.bias - norm.running_mean) * factor + norm.bias, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "norms"), [("tf_efficientnet_lite0", 49), ("mobilenet_v2", 52), ("resnet18", 20), ("densenet121", 59)]
)
def test_real_networks_keep_their_outputs_and_their_weights(name: str, norms: int) -> None:
    """EfficientNet's norms have their activation inside; half of DenseNet's stand before their convolution."""
    classifier = classifier_of(name)
    before = {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}
    prefix = PooledFeatures(classifier.network, classifier.features)
    made, count = folded(prefix, IMAGES[:1])
    assert count == norms
    with torch.inference_mode():
        assert close(made(IMAGES), classifier.features(IMAGES))
    after = classifier.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in classifier.network.modules())


def test_a_cut_network_is_folded_apart_from_the_network() -> None:
    classifier = classifier_of("resnet18")
    parts = cut(classifier.network, classifier.groups, "layer2", example=IMAGES)
    made, count = folded(parts.prefix, IMAGES[:1])
    assert count == 5
    with torch.inference_mode():
        (ours,), (theirs,) = made(IMAGES), parts.prefix(IMAGES)
    assert close(ours, theirs)
    assert isinstance(classifier.network.bn1, nn.BatchNorm2d)


def test_a_copy_is_in_evaluation_mode_and_shares_unchanged_tensors() -> None:
    network = Block()
    made = separate_copy(network)
    assert network.training
    assert not made.training
    assert made.conv is not network.conv
    assert made.conv.weight is network.conv.weight


def test_the_head_does_not_count_among_the_features() -> None:
    classifier = classifier_of("resnet18")
    prefix = PooledFeatures(classifier.network, classifier.features, unused=["fc"])
    assert prefix.unused == ("network.fc.",)
    assert torch.equal(prefix(IMAGES), classifier.features(IMAGES))
