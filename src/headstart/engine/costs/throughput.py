"""Throughput of networks on this machine: images a second in eager PyTorch, measured and remembered.

A figure belongs to one machine, one number of threads and one version of torch; for any other it is measured anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from headstart.engine.costs.memory import recall_value, remember_value
from headstart.machine import best_device, machine_key
from headstart.measures.timing import Timing, timed
from headstart.networks.cards.catalog import ModelCard

TIMED_IMAGES = 8
SECONDS_A_NETWORK = 1.0
"""Usual time of repetitions, after one pass that warms up; a busy machine is waited for up to five times as long."""


def measured_throughputs(
    cards: Sequence[ModelCard],
    *,
    on_card: Callable[[int], object] = lambda count: None,
    on_unstable: Callable[[str, tuple[float, float]], object] = lambda name, images_per_second: None,
) -> dict[str, float]:
    """Name of each card -> images a second on this machine; what was measured before is not measured again.

    Throughput does not depend on the weights, so they are random and nothing is downloaded. A figure that does not
    become stable, because the machine is busy, is not remembered.

    Args:
        cards: Measured one after the other, each at its own input size.
        on_card: Called with 1 after each card.
        on_unstable: Called with the name of a card whose figure is not stable, and the least and most images a second.

    Raises:
        DiskFullError: the figures cannot be kept.
    """
    machine, found, measured = machine_key(), dict[str, float](), dict[str, float]()
    for card in cards:
        throughput = measured.get(_key(card)) or known_throughput(card)  # cards may differ in their weights only
        if throughput is None:
            timing = _timing(card)
            throughput = round(TIMED_IMAGES / timing.seconds, 2)
            if timing.stability == "stable":
                remember_value(machine, "throughputs", _key(card), throughput)
            else:
                on_unstable(card.name, (TIMED_IMAGES / timing.slowest, TIMED_IMAGES / timing.quickest))
        found[card.name] = measured[_key(card)] = throughput
        on_card(1)
    return found


def known_throughput(card: ModelCard) -> float | None:
    """Measured throughput of this machine: images a second at the card's own input size; None if nothing was."""
    with contextlib.suppress(TypeError, ValueError):
        found = float(recall_value(machine_key(), "throughputs", _key(card)))
        return found if found > 0 else None
    return None


def _key(card: ModelCard) -> str:
    return f"{card.library}/{card.architecture}@{card.input.size}"


def _timing(card: ModelCard) -> Timing:
    """Timing of one batch in NHWC memory layout, inference mode."""
    import torch

    from headstart.networks.backbone import build_network

    device = best_device()
    with torch.random.fork_rng(devices=[]):
        network = build_network(card).eval().to(device)
    images = torch.zeros(TIMED_IMAGES, card.input.channels, card.input.size, card.input.size, device=device)
    images = images.to(memory_format=torch.channels_last)

    def run() -> None:
        network(images)
        if device.type == "cuda":
            torch.cuda.synchronize()

    with torch.inference_mode():
        return timed(run, seconds=SECONDS_A_NETWORK)
