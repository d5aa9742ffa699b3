"""A classifier whose head reads the pooled output of every layer group in addition to the features of the linear head.

After Head2Toe (Evci et al. 2022): early layers hold edges and textures that the last one no longer has, and reading
them costs nothing, because they are computed on the way. The network stays the library's own, with its own tensor
names and its own head; one linear layer is added to it, and its logits to the network's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from headstart.engine.prefix.cut import NetworkGraph
from headstart.engine.prefix.parts import Part, pooled
from headstart.engine.prefix.tracing import sample, still
from headstart.errors import ModelError
from headstart.networks.backbone import Classifier
from headstart.networks.channels import groups_with_bands
from headstart.networks.head_layers import BAND_HEAD, DEPTHS, HeadSite
from headstart.networks.heads import DepthHead

WIDEST = 4096
"""A longer output is a map that was flattened, not pooled; it is left out."""


def with_depths(classifier: Classifier, size: int) -> Classifier:
    """The same network, changed in place, with a head on the outputs of all its groups too.

    Groups are those of stage grain, whatever the plan counts: a bundle says nothing of grains. A group whose pooled
    output is what the ordinary head reads (often the last stage's) is left out, as is one wider than WIDEST.

    Args:
        classifier: With a linear head. It computes as in evaluation from now on, because a head of
            this kind is fitted in closed form or by L-BFGS.
        size: Side of the images in pixels; it takes no others afterwards.

    Raises:
        ModelError: the steps of the network cannot be recorded, or no group before its head has an output to pool.
    """
    assert classifier.head_kind == "linear", "depths are read in addition to a linear head"
    network = classifier.network
    device = next(network.parameters()).device
    example = torch.zeros(2, classifier.image_channels, size, size, device=device)
    example = example.contiguous(memory_format=torch.channels_last)
    try:
        # Stage grain always: the widths of the head must follow from the network and the image size alone.
        part = NetworkGraph(network, groups_with_bands(network), example=example).tapped()
    except ModelError as error:
        raise _refusal(classifier, error.found) from error
    columns = _columns(classifier, part, example)
    own = classifier.num_features
    # The features of the plain head come first; what lies behind them is the new layer's.
    widths = {name: span[1] - span[0] for name, span in columns.items() if span is not None and span[0] >= own}
    head = DepthHead(widths, classifier.num_classes).to(device).train(network.training)
    network.add_module(DEPTHS, head)
    # An attribute of the instance, not a subclass: class, state_dict and repr of the network stay the library's.
    network.forward = _DeepForward(network, part)
    *backbone, last = classifier.groups
    mains, helpers = classifier.main_sites, classifier.sites[len(classifier.main_sites) :]
    return replace(
        classifier,
        # The new layer belongs to the head's group, so that strategies train and freeze it with the head.
        groups=(*backbone, replace(last, members=(*last.members, DEPTHS))),
        sites=(*mains, HeadSite(DEPTHS, head.in_features, "linear", "main"), *helpers),
        shares=(*classifier.shares, 1.0),
        head_kind="multi_depth",
        depth_columns=columns,
    )


def without_depths(classifier: Classifier) -> Classifier:
    """The same network, changed in place, as it was before `with_depths`: with its own forward and linear head."""
    assert classifier.head_kind == "multi_depth", "there is a head on all depths to take away"
    network = classifier.network
    before = getattr(network.forward, "before", None)
    del network.forward  # of the instance: the class's own forward remains
    if before is not None:
        network.forward = before
    delattr(network, DEPTHS)
    *backbone, last = classifier.groups
    members = tuple(member for member in last.members if member != DEPTHS)
    return replace(
        classifier,
        groups=(*backbone, replace(last, members=members)),
        sites=tuple(site for site in classifier.sites if site.path != DEPTHS),
        shares=classifier.shares[:-1],
        head_kind="linear",
        depth_columns={},
    )


def matching_depths(classifier: Classifier, state: Iterable[str], size: int) -> Classifier:
    """The same network, changed in place, with a head on all depths if a saved state has one, and without if not.

    Args:
        classifier: With a linear head or one on all depths.
        state: Names of the saved tensors.
        size: See `with_depths`.
    """
    has_depths = any(name.startswith(f"{DEPTHS}.") for name in state)
    if has_depths and classifier.head_kind == "linear":
        return with_depths(classifier, size)
    if not has_depths and classifier.head_kind == "multi_depth":
        return without_depths(classifier)
    return classifier


class _DeepForward:
    """Stands in place of a network's own forward, so that one pass gives its logits and the depth head's."""

    def __init__(self, network: nn.Module, part: Part) -> None:
        self._network, self._part = network, part
        self.before = vars(network).get("forward")
        """The forward of the instance that it stands in place of, if there was one."""

    def __call__(self, x_BCHW: Tensor) -> Tensor:  # noqa: N803 - shapes
        output, leaving = self._part(x_BCHW)
        # By name at every call, so that a head replaced later is the one that is read.
        head = self._network.get_submodule(DEPTHS)
        assert isinstance(head, DepthHead)
        outputs = [_side_by_side(leaving[name]) for name in head.widths]
        # The sum of two linear heads on two parts of the features is one linear head on all of them.
        total: Tensor = output + head(torch.cat(outputs, dim=1))
        return total


def _side_by_side(tensors: list[Tensor]) -> Tensor:
    return torch.cat([pooled(tensor) for tensor in tensors], dim=1)


def _columns(classifier: Classifier, part: Part, example: Tensor) -> dict[str, tuple[int, int] | None]:
    """Columns of every group that has an output to pool; looks at two images, alone and together."""
    images = sample(example, 2)
    with still(classifier.network):
        whole = classifier.network(images)
        output, leaving = part(images)
        last = classifier.features(images)
        own = _of_the_network(classifier, last)
        outputs = {name: _side_by_side(tensors) for name, tensors in leaving.items()}
        alone = {name: _side_by_side(tensors) for name, tensors in part(images[1:])[1].items()}
    # The recorded steps replace the network's forward from now on, so their logits are compared before that.
    if not _close(output, whole):
        raise _refusal(classifier, "its steps do not give its output")
    for name, output in outputs.items():
        if not _close(output[1:], alone[name]):
            raise _refusal(classifier, f"the output of {name} depends on the other images of a batch")
    found, stop = dict[str, tuple[int, int] | None](), last.shape[1]
    for name, output in outputs.items():
        width = output.shape[1]
        if width > WIDEST:
            found[name] = None
        elif _same(output, own):
            # The last stage's pooled output often is the feature vector itself: reading it twice adds nothing but
            # parameters.
            found[name] = (0, width)
        else:
            found[name] = (stop, stop + width)
            stop += width
    if stop == last.shape[1]:
        raise _refusal(classifier, "no layer group before its head has an output to pool")
    return found


def _of_the_network(classifier: Classifier, features_BF: Tensor) -> Tensor:  # noqa: N803
    """Columns of the features that the network's own heads read, without those of random convolutions."""
    added = sum(site.features for site in classifier.main_sites if site.path == BAND_HEAD)
    return features_BF[:, : features_BF.shape[1] - added]


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and _close(a, b)


def _close(a: Tensor, b: Tensor) -> bool:
    """Equal but for what another size of batch, or another order of adding, changes in the last bits."""
    return torch.allclose(a, b, rtol=0.0, atol=1e-4 * max(float(b.abs().max()), 1e-12))


def _refusal(classifier: Classifier, reason: str) -> ModelError:
    return ModelError(
        f"{classifier.card.name} cannot be read at every depth ({reason})",
        remedy="--head linear reads its last layer only (in a plan head.kind: linear)",
    )
