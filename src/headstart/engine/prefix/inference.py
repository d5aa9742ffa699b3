"""Logits and features of images by a classifier: the network as it is, or the engine that finishes first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from headstart.arrays import Singles
from headstart.data.loading import read_view
from headstart.data.preprocess import NetworkInput
from headstart.data.sources.reading import ImageRecord
from headstart.engine.prefix.engine_choice import FEWEST_FOR_AN_ENGINE
from headstart.engine.prefix.engines import choose_engine
from headstart.engine.prefix.fold import PooledFeatures
from headstart.engine.prefix.running import (
    HALF,
    SAMPLE_IMAGES,
    SINGLE,
    Engine,
    EngineWithHead,
    collected,
    output_fault,
)
from headstart.engine.prefix.torch_engine import EagerEngine
from headstart.engine.store.activations import pooled_label
from headstart.input_spec import InputSpec
from headstart.machine import device_of
from headstart.networks.backbone import Classifier


def logits_of(
    classifier: Classifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    on_images: Callable[[int], object] = lambda count: None,
) -> Singles:
    """(N, K) logits of the evaluation view of each image, by the network as it is."""
    return collected(EagerEngine(classifier.network), records, spec, on_images)


def logits_by_engine(
    classifier: Classifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    on_images: Callable[[int], object] = lambda count: None,
    on_engine: Callable[[Engine, NetworkInput], object] = lambda engine, sample: None,
) -> Singles:
    """(N, K) logits of the evaluation view of each image, by the engine that finishes first.

    The features are the engine's, the head is the network's own. Few images, and networks whose output is more than
    their head on their features, are run as they are.

    Args:
        classifier: As it was loaded.
        records: The images.
        spec: What the network sees of them.
        on_images: Called with the number of images just done.
        on_engine: Called with an engine when it was chosen, and with the images that it was compared on.
    """
    # Below this the set-up of an engine costs more than it saves, and some heads read more than pooled features.
    if len(records) < FEWEST_FOR_AN_ENGINE or not classifier.outputs_from_features:
        return logits_of(classifier, records, spec, on_images=on_images)
    sample = np.stack([read_view(record, spec) for record in records[:SAMPLE_IMAGES]])
    engine = choose_engine(
        pooled_features(classifier), sample, label=pooled_label(classifier), images_to_come=len(records)
    )
    on_engine(engine, sample)
    few = sample[:2]
    # The head on the features is not always the network's output (dropout, scaling): two images tell.
    if head_fault(classifier, few, engine.run(few)[0]):
        return logits_of(classifier, records, spec, on_images=on_images)
    return collected(EngineWithHead(engine, partial(head_logits, classifier)), records, spec, on_images)


def head_logits(classifier: Classifier, features_NF: Singles) -> Singles:  # noqa: N803 - shapes
    """(N, K) logits of the classifier's own head, in evaluation mode, on features that were computed elsewhere.

    On a CPU numpy computes them, as it does where torch is not imported: both ways give the same bits.
    """
    if device_of(classifier.network).type == "cpu":
        return classifier.head_layers().logits(features_NF)
    with torch.inference_mode():
        given = torch.from_numpy(features_NF).to(device_of(classifier.network))
        return classifier.logits_from(given).float().cpu().numpy()


def head_fault(classifier: Classifier, images: NetworkInput, features_NF: Singles) -> str:  # noqa: N803
    """Why the head's logits on these features are not the network's logits of these images, or an empty string."""
    (own,) = EagerEngine(classifier.network).run(images)
    tolerance = SINGLE if device_of(classifier.network).type == "cpu" else HALF
    return output_fault((head_logits(classifier, features_NF),), (own,), tolerance)


def features_of(
    classifier: Classifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    on_images: Callable[[int], object] = lambda count: None,
    engine: Engine | None = None,
    view: Callable[[ImageRecord], NetworkInput] | None = None,
) -> Singles:
    """(N, F) pooled features of one view of each image.

    Args:
        classifier: Whose features.
        records: The images.
        spec: What the network sees of them.
        on_images: Called with the number of images just done.
        engine: Made by `choose_engine` for `pooled_features(classifier)`; None runs the network as it is.
        view: Reads an image and makes the view; None: the one that every evaluation sees.
    """
    return collected(engine or EagerEngine(pooled_features(classifier)), records, spec, on_images, view)


def pooled_features(classifier: Classifier) -> PooledFeatures:
    """The classifier's features as a prefix for `choose_engine`. Puts the network into evaluation mode."""
    # Tensors of the head do not change the features: leaving them out lets heads share one export and one address.
    unused = [site.path for site in classifier.sites]
    return PooledFeatures(classifier.network.eval(), classifier.features, unused=unused)
