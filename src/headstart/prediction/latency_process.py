"""Throughput and memory of prediction with one bundle, measured in a subprocess with nothing else in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.machine import peak_memory_bytes
from headstart.prediction.inference_figures import InferenceFigures
from headstart.runs.observers import Observer


def inference_of_bundle(bundle: Path, observer: Observer) -> InferenceFigures:
    """Throughput, latency and peak memory of prediction with one bundle.

    Args:
        bundle: Folder of the bundle.
        observer: Told that it begins.

    Raises:
        BundleError: not a bundle.
    """
    from headstart.engine.prefix.depth_features import with_depths
    from headstart.machine import best_device
    from headstart.prediction.bundle import load_classifier
    from headstart.prediction.latency import inference_of

    observer.work_started("inference", 1)
    classifier, info = load_classifier(bundle, deepen=with_depths)
    classifier.network.to(best_device())
    figures = inference_of(classifier, info.input)
    observer.work_done(1)
    return replace(figures, peak_memory_bytes=peak_memory_bytes())
