"""Features of a classifier, of one that torch built and of one that it did not: where the two ways part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from headstart.arrays import Singles
from headstart.data.preprocess import NetworkInput
from headstart.data.sources.reading import ImageRecord
from headstart.engine.known.classifier import AnyClassifier, KnownClassifier
from headstart.engine.prefix.running import collected
from headstart.engine.store.activations import FrozenPart
from headstart.input_spec import InputSpec


def pooled_part(classifier: AnyClassifier) -> FrozenPart:
    """The whole backbone: what the head reads."""
    if isinstance(classifier, KnownClassifier):
        return classifier.pooled_part()
    from headstart.engine.known.remembering import remember_network
    from headstart.engine.store.frozen_part import network_pooled_part

    return network_pooled_part(classifier, partial(remember_network, classifier))


def classifier_features(
    classifier: AnyClassifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    on_images: Callable[[int], object] = lambda count: None,
    view: Callable[[ImageRecord], NetworkInput] | None = None,
) -> Singles:
    """(N, F) pooled features of one view of each image, computed without a store.

    Args:
        classifier: Whose features; a network in torch is run as it is.
        records: The images.
        spec: What the network sees of them.
        on_images: Called with the number of images just done.
        view: Reads an image and makes the view; None: the one that every evaluation sees.
    """
    if isinstance(classifier, KnownClassifier):
        return collected(classifier.engine(), records, spec, on_images, view)
    from headstart.engine.prefix.inference import features_of

    return features_of(classifier, records, spec, on_images=on_images, view=view)


def linear_weight_of(classifier: AnyClassifier) -> Singles:
    """Weight (K, F) of a linear head, of all its sites."""
    if isinstance(classifier, KnownClassifier):
        return classifier.linear_weight()
    return np.asarray(classifier.linear_weight().cpu())
