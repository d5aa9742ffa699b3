"""Seconds of a piece of work that is repeated until they are stable, or else how far they varied.

Other processes only make work slower, never quicker. So the quickest rounds come nearest to what the machine can do,
and a figure is stable once several of them agree. A machine that is busy from beginning to end is not found out by
this: figures of networks next to each other show it (`implausible`).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Stability = Literal["stable", "unstable"]

AGREEING_ROUNDS = 3
AGREE = 1.2
"""Rounds agree if the slowest of them takes at most so many times as long as the quickest."""
PATIENCE = 5.0
"""Times the usual measuring time that is spent on a machine that does not come to rest."""
_SLOWER = 5.0
"""Times slower than a network of as many MACs or more, from which on a figure is not believed."""
_AS_MANY = 1.5


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one repetition."""

    seconds: float
    """Median of the quickest rounds that agree; where none do, of all rounds."""
    quickest: float
    """Of all rounds."""
    slowest: float
    stability: Stability


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency of one network, with its MACs."""

    milliseconds: float
    macs: float | None
    """Multiply-accumulates of one image; None where they are not known."""


def timed(run: Callable[[], object], *, seconds: float, clock: Callable[[], float] = time.perf_counter) -> Timing:
    """Repeat `run` in rounds until the quickest of them agree.

    Args:
        run: The work; it has ended when it returns. Called once more beforehand, to warm up.
        seconds: Usual time of all rounds; at most `PATIENCE` times as much, or one repetition for each of three rounds.
        clock: Seconds that only grow.
    """
    # Once beforehand: kernels, caches and thread pools are made in the first run.
    run()
    rounds: list[float] = []
    began = clock()
    while True:
        rounds.append(_round(run, seconds / AGREEING_ROUNDS, clock))
        # Other processes only add time, so the fastest rounds are nearest to the truth.
        quickest = sorted(rounds)[:AGREEING_ROUNDS]
        if len(rounds) >= AGREEING_ROUNDS:
            if quickest[-1] <= AGREE * quickest[0]:
                return Timing(statistics.median(quickest), min(rounds), max(rounds), "stable")
            # Bounded, because on a busy machine rounds may never agree.
            if clock() - began >= PATIENCE * seconds:
                return Timing(statistics.median(rounds), min(rounds), max(rounds), "unstable")


def _round(run: Callable[[], object], seconds: float, clock: Callable[[], float]) -> float:
    """Median of repetitions that together take `seconds`; at least one."""
    taken: list[float] = []
    while not taken or sum(taken) < seconds:
        started = clock()
        run()
        taken.append(clock() - started)
    # The median within a round: one interrupted repetition does not decide it.
    return statistics.median(taken)


def implausible(latencies: Mapping[str, Latency]) -> set[str]:
    """Networks that took far longer than another that computes as much or more: the machine was busy, not the network.

    Args:
        latencies: Name -> what it took.
    """
    # MACs bound how much slower a network may plausibly be than another; a factor of five on fewer MACs is the machine.
    known = {name: (one.milliseconds, one.macs) for name, one in latencies.items() if one.macs is not None}
    return {
        name
        for name, (took, macs) in known.items()
        if any(
            took > _SLOWER * other_took and macs <= _AS_MANY * other_macs and other != name
            for other, (other_took, other_macs) in known.items()
        )
    }
