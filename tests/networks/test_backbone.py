"""Card -> classifier; and what the embedded weights know."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.data.loading import read_pixels
from headstart.data.preprocess import evaluation_view
from headstart.data.sources.reading import open_source
from headstart.errors import ModelError
from headstart.input_spec import InputSpec
from headstart.networks.backbone import (
    Classifier,
    build_classifier,
    build_network,
    group_names_of,
    pretrained,
    with_new_head,
)
from headstart.networks.cards.finding import find_model

IMAGENET_CLASS = {"ants": 310, "bees": 309}


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_head_is_new_and_the_rest_is_pretrained(kind: str):
    choice = find_model("tf_efficientnet_lite0")
    reference = pretrained(choice)[0].state_dict()
    classifier = build_classifier(choice, kind=kind, num_classes=3, seed=0)
    state = classifier.network.state_dict()
    for name, tensor in reference.items():
        if not name.startswith("classifier"):
            assert torch.equal(state[name], tensor), name
    with torch.no_grad():
        assert classifier.network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_the_seed_decides_the_head_and_the_global_generator_is_left_alone():
    choice = find_model("tf_efficientnet_lite0")
    before = torch.get_rng_state()
    heads = [build_classifier(choice, kind="mlp", num_classes=3, seed=s).head[1].weight for s in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def accuracy_of_the_untouched_network(data: Path, name: str, spec: InputSpec, count: int) -> float:
    network, _ = pretrained(find_model(name))
    records = [r for r in open_source(str(data / "hymenoptera.tar")).of("val") if r.label in IMAGENET_CLASS]
    records = records[:count] + records[-count:]
    hits = 0
    for record in records:
        view = evaluation_view(read_pixels(record), spec)
        with torch.inference_mode():
            logits = network(torch.from_numpy(view[None]).permute(0, 3, 1, 2))
        hits += int(logits.argmax()) == IMAGENET_CLASS[record.label]
    return hits / len(records)


@pytest.mark.realdata
def test_the_embedded_weights_know_ants_and_bees_and_less_so_with_the_wrong_statistics(real_data: Path):
    """Two classes of 1,000: chance is 0.001."""
    right = find_model("tf_efficientnet_lite0").card.input
    wrong = InputSpec(right.size, right.resize, right.interpolation, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with_right = accuracy_of_the_untouched_network(real_data, "tf_efficientnet_lite0", right, 15)
    with_wrong = accuracy_of_the_untouched_network(real_data, "tf_efficientnet_lite0", wrong, 15)
    assert with_right > 0.6
    assert with_wrong < with_right


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["tf_efficientnet_lite1", "tf_efficientnet_lite2"])
def test_the_larger_weights_know_them_too(real_data: Path, name: str):
    assert accuracy_of_the_untouched_network(real_data, name, find_model(name).card.input, 8) > 0.6


def test_channels_last_changes_no_output_beyond_rounding():
    network, _ = pretrained(find_model("tf_efficientnet_lite0"))
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        nhwc = network(x.contiguous(memory_format=torch.channels_last))
        nchw = network.to(memory_format=torch.contiguous_format)(x)
    assert np.allclose(nhwc, nchw, atol=1e-3)


def random_classifier(name: str, *, input_size: int | None = None, kind: str = "linear") -> Classifier:
    choice = find_model(name)
    return build_classifier(choice, kind=kind, num_classes=3, seed=0, input_size=input_size, weights="random")


SEVERAL_SITES = ["resnet18", "timm/dla46x_c", "timm/levit_128s", "timm/crossvit_tiny_240", "timm/efficientvim_m1"]


@pytest.mark.parametrize("name", [*SEVERAL_SITES, "timm/volo_d1_224", "squeezenet1_1"])
def test_a_fitted_head_gives_its_logits_wherever_its_layers_sit(name: str):
    """The network must give features @ W.T + b, however many layers share the answer."""
    classifier = random_classifier(name)
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(3, classifier.num_features, generator=generator) * 0.1
    bias = torch.randn(3, generator=generator)
    with torch.no_grad():
        for site in classifier.sites:  # as training may have left them
            classifier.network.get_submodule(site.path).weight.normal_()
    classifier.write_linear(weight, bias)
    side = classifier.card.input.size
    x = torch.randn(2, 3, side, side, generator=generator)
    classifier.network.eval()
    assert torch.allclose(classifier.linear_weight(), weight, atol=1e-6)
    with torch.no_grad():
        features = classifier.features(x)
        assert features.shape == (2, classifier.card.features)
        assert torch.allclose(classifier.network(x), features @ weight.T + bias, atol=1e-4)


def test_only_a_linear_head_can_be_read_as_a_matrix():
    made = build_classifier(find_model("resnet18"), kind="mlp", num_classes=3, seed=0, weights="random")
    with pytest.raises(TypeError, match="mlp head is no linear layer"):
        made.linear_weight()


def test_threads_that_ask_for_features_at_once_get_their_own():
    classifier = random_classifier("resnet18", input_size=64)
    classifier.network.eval()
    images = torch.randn(24, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def features(x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return classifier.features(x)

    expected = [features(x) for x in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(features, images))
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(("name", "count", "weight"), [("googlenet", 3, 0.3), ("inception_v3", 2, 0.4)])
def test_auxiliary_heads_have_the_users_classes_and_count_in_training_only(name: str, count: int, weight: float):
    classifier = random_classifier(name)
    x = torch.randn(2, 3, 299, 299)
    classifier.network.train()
    pairs = classifier.training_logits(x)
    assert [tuple(logits.shape) for logits, _ in pairs] == [(2, 3)] * count
    assert [share for _, share in pairs] == [1.0] + [weight] * (count - 1)
    classifier.network.eval()
    assert tuple(classifier.network(x).shape) == (2, 3)
    assert len(classifier.training_logits(x)) == 1


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_networks_that_translate_their_input_do_so_as_with_torchvisions_own_weights(name: str):
    """torchvision's builders switch this on together with the weights, and only then."""
    assert build_network(find_model(name).card).transform_input


