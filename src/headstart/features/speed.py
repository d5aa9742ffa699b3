"""How fast networks run on this machine: images a second in eager PyTorch, measured and remembered.

A figure belongs to one machine, one number of threads and one version of torch; anything else is measured anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from headstart.features.engines import best_device
from headstart.models.backbone import build_network
from headstart.models.catalog import ModelCard
from headstart.models.download import home
from headstart.run import write_json

BATCH_IMAGES = 8
SECONDS_A_NETWORK = 1.0
"""Time spent on repetitions, after one pass that warms up."""
FEWEST_REPETITIONS = 3


def machine_key() -> str:
    """What a measured speed depends on beside the network."""
    if torch.cuda.is_available():
        return f"torch {torch.__version__}, {torch.cuda.get_device_name()}"
    return f"torch {torch.__version__}, {_cpu_name()}, {torch.get_num_threads()} threads"


def measured_speeds(
    cards: Sequence[ModelCard], *, on_card: Callable[[int], object] = lambda count: None
) -> dict[str, float]:
    """Name of each card -> images a second on this machine; what was measured before is not measured again.

    The weights do not matter to the speed and are random, so nothing is downloaded.

    Args:
        cards: Measured one after the other, each at its own input size.
        on_card: Called with 1 after each card.

    Raises:
        DiskFullError: the figures cannot be kept.
    """
    path = _kept_in()
    known = _read(path)
    mine = known.setdefault(machine_key(), {})
    for card in cards:
        key = f"{card.library}/{card.architecture}@{card.input.size}"
        if key not in mine:
            mine[key] = _images_per_second(card)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, known)
        on_card(1)
    return {card.name: mine[f"{card.library}/{card.architecture}@{card.input.size}"] for card in cards}


def _images_per_second(card: ModelCard) -> float:
    """Median over repetitions of one batch in NHWC memory layout, inference mode."""
    device = best_device()
    with torch.random.fork_rng(devices=[]):
        network = build_network(card).eval().to(device)
    images = torch.zeros(BATCH_IMAGES, card.input.channels, card.input.size, card.input.size, device=device)
    images = images.to(memory_format=torch.channels_last)
    seconds: list[float] = []
    with torch.inference_mode():
        network(images)
        while len(seconds) < FEWEST_REPETITIONS or sum(seconds) < SECONDS_A_NETWORK:
            if device.type == "cuda":
                torch.cuda.synchronize()
            started = time.perf_counter()
            network(images)
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - started)
    return round(BATCH_IMAGES / statistics.median(seconds), 2)


def _kept_in() -> Path:
    return home() / "speeds.json"


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        found: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or cut by a crash of the machine: measured anew
        return {}
    return found


def _cpu_name() -> str:
    """The processor as the system names it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or f"{os.cpu_count()} cores"
