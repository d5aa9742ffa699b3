"""Runs a network over images without learning: eager PyTorch in NHWC memory layout, inference mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from headstart.data.loading import batches, read_pixels
from headstart.data.preprocess import NetworkInput, evaluation_view
from headstart.data.sources import ImageRecord
from headstart.input_spec import InputSpec
from headstart.models.backbone import Classifier

Matrix: TypeAlias = npt.NDArray[np.float32]

BATCH_IMAGES = 32


def best_device() -> torch.device:
    """A GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_tensor(inputs: NetworkInput, device: torch.device) -> Tensor:
    """B x height x width x channels -> (B, C, H, W) on the device, without a copy in memory on the CPU."""
    return torch.from_numpy(inputs).to(device).permute(0, 3, 1, 2)


def logits_of(
    classifier: Classifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    on_images: Callable[[int], object] = lambda count: None,
) -> Matrix:
    """(N, K) logits of the evaluation view of each image."""
    return _run(classifier, classifier.network, records, spec, on_images)


def features_of(
    classifier: Classifier,
    records: Sequence[ImageRecord],
    spec: InputSpec,
    *,
    on_images: Callable[[int], object] = lambda count: None,
) -> Matrix:
    """(N, F) pooled features of the evaluation view of each image."""
    return _run(classifier, classifier.features, records, spec, on_images)


def _run(
    classifier: Classifier,
    function: Callable[[Tensor], Tensor],
    records: Sequence[ImageRecord],
    spec: InputSpec,
    on_images: Callable[[int], object],
) -> Matrix:
    classifier.network.eval()
    device = next(classifier.network.parameters()).device
    return np.concatenate(list(_outputs(function, records, spec, device, on_images)))


def _outputs(
    function: Callable[[Tensor], Tensor],
    records: Sequence[ImageRecord],
    spec: InputSpec,
    device: torch.device,
    on_images: Callable[[int], object],
) -> Iterator[Matrix]:
    def view(record: ImageRecord) -> NetworkInput:
        return evaluation_view(read_pixels(record), spec)

    chunks = [records[i : i + BATCH_IMAGES] for i in range(0, len(records), BATCH_IMAGES)]
    for chunk, inputs in batches(chunks, view):
        with torch.inference_mode():
            yield function(to_tensor(inputs, device)).float().cpu().numpy()
        on_images(len(chunk))
