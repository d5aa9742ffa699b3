"""A network in two parts is the whole: outputs, gradients and buffers bit for bit, every layer on its own side."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from cut_checks import answers, classifier_for, composed, cut_verdict, equal, images_of, training_run
from torch import Tensor, nn

from headstart.engine.prefix.cut import NetworkGraph, cut, taps
from headstart.errors import ModelError
from headstart.networks.cards.finding import find_model
from headstart.networks.groups.grouping import layer_groups
from headstart.networks.groups.layers import LayerGroup, freeze, param_groups
from headstart.networks.heads import replace_heads

# Every main design line; the rest by `make benchmarks`. A side stands where the network's own would take long.
NETWORKS = {
    **dict.fromkeys(("resnet18", "googlenet", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1")),
    **dict.fromkeys(("regnet_y_400mf", "efficientnet_b0", "mnasnet0_5", "timm/starnet_s050", "timm/dla46x_c")),
    **dict.fromkeys(("timm/mobilevit_xxs", "timm/edgenext_xx_small", "timm/levit_128s", "timm/efficientvim_m1")),
    **dict.fromkeys(("timm/ghostnet_050", "timm/hrnet_w18_small", "timm/convnext_zepto_rms")),
    **{"timm/vit_tiny_patch16_224": 64, "timm/cait_xxs24_224": 64, "timm/pit_ti_224": 96},
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.slow
def test_at_every_cut_point_the_parts_are_the_whole(name: str):
    verdict = cut_verdict(find_model(name).card, NETWORKS[name])
    assert verdict.holds, verdict.refused + verdict.faults
    assert verdict.borders >= 4


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "efficientnet_b0", "legacy_xception"])
def test_dropout_and_drop_path_of_all_kinds_draw_the_same_numbers(name: str):
    torch.manual_seed(0)
    options = {"img_size": 64} if name.startswith("vit") else {}
    paths = {} if name == "legacy_xception" else {"drop_path_rate": 0.3}
    network = timm.create_model(name, num_classes=3, drop_rate=0.3, **paths, **options)
    graph = NetworkGraph(network, layer_groups(network), example=images_of(64, 1))
    whole = training_run(network, network, 64)
    for cut_point in graph.cut_points:
        assert equal(training_run(network, composed(graph.cut(cut_point)), 64), whole)
    network.eval()
    assert not equal(answers(network(images_of(64, 3))), whole[:1])


def test_dropout_in_place_leaves_what_crosses_as_it_was():
    classifier = classifier_for(find_model("mnasnet0_5").card, 64)
    parts = cut(classifier.network, classifier.groups, "head", example=images_of(64, 1))
    classifier.network.train()
    crossing = parts.prefix(images_of(64, 4))
    before = [tensor.clone() for tensor in crossing]
    parts.suffix(*crossing)
    assert equal(crossing, before)


def test_auxiliary_branches_read_crossing_tensors_too():
    classifier = classifier_for(find_model("googlenet").card, 64)
    graph = NetworkGraph(classifier.network, classifier.groups, example=images_of(64, 1))
    assert [len(graph.cut(cut_point).crossing) for cut_point in graph.cut_points] == [1, 1, 1, 3, 3]
    parts = graph.cut("head")
    assert parts.crossing[-1].shape == (1024,)  # pooling lies before the head
    classifier.network.train()
    main, second, first = parts.suffix(*parts.prefix(images_of(64, 2)))
    assert main.shape == second.shape == first.shape == (2, 3)


def test_crossing_tensors_survive_a_store_that_keeps_their_layout():
    classifier = classifier_for(find_model("resnet18").card, 64)
    parts = cut(classifier.network, classifier.groups, "layer4", example=images_of(64, 1))
    (crossing,) = parts.crossing
    assert (crossing.shape, crossing.dtype, crossing.channels_last) == ((256, 4, 4), torch.float32, True)
    assert crossing.bytes_per_image == 256 * 16 * 4
    classifier.network.eval()
    with torch.no_grad():
        (computed,) = parts.prefix(images_of(64, 4))
        stored: np.ndarray = computed.numpy().copy(order="C")
        again = torch.from_numpy(stored).contiguous(memory_format=torch.channels_last)
        assert torch.equal(parts.suffix(again), classifier.network(images_of(64, 4)))


def test_training_the_suffix_trains_the_network():
    classifier = classifier_for(find_model("resnet18").card, 64)
    network, groups = classifier.network, classifier.groups
    parts = cut(network, groups, "layer4", example=images_of(64, 1))
    freeze(network, groups, trained=["layer4", "head"])
    network.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.SGD(param_groups(network, groups, {"layer4": 0.1, "head": 0.1}), lr=0.1)
    crossing = parts.prefix(images_of(64, 4))
    assert not crossing[0].requires_grad
    parts.suffix(*crossing).square().sum().backward()
    optimizer.step()
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved
    assert {name.split(".")[0] for name in moved} == {"layer4", "fc"}
    assert set(parts.suffix.state_dict()) == {n for n in before if n.startswith(("layer4.", "fc."))}
    assert torch.equal(parts.suffix(*crossing), network(images_of(64, 4)))


def test_a_head_exchanged_after_the_cut_is_run():
    classifier = classifier_for(find_model("timm/convnext_zepto_rms").card, 64)
    network = classifier.network.eval()
    graph = NetworkGraph(network, classifier.groups, example=images_of(64, 1))
    parts = graph.cut("head")
    replace_heads(network, kind="mlp", num_classes=7)
    for made in (parts, graph.cut("head")):
        with torch.no_grad():
            found = made.suffix(*made.prefix(images_of(64, 2)))
            assert found.shape == (2, 7)
            assert torch.equal(found, network(images_of(64, 2)))


def test_the_network_is_as_it_was():
    classifier = classifier_for(find_model("timm/levit_128s").card, 224)
    network = classifier.network.train()
    network.stem.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    cut(network, classifier.groups, "stage2", example=images_of(224, 1))
    assert modes == [module.training for module in network.modules()]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(("name", "width"), [("resnet18", 512), ("timm/hrnet_w18_small", 2048), ("swin_t", 768)])
def test_taps_give_one_vector_for_every_group_before_the_head(name: str, width: int):
    classifier = classifier_for(find_model(name).card, 64)
    network = classifier.network.eval()
    tapped = taps(network, classifier.groups, example=images_of(64, 1))
    with torch.no_grad():
        found = tapped(images_of(64, 2))
        assert tuple(found) == classifier.group_names[:-1]
        assert all(t.ndim == 2 and len(t) == 2 for t in found.values())
        last = found[classifier.group_names[-2]]
        assert last.shape == (2, width)
        assert torch.allclose(last, classifier.features(images_of(64, 2)), atol=1e-5)


def test_one_pass_gives_the_logits_and_the_outputs_of_the_groups():
    classifier = classifier_for(find_model("resnet18").card, 64)
    network = classifier.network.eval()
    graph = NetworkGraph(network, classifier.groups, example=images_of(64, 1))
    with torch.no_grad():
        answer, leaving = graph.tapped()(images_of(64, 2))
        assert torch.equal(answer, network(images_of(64, 2)))
        assert torch.equal(leaving["layer3"][0].mean((2, 3)), graph.taps()(images_of(64, 2))["layer3"])


def test_taps_average_what_the_groups_give():
    classifier = classifier_for(find_model("resnet18").card, 64)
    network = classifier.network.eval()
    read: list[Tensor] = []
    network.layer2.register_forward_hook(lambda module, inputs, output: read.append(output))
    with torch.no_grad():
        found = taps(network, classifier.groups, example=images_of(64, 1))(images_of(64, 2))
    assert torch.equal(found["layer2"], read[-1].mean((2, 3)))


class Skipping(nn.Module):
    """A user's own network: skips over two stages, and a table that both sides need."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.stage = nn.Conv2d(4, 4, 3, 1, 1)
        self.last = nn.Conv2d(4, 4, 3, 1, 1)
        self.table = nn.Parameter(torch.randn(4, 1, 1))
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        table = self.table.exp()
        early = self.stem(x) + table
        x = self.last(self.stage(early)) * table + early
        return self.head(x.mean((2, 3)))


