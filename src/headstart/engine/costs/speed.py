"""How fast networks run on this machine: images a second in eager PyTorch, measured and remembered.

A figure belongs to one machine, one number of threads and one version of torch; anything else is measured anew.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.files import home, read_json, update_json
from headstart.machine import best_device, device_of, machine_key
from headstart.measures.timing import Timing, timed
from headstart.networks.backbone import build_network
from headstart.networks.cards.catalog import ModelCard

BATCH_IMAGES = 8
SECONDS_A_NETWORK = 1.0
"""Usual time of repetitions, after one pass that warms up; a busy machine is waited for up to five times as long."""
_LONG_SECONDS = 0.2
"""One image that takes longer says enough of a heavy network."""
_TOGETHER_SECONDS = 0.1
"""Of all cores together in a glance: as many images as they would do in that time undisturbed."""
_GLANCE_IMAGES = 6
"""But no more."""
_GPU_IMAGES = 64
"""With fewer it would wait for its orders."""


@dataclass(frozen=True, slots=True)
class Glance:
    """How fast a network as it is ran for a moment, in images a second."""

    together: float
    """All cores on one batch, as in training; or the GPU."""
    one_core: float | None
    """One of the cores by itself: engines give each core images of its own. None on a GPU."""


def measured_speeds(
    cards: Sequence[ModelCard],
    *,
    on_card: Callable[[int], object] = lambda count: None,
    on_unstable: Callable[[str, tuple[float, float]], object] = lambda name, images_per_second: None,
) -> dict[str, float]:
    """Name of each card -> images a second on this machine; what was measured before is not measured again.

    The weights do not matter to the speed and are random, so nothing is downloaded. A figure that does not become
    stable, because the machine is busy, is not remembered.

    Args:
        cards: Measured one after the other, each at its own input size.
        on_card: Called with 1 after each card.
        on_unstable: Called with the name of a card whose figure is not stable, and the least and most images a second.

    Raises:
        DiskFullError: the figures cannot be kept.
    """
    machine = machine_key()
    known = _of_machine(read_json(_kept_in()), machine)
    found: dict[str, float] = {}
    for card in cards:
        key = _key(card)
        speed = known.get(key)
        if not isinstance(speed, float | int):
            timing = _timing(card)
            speed = round(BATCH_IMAGES / timing.seconds, 2)
            if timing.stability == "stable":
                update_json(_kept_in(), partial(_with_speed, machine=machine, key=key, speed=speed))
            else:
                on_unstable(card.name, (BATCH_IMAGES / timing.slowest, BATCH_IMAGES / timing.quickest))
        known[key] = found[card.name] = speed
        on_card(1)
    return found


def known_speed(card: ModelCard) -> float | None:
    """What `measured_speeds` found on this machine before: images a second at the card's own input size."""
    with contextlib.suppress(TypeError, ValueError, AttributeError, KeyError):
        found = float(read_json(_kept_in())[machine_key()][_key(card)])
        return found if found > 0 else None
    return None


def glance(network: nn.Module, *, channels: int, size: int) -> Glance | None:
    """Some ten images of zeros; None where the network cannot run on them.

    Takes a quarter of a second on a quiet machine, longer with a network of which one image does, and with a GPU that
    has to wake up, as it would in the first step.

    Args:
        network: (B, C, H, W) -> anything. Its modes, its statistics and the state of random numbers stay as they are.
        channels: Of an image.
        size: Side in pixels.
    """
    device = device_of(network)
    modes = [(module, module.training) for module in network.modules()]

    def seconds(count: int) -> float:
        return _seconds_of(network, torch.zeros(count, channels, size, size, device=device))

    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.inference_mode():
            network.eval()
            if device.type == "cpu":
                return _glance_at_cores(seconds)
            seconds(1)
            return Glance(_GPU_IMAGES / min(seconds(_GPU_IMAGES) for _ in range(2)), None)
    except Exception:  # whatever a foreign forward raises: training will say it better
        return None
    finally:
        for module, mode in modes:
            module.training = mode


def _glance_at_cores(seconds: Callable[[int], float]) -> Glance:
    """One core first: on a busy machine cores wait for each other in every layer, and that hides what each can do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        warm = seconds(1)
        if warm >= _LONG_SECONDS:
            return Glance(threads / warm, 1 / warm)
        began = time.thread_time()
        alone = seconds(1)
        undisturbed = max(time.thread_time() - began, 1e-9)
    finally:
        torch.set_num_threads(threads)
    count = max(1, min(_GLANCE_IMAGES, int(_TOGETHER_SECONDS * threads / undisturbed)))
    return Glance(count / seconds(count), 1 / alone)


def _seconds_of(network: nn.Module, images: Tensor) -> float:
    """One pass, in NHWC memory layout."""
    images = images.to(memory_format=torch.channels_last)
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    network(images)
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return max(time.perf_counter() - started, 1e-9)


def _key(card: ModelCard) -> str:
    return f"{card.library}/{card.architecture}@{card.input.size}"


def _timing(card: ModelCard) -> Timing:
    """Of one batch in NHWC memory layout, inference mode."""
    device = best_device()
    with torch.random.fork_rng(devices=[]):
        network = build_network(card).eval().to(device)
    images = torch.zeros(BATCH_IMAGES, card.input.channels, card.input.size, card.input.size, device=device)
    images = images.to(memory_format=torch.channels_last)

    def run() -> None:
        network(images)
        if device.type == "cuda":
            torch.cuda.synchronize()

    with torch.inference_mode():
        return timed(run, seconds=SECONDS_A_NETWORK)


def _kept_in() -> Path:
    return home() / "speeds.json"


def _of_machine(known: Mapping[str, Any], machine: str) -> dict[str, Any]:
    found = known.get(machine)
    return dict(found) if isinstance(found, dict) else {}


def _with_speed(known: dict[str, Any], *, machine: str, key: str, speed: float) -> dict[str, Any]:
    """The file with one more speed; what other processes measured meanwhile stays."""
    return {**known, machine: {**_of_machine(known, machine), key: speed}}
