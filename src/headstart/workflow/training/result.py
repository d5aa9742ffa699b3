"""Result of training: figures on the test set, the bundle, and the run that holds both."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headstart.amounts import accuracy_text
from headstart.runs.folder import Run
from headstart.runs.run_metrics import RunMetrics

if TYPE_CHECKING:
    from headstart.data.sources.given_images import GivenImage, GivenImages
    from headstart.prediction.predictor import Prediction, Predictor
    from headstart.workflow.reporting import Report


@dataclass(frozen=True, repr=False)
class TrainResult:
    """A finished run: `result.accuracy`, `result.predict("new.jpg")`, `result.report("r.html")`."""

    run: Run
    metrics: RunMetrics
    """Figures, phases and epochs; what `headstart train --json` prints."""

    @property
    def accuracy(self) -> float:
        """Share of the test images that the bundle classifies correctly, 0..1."""
        return self.metrics.test.accuracy

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy."""
        return self.metrics.test.accuracy_interval

    @property
    def images(self) -> int:
        """Test images."""
        return self.metrics.test.images

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the probabilities."""
        return tuple(self.metrics.test.per_class)

    @property
    def strategy(self) -> str:
        """Name of the strategy."""
        return self.metrics.strategy

    @property
    def model(self) -> str:
        """Full name of the network."""
        return self.metrics.model

    @property
    def bundle(self) -> Path:
        """Folder of the trained model, for `headstart.load` and `headstart predict`."""
        return self.run.bundle

    @cached_property
    def predictor(self) -> Predictor:
        """The bundle, loaded when it is first used."""
        from headstart.prediction.predictor import load

        return load(self.bundle)

    def predict(self, image: GivenImage) -> Prediction:
        """Class of one image; see `Predictor.predict`.

        Raises:
            DataError: a path does not exist or is a folder, or it is no image.
        """
        return self.predictor.predict(image)

    def predict_many(self, images: GivenImages) -> list[Prediction]:
        """Classes of images; see `Predictor.predict_many`.

        Raises:
            DataError: a path does not exist, or something is no image.
        """
        return self.predictor.predict_many(images)

    def report(
        self, out: str | os.PathLike[str] | None = None, *, images: Literal["named", "shown"] = "named"
    ) -> Report:
        """Write the run as one HTML page.

        Args:
            out: The file; `report.html` in the run folder if None.
            images: shown puts small copies of misclassified images into the page.

        Raises:
            HeadstartError: the file cannot be written.
        """
        from headstart.workflow import reporting

        return reporting.report([self.run.folder], out=None if out is None else Path(out), images=images)[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: what `headstart train --json` prints."""
        return self.metrics.to_dict()

    def __repr__(self) -> str:
        return f"TrainResult({accuracy_text(self.accuracy, self.interval, self.images)}, {self.run.folder})"
