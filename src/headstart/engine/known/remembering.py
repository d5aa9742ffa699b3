"""Writes down a network that was used with torch, so that later processes know it; needs torch.

Two records: the backbone with its weights (`network.py`), after ONNX Runtime gave its features on real images; and the
name under which a plan chooses it, with its tensors as safetensors, from which a bundle is composed.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import torch
from safetensors.numpy import save_file

from headstart.data.preprocess import NetworkInput
from headstart.engine.known.choices import ChosenNetwork, Purpose, choice_path, tensors_path, weight_files, write_choice
from headstart.engine.known.network import (
    KnownNetwork,
    backbone_hash,
    backbone_names,
    read_record,
    records_folder,
    write_record,
)
from headstart.engine.prefix.engines import choose_engine
from headstart.engine.prefix.inference import head_fault, pooled_features
from headstart.engine.prefix.onnx_session import OnnxSession
from headstart.engine.prefix.running import Engine
from headstart.engine.store.activations import pooled_label, pooled_name
from headstart.engine.store.frozen_part import weights_digest
from headstart.engine.store.index import POOLED
from headstart.errors import DiskFullError, MissingExtraError
from headstart.files import has_file, write_atomically
from headstart.machine import device_of, remember_torch
from headstart.networks.backbone import Classifier
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.head_layers import DEPTHS
from headstart.plan.sections import Grain


def remember_network(classifier: Classifier, engine: Engine, images: NetworkInput) -> None:
    """Keep what is known of a backbone whose features an engine has computed; nothing where that was torch.

    Args:
        classifier: In evaluation mode; not changed.
        engine: Of its pooled features, chosen by `choose_engine`.
        images: One or more real images.
    """
    if not isinstance(engine, OnnxSession) or device_of(classifier.network).type != "cpu":
        return
    with contextlib.suppress(OSError, DiskFullError, ModuleNotFoundError, TypeError):
        remember_torch()
        tensors = _arrays(classifier)
        folder = records_folder(classifier.card, cut_point=pooled_name(classifier), size=images.shape[1])
        backbone = backbone_hash(tensors, classifier.sites)
        network = KnownNetwork(
            backbone=backbone,
            weights=weights_digest(pooled_features(classifier)),
            features=classifier.num_features,
            parameters=_parameters_before_head(classifier),
            sites=classifier.sites,
            shares=classifier.shares,
            export=engine.path.name,
            engine_version=engine.version,
            depth_columns=classifier.depth_columns,
        )
        if _is_head_on_features(classifier, engine, images[:2]):
            write_record(folder, network)
            if classifier.head_kind == "multi_depth":
                _remember_plain(classifier, network, size=images.shape[1])


def _remember_plain(classifier: Classifier, network: KnownNetwork, *, size: int) -> None:
    """Keep that a network is known with its plain head too: the first features of all depths are what that reads.

    Args:
        classifier: With a head on all depths.
        network: What is known of it.
        size: Side of the images in pixels.
    """
    folder = records_folder(classifier.card, cut_point=POOLED, size=size)
    own = read_record(folder / f"{network.backbone}.json")
    # An export of its own has nothing more to compute than the plain head needs.
    if own is not None and has_file(own.export_path) and own.engine_version == network.engine_version:
        return
    sites = tuple(site for site in network.sites if site.path != DEPTHS)
    write_record(
        folder,
        replace(
            network,
            features=classifier.num_last_features,
            sites=sites,
            shares=network.shares[:-1],
            depth_columns={},
        ),
    )


def make_known(classifier: Classifier, images: NetworkInput) -> None:
    """Export a classifier's features for ONNX Runtime and keep what is known; nothing where they do not run there.

    Throughputs play no part: a command without torch is seconds ahead before its first image, and whether a network
    gets known must not depend on how busy the machine was.

    Args:
        classifier: In evaluation mode; not changed.
        images: One or more real images.
    """
    if classifier.outputs_from_features and device_of(classifier.network).type == "cpu":
        part, label = pooled_features(classifier), pooled_label(classifier)
        with contextlib.suppress(MissingExtraError):
            engine = choose_engine(part, images, label=label, images_to_come=len(images), requested="onnxruntime")
            remember_network(classifier, engine, images)


def remember_choice(choice: ModelChoice, classifier: Classifier, *, size: int, grain: Grain, purpose: Purpose) -> None:
    """Keep the tensors of a pretrained backbone under the name that a plan has for it.

    Args:
        choice: What was built.
        classifier: As it was built, with nothing trained.
        size: Side of the images in pixels.
        grain: Of the layer groups.
        purpose: bundle keeps its tensors too.
    """
    if classifier.report is None or device_of(classifier.network).type != "cpu":
        return
    with contextlib.suppress(OSError, DiskFullError, ModuleNotFoundError, TypeError):
        files = weight_files(choice, classifier.report.source)
        tensors = _arrays(classifier)
        chosen = ChosenNetwork(
            backbone=backbone_hash(tensors, classifier.sites),
            group_names=classifier.group_names,
            files=files,
            report=classifier.report,
        )
        kept = {name: tensors[name] for name in backbone_names(tensors, classifier.sites)}
        target = tensors_path(chosen.backbone)
        if purpose == "bundle" and not has_file(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, lambda aside: save_file(kept, aside))
        # A name stands for the same backbone whatever the head reads, and rows of all depths serve the plain head too.
        for cut_point in {POOLED, pooled_name(classifier)}:
            write_choice(choice_path(choice, cut_point=cut_point, size=size, grain=grain), chosen)


def _arrays(classifier: Classifier) -> dict[str, np.ndarray]:
    """All tensors of a classifier under the library's own names, as a bundle holds them.

    Raises:
        TypeError: one is of a type that numpy has not.
    """
    return {name: tensor.contiguous().numpy() for name, tensor in classifier.state().items()}


def _parameters_before_head(classifier: Classifier) -> int:
    head = {
        id(parameter)
        for site in classifier.sites
        for parameter in classifier.network.get_submodule(site.path).parameters()
    }
    return sum(one.numel() for one in classifier.network.parameters() if id(one) not in head)


def _is_head_on_features(classifier: Classifier, engine: Engine, images: NetworkInput) -> bool:
    """Whether the network's output is its head on its features, tried with random numbers in the head.

    A new head is zero, and would agree with anything.
    """
    if not classifier.outputs_from_features:
        return False
    parameters = [
        parameter
        for site in classifier.main_sites
        for parameter in classifier.network.get_submodule(site.path).parameters()
    ]
    before = [parameter.detach().clone() for parameter in parameters]
    numbers = torch.Generator().manual_seed(0)
    try:
        with torch.no_grad():
            for parameter in parameters:
                parameter.copy_(torch.randn(parameter.shape, generator=numbers))
        return not head_fault(classifier, images, engine.run(images)[0])
    finally:
        with torch.no_grad():
            for parameter, values in zip(parameters, before, strict=True):
                parameter.copy_(values)
