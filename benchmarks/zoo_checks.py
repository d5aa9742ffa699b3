"""What layer groups and heads promise, checked from outside by hooks, names and bit patterns.

None of the package's own ways of knowing is used. The tests run it on some networks, `layer_groups.py` on all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from headstart.networks.backbone import Classifier, build_network, with_new_head
from headstart.networks.cards.catalog import ModelCard
from headstart.networks.groups.layers import LayerGroup, freeze, param_groups, set_batch_norm
from headstart.networks.groups.order import without_weights

NUMERIC_BELOW = 30_000_000
"""Parameters up to which order and training step are checked by computing."""
CLASSES = 3


@dataclass
class Verdict:
    """What was checked of one network."""

    name: str
    groups: int = 0
    backbone_groups: int = 0
    parameters: int = 0
    checked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def owners_of(groups: tuple[LayerGroup, ...], name: str) -> list[int]:
    """Positions of the groups that claim a tensor or module, by the plain meaning of member paths."""
    return [
        index
        for index, group in enumerate(groups)
        if any(name == member or name.startswith(member + ".") for member in group.members)
    ]


def partition_faults(network: nn.Module, groups: tuple[LayerGroup, ...]) -> list[str]:
    """Parameters and buffers that lie in no group or in several."""
    names = [n for n, _ in network.named_parameters()] + [n for n, _ in network.named_buffers()]
    return [
        f"{name} lies in {len(owners_of(groups, name))} groups" for name in names if len(owners_of(groups, name)) != 1
    ]


def order_faults(network: nn.Module, groups: tuple[LayerGroup, ...], images: torch.Tensor) -> list[str]:
    """Layers that forward meets before or after their group's turn."""
    met: list[str] = []
    leaves = {p: m for p, m in network.named_modules() if not list(m.children()) and list(m.parameters())}
    handles = [m.register_forward_pre_hook(lambda *_, path=p: met.append(path)) for p, m in leaves.items()]
    network.eval()
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    faults, reached = [], 0
    for path in dict.fromkeys(met):
        position = owners_of(groups, path)[0]
        if position < reached:
            faults.append(f"{path} of {groups[position].name} runs after {groups[reached].name} has begun")
        reached = max(reached, position)
    return faults


def head_faults(classifier: Classifier) -> list[str]:
    """Layers that still return the classes of the weights, or logits of the wrong shape."""
    wide = classifier.card.num_classes or 1000
    left = [
        path
        for path, module in classifier.network.named_modules()
        if path.split(".")[0] in ("fc", "head", "heads", "head_dist", "classifier", "aux1", "aux2", "AuxLogits")
        and isinstance(module, nn.Linear)
        and module.out_features == wide
        and wide not in (384, 512, 640, 768, 1024, 1152, 1280)  # widths that inner layers have too
    ]
    return [f"{path} still has {wide} outputs" for path in left]


def step_faults(classifier: Classifier, images: torch.Tensor, trained: tuple[str, ...]) -> list[str]:
    """What one SGD step moved although it must not, and groups that it did not move."""
    network, groups = classifier.network, classifier.groups
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for site in classifier.sites:  # a head of zeros would hide the backbone from the loss
            for parameter in network.get_submodule(site.path).parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    before = {n: t.detach().clone() for n, t in [*network.named_parameters(), *network.named_buffers()]}
    freeze(network, groups, trained=trained)
    set_batch_norm(network, groups, policy="pretrained_statistics", affine="trained", trained=trained)
    optimizer = torch.optim.SGD(param_groups(network, groups, dict.fromkeys(trained, 0.1)), lr=0.1)
    labels = torch.arange(len(images)) % CLASSES
    loss = sum(w * nn.functional.cross_entropy(logits, labels) for logits, w in classifier.training_logits(images))
    loss.backward()
    optimizer.step()
    moved = {
        n for n, t in [*network.named_parameters(), *network.named_buffers()] if not torch.equal(t.detach(), before[n])
    }
    names = classifier.group_names
    allowed = {names.index(name) for name in trained}
    faults = [f"{name} moved while frozen" for name in sorted(moved) if owners_of(groups, name)[0] not in allowed]
    buffers = dict(network.named_buffers())
    faults += [f"buffer {name} moved" for name in sorted(moved) if name in buffers]
    parameters = dict(network.named_parameters())
    faults += [
        f"{name} has a gradient and did not move"
        for name, p in parameters.items()
        if p.grad is not None and p.grad.abs().max() > 1e-4 and name not in moved
    ]
    reached = {owners_of(groups, name)[0] for name in moved}
    faults += [f"nothing of {names[index]} moved" for index in sorted(allowed - reached)]
    return faults


def structural_verdict(card: ModelCard) -> Verdict:
    """Partition, head and number of groups, without computing."""
    network = without_weights(lambda: build_network(card))
    parameters = sum(p.numel() for p in network.parameters())
    classifier = with_new_head(network, card, kind="linear", num_classes=CLASSES)
    verdict = Verdict(card.name, len(classifier.groups), len(classifier.groups) - 1, parameters, ["partition", "head"])
    verdict.faults = partition_faults(network, classifier.groups) + head_faults(classifier)
    if classifier.group_names != card.groups:
        verdict.faults.append(f"groups {classifier.group_names} are not the card's {card.groups}")
    blocks = with_new_head(
        without_weights(lambda: build_network(card)), card, kind="linear", num_classes=CLASSES, grain="block"
    )
    verdict.faults += [f"block grain: {fault}" for fault in partition_faults(blocks.network, blocks.groups)]
    return verdict


def numeric_verdict(card: ModelCard, *, size: int | None = None) -> Verdict:
    """Everything, by running the network with random weights.

    Args:
        card: Which network.
        size: Side of the images; None is the card's own.
    """
    side = card.input.size if size is None or card.sizes == "fixed" else size
    verdict = structural_verdict(card)
    torch.manual_seed(0)
    classifier = with_new_head(build_network(card), card, kind="linear", num_classes=CLASSES)
    images = torch.randn(2, 3, side, side).contiguous(memory_format=torch.channels_last)
    verdict.faults += order_faults(classifier.network, classifier.groups, images)
    with torch.no_grad():
        shape = tuple(classifier.network(images).shape)
        features = tuple(classifier.features(images).shape)
    if shape != (2, CLASSES):
        verdict.faults.append(f"the logits have shape {shape}")
    if features != (2, card.features):
        verdict.faults.append(f"features have shape {features}, not {(2, card.features)}")
    names = classifier.group_names
    for trained in (names[-1:], names[-2:], names):
        verdict.faults += [f"training {trained[0]}..: {f}" for f in step_faults(classifier, images, trained)]
    verdict.checked += ["order", "logits", "training step"]
    return verdict
