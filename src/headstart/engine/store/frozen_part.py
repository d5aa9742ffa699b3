"""The frozen prefix of a classifier as something that can be stored, and the views it is stored for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from headstart.data.meter import Meter
from headstart.data.preprocess import NetworkInput
from headstart.data.sources.reading import ImageRecord
from headstart.engine.prefix.cut import CutNetwork, NetworkGraph
from headstart.engine.prefix.engine_choice import EngineOption
from headstart.engine.prefix.engines import choose_engine
from headstart.engine.prefix.inference import pooled_features
from headstart.engine.prefix.running import Engine
from headstart.engine.store.activations import FrozenPart, View, cut_point_label, library_of, pooled_name
from headstart.engine.store.drawn_views import views_drawn_from
from headstart.engine.store.shards import Tensor as StoredTensor
from headstart.engine.store.store import random_view
from headstart.engine.views import augmented_input, view_rng
from headstart.errors import ModelError
from headstart.input_spec import InputSpec
from headstart.machine import device_of
from headstart.networks.backbone import Classifier
from headstart.plan.plan import AugmentationPlan


class TorchPrefix:
    """A frozen prefix in torch, for which an engine is chosen."""

    def __init__(
        self, module: nn.Module, on_engine: Callable[[Engine, NetworkInput], object] = lambda engine, sample: None
    ) -> None:
        """Share the module.

        Args:
            module: (B, C, H, W) -> a tensor or a tuple of tensors, batch first.
            on_engine: Called with an engine when it was chosen, and with the images that it was compared on.
        """
        self.module = module
        self._on_engine = on_engine

    @property
    def device(self) -> str:
        """Kind of the device that its tensors are on."""
        return device_of(self.module).type

    def engine(
        self,
        sample: NetworkInput,
        *,
        label: str,
        images_to_come: int,
        requested: EngineOption,
        on_note: Callable[[str], object],
    ) -> Engine:
        """The engine that finishes first; see `choose_engine`."""
        engine = choose_engine(
            self.module, sample, label=label, images_to_come=images_to_come, requested=requested, on_note=on_note
        )
        self._on_engine(engine, sample)
        return engine


def network_pooled_part(
    classifier: Classifier, on_engine: Callable[[Engine, NetworkInput], object] = lambda engine, sample: None
) -> FrozenPart:
    """The whole backbone: what the head reads.

    Args:
        classifier: In evaluation mode afterwards.
        on_engine: Called with an engine when it was chosen, and with the images that it was compared on.
    """
    module = pooled_features(classifier)
    return FrozenPart(
        TorchPrefix(module, on_engine),
        (StoredTensor((classifier.num_features,)),),
        classifier.card.name,
        pooled_name(classifier),
        library_of(classifier.card),
        weights_digest(module),
    )


def cut_at(classifier: Classifier, cut_point: str, *, size: int) -> CutNetwork:
    """The network divided at a cut point, for images of `size`.

    Raises:
        ModelError: it cannot be cut there.
    """
    return graph_of_classifier(classifier, size=size).cut(cut_point)


def graph_of_classifier(classifier: Classifier, *, size: int) -> NetworkGraph:
    """The steps of the network on images of `size`, from which it can be cut at every cut point.

    Raises:
        ModelError: they cannot be recorded.
    """
    device = next(classifier.network.parameters()).device
    # Images of zeros: the trace depends on their shape, type and layout only.
    example = torch.zeros(2, classifier.image_channels, size, size, device=device)
    example = example.contiguous(memory_format=torch.channels_last)
    return NetworkGraph(classifier.network, classifier.groups, example=example)


def frozen_part(classifier: Classifier, made: CutNetwork) -> FrozenPart:
    """The prefix as something that can be stored; before the head it is what probes store too.

    Raises:
        ModelError: a crossing tensor is no float.
    """
    for crossing in made.crossing:
        if crossing.dtype != torch.float32:
            raise ModelError(f"a tensor of {crossing.dtype} crosses the cut point {made.cut_point}")
    tensors = tuple(StoredTensor(crossing.shape) for crossing in made.crossing)
    pooled = network_pooled_part(classifier)
    # A prefix that ends at the head is the pooled backbone of a linear probe: under one address both find the rows.
    if made.cut_point == classifier.group_names[-1] and tensors == pooled.tensors:
        return pooled
    return FrozenPart(
        TorchPrefix(made.prefix),
        tensors,
        classifier.card.name,
        cut_point_label(made.cut_point),
        library_of(classifier.card),
        weights_digest(made.prefix),
    )


def weights_digest(module: nn.Module) -> str:
    """Hash of all parameters and buffers under their names; those that the output does not depend on are left out."""
    unused: tuple[str, ...] = getattr(module, "unused", ())
    digest = hashlib.blake2b(digest_size=16)
    # Sorted by name and with the names: the digest must not depend on the order in which modules were registered.
    for name, tensor in sorted(_named(module)):
        if not name.startswith(unused):
            values = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}\0".encode())
            # Bytes of the values, whatever their type: two floats that print alike are different weights.
            digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _named(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def training_view_of(
    number: int,
    spec: InputSpec,
    digests: Mapping[str, bytes],
    augmentation: AugmentationPlan,
    *,
    seed: int,
    meter: Meter | None = None,
) -> View:
    """One seeded view; a function of the image's file and not of its name, because the store knows files.

    Args:
        number: Of the view.
        spec: What the network sees.
        digests: Image id -> hash of its file.
        augmentation: Any preset but none.
        seed: Of all views.
        meter: Counts the seconds of making views.
    """
    preset, flip = augmentation.preset, augmentation.flip
    used = Meter() if meter is None else meter

    def prepare(record: ImageRecord) -> NetworkInput:
        # The digest of the file seeds the view, so that a copy of an image under another name has the same view.
        rng = view_rng(seed, 0, digests[record.id].hex(), number)
        with used.view("augmented"):
            return augmented_input(record, spec, preset=preset, flip=flip, rng=rng)

    return View(random_view(seed, number), views_drawn_from(augmentation), prepare)