def groups_of(*members: tuple[str, ...]) -> tuple[LayerGroup, ...]:
    return tuple(LayerGroup(names[0], names) for names in members)


SKIPPING = groups_of(("stem", "table"), ("stage",), ("last",), ("head",))


def test_skips_cross_and_tables_are_made_on_both_sides():
    network = Skipping()
    graph = NetworkGraph(network, SKIPPING, example=torch.zeros(1, 3, 8, 8))
    crossing = {cut_point: [c.shape for c in graph.cut(cut_point).crossing] for cut_point in graph.cut_points}
    assert crossing == {"stage": [(4, 4, 4)], "last": [(4, 4, 4), (4, 4, 4)], "head": [(4,)]}
    parts = graph.cut("last")
    parts.suffix(*parts.prefix(torch.randn(5, 3, 8, 8))).sum().backward()
    assert network.table.grad is not None


def test_an_unknown_cut_point_is_refused_with_the_list_of_cut_points():
    network = Skipping()
    with pytest.raises(ModelError, match="no layer group 'stge'; did you mean stage"):
        cut(network, SKIPPING, "stge", example=torch.zeros(1, 3, 8, 8))
    with pytest.raises(ModelError, match="nothing lies before stem; expected one of stage, last, head"):
        cut(network, SKIPPING, "stem", example=torch.zeros(1, 3, 8, 8))


