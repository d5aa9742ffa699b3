"""Layer groups, freezing and BatchNorm, by what they do to outputs and buffers."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from headstart.errors import ModelError
from headstart.models.backbone import Classifier, build_network, with_new_head
from headstart.models.catalog import all_cards, find_model
from headstart.models.layers import (
    LayerGroup,
    fingerprints,
    freeze,
    frozen_tensors,
    groups_of_family,
    named_tensors,
    param_groups,
    pooled_features,
    run_groups,
    set_batch_norm,
    stage_groups,
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


@pytest.mark.parametrize("card", all_cards(), ids=lambda card: card.name)
def test_groups_of_every_card_hold_every_tensor_once_and_are_the_cards(card):
    with torch.device("meta"):
        network = build_network(card)
    groups = stage_groups(network, card.family)
    assert tuple(group.name for group in groups) == card.groups
    owners = {name: [g.name for g in groups if g.owns(name)] for name, _ in named_tensors(network)}
    assert owners
    assert all(len(found) == 1 for found in owners.values())
    assert card.groups[0] == "stem"
    assert card.groups[-1] == "head"
    assert len(card.groups) >= 6


def test_groups_in_turn_are_the_networks_own_forward(classifier: Classifier):
    classifier.network.eval()
    with torch.no_grad():
        assert torch.equal(run_groups(classifier.network, classifier.groups, images()), classifier.network(images()))


@given(cut=st.integers(1, 5))
@settings(max_examples=5, deadline=None)
def test_every_border_is_a_cut_point(cut: int):
    for name in NAMES:
        whole = make(name)
        whole.network.eval()
        with torch.no_grad():
            middle = run_groups(whole.network, whole.groups[:cut], images())
            assert torch.equal(run_groups(whole.network, whole.groups[cut:], middle), whole.network(images()))


def test_pooled_features_are_what_the_head_reads(classifier: Classifier):
    classifier.network.eval()
    seen = []
    handle = classifier.head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        classifier.network(images())
        features = pooled_features(classifier.network, classifier.groups, images())
    handle.remove()
    assert features.shape == (2, classifier.card.features)
    assert torch.equal(features, seen[0])


def test_groups_stand_in_the_order_in_which_forward_meets_them(classifier: Classifier):
    met: list[str] = []
    for group in classifier.groups:
        for step in group.steps:
            if step != "flatten":
                module = classifier.network.get_submodule(step)
                module.register_forward_hook(lambda *_, name=group.name: met.append(name))
    classifier.network.eval()
    with torch.no_grad():
        classifier.network(images())
    assert list(dict.fromkeys(met)) == list(classifier.group_names)


def test_unknown_family_is_refused():
    with pytest.raises(ModelError, match="expected resnet or efficientnet"):
        groups_of_family("vgg", 4)


def test_a_tensor_outside_every_group_is_refused():
    network = build_network(find_model("resnet18").card)
    network.extra = nn.Linear(1, 1)
    with pytest.raises(ModelError, match=r"extra\.weight lies in 0 layer groups"):
        stage_groups(network, "resnet")


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


def test_train_moves_buffers_of_thawed_groups_only(classifier: Classifier):
    with_random_head(classifier)
    before = buffers_of(classifier.network)
    thawed = classifier.group_names[-2:]
    step(classifier, policy="train", trained=thawed)
    after = buffers_of(classifier.network)
    for name, digest in before.items():
        owner = next(group.name for group in classifier.groups if group.owns(name))
        assert (after[name] != digest) == (owner in thawed), name


def test_frozen_affine_keeps_scale_and_shift_of_thawed_norms(classifier: Classifier):
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


def test_param_groups_carry_their_own_rate_and_every_learning_tensor_once(classifier: Classifier):
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