def weights_file(name: str, folder: Path) -> tuple[torch.nn.Module, str]:
    """A network with random weights, and the model name of a file that holds them."""
    from safetensors.torch import save_file

    card = find_model(name).card
    torch.manual_seed(3)
    source = build_network(card)
    path = folder / "w.safetensors"
    save_file({n: t.contiguous().clone() for n, t in source.state_dict().items()}, path)
    return source, f"{card.library}/{card.architecture}:file:{path}"


@pytest.mark.parametrize("name", ["vit_b_32", "timm/vit_tiny_patch16_224", "timm/swin_tiny_patch4_window7_224"])
@pytest.mark.slow
def test_weights_of_a_fixed_size_are_resampled_to_another(tmp_path: Path, name: str):
    source, file = weights_file(name, tmp_path)
    size = 96 if "vit" in name else 256
    network, report = pretrained(find_model(file), input_size=size)
    assert report.head == "loaded"
    with torch.no_grad():
        assert tuple(network(torch.randn(1, 3, size, size)).shape) == (1, 1000)
    same = [n for n, t in network.state_dict().items() if n.endswith("mlp.fc1.weight") or n.endswith("mlp.0.weight")]
    assert same
    assert all(torch.equal(network.state_dict()[n], source.state_dict()[n]) for n in same)


@pytest.mark.parametrize(("name", "size"), [("timm/mixer_s32_224", 96), ("maxvit_t", 96), ("vit_b_32", 100)])
@pytest.mark.slow
def test_a_size_that_a_network_cannot_take_is_refused_before_training(tmp_path: Path, name: str, size: int):
    choice = find_model(weights_file(name, tmp_path)[1])
    with pytest.raises(ModelError, match=rf"cannot be used at {size} px .*expected its own 224 px") as caught:
        build_classifier(choice, kind="linear", num_classes=3, seed=0, input_size=size)
    assert "--input-size" in str(caught.value)


def test_random_weights_are_the_seeds():
    first, second = (random_classifier("timm/test_resnet").network.state_dict() for _ in range(2))
    assert all(torch.equal(t, second[n]) for n, t in first.items())
    assert next(t for n, t in first.items() if n.endswith("conv1.weight")).std() > 0


def test_block_grain_names_every_block_without_building_weights():
    choice = find_model("resnet18")
    assert group_names_of(choice) == choice.card.groups
    names = group_names_of(choice, grain="block")
    assert names[:2] == ("stem", "layer1.0")
    built = build_classifier(choice, kind="linear", num_classes=2, seed=0, weights="random", grain="block")
    assert built.group_names == names


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("name", [*SEVERAL_SITES, "squeezenet1_1"])
def test_the_heads_give_the_outputs_of_the_network_from_its_features(name: str, kind: str):
    classifier = random_classifier(name, kind=kind)
    assert classifier.outputs_from_features
    side = classifier.card.input.size
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))
    classifier.network.eval()
    with torch.no_grad():
        for site in classifier.sites:
            for parameter in classifier.network.get_submodule(site.path).parameters():
                parameter.normal_(std=0.1)
        assert torch.allclose(classifier.logits_from(classifier.features(x)), classifier.network(x), atol=1e-4)


def test_a_network_whose_auxiliary_head_adds_to_the_output_is_known():
    assert not random_classifier("timm/volo_d1_224").outputs_from_features
    assert random_classifier("googlenet").outputs_from_features


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize(
    "name", ["resnet18", "tf_efficientnet_lite0", "vgg11", "convnext_atto", "vit_tiny_patch16_224"]
)
def test_all_that_is_new_is_in_the_head_group_and_nothing_else(name: str, kind: str):
    """A head of several layers must not leave its first, random one in a stage that is frozen."""
    card = find_model(name).card
    with torch.device("meta"):
        made = with_new_head(build_network(card), card, kind=kind, num_classes=3)
    new = {id(p) for site in made.sites for p in made.network.get_submodule(site.path).parameters()}
    group = made.groups[-1]
    grouped = {
        id(p)
        for path, p in made.network.named_parameters()
        if any(path == member or path.startswith(f"{member}.") for member in group.members)
    }
    assert grouped == new
