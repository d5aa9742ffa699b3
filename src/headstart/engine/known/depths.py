"""A head on all depths for a classifier of any kind, put on and taken off again."""

from __future__ import annotations

from headstart.engine.known.classifier import AnyClassifier, ClassifierState, KnownClassifier
from headstart.engine.known.finding import known_depths_classifier
from headstart.networks.head_layers import DEPTHS


def tapped(classifier: AnyClassifier, size: int) -> AnyClassifier:
    """The same network with a head on the outputs of all its groups too; without torch where both are known.

    Args:
        classifier: With a linear head; its network is changed in place where torch has built it.
        size: Side of the images in pixels.

    Raises:
        ModelError: the steps of the network cannot be recorded, or no group before its head has an output to pool.
    """
    if isinstance(classifier, KnownClassifier):
        if (known := known_depths_classifier(classifier, size=size)) is not None:
            return known
        classifier = classifier.built()
    from headstart.engine.prefix.depth_features import with_depths

    return with_depths(classifier, size)


def untap(classifier: AnyClassifier) -> None:
    """Take the head on all depths off the network that `tapped` has changed; nothing where torch has built none."""
    if isinstance(classifier, KnownClassifier) and not classifier.is_built:
        return
    from headstart.engine.prefix.depth_features import without_depths

    without_depths(classifier.built())


def restored(classifier: AnyClassifier, state: ClassifierState, size: int) -> AnyClassifier:
    """The same network with saved weights, and with a head on all depths if they have one.

    Args:
        classifier: With a linear head or one on all depths; its network is changed in place where torch has built it.
        state: All tensors.
        size: Side of the images in pixels.
    """
    deep = any(name.startswith(f"{DEPTHS}.") for name in state)
    if deep and classifier.head_kind == "linear":
        # The backbone first: a network is tapped as it will be used.
        classifier.restore({name: values for name, values in state.items() if not name.startswith(f"{DEPTHS}.")})
        classifier = tapped(classifier, size)
    classifier.restore(state)
    return classifier
