"""Source of a run's frozen activations: network, images, engine and store, and the observers of the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from headstart.engine.known.classifier import AnyClassifier
from headstart.engine.prefix.engine_choice import EngineOption
from headstart.engine.store.activations import Activations, FrozenPart
from headstart.engine.store.training_images import TrainingImages
from headstart.runs.events import EngineNoted
from headstart.runs.observers import Observer


@dataclass(frozen=True)
class ActivationSource:
    """All that computes activations of a run's images; the network must not change while one is used."""

    classifier: AnyClassifier
    images: TrainingImages
    """With a store, or without."""
    engine: EngineOption = "auto"
    """Runs the frozen prefix."""
    observer: Observer = field(default_factory=Observer)
    """Receives the progress."""
    after_batch: Callable[[str | None], object] = lambda engine: None
    """See `Activations.reader`; what it raises ends the work."""

    def activations(self, part: FrozenPart) -> Activations | None:
        """Cached activations of a part of the network; None where the run has no activation cache."""
        images = self.images
        if images.store is None:
            return None
        note = lambda text: self.observer.noted(EngineNoted(text))  # noqa: E731
        return Activations(part, images.spec, images.digests, images.store, self.engine, images.precision, note)
