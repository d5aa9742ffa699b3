"""Speed and memory of prediction with one bundle; done in a process of its own, whose memory is all its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.machine import peak_memory_bytes
from headstart.runs.observers import Observer


def inference_of_bundle(bundle: Path, observer: Observer) -> dict[str, Any]:
    """images_per_second, one_image_ms, peak_memory_bytes, engine, input_size, threads.

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
    figures = inference_of(classifier, info.input).to_dict()
    observer.work_done(1)
    return {**figures, "peak_memory_bytes": peak_memory_bytes()}