def test_images_that_the_network_cannot_take_are_said_to_be_the_reason():
    with pytest.raises(ModelError, match=r"Skipping cannot be run on images of \(5, 8, 8\).*give an example"):
        cut(Skipping(), SKIPPING, "last", example=torch.zeros(1, 5, 8, 8))


BORDER_IN_THE_MIDDLE = groups_of(("stem", "table", "stage"), ("last",), ("head",))


def test_what_puts_another_axis_first_is_left_to_the_suffix():
    network = Skipping()
    network.forward = lambda x: network.head(network.last(twice(network.stem(x))).mean((2, 3)).chunk(2)[1])
    parts = cut(network, BORDER_IN_THE_MIDDLE, "last", example=torch.zeros(1, 3, 8, 8))
    assert [c.shape for c in parts.crossing] == [(4, 4, 4)]
    images = torch.randn(5, 3, 8, 8)
    assert torch.equal(parts.suffix(*parts.prefix(images)), network(images))


def twice(x: Tensor) -> Tensor:
    return x.flip(2).repeat(2, 1, 1, 1)


def test_what_a_layer_gives_without_its_images_in_order_cannot_cross():
    network = Skipping()
    network.stem = Doubling()
    network.forward = lambda x: network.head(network.last(network.stem(x)).mean((2, 3)).chunk(2)[0])
    with pytest.raises(
        ModelError, match=r"cannot be cut at last \(the crossing tensors of an image depend on the others"
    ):
        cut(network, BORDER_IN_THE_MIDDLE, "last", example=torch.zeros(1, 3, 8, 8))


def test_rows_of_an_image_that_a_layer_gives_cross_behind_the_batch():
    network = Skipping()
    network.stem = Windows()
    network.forward = lambda x: network.head(network.last(network.stem(x)).mean((2, 3)).unflatten(0, (-1, 4)).mean(1))
    parts = cut(network, BORDER_IN_THE_MIDDLE, "last", example=torch.zeros(1, 3, 8, 8))
    assert [c.shape for c in parts.crossing] == [(4, 4, 8, 2)]
    images = torch.randn(5, 3, 8, 8)
    assert torch.equal(parts.suffix(*parts.prefix(images)), network(images))


class Windows(nn.Conv2d):
    """A layer that returns four strips of each image, one after the other."""

    def __init__(self) -> None:
        super().__init__(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).unflatten(3, (4, 2)).permute(0, 3, 1, 2, 4).flatten(0, 1)


class Doubling(nn.Conv2d):
    """A layer that returns two of each image."""

    def __init__(self) -> None:
        super().__init__(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return twice(super().forward(x))


def test_a_network_that_decides_by_its_images_says_why_and_the_way_out():
    network = Skipping()
    network.forward = lambda x: network.head(network.last(network.stem(x) * (2 if x.sum() > 0 else 3)).mean((2, 3)))
    with pytest.raises(
        ModelError,
        match=r"Skipping cannot be cut at any cut point \(forward decides.*headstart trains it without a store",
    ):
        cut(network, BORDER_IN_THE_MIDDLE, "last", example=torch.zeros(1, 3, 8, 8))


def test_tensors_that_share_memory_which_is_changed_afterwards_cannot_both_cross():
    network = Skipping()

    def forward(x: Tensor) -> Tensor:
        x = network.stem(x)
        view = x[:, :2]
        y = network.last(x).mean((2, 3))
        view.add_(y[:, :1, None, None])
        return network.head(x.mean((2, 3)) + view.mean((1, 2, 3))[:, None])

    network.forward = forward
    with pytest.raises(ModelError, match="share memory that is changed afterwards"):
        cut(network, BORDER_IN_THE_MIDDLE, "last", example=torch.zeros(1, 3, 8, 8))
