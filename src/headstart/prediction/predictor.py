"""Predictions of a bundle: probabilities of images by the one path of predict, evaluate and serve."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from headstart.amounts import count_text
from headstart.arguments import ArgumentError
from headstart.data.loading import read_view
from headstart.data.preprocess import NetworkInput
from headstart.data.sources.given_images import GivenImage, GivenImages, records_of
from headstart.data.sources.image_bytes import InputError
from headstart.data.sources.reading import ImageRecord
from headstart.engine.known.classifier import AnyClassifier, KnownClassifier
from headstart.engine.known.finding import known_bundle_classifier
from headstart.engine.known.logits import known_logits, known_logits_from_store
from headstart.engine.prefix.engine_choice import FEWEST_FOR_AN_ENGINE
from headstart.engine.prefix.running import SAMPLE_IMAGES, Engine
from headstart.engine.store.store import ActivationStore
from headstart.errors import DataError, require
from headstart.files import is_folder
from headstart.prediction.bundle import WEIGHTS_FILE, BundleInfo, bundle_folder, load_classifier, read_info
from headstart.solvers.linear_head import softmax

if TYPE_CHECKING:
    from headstart.networks.backbone import Classifier

_SHOWN_CLASSES = 3
"""In the `repr` of a prediction or of a bundle."""


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """Class of one image, with the probability of every class."""

    file: str
    """Its path; `images[POSITION]` where it was given in memory."""
    label: str
    """The most probable class."""
    probability: float
    """Of `label`, 0..1."""
    probabilities: dict[str, float]
    """Of every class, in class order; they sum to 1."""
    set: tuple[str, ...] = ()
    """Classes that hold the true one with the stated probability; empty while the bundle has no thresholds."""
    unknown: bool | None = None
    """Whether the image is unlike the training data; None while the bundle has no threshold for it."""

    def top(self, count: int) -> list[tuple[str, float]]:
        """(class, probability) of the most probable classes, best first; of all where there are fewer."""
        order = sorted(self.probabilities.items(), key=lambda item: -item[1])
        return order[:count]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "set": list(self.set)}

    def __repr__(self) -> str:
        named = ", ".join(f"{name} {value:.3f}" for name, value in self.top(_SHOWN_CLASSES))
        more = ", ..." if len(self.probabilities) > _SHOWN_CLASSES else ""
        return f"Prediction({self.file}: {named}{more})"


@dataclass(frozen=True, slots=True)
class CachedFeatures:
    """Features of images in the activation cache, found by the hash of each file."""

    store: ActivationStore
    digests: Mapping[str, bytes]
    """Image id -> hash of its file, 16 bytes."""


class Predictor:
    """A loaded bundle."""

    def __init__(self, folder: Path) -> None:
        """Load a bundle.

        Args:
            folder: Of the bundle, or of the run that made it.

        Raises:
            BundleError: not a bundle, or a run that has none yet.
            MissingExtraError: torch is needed and not installed.
        """
        self.folder = bundle_folder(folder)
        self.info = read_info(self.folder)
        self._was_made_known = False
        self._classifier: AnyClassifier = _known_classifier(self.folder, self.info) or _torch_classifier(self.folder)

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the probabilities."""
        return self.info.classes

    def predict(self, image: GivenImage) -> Prediction:
        """Predict one image.

        Args:
            image: A path, the bytes of an image file, a PIL image, uint8 pixels (H, W), (H, W, 3) or (H, W, 4), or
                bands (H, W, n). An image in memory is read as a file with the same content would be.

        Raises:
            DataError: a path does not exist or is a folder, or it is no image.
            InputError: an array of another type or shape, or another kind of object; a ValueError too.
        """
        # A single pixel array has at most three axes; four are a batch, for which predict_many is meant.
        if isinstance(image, list | tuple | set | dict) or (isinstance(image, np.ndarray) and image.ndim > 3):
            what = f"image is a {type(image).__name__} of {len(image)}"
            raise InputError(what, expected="one image", remedy="use predict_many")
        # Checked before it is read: the message should name the remedy, not fail on the folder's first file.
        if isinstance(image, str | os.PathLike) and is_folder(image):
            raise DataError(f"{image} is a folder", expected="one image file", remedy="use predict_many")
        records = records_of([image])
        if len(records) != 1:
            found = f"{image!r:.200} stands for {count_text(len(records), 'image')}"
            raise DataError(found, expected="one image file", remedy="use predict_many")
        return self._predicted(records)[0]

    def predict_many(self, images: GivenImages) -> list[Prediction]:
        """Predict images, in the order in which they are given.

        Args:
            images: A sequence of what `predict` takes, mixed as you like, in which a folder stands for all images in
                it; or one array (N, H, W), (N, H, W, 3) or (N, H, W, 4) of uint8, or bands (N, H, W, n).
                `Prediction.file` of an image in memory is `images[POSITION]`.

        Raises:
            DataError: a path does not exist, or something is no image.
            InputError: an array of another type or shape, or another kind of object; a ValueError too.
        """
        records = records_of(images)
        return self._predicted(records) if records else []

    def _predicted(self, records: Sequence[ImageRecord]) -> list[Prediction]:
        self.make_known(records)
        return self.predictions(records, self.probabilities(records))

    def probabilities(
        self,
        records: Sequence[ImageRecord],
        *,
        on_images: Callable[[int], object] = lambda count: None,
        cached: CachedFeatures | None = None,
    ) -> npt.NDArray[np.float64]:
        """(N, K) probabilities.

        Args:
            records: The images.
            on_images: Called with the number of images just done.
            cached: Cache of their features; for a backbone that is the same in many runs.

        Raises:
            DataError: an image cannot be read.
        """
        logits = self._logits(records, on_images, cached).astype(np.float64)
        temperature = self.info.temperature or 1.0
        # In double precision: probabilities of (N, K) sum to 1 to all digits that are shown.
        return np.asarray(softmax(logits / temperature), np.float64)

    def _logits(
        self, records: Sequence[ImageRecord], on_images: Callable[[int], object], cached: CachedFeatures | None
    ) -> npt.NDArray[np.float32]:
        classifier, spec = self._classifier, self.info.input
        if isinstance(classifier, KnownClassifier):
            if cached is None:
                return known_logits(classifier, records, spec, on_images=on_images)
            return known_logits_from_store(
                classifier, records, spec, digests=cached.digests, store=cached.store, on_images=on_images
            )
        from headstart.engine.prefix.inference import logits_by_engine
        from headstart.engine.store.stored_logits import logits_from_store

        if cached is None:
            return logits_by_engine(classifier, records, spec, on_images=on_images, on_engine=self._remember)
        logits = logits_from_store(
            classifier,
            records,
            spec,
            digests=cached.digests,
            store=cached.store,
            on_images=on_images,
            on_engine=self._remember,
        )
        # Rows that were all cached need no engine, from which the network would get known.
        if len(records) >= FEWEST_FOR_AN_ENGINE:
            self.make_known(records)
        return logits

    def _remember(self, engine: Engine, sample: NetworkInput) -> None:
        """Keep what is known of the network, with an engine that was chosen for it."""
        if not isinstance(self._classifier, KnownClassifier):
            from headstart.engine.known.remembering import remember_network

            self._was_made_known = True
            remember_network(self._classifier, engine, sample)

    def make_known(self, records: Sequence[ImageRecord]) -> None:
        """Let this predictor and later processes compute without torch, where it was needed so far; tried once.

        From then on an image has the same probabilities in all of them, alone and among many.

        Args:
            records: Images that are to be predicted.
        """
        classifier = self._classifier
        if isinstance(classifier, KnownClassifier) or self._was_made_known or not records:
            return
        from headstart.engine.known.remembering import make_known

        self._was_made_known = True
        make_known(classifier, np.stack([read_view(record, self.info.input) for record in records[:SAMPLE_IMAGES]]))
        self._classifier = _known_classifier(self.folder, self.info) or classifier

    def predictions(self, records: Sequence[ImageRecord], probabilities: npt.NDArray[np.float64]) -> list[Prediction]:
        """One prediction an image, from (N, K) probabilities."""
        best = probabilities.argmax(axis=1)
        return [
            Prediction(
                record.id,
                self.classes[top],
                float(row[top]),
                {name: float(value) for name, value in zip(self.classes, row, strict=True)},
            )
            for record, row, top in zip(records, probabilities, best, strict=True)
        ]

    def __repr__(self) -> str:
        named = ", ".join(self.classes[:_SHOWN_CLASSES]) + ", ..." * (len(self.classes) > _SHOWN_CLASSES)
        return f"Predictor({count_text(len(self.classes), 'class')}: {named}; {self.info.card.name}, {self.folder})"


