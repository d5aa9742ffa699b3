"""A head at every depth: the same network, one layer more, and the same logits on every path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.advice.probe.reader import DepthReader
from headstart.engine.prefix import depth_features
from headstart.engine.prefix.cut import taps
from headstart.engine.prefix.depth_features import matching_depths, with_depths, without_depths
from headstart.engine.prefix.inference import pooled_features
from headstart.engine.prefix.onnx_engine import OnnxEngine
from headstart.engine.prefix.torch_engine import EagerEngine, TorchEngine
from headstart.errors import BundleError, ModelError
from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model
from headstart.networks.groups.layers import LayerGroup, assert_partition, copy_of, restore
from headstart.networks.head_layers import DEPTHS
from headstart.networks.heads import DepthHead, head_sites
from headstart.prediction.bundle import load_classifier, read_info, save_bundle

SIDE = 64
CLASSES = ("a", "b", "c")


def images(count: int = 3, side: int = SIDE) -> Tensor:
    x = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))
    return x.contiguous(memory_format=torch.channels_last)


def plain(name: str = "tf_efficientnet_lite0", side: int = SIDE) -> Classifier:
    made = build_classifier(find_model(name), kind="linear", num_classes=3, seed=0, input_size=side, weights="random")
    torch.manual_seed(3)
    for module in made.network.modules():  # statistics of its own, so that folding has something to fold
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    nn.init.normal_(made.head.weight)
    made.network.eval()
    return made


def deep(name: str = "tf_efficientnet_lite0", side: int = SIDE) -> Classifier:
    made = with_depths(plain(name, side), side)
    torch.manual_seed(4)
    nn.init.normal_(made.network.get_submodule(DEPTHS).weight)
    return made


def logits_of(classifier: Classifier, x: Tensor) -> Tensor:
    with torch.no_grad():
        return classifier.network(x)


def test_nothing_changes_until_the_new_layer_has_weights():
    before = plain()
    names, expected = set(before.network.state_dict()), logits_of(before, images())
    after = with_depths(before, SIDE)
    assert torch.equal(logits_of(after, images()), expected)
    assert set(after.network.state_dict()) - names == {"multi_depth.weight"}
    assert type(after.network) is type(before.network)
    assert_partition(after.network, after.groups)


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("tf_efficientnet_lite0", [32, 16, 24, 40, 80, 112, 192]),
        ("resnet18", [64, 64, 128, 256]),
        ("timm/levit_128s", [128, 128, 256, 384]),
        ("timm/deit_tiny_distilled_patch16_224", [192, 192, 192, 192]),
    ],
)
@pytest.mark.slow
def test_the_logits_are_the_networks_and_the_layers_on_the_pooled_groups(name: str, widths: list[int]):
    side = SIDE if find_model(name).card.sizes == "any" else 224
    before, after = plain(name, side), deep(name, side)
    layer = after.network.get_submodule(DEPTHS)
    assert isinstance(layer, DepthHead)
    assert list(layer.widths.values()) == widths
    x = images(2, side)
    with torch.no_grad():
        tapped = taps(before.network, before.groups, example=x)(x)
        outputs = torch.cat([tapped[group] for group in layer.widths], dim=1)
        expected = before.network(x) + outputs @ layer.weight.T
        features = after.features(x)
    assert torch.allclose(logits_of(after, x), expected, atol=1e-4 * float(expected.abs().max()))
    assert after.num_features == features.shape[1] == before.num_features + sum(widths)
    assert after.num_last_features == before.num_features
    assert torch.allclose(features[:, before.num_features :], outputs, atol=1e-5)
    assert torch.allclose(after.logits_from(features), logits_of(after, x), atol=1e-4 * float(expected.abs().max()))
    assert list(after.depth_columns) == list(tapped)
    for group, (start, stop) in after.depth_columns.items():
        given = tapped[group]
        assert torch.allclose(features[:, start:stop], given, atol=1e-4 * float(given.abs().max())), group


def test_a_written_head_gives_the_logits_and_can_be_read_again():
    classifier = deep("timm/deit_tiny_distilled_patch16_224", 224)
    rng = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(3, classifier.num_features, generator=rng), torch.randn(3, generator=rng)
    classifier.write_linear(weight, bias)
    x = images(2, 224)
    with torch.no_grad():
        expected = classifier.features(x) @ weight.T + bias
    assert torch.allclose(logits_of(classifier, x), expected, atol=1e-4)
    assert torch.allclose(classifier.linear_weight(), weight)


def test_both_engines_give_the_features_of_every_depth(tmp_path: Path):
    classifier = deep()
    x = images(6).permute(0, 2, 3, 1).contiguous().numpy()
    prefix = pooled_features(classifier)
    (expected,) = EagerEngine(prefix).run(x)
    folded = TorchEngine(prefix, x)
    assert "0 norms" not in folded.version
    for engine in (folded, OnnxEngine(prefix, x, path=tmp_path / "exported.onnx")):
        (found,) = engine.run(x)
        assert found.shape == (6, classifier.num_features)
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max(), engine.name


def test_weights_of_the_depth_head_are_copied_and_restored():
    first, second = deep(), with_depths(plain(), SIDE)
    restore(second.network, copy_of(first.network))
    assert torch.equal(logits_of(first, images()), logits_of(second, images()))


def test_a_bundle_gives_the_same_logits(tmp_path: Path):
    made = deep()
    save_bundle(tmp_path, made, classes=CLASSES, spec=made.card.input.at_size(SIDE))
    loaded, info = load_classifier(tmp_path, deepen=with_depths)
    assert (info.head, loaded.head_kind) == ("multi_depth", "multi_depth")
    assert torch.equal(logits_of(loaded, images()), logits_of(made, images()))
    with pytest.raises(BundleError, match=r"has a multi_depth head; headstart\.load"):
        load_classifier(tmp_path)


def test_a_head_that_needs_no_other_depth_is_saved_as_a_plain_one(tmp_path: Path):
    made = with_depths(plain(), SIDE)
    save_bundle(tmp_path, made, classes=CLASSES, spec=made.card.input.at_size(SIDE))
    assert read_info(tmp_path).head == "linear"
    loaded, _ = load_classifier(tmp_path)
    assert torch.equal(logits_of(loaded, images()), logits_of(made, images()))
    assert set(loaded.network.state_dict()) == set(plain().network.state_dict())


def test_images_of_another_size_are_refused():
    with pytest.raises(ModelError, match="for which the network was cut"):
        logits_of(deep(), images(1, 96))


class Deciding(nn.Module):
    """Looks at what a tensor holds: its steps cannot be recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).mean((2, 3))
        return self.fc(x if x.sum() > 0 else -x)


