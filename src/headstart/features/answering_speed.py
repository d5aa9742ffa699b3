"""How fast a trained classifier answers on this machine: many images at once, and one alone. Decoding is left out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from headstart.data.preprocess import NetworkInput
from headstart.data.sources import ImageRecord
from headstart.features.engines import (
    SAMPLE_IMAGES,
    Engine,
    choose_engine,
    head_answers,
    head_fault,
    outputs_of,
    pooled_features,
    pooled_label,
)
from headstart.features.torch_engine import EagerEngine
from headstart.input_spec import InputSpec
from headstart.models.backbone import Classifier

MANY_IMAGES = 32
SECONDS = 2.0
"""Time spent on repetitions of each kind, after one pass that warms up."""
FEWEST_REPETITIONS = 3
_AS_MANY_AS_IT_TAKES = 1_000_000
"""Images to come, for the choice of the engine: its set-up plays no part in how fast it answers."""


@dataclass(frozen=True, slots=True)
class Inference:
    """Medians over repetitions."""

    images_per_second: float
    """Of many: features by the engine that `evaluate` takes for many images, and the head."""
    one_image_ms: float
    """Milliseconds for one image alone, run as `predict` runs it."""
    engine: str
    """What ran the many: torch or onnxruntime."""
    input_size: int
    """Side in pixels."""
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def inference_of(classifier: Classifier, spec: InputSpec, *, seed: int = 0) -> Inference:
    """Measure on seeded noise: what is shown does not matter to the time.

    Args:
        classifier: At rest afterwards, else not changed.
        spec: What its network sees of an image.
        seed: Of the noise.
    """
    images = _noise(spec, seed)
    eager = EagerEngine(classifier.network.eval())
    one = 1000 * _median_seconds(lambda: eager.run(images[:1]))
    engine = _engine(classifier, images)
    if engine is None:
        many = _median_seconds(lambda: eager.run(images))
    else:
        many = _median_seconds(lambda: _answers(classifier, engine, images))
    name = "torch" if engine is None else engine.name
    return Inference(round(MANY_IMAGES / many, 2), round(one, 3), name, spec.size, torch.get_num_threads())


def _noise(spec: InputSpec, seed: int) -> NetworkInput:
    shape = (MANY_IMAGES, spec.size, spec.size, len(spec.mean))
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def _engine(classifier: Classifier, images: NetworkInput) -> Engine | None:
    """What runs many images; None where that is the network as it is."""
    if not classifier.answers_from_features:
        return None
    engine = choose_engine(
        pooled_features(classifier),
        images[:SAMPLE_IMAGES],
        label=pooled_label(classifier),
        images_to_come=_AS_MANY_AS_IT_TAKES,
    )
    few = images[:2]
    return None if head_fault(classifier, few, engine.run(few)[0]) else engine


def _answers(classifier: Classifier, engine: Engine, images: NetworkInput) -> None:
    """All answers, in the way in which files are answered, but for the files."""
    records = [ImageRecord(str(index), "", "all") for index in range(len(images))]
    rows = [rows for _, (rows, *_) in outputs_of(engine, records, lambda record: images[int(record.id)])]
    head_answers(classifier, np.concatenate(rows))


def _median_seconds(run: Callable[[], object]) -> float:
    run()
    seconds: list[float] = []
    while len(seconds) < FEWEST_REPETITIONS or sum(seconds) < SECONDS:
        started = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
