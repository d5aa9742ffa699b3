"""Pretrained networks with a new head: known ones without torch, others built in torch and known from then on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from headstart.engine.known.choices import Purpose
from headstart.engine.known.classifier import AnyClassifier
from headstart.engine.known.finding import known_pretrained_classifier
from headstart.errors import require
from headstart.machine import apply_threads
from headstart.networks.cards.catalog import ModelChoice
from headstart.plan.request import HeadKind
from headstart.plan.sections import Grain

if TYPE_CHECKING:
    from headstart.networks.backbone import Classifier, WeightInit
    from headstart.networks.band_adapter import BandAdapter


def feature_extractor(
    choice: ModelChoice,
    *,
    size: int,
    grain: Grain = "stage",
    purpose: Purpose,
    adapter: BandAdapter | None = None,
) -> AnyClassifier:
    """A pretrained network whose features are used and whose head, of two classes, is not.

    Torch builds nothing where the network is known.

    Args:
        choice: Card, and a file of weights if one was given.
        size: Side of the images in pixels.
        grain: Of the layer groups.
        purpose: What it is for.
        adapter: To the bands of its images; None: they have the channels of the weights.

    Raises:
        HeadstartError: the weights cannot be loaded, they do not fit the network, or it cannot be adapted.
    """
    build = partial(torch_classifier, choice, num_classes=2, seed=0, size=size, grain=grain, adapter=adapter)
    if adapter is not None:  # what is known under a name are its weights as they are
        return build()
    known = known_pretrained_classifier(
        choice, head_kind="linear", num_classes=2, size=size, grain=grain, purpose=purpose, build=build
    )
    if known is not None:
        return known
    from headstart.engine.known.remembering import remember_choice

    built = build()
    remember_choice(choice, built, size=size, grain=grain, purpose=purpose)
    return built


def torch_classifier(
    choice: ModelChoice,
    *,
    head_kind: HeadKind = "linear",
    num_classes: int,
    seed: int,
    size: int,
    weights: WeightInit = "pretrained",
    grain: Grain = "stage",
    adapter: BandAdapter | None = None,
) -> Classifier:
    """A network with a new head in torch, on the device of this process.

    Args:
        choice: Card, and a file of weights if one was given.
        head_kind: Of the head.
        num_classes: Of the head.
        seed: For whatever is random in it.
        size: Side of the images in pixels.
        weights: random leaves out the pretraining.
        grain: Of the layer groups.
        adapter: To the bands of its images; None: they have the channels of the weights.

    Raises:
        HeadstartError: the weights cannot be loaded, they do not fit the network, or it cannot be adapted.
    """
    require(choice.card.library, extra="train")
    from headstart.engine.prefix.depth_features import with_depths
    from headstart.machine import best_device
    from headstart.networks.backbone import build_classifier

    apply_threads()
    build = partial(
        build_classifier, choice, num_classes=num_classes, seed=seed, input_size=size, weights=weights, grain=grain
    )
    # A head on several depths needs the cut network first: it takes the place of a linear one.
    classifier = build(kind="linear" if head_kind == "multi_depth" else head_kind)
    if adapter is not None:
        from headstart.networks.channels import with_bands

        classifier = with_bands(classifier, adapter)
    if head_kind == "multi_depth":
        classifier = with_depths(classifier, size)
    classifier.network.to(best_device())
    return classifier
