"""Pooled features of a run's images, as linear heads read them: from the activation cache, or computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from headstart.data.sources.reading import ImageRecord
from headstart.engine.known.features import classifier_features, pooled_part
from headstart.engine.store.activations import Precision, View, plain_view
from headstart.engine.store.index import POOLED
from headstart.engine.store.stored_rows import StoredRows
from headstart.errors import DiskFullError, NotWritableError
from headstart.runs.events import NotCached
from headstart.runs.observers import measured_span
from headstart.solvers.rows import MatrixRows, RowSource
from headstart.training.activation_source import ActivationSource


class PooledSource:
    """Pooled features of images by the network as it is now: from the activation cache, or computed."""

    def __init__(self, source: ActivationSource) -> None:
        """Hash the network's weights once: they must not change while this is used."""
        self._source, images = source, source.images
        self._view = plain_view(images.spec, images.meter)
        self._activations = source.activations(pooled_part(source.classifier)) if images.store is not None else None
        if self._activations is not None:
            self._activations.images_to_come = len(images.roles.training_pool) + len(images.roles.test)

    @property
    def engine_name(self) -> str | None:
        """The engine that computed the features; None without an activation cache."""
        return self._activations.engine_name if self._activations else None

    def test_rows(self, records: Sequence[ImageRecord]) -> RowSource:
        """Rows of test images, in single precision: the bundle is evaluated on the same ones, not computed again."""
        return self.rows(records, what="features of test", stops="ignored", precision="float32")

    def rows(
        self,
        records: Sequence[ImageRecord],
        *,
        what: str,
        stops: Literal["heard", "ignored"] = "heard",
        view: View | None = None,
        precision: Precision | None = None,
    ) -> RowSource:
        """N rows of F features, in memory only without an activation cache; the observer receives the progress.

        Args:
            records: Of these images.
            what: Name of the work.
            stops: `ignored` does not call `after_batch`: for few images, where stopping would lose more work.
            view: Of each image; None: the one that every evaluation sees.
            precision: Of cached rows; None: the run's.
        """
        view, observer = view or self._view, self._source.observer
        advance = measured_span(observer, "features", what, len(records))
        after = self._source.after_batch if stops == "heard" else lambda engine: None
        activations = self._activations
        if activations is not None:
            # The copy shares the engine, which is made once.
            activations = replace(activations, precision=precision or activations.precision)
            try:
                reader = activations.reader(records, [view], on_images=advance, after_batch=after)
                observer.span_ended("features")
                self._activations = replace(activations, precision=self._source.images.precision)
                return StoredRows(reader)
            except (DiskFullError, NotWritableError) as error:
                observer.noted(NotCached(POOLED, str(error)))
                advance = measured_span(observer, "features", what, len(records))

        def computed(count: int) -> None:
            advance(count)
            after(None)

        classifier, spec = self._source.classifier, self._source.images.spec
        rows = classifier_features(classifier, records, spec, on_images=computed, view=view.prepare)
        observer.span_ended("features")
        return MatrixRows(rows)
