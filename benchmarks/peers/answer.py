"""What every peer prints when it is done: one line of JSON, the last of its output."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import torch


def accuracy_of(predicted: Sequence[int], truth: Sequence[int]) -> float:
    """Share of right answers, 0..1."""
    return sum(p == t for p, t in zip(predicted, truth, strict=True)) / len(truth)


def best_of(validated: Sequence[Sequence[int]], truth: Sequence[int]) -> Sequence[int]:
    """The answers of the first epoch whose accuracy is highest."""
    return max(validated, key=lambda predicted: accuracy_of(predicted, truth))


def print_answer(
    *,
    process_began: float,
    training_began: float,
    epoch_seconds: Sequence[float],
    validated: Sequence[Sequence[int]],
    truth: Sequence[int],
) -> None:
    """Print times, accuracies and answers.

    Args:
        process_began: `time.perf_counter()` in the script's first lines, before its imports.
        training_began: The same when imports, data and network stood.
        epoch_seconds: Of every epoch, its validation included; empty where nothing goes in epochs.
        validated: For every epoch that was validated, the class number that each report image got, images in the
            order of their sorted paths. The last one is the answer; the best one is what a loop keeps that chooses
            its epoch on the test images.
        truth: The right class numbers in the same order.
    """
    best = best_of(validated, truth)
    answer = {
        "accuracy": accuracy_of(validated[-1], truth),
        "best_accuracy": accuracy_of(best, truth),
        "seconds": time.perf_counter() - process_began,
        "startup_seconds": training_began - process_began,
        "epoch_seconds": list(epoch_seconds),
        "predicted": list(validated[-1]),
        "predicted_best": list(best),
        "truth": list(truth),
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(answer), flush=True)