class Flat(nn.Module):
    """Has nothing before its classifier but a layer whose output is what the classifier reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.first(x).mean((2, 3)))


@pytest.mark.parametrize(
    ("network", "reason"),
    [(Deciding(), "cannot be cut|cannot be run|decides"), (Flat(), "no layer group before its head has an output")],
)
def test_what_cannot_be_read_is_refused_with_the_way_out(network: nn.Module, reason: str):
    card = find_model("tf_efficientnet_lite0").card
    groups = (LayerGroup("stem", ("first",)), LayerGroup("head", ("fc",)))
    made = Classifier(network.eval(), card, groups, head_sites(network), (1.0,), "linear", 3)
    with pytest.raises(ModelError, match=f"cannot be read at every depth .*({reason}).*; --head linear"):
        with_depths(made, SIDE)


def test_a_flattened_map_is_too_wide_to_be_read():
    made = deep("vgg11", 64)
    assert max(made.network.get_submodule(DEPTHS).widths.values()) <= depth_features.WIDEST
    assert None in made.depth_columns.values()


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "timm/deit_tiny_distilled_patch16_224"])
def test_without_its_depths_a_network_is_what_it_was(name: str):
    side = SIDE if find_model(name).card.sizes == "any" else 224
    before = plain(name, side)
    names, expected = list(before.network.state_dict()), logits_of(before, images(2, side))
    deep_one = with_depths(before, side)
    nn.init.normal_(deep_one.network.get_submodule(DEPTHS).weight)
    after = without_depths(deep_one)
    assert after == before
    assert list(after.network.state_dict()) == names
    assert torch.equal(logits_of(after, images(2, side)), expected)
    assert "forward" not in vars(after.network)
    assert DepthReader(after.network, after.groups, size=side).group_names == before.group_names[:-1]


def test_depths_follow_a_saved_state():
    classifier = plain()
    names = list(classifier.network.state_dict())
    assert matching_depths(classifier, names, SIDE) is classifier
    deep_one = matching_depths(classifier, [*names, "multi_depth.weight"], SIDE)
    assert deep_one.head_kind == "multi_depth"
    assert matching_depths(deep_one, ["multi_depth.weight"], SIDE) is deep_one
    assert matching_depths(deep_one, names, SIDE) == classifier