def _known_classifier(folder: Path, info: BundleInfo) -> KnownClassifier | None:
    """Its classifier without torch; None where torch is needed, which also says what is wrong with a bundle."""
    try:
        tensors = load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None
    return known_bundle_classifier(
        info.card,
        tensors,
        head_kind=info.head,
        num_classes=len(info.classes),
        size=info.input.size,
        build=partial(_torch_classifier, folder),
    )


def _torch_classifier(folder: Path) -> Classifier:
    """Its classifier in torch, on the device of this process.

    Raises:
        BundleError: its weights do not fit its card.
        MissingExtraError: torch is not installed.
    """
    require("torch", extra="train")
    from headstart.engine.prefix.depth_features import with_depths
    from headstart.machine import best_device

    classifier, _ = load_classifier(folder, deepen=with_depths)
    classifier.network.to(best_device())
    return classifier


def load(folder: str | os.PathLike[str]) -> Predictor:
    """Predictor of a run or a bundle: `headstart.load("runs/x").predict("a.jpg")`.

    Args:
        folder: Of a run, or of a bundle.

    Raises:
        BundleError: not a bundle, or a run that has none yet.
        ArgumentError: no path.
    """
    if not isinstance(folder, str | os.PathLike):
        raise ArgumentError(f"folder={folder!r:.60} is not valid", expected="the path of a run or a bundle")
    return Predictor(Path(folder))


__all__ = ["BundleInfo", "CachedFeatures", "Prediction", "Predictor", "load"]
