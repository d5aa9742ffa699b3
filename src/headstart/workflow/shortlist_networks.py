"""Features of the compared networks, from the activation cache where stored; networks are built on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.advice.shortlist.halving import FeatureArray
from headstart.advice.shortlist.ranking import ShortlistCandidate
from headstart.data.sources.reading import ImageRecord
from headstart.errors import DiskFullError, NotWritableError
from headstart.input_spec import Decoding
from headstart.networks.cards.catalog import ModelChoice
from headstart.plan.plan import ModelPlan, NoncommercialWeights
from headstart.runs.progress import Progress, no_progress
from headstart.training.channels.adapting import AdaptedInput, SetAdapter
from headstart.workflow.plans import refuse_by_licence

if TYPE_CHECKING:
    from headstart.engine.known.classifier import AnyClassifier
    from headstart.engine.store.activations import Activations

HELD_PARAMETERS = 250_000_000
"""Remaining networks stay in memory up to so many parameters together (1 GB); beyond, each round builds them."""


class CandidateNetworks:
    """Networks of the candidates: built on demand, freed when dropped."""

    def __init__(
        self,
        choices: Mapping[str, ModelChoice],
        records: Sequence[ImageRecord],
        digests: Mapping[str, bytes],
        *,
        input_size: int | None = None,
        decoding: Decoding = Decoding(),  # noqa: B008 - frozen
        adapter: SetAdapter | None = None,
        store: Path | None = None,
        noncommercial_weights: NoncommercialWeights = "refuse",
        progress: Progress = no_progress,
    ) -> None:
        """Store the arguments; no network is built yet.

        Args:
            choices: Full name -> network.
            records: Readable images, in the order in which rounds take them.
            digests: Image id -> hash of its file.
            input_size: Side in pixels for all; None takes each network's own.
            decoding: What the bytes of the image files become.
            adapter: Adapts each network to the bands of the images; None: they have none.
            store: Folder of the store; None is `$HEADSTART_HOME/store`.
            noncommercial_weights: Whether weights whose licence forbids commercial use may be used.
            progress: Receives the progress.
        """
        from headstart.engine.store.store import ActivationStore

        self._choices, self._records, self._digests = choices, records, digests
        self._input_size, self._licences, self._progress = input_size, noncommercial_weights, progress
        self._decoding, self._adapter = decoding, adapter
        self._store = ActivationStore(store)
        self._held: dict[str, tuple[AnyClassifier, Activations]] = {}
        self._holds_all = True
        self._not_stored = ""
        self._asked: dict[str, int] = {}
        self.computed = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about the store."""
        return (f"features were not stored: {self._not_stored}",) if self._not_stored else ()

    @property
    def stored_before(self) -> int:
        """Rows of features that were cached already."""
        return max(0, sum(self._asked.values()) - self.computed)

    @property
    def store(self) -> str:
        """Folder of the cache."""
        return str(self._store.root)

    def hold(self, left: Sequence[ShortlistCandidate], images: int) -> None:
        """Free networks that the next round does not need."""
        del images
        names = {candidate.name for candidate in left}
        self._holds_all = sum(candidate.parameters for candidate in left) <= HELD_PARAMETERS
        self._held = {name: one for name, one in self._held.items() if name in names and self._holds_all}

    def features(self, candidate: ShortlistCandidate, images: int) -> FeatureArray:
        """(images, F) features of the first images, from the store if they are there.

        Raises:
            ModelError: weights are unavailable or unusable, or the network takes no images of that size.
            MissingExtraError: the network's library is not installed.
        """
        from headstart.engine.known.features import classifier_features
        from headstart.engine.store.activations import matrix_of, plain_view

        classifier, activations = self._held.get(candidate.name) or self._built(candidate.name)
        if self._holds_all:
            self._held[candidate.name] = classifier, activations
        self._asked[candidate.name] = images
        records = self._records[:images]
        tick = self._progress(f"features ({candidate.name})", images)
        before = activations.computed
        try:
            return matrix_of(activations.reader(records, [plain_view(activations.spec)], on_images=tick))
        except (DiskFullError, NotWritableError) as error:
            self._not_stored = str(error)
            tick = self._progress(f"features ({candidate.name})", images)
            self.computed += images
            return classifier_features(classifier, records, activations.spec, on_images=tick)
        finally:
            self.computed += activations.computed - before

    def _built(self, name: str) -> tuple[AnyClassifier, Activations]:
        from headstart.engine.known.features import pooled_part
        from headstart.engine.known.pretrained import feature_extractor
        from headstart.engine.store.activations import Activations

        choice = self._choices[name]
        refuse_by_licence(ModelPlan(name=name, noncommercial_weights=self._licences), choice)
        own = choice.card.input.as_requested(size=self._input_size, resize=None, decoding=self._decoding)
        given = AdaptedInput(own) if self._adapter is None else self._adapter.adapted(own)
        classifier = feature_extractor(choice, size=own.size, purpose="features", adapter=given.adapter)
        part, count = pooled_part(classifier), len(self._records)
        return classifier, Activations(part, given.spec, self._digests, self._store, images_to_come=count)
