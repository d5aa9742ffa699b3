"""Layer groups, freezing and BatchNorm, by what they do to outputs and buffers."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from headstart.errors import ModelError
from headstart.networks.backbone import Classifier, build_network, with_new_head
from headstart.networks.cards.finding import find_model
from headstart.networks.groups.layers import (
    LayerGroup,
    assert_partition,
    check_names,
    fingerprints,
    freeze,
    frozen_tensors,
    in_evaluation_mode,
    is_batch_norm,
    named_tensors,
    owner_by_path,
    param_groups,
    restore,
    set_batch_norm,
)

NAMES = ("tf_efficientnet_lite0", "resnet18")


def make(name: str) -> Classifier:
    torch.manual_seed(0)
    card = find_model(name).card
    return with_new_head(build_network(card), card, kind="linear", num_classes=3)


@pytest.fixture(params=NAMES)
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return make(request.param)


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(1)).contiguous(
        memory_format=torch.channels_last
    )


def test_features_are_what_the_head_reads(classifier: Classifier):
    classifier.network.eval()
    seen = []
    handle = classifier.head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        classifier.network(images())
        handle.remove()
        features = classifier.features(images())
    assert features.shape == (2, classifier.card.features)
    assert torch.equal(features, seen[0])


def test_a_tensor_outside_every_group_is_refused(classifier: Classifier):
    classifier.network.extra = nn.Linear(1, 1)
    with pytest.raises(ModelError, match=r"2 tensors lie in no layer group \(first: extra\.weight\)"):
        assert_partition(classifier.network, classifier.groups)


@pytest.mark.parametrize("second", ["a", "a.0"])
def test_groups_that_share_a_member_are_refused(second: str):
    network = nn.Sequential()
    network.a = nn.Sequential(nn.Linear(1, 1))
    with pytest.raises(ModelError, match="layer groups share a"):
        assert_partition(network, (LayerGroup("one", ("a",)), LayerGroup("two", (second,))))


def test_unknown_names_are_refused_with_those_there_are(classifier: Classifier):
    names = classifier.group_names
    assert check_names(reversed(names), classifier.groups) == names
    with pytest.raises(ModelError, match=r"no layer group 'heads'; did you mean head\?; expected some of stem"):
        check_names(["heads"], classifier.groups)


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.lists(st.sampled_from("abc"), min_size=1, max_size=4)
)
@settings(max_examples=200, deadline=None)
def test_owners_are_those_whose_member_begins_the_path(path: list[str], member: list[str]):
    group = LayerGroup("g", (".".join(member),))
    name = ".".join(path)
    expected = path[: len(member)] == member
    assert group.owns(name) == expected
    assert owner_by_path([name], [group]) == ({name: "g"} if expected else {})


def test_a_group_owns_by_whole_names_only():
    group = LayerGroup("layer1", ("layer1",))
    assert group.owns("layer1.0.weight")
    assert not group.owns("layer10.0.weight")


def test_freeze_leaves_gradients_to_exactly_the_named_groups(classifier: Classifier):
    last = classifier.group_names[-2:]
    freeze(classifier.network, classifier.groups, trained=last)
    for name, parameter in classifier.network.named_parameters():
        owner = next(group.name for group in classifier.groups if group.owns(name))
        assert parameter.requires_grad == (owner in last)


def step(classifier: Classifier, *, policy: str, affine: str = "trained", trained: tuple[str, ...]) -> torch.Tensor:
    """One real training step; the logits it saw."""
    freeze(classifier.network, classifier.groups, trained=trained)
    set_batch_norm(classifier.network, classifier.groups, policy=policy, affine=affine, trained=trained)
    optimizer = torch.optim.SGD(
        param_groups(classifier.network, classifier.groups, dict.fromkeys(trained, 0.1)), lr=0.1
    )
    logits = classifier.network(images(4))
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()
    return logits.detach()


def with_random_head(classifier: Classifier) -> Classifier:
    """A zero head would hide the backbone from the loss."""
    torch.manual_seed(3)
    nn.init.normal_(classifier.head.weight, std=0.1)
    return classifier


def buffers_of(network: nn.Module) -> dict[str, str]:
    return fingerprints(dict(network.named_buffers()))


def test_pretrained_statistics_train_exactly_as_they_evaluate_and_move_no_buffer(classifier: Classifier):
    with_random_head(classifier)
    before = buffers_of(classifier.network)
    classifier.network.eval()
    with torch.no_grad():
        evaluated = classifier.network(images(4))
    trained = step(classifier, policy="pretrained_statistics", trained=classifier.group_names)
    assert torch.equal(trained, evaluated)
    assert buffers_of(classifier.network) == before


def test_adapt_statistics_moves_every_buffer_and_no_affine_weight(classifier: Classifier):
    with_random_head(classifier)
    before, state = buffers_of(classifier.network), copy.deepcopy(classifier.network.state_dict())
    classifier.network.eval()
    with torch.no_grad():
        evaluated = classifier.network(images(4))
    trained = step(classifier, policy="adapt_statistics", trained=("head",))
    assert not torch.allclose(trained, evaluated)
    after = buffers_of(classifier.network)
    assert all(after[name] != digest for name, digest in before.items())
    moved = [n for n, p in classifier.network.named_parameters() if not torch.equal(p, state[n])]
    assert moved
    assert all(classifier.groups[-1].owns(name) for name in moved)


def test_train_moves_buffers_of_unfrozen_groups_only(classifier: Classifier):
    with_random_head(classifier)
    before = buffers_of(classifier.network)
    unfrozen = classifier.group_names[-2:]
    step(classifier, policy="train", trained=unfrozen)
    after = buffers_of(classifier.network)
    for name, digest in before.items():
        owner = next(group.name for group in classifier.groups if group.owns(name))
        assert (after[name] != digest) == (owner in unfrozen), name


def test_frozen_affine_keeps_scale_and_shift_of_unfrozen_norms(classifier: Classifier):
    with_random_head(classifier)
    state = copy.deepcopy(classifier.network.state_dict())
    step(classifier, policy="pretrained_statistics", affine="frozen", trained=classifier.group_names)
    norms = {n for n, m in classifier.network.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert norms
    for name, parameter in classifier.network.named_parameters():
        assert torch.equal(parameter, state[name]) == (name.rsplit(".", 1)[0] in norms), name


def test_modules_of_frozen_groups_are_in_evaluation_mode(classifier: Classifier):
    set_batch_norm(
        classifier.network, classifier.groups, policy="pretrained_statistics", affine="trained", trained=("head",)
    )
    assert classifier.head.training
    for name, module in classifier.network.named_modules():
        owner = next((group.name for group in classifier.groups if group.owns(name)), None)
        if owner not in (None, "head"):
            assert not module.training, name


def test_param_groups_have_their_own_learning_rate_and_every_trainable_tensor_once(classifier: Classifier):
    rates = {name: 10.0**-i for i, name in enumerate(classifier.group_names)}
    freeze(classifier.network, classifier.groups, trained=rates)
    made = param_groups(classifier.network, classifier.groups, rates)
    assert [(g["name"], g["lr"]) for g in made] == list(rates.items())
    held = [id(p) for g in made for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in classifier.network.parameters())


def test_the_optimizer_never_holds_a_frozen_parameter(classifier: Classifier):
    freeze(classifier.network, classifier.groups, trained=("head",))
    made = param_groups(classifier.network, classifier.groups, {"head": 1.0})
    assert [id(p) for p in made[0]["params"]] == [id(p) for p in classifier.head.parameters()]


def test_frozen_tensors_are_all_but_what_learns_and_what_may_adapt(classifier: Classifier):
    freeze(classifier.network, classifier.groups, trained=("head",))
    everything = {name for name, _ in named_tensors(classifier.network)}
    head = {name for name in everything if classifier.groups[-1].owns(name)}
    for policy, moving in (
        ("pretrained_statistics", set()),
        ("adapt_statistics", set(dict(classifier.network.named_buffers()))),
    ):
        set_batch_norm(classifier.network, classifier.groups, policy=policy, affine="trained", trained=("head",))
        assert set(frozen_tensors(classifier.network, policy=policy)) == everything - head - moving


def test_fingerprints_see_a_single_bit():
    tensor = torch.zeros(5)
    before = fingerprints({"a": tensor})
    tensor[3] = -0.0
    assert fingerprints({"a": tensor}) != before


def test_running_buffers_make_a_batch_norm_whatever_its_class():
    from timm.layers import EvoNorm2dB0

    assert is_batch_norm(nn.BatchNorm1d(2))
    assert is_batch_norm(EvoNorm2dB0(8))
    assert not is_batch_norm(nn.LayerNorm(2))


def test_restoring_lets_go_of_what_was_derived_from_the_weights_of_before():
    """LeViT keeps its attention biases between evaluations: with a plain load the answer would stay the old one."""
    import timm

    torch.manual_seed(0)
    network, x = timm.create_model("levit_128s", num_classes=3).eval(), torch.randn(1, 3, 224, 224)
    other = copy.deepcopy(network)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if "attention_biases" in name:
                parameter.add_(torch.randn_like(parameter))
        network(x)
        expected = other(x)
        restore(network, other.state_dict())
        assert torch.allclose(network(x), expected, atol=1e-5)
    assert not network.training


def test_a_state_from_a_file_is_restored_in_networks_that_ask_for_its_version():
    import torchvision

    network = torchvision.models.mnasnet0_5(num_classes=2)
    state = {name: tensor + 1 for name, tensor in network.state_dict().items()}
    restore(network, state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_every_module_has_its_own_mode_again_after_evaluation_mode():
    network = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()))
    network[1][0].eval()
    before = [module.training for module in network.modules()]
    with in_evaluation_mode(network):
        assert not any(module.training for module in network.modules())
    assert [module.training for module in network.modules()] == before
