"""Features of images after every layer group: out of the activation cache, or by one pass through the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.advice.probe.by_depth import DepthCurve, GroupFeatures
from headstart.data.checks import image_checks
from headstart.data.early_views import make_early_views
from headstart.data.sources.reading import ImageRecord
from headstart.errors import ModelError, require
from headstart.input_spec import InputSpec
from headstart.inspection.depth_pass import DepthPass
from headstart.inspection.patches import Patches
from headstart.networks.cards.catalog import ModelChoice
from headstart.runs.progress import Progress
from headstart.training.channels.adapting import AdaptedInput

if TYPE_CHECKING:
    from headstart.advice.probe.reader import DepthReader
    from headstart.engine.known.classifier import AnyClassifier


@dataclass(frozen=True)
class FeaturesByDepth:
    """Features of the readable images after every layer group."""

    facts: image_checks.FileFacts
    features: GroupFeatures
    """Of the pretrained network."""
    backbone_names: tuple[str, ...]
    """All groups before the head, stem to last stage."""
    input_size: int
    tuned: GroupFeatures | None = None
    """Of the run's network."""
    draw: Callable[[DepthCurve], Patches | None] = lambda curve: None
    """Patches, if requested."""


def cached_by_depth(
    own: AnyClassifier, spec: InputSpec, records: Sequence[ImageRecord], source: str, progress: Progress
) -> FeaturesByDepth | None:
    """Features out of the activation cache; None where its rows do not hold every group that can be read.

    Raises:
        DataError: the images cannot be probed.
    """
    from headstart.advice.probe.depth_rows import cached_depths

    if (rows := cached_depths(own, spec)) is None:
        return None
    with make_early_views(rows.spec):
        facts = rows.read(records, progress)
        image_checks.refuse_unusable(facts, source=source, strict=False)
        return FeaturesByDepth(facts, rows.features(facts, progress), rows.backbone_names, rows.spec.size)


def computed_by_depth(
    choice: ModelChoice,
    own: AnyClassifier | None,
    given: AdaptedInput,
    bundle: Path | None,
    records: Sequence[ImageRecord],
    source: str,
    patches: Path | None,
    progress: Progress,
) -> FeaturesByDepth:
    """Features by one pass of the pretrained network, and of the run's if there is one, over all images.

    Args:
        choice: The network.
        own: The same, if it was built.
        given: Input of the network, and its adapter to bands; of a run its own.
        bundle: Of the run.
        records: Images to read.
        source: DATA.
        patches: Where to draw them.
        progress: Receives the progress.

    Raises:
        HeadstartError: a network cannot be had or read at every depth, or the images cannot be probed.
    """
    require("torch", extra="train")
    spec = given.spec
    reader, tuned = _readers(choice, own, given, bundle)
    seen = DepthPass(spec, [reader] if tuned is None else [reader, tuned], drawn=patches is not None)
    seen.look_at(records, progress)
    image_checks.refuse_unusable(seen.facts, source=source, strict=False)
    return FeaturesByDepth(
        seen.facts,
        seen.features(0),
        reader.backbone_names,
        spec.size,
        None if tuned is None else seen.features(1),
        lambda curve: None if patches is None else seen.draw(patches, curve),
    )


def bundle_input(bundle: Path, choice: ModelChoice) -> InputSpec:
    """Input of the network in a bundle.

    Args:
        bundle: Of a run.
        choice: The network that it is compared with.

    Raises:
        ModelError: it is another one.
    """
    from headstart.prediction.bundle import read_info

    info = read_info(bundle)
    if info.card.architecture != choice.card.architecture:
        raise ModelError(
            f"{bundle} holds {info.card.name}",
            expected=f"a run of {choice.name}, so that groups can be compared",
            remedy=f"--model {info.card.name}",
        )
    return info.input


def _readers(
    choice: ModelChoice, own: AnyClassifier | None, given: AdaptedInput, bundle: Path | None
) -> tuple[DepthReader, DepthReader | None]:
    """Readers of the pretrained network and of the run's."""
    from headstart.advice.probe.reader import DepthReader
    from headstart.engine.known.pretrained import torch_classifier
    from headstart.engine.prefix.depth_features import matching_depths, with_depths
    from headstart.machine import best_device
    from headstart.prediction.bundle import load_classifier

    spec = given.spec
    if own is None:
        own = torch_classifier(choice, num_classes=2, seed=0, size=spec.size, adapter=given.adapter)
    made = own.built()
    reader = DepthReader(made.network.to(best_device()), made.groups, size=spec.size, channels=spec.channels)
    if bundle is None:
        return reader, None
    trained, _ = load_classifier(bundle, deepen=with_depths)
    # Groups are read by the network's own forward: a head on all depths has another one.
    network = matching_depths(trained, (), spec.size).network.to(best_device())
    return reader, DepthReader(network, trained.groups, size=spec.size, channels=spec.channels)
