"""Domain similarity of a user's images to those of pretraining, measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from headstart.data.loading import ReadImage, in_order, read_image, reader_threads
from headstart.data.preprocess import pixels_needed
from headstart.data.sources.reading import ImageRecord
from headstart.errors import DataError, require
from headstart.input_spec import Decoding, InputSpec
from headstart.knowledge.choosing import similarity_level
from headstart.knowledge.domain import SimilarityLevel
from headstart.measures.similarity import similarity_of_overlap
from headstart.networks.cards.finding import find_model
from headstart.plan.request import DEFAULT_MODEL

ENOUGH_IMAGES = 128
"""Three draws of so many differ by 0.003 in overlap at most on the sets tried, by 0.012 on documents of many kinds."""


@dataclass(frozen=True, slots=True)
class MeasuredSimilarity:
    """Domain similarity to ImageNet's photos."""

    value: float
    """0..1."""
    level: SimilarityLevel
    overlap: float
    """Measured overlap: mean Bhattacharyya coefficient of EfficientNet-Lite0's late BatchNorm layers, 0..1."""
    images: int
    """Number of images that were measured."""
    by_layer: tuple[tuple[str, float], ...]
    """(BatchNorm layer, overlap), first to last."""

    @property
    def sentence(self) -> str:
        """Sentence for the reason of a decision."""
        return (
            f"similarity {self.value:.2f} ({self.level}): activations of {self.images} images in the late layers of "
            f"EfficientNet-Lite0 overlap by {self.overlap:.3f} with their BatchNorm statistics of ImageNet"
        )


def measure_similarity(
    records: Sequence[ImageRecord],
    *,
    decoding: Decoding = Decoding(),  # noqa: B008 - frozen
    on_images: Callable[[int], object] = lambda count: None,
) -> MeasuredSimilarity:
    """Domain similarity by the embedded network, whichever one will be trained: the scale is that network's.

    Args:
        records: The user's images; ENOUGH_IMAGES are taken in the order of a hash of their names. In place of one that
            cannot be read comes the next.
        decoding: What the values of a file become.
        on_images: Called with the number of images just done.

    Raises:
        DataError: there are none that can be read.
        MissingExtraError: torch is not installed.
    """
    require("torch", extra="train")
    from headstart.inspection.norm_statistics import norm_overlap
    from headstart.networks.backbone import pretrained

    if not records:
        raise DataError("no images to compare with ImageNet's", expected="at least one readable image")
    # Always the same network: overlaps of different networks lie on different scales.
    choice = find_model(DEFAULT_MODEL)
    spec = replace(choice.card.input, decoding=decoding)
    drawn = _readable(records, spec)
    network, _ = pretrained(choice)
    found = norm_overlap(network, drawn, spec, on_images=on_images)
    assert found is not None, "the embedded network has BatchNorm layers"
    value = similarity_of_overlap(found.late)
    layers = tuple((one.layer, one.overlap) for one in found.layers)
    return MeasuredSimilarity(value, similarity_level(value), found.late, found.images, layers)


def _readable(records: Sequence[ImageRecord], spec: InputSpec) -> list[ImageRecord]:
    """The first ENOUGH_IMAGES that can be read, in the order of a hash of their names.

    Raises:
        DataError: there is none.
    """

    def is_readable(record: ImageRecord) -> bool:
        found = read_image(record, at_least=pixels_needed(spec), decoding=spec.decoding)
        return isinstance(found, ReadImage)

    # A hash of the name: the same draw for the same images, spread over all classes and folders.
    order = sorted(records, key=lambda record: hashlib.blake2b(record.id.encode()).digest())
    drawn: list[ImageRecord] = []
    for record, readable in in_order(is_readable, order, threads=reader_threads()):
        drawn += [record] * readable
        if len(drawn) == ENOUGH_IMAGES:
            break
    if not drawn:
        raise DataError(
            f"none of {len(records)} images can be read, so there is nothing to compare with ImageNet's",
            expected="at least one readable image",
            remedy="headstart check names them with the reason",
        )
    return drawn
