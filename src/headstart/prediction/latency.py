"""Throughput and latency of a trained classifier on this machine: many images, and one alone. Without decoding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from headstart.data.preprocess import NetworkInput
from headstart.data.sources.reading import ImageRecord
from headstart.engine.prefix.engines import choose_engine
from headstart.engine.prefix.inference import head_fault, head_logits, pooled_features
from headstart.engine.prefix.running import SAMPLE_IMAGES, Engine, outputs_of
from headstart.engine.prefix.torch_engine import EagerEngine
from headstart.engine.store.activations import pooled_label
from headstart.input_spec import InputSpec
from headstart.measures.timing import Timing, timed
from headstart.networks.backbone import Classifier
from headstart.prediction.inference_figures import InferenceFigures

THROUGHPUT_IMAGES = 32
SECONDS = 2.0
"""Usual time of repetitions of each kind, after one pass that warms up; five times as long on a busy machine."""
_AS_MANY_AS_IT_TAKES = 1_000_000
"""Images to come, for the choice of the engine: its set-up plays no part in the throughput."""


def inference_of(classifier: Classifier, spec: InputSpec, *, seed: int = 0) -> InferenceFigures:
    """Throughput and latency on seeded noise: what an image shows does not change the time.

    Args:
        classifier: In evaluation mode afterwards, else not changed.
        spec: What its network sees of an image.
        seed: Of the noise.
    """
    images = _noise(spec, seed)
    eager = EagerEngine(classifier.network.eval())
    one = _timed(lambda: eager.run(images[:1]))
    # The engine that evaluate would choose for many images; timing something else would promise what no command does.
    engine = _engine(classifier, images)
    many = _timed(lambda: eager.run(images) if engine is None else _logits(classifier, engine, images))
    name = "torch" if engine is None else engine.name
    return InferenceFigures(
        images_per_second=round(THROUGHPUT_IMAGES / many.seconds, 2),
        one_image_ms=round(1000 * one.seconds, 3),
        engine=name,
        input_size=spec.size,
        threads=torch.get_num_threads(),
        # One unstable figure makes the pair unstable: they are read together.
        stability="unstable" if "unstable" in (one.stability, many.stability) else "stable",
        # From the slowest round to the quickest: throughput is the inverse of time.
        images_per_second_range=(
            round(THROUGHPUT_IMAGES / many.slowest, 2),
            round(THROUGHPUT_IMAGES / many.quickest, 2),
        ),
        one_image_ms_range=(round(1000 * one.quickest, 3), round(1000 * one.slowest, 3)),
    )


def _noise(spec: InputSpec, seed: int) -> NetworkInput:
    # Noise: speed does not depend on what is shown, and no image of the user is needed.
    shape = (THROUGHPUT_IMAGES, spec.size, spec.size, len(spec.mean))
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def _engine(classifier: Classifier, images: NetworkInput) -> Engine | None:
    """Engine for many images; None where the network itself runs them."""
    if not classifier.outputs_from_features:
        return None
    engine = choose_engine(
        pooled_features(classifier),
        images[:SAMPLE_IMAGES],
        label=pooled_label(classifier),
        images_to_come=_AS_MANY_AS_IT_TAKES,
    )
    few = images[:2]
    return None if head_fault(classifier, few, engine.run(few)[0]) else engine


def _logits(classifier: Classifier, engine: Engine, images: NetworkInput) -> None:
    """Logits of all images by the path that files take, without reading files."""
    records = [ImageRecord(str(index), "", "all") for index in range(len(images))]
    rows = [rows for _, (rows, *_) in outputs_of(engine, records, lambda record: images[int(record.id)])]
    head_logits(classifier, np.concatenate(rows))


def _timed(run: Callable[[], object]) -> Timing:
    def whole() -> None:
        run()
        if torch.cuda.is_available():
            # CUDA returns before the kernels have run.
            torch.cuda.synchronize()

    return timed(whole, seconds=SECONDS)
