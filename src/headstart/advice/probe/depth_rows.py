"""Features of every layer group out of the activation cache: the rows that a head on all depths reads.

`train` caches the same rows, so that whichever command comes second computes none. Where the network is known on this
machine, torch is not imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.arrays import Singles
from headstart.data.checks.image_checks import FileFacts, read_all
from headstart.data.sources.reading import ImageRecord
from headstart.engine.known.classifier import AnyClassifier
from headstart.engine.known.depths import tapped, untap
from headstart.engine.known.features import classifier_features, pooled_part
from headstart.engine.store.activations import Activations, matrix_of, plain_view
from headstart.engine.store.store import ActivationStore
from headstart.errors import DiskFullError, ModelError, NotWritableError
from headstart.input_spec import InputSpec
from headstart.runs.progress import Progress


@dataclass(frozen=True)
class DepthRows:
    """Cached features of every layer group of a pretrained network."""

    classifier: AnyClassifier
    """With a head on all depths."""
    spec: InputSpec
    """What the network sees of an image."""

    @property
    def backbone_names(self) -> tuple[str, ...]:
        """All groups before the head, stem to last stage."""
        return self.classifier.group_names[:-1]

    def read(self, records: Sequence[ImageRecord], progress: Progress) -> FileFacts:
        """Facts of the images, each of which is decoded once, or not at all if an earlier command has read it."""
        tick = progress("read", len(records))
        return read_all(records, decoding=self.spec.decoding, on_image=lambda: tick(1))

    def features(self, facts: FileFacts, progress: Progress) -> dict[str, Singles]:
        """Group -> (N, F) pooled features of the readable images; rows that are not cached yet are computed and cached.

        In half precision, as `train` caches them by default. Without room in the cache all are computed.
        """
        what, count = "read at every depth", len(facts.readable)
        digests = {name: bytes.fromhex(digest) for name, digest in facts.digests.items()}
        part = pooled_part(self.classifier)
        activations = Activations(part, self.spec, digests, ActivationStore(), images_to_come=count)
        try:
            reader = activations.reader(facts.readable, [plain_view(self.spec)], on_images=progress(what, count))
            rows = matrix_of(reader)
        except (DiskFullError, NotWritableError):
            rows = classifier_features(self.classifier, facts.readable, self.spec, on_images=progress(what, count))
        columns = self.classifier.depth_columns
        return {name: np.ascontiguousarray(rows[:, slice(*span)]) for name, span in columns.items() if span is not None}


def cached_depths(plain: AnyClassifier, spec: InputSpec) -> DepthRows | None:
    """Cached features of a network; None, with the network as it was, where its rows do not hold every readable group.

    Args:
        plain: With a linear head; its network is changed in place where torch has built it.
        spec: What the network sees of an image.
    """
    try:
        classifier = tapped(plain, spec.size)
    except ModelError:  # a reader of single groups may do: what it cannot read either it says itself
        return None
    if None not in classifier.depth_columns.values():
        return DepthRows(classifier, spec)
    untap(classifier)  # a group whose output is too long for a head on all depths is not among its features
    return None
