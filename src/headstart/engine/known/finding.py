"""Decides whether torch is needed: the one place that does.

It is not where the network is known on this machine and nothing has to be trained: its export lies in the cache, was
compared with the network by the versions of torch and ONNX Runtime that are here, and this process computes on a CPU.
Then features come from the store or from ONNX Runtime, and the head is numpy's. Everything else needs torch: a GPU, a
network or weights that were never used here, an engine of torch by request, a run without an activation cache, and
heads that are trained by steps.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from headstart.engine.known.choices import Purpose, choice_path, read_choice, tensors_path, touch_tensors
from headstart.engine.known.classifier import KnownClassifier, KnownClassifierFacts
from headstart.engine.known.network import (
    Arrays,
    KnownNetwork,
    read_record,
    record_of_tensors,
    records_folder,
)
from headstart.engine.prefix.onnx_session import version_here
from headstart.engine.store.activations import POOLED_DEPTHS
from headstart.engine.store.index import POOLED
from headstart.errors import MissingExtraError
from headstart.files import has_file
from headstart.machine import device_kind
from headstart.networks.cards.catalog import ModelCard, ModelChoice
from headstart.networks.head_layers import WITHOUT_BIAS, HeadSite
from headstart.plan.request import HeadKind
from headstart.plan.sections import Grain

if TYPE_CHECKING:
    from headstart.networks.backbone import Classifier


def known_bundle_classifier(
    card: ModelCard,
    tensors: Arrays,
    *,
    head_kind: HeadKind,
    num_classes: int,
    size: int,
    build: Callable[[], Classifier],
) -> KnownClassifier | None:
    """Classifier of a bundle without torch; None where torch is needed.

    Args:
        card: Of the network.
        tensors: All tensors of the bundle.
        head_kind: Of its head.
        num_classes: Of its head.
        size: Side of the images in pixels.
        build: Builds it in torch.
    """
    with contextlib.suppress(MissingExtraError, metadata.PackageNotFoundError):
        if device_kind() != "cpu":
            return None
        network = record_of_tensors(records_folder(card, cut_point=_cut_point(head_kind), size=size), tensors)
        if network is not None and _runs_here(network):
            facts = KnownClassifierFacts(card=card, head_kind=head_kind, num_classes=num_classes)
            return KnownClassifier(facts, network, tensors, build)
    return None


def known_pretrained_classifier(
    choice: ModelChoice,
    *,
    head_kind: HeadKind,
    num_classes: int,
    size: int,
    grain: Grain,
    purpose: Purpose,
    build: Callable[[], Classifier],
) -> KnownClassifier | None:
    """Pretrained network with a new linear or multi_depth head, without torch; None where torch is needed.

    Args:
        choice: Card, and a file of weights if one was given.
        head_kind: Of the head; its weights are zero.
        num_classes: Of the head.
        size: Side of the images in pixels.
        grain: Of the layer groups.
        purpose: What it is for.
        build: Builds it in torch.
    """
    if head_kind == "mlp":
        return None
    with contextlib.suppress(MissingExtraError, metadata.PackageNotFoundError, OSError, SafetensorError, TypeError):
        if device_kind() != "cpu":
            return None
        cut_point = _cut_point(head_kind)
        chosen = read_choice(choice_path(choice, cut_point=cut_point, size=size, grain=grain))
        if chosen is None or not chosen.is_current:
            return None
        folder = records_folder(choice.card, cut_point=cut_point, size=size)
        network, path = read_record(folder / f"{chosen.backbone}.json"), tensors_path(chosen.backbone)
        if network is None or not _runs_here(network) or (purpose == "bundle" and not has_file(path)):
            return None
        backbone = dict[str, npt.NDArray[Any]]()
        if purpose == "bundle":
            backbone = {name: np.array(values) for name, values in load_file(path).items()}
            touch_tensors(path)
        facts = KnownClassifierFacts(
            card=choice.card,
            head_kind=head_kind,
            num_classes=num_classes,
            group_names=chosen.group_names,
            report=chosen.report,
        )
        return KnownClassifier(facts, network, {**backbone, **_zeros(network.sites, num_classes)}, build)
    return None


def known_depths_classifier(classifier: KnownClassifier, *, size: int) -> KnownClassifier | None:
    """The same classifier with a head on all depths too, without torch; None where torch is needed.

    Args:
        classifier: With a linear head.
        size: Side of the images in pixels.
    """
    folder = records_folder(classifier.card, cut_point=POOLED_DEPTHS, size=size)
    network = read_record(folder / f"{classifier.known.backbone}.json")
    if network is None or classifier.is_built or not _runs_here(network):
        return None

    def build() -> Classifier:
        from headstart.engine.prefix.depth_features import with_depths

        return with_depths(classifier.built(), size)

    return classifier.with_depths(network, build)


def _cut_point(head_kind: HeadKind) -> str:
    return POOLED_DEPTHS if head_kind == "multi_depth" else POOLED


def _runs_here(network: KnownNetwork) -> bool:
    """Whether its export is there, and the engine that runs it is the one that was compared with the network."""
    return has_file(network.export_path) and network.engine_version == version_here()


def _zeros(sites: Sequence[HeadSite], num_classes: int) -> Mapping[str, npt.NDArray[Any]]:
    """Tensors of a new head."""
    found = dict[str, npt.NDArray[Any]]()
    for site in sites:
        shape = (num_classes, site.features, *((1, 1) if site.layer == "conv" else ()))
        found[f"{site.path}.weight"] = np.zeros(shape, np.float32)
        if site.path not in WITHOUT_BIAS:
            found[f"{site.path}.bias"] = np.zeros(num_classes, np.float32)
    return found
