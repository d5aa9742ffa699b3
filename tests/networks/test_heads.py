"""Heads: shape, start, where they are found, and where they are put."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision.models
from torch import nn

from headstart.errors import ModelError
from headstart.networks.groups.order import without_weights
from headstart.networks.heads import (
    DepthHead,
    head_sites,
    make_head,
    prepare_heads,
    replace_heads,
    shares_of_sites,
    write_linear,
)


@pytest.mark.parametrize("layer", ["linear", "conv"])
@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_fresh_head_favours_no_class(kind: str, layer: str):
    x = torch.randn(5, 12) if layer == "linear" else torch.randn(5, 12, 1, 1)
    logits = make_head(kind, 12, 4, layer=layer).eval()(x).flatten(1)
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


def built(name: str) -> nn.Module:
    library, _, architecture = name.rpartition("/")
    if library == "timm":
        return without_weights(lambda: timm.create_model(architecture))
    return without_weights(lambda: torchvision.models.get_model(architecture, weights=None))


SITES = {
    "resnet18": ["fc"],
    "vgg11": ["classifier.6"],
    "densenet121": ["classifier"],
    "mobilenet_v3_small": ["classifier.3"],
    "convnext_tiny": ["classifier.2"],
    "maxvit_t": ["classifier.5"],
    "swin_t": ["head"],
    "vit_b_16": ["heads.head"],
    "inception_v3": ["fc", "AuxLogits.fc"],
    "googlenet": ["fc", "aux1.fc2", "aux2.fc2"],
    "timm/resnet18": ["fc"],
    "timm/convnext_atto": ["head.fc"],
    "timm/dpn48b": ["classifier"],
    "timm/deit_tiny_distilled_patch16_224": ["head", "head_dist"],
    "timm/crossvit_tiny_240": ["head.0", "head.1"],
    "timm/levit_128s": ["head.linear", "head_dist.linear"],
    "timm/repvit_m1": ["head.head.l", "head.head_dist.l"],
    "timm/volo_d1_224": ["head", "aux_head"],
    "timm/efficientvim_m1": ["heads.0", "heads.1", "heads.2", "heads.3"],
    "timm/vitamin_small_224": ["head"],
}


@pytest.mark.parametrize("name", SITES)
def test_every_layer_that_outputs_classes_is_found_and_replaced(name: str):
    network = built(name)
    assert [site.path for site in head_sites(network)] == SITES[name]
    roles = {site.path: site.role for site in head_sites(network)}
    assert {path for path, role in roles.items() if role == "auxiliary"} == {p for p in roles if "aux" in p.lower()}
    for site in replace_heads(network, kind="linear", num_classes=7):
        layer = network.get_submodule(site.path)
        assert (layer.out_features if site.layer == "linear" else layer.out_channels) == 7
    assert [site.path for site in head_sites(network)] == SITES[name]


def test_squeezenet_gets_a_linear_head_behind_its_pooling():
    network = torchvision.models.squeezenet1_1().eval()
    prepare_heads(network)
    assert [site.path for site in replace_heads(network, kind="linear", num_classes=3)] == ["classifier.3"]
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        pooled = network.features(x).mean((2, 3))
        network.classifier[3].weight.normal_()
        assert torch.allclose(network(x), pooled @ network.classifier[3].weight.T, atol=1e-4)


def test_weights_without_a_classifier_are_given_one():
    network = without_weights(lambda: timm.create_model("vit_tiny_patch16_224", num_classes=0))
    prepare_heads(network)
    assert [site.path for site in head_sites(network)] == ["head"]


def test_a_classifier_without_values_is_taken_away_as_a_whole():
    network = built("vgg11")
    prepare_heads(network, whole="classifier")
    assert [(site.path, site.features) for site in head_sites(network)] == [("classifier", 512 * 7 * 7)]


def test_an_encoder_that_cannot_be_given_classes_is_refused():
    network = without_weights(lambda: timm.create_model("mobilenetv5_300m_enc"))
    with pytest.raises(ModelError, match="is an encoder that cannot be given classes"):
        prepare_heads(network)


def test_a_users_own_network_ends_in_its_last_layer():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5), nn.Linear(5, 2))
    assert [(site.path, site.features) for site in head_sites(network)] == [("4", 5)]
    with pytest.raises(ModelError, match="has no classifier layer"):
        head_sites(nn.Sequential(nn.Conv2d(3, 4, 3)))


class Two(nn.Module):
    """Answers with a quarter of one head and three quarters of the other."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.head_dist = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        x = x_BCHW.mean((2, 3))
        return 0.25 * self.head(x) + 0.75 * self.head_dist(x)


def test_shares_are_measured_and_leave_the_heads_as_they_were():
    network = Two().eval()
    before = {name: t.clone() for name, t in network.state_dict().items()}
    shares = shares_of_sites(network, head_sites(network), torch.randn(1, 4, 2, 2))
    assert shares == pytest.approx((0.25, 0.75))
    assert all(torch.equal(t, before[name]) for name, t in network.state_dict().items())


def test_the_layer_at_every_depth_starts_at_zero_and_says_what_it_reads():
    layer = DepthHead({"stem": 4, "layer1": 6}, 3)
    assert torch.equal(layer(torch.ones(2, 10)), torch.zeros(2, 3))
    assert layer.bias is None
    assert repr(layer) == "DepthHead(stem=4, layer1=6)"


def test_write_linear_writes_and_refuses_other_heads():
    for layer in ("linear", "conv"):
        head = make_head("linear", 3, 2, layer=layer)
        write_linear(head, torch.ones(2, 3), torch.tensor([1.0, 2.0]))
        x = torch.ones(1, 3) if layer == "linear" else torch.ones(1, 3, 1, 1)
        assert torch.equal(head(x).flatten(1), torch.tensor([[4.0, 5.0]]))
    with pytest.raises(TypeError, match="not Sequential"):
        write_linear(make_head("mlp", 3, 2), torch.ones(2, 3), torch.ones(2))
