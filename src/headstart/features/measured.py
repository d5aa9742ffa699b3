"""What runs took on this machine, kept under $HEADSTART_HOME, and the rates that follow for a network; no torch.

    rates.json   {"latest": MACHINE, "machines": {MACHINE: {"figures": {name: number}, "networks": {NAME@SIZE: {...}}}}}

A figure that is measured again moves most of the way to what was measured last. A network that never ran here gets the
rates of others, each divided by the vigour of its kind and multiplied by that of this one; on a machine where nothing
ran, a product of matrices tells its rate, and what networks usually reach of that is assumed.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from headstart.data.loading import cores
from headstart.errors import DiskFullError
from headstart.features.cost_facts import Origin, Rates
from headstart.features.engine_choice import (
    EXPECTED_GAIN,
    EXPECTED_RELOAD_SECONDS,
    EXPECTED_SETUP_SECONDS,
    kept_figures,
)
from headstart.features.network_facts import NetworkFacts
from headstart.models.download import home
from headstart.run import write_json

ViewKind = Literal["plain", "varied"]

FIGURES = (
    "torch",
    "onnxruntime",
    "forward",
    "training",
    "moved",
    "solved",
    "step_seconds",
    "epoch_seconds",
    "end_seconds",
    "setup_seconds",
    "reload_seconds",
)
"""Names under which `Known` keeps what is not a stretch of one network: see `cost_facts.Rates`."""

USUAL_PIXELS = 200_000
"""Of an image where nobody looked: 500 x 400."""

_WEIGHT = 0.7
"""Of a new measurement against what was known."""
_WITH_VIGOUR = ("torch", "onnxruntime", "forward", "training")
"""Figures that are kept as if the network reached the machine's rate at products of matrices."""

_BACKWARD = 3.0
"""Forward and backward, in forward passes."""
_FOLDED_GAIN = 1.4
"""How much faster a network at rest is than the network as it is, BatchNorm folded."""
_REACHED = 0.8
"""Share of the rate at products of matrices that ONNX Runtime reaches in a network of vigour 1."""
_USUAL = {"moved": 5e8, "solved": 2e6, "step_seconds": 2e-3, "epoch_seconds": 0.1, "end_seconds": 0.5}
_VIEW_SECONDS = 1e-3
_PIXEL_SECONDS = 4e-8
"""Of one core, to decode a pixel."""
_GEMM_SIDE = 64
"""So small that one core computes it: threads that wait for each other on a busy machine would tell nothing."""
_GEMM_REPETITIONS = 30


@dataclass(frozen=True, slots=True)
class Amounts:
    """What was spent on views and on the store, so far."""

    views: Mapping[ViewKind, int]
    view_seconds: Mapping[ViewKind, float]
    """Of one core."""
    moved_bytes: int
    moved_seconds: float


class Spent:
    """Counts what views and reading stored rows take; may be told from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._views: dict[ViewKind, int] = {"plain": 0, "varied": 0}
        self._view_seconds: dict[ViewKind, float] = {"plain": 0.0, "varied": 0.0}
        self._moved_bytes, self._moved_seconds = 0, 0.0

    @contextmanager
    def view(self, kind: ViewKind) -> Iterator[None]:
        """One view is made while the block runs, in this thread."""
        started = time.thread_time()
        yield
        seconds = time.thread_time() - started
        with self._lock:
            self._views[kind] += 1
            self._view_seconds[kind] += seconds

    def moved(self, count: int, seconds: float) -> None:
        """So many bytes were read from the store."""
        with self._lock:
            self._moved_bytes += count
            self._moved_seconds += seconds

    def so_far(self) -> Amounts:
        """A copy."""
        with self._lock:
            return Amounts(dict(self._views), dict(self._view_seconds), self._moved_bytes, self._moved_seconds)


@dataclass
class Known:
    """What was measured on one machine."""

    figures: dict[str, float] = field(default_factory=dict)
    """FIGURES, and `plain view N` and `varied view N` for images of about 2**N pixels."""
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """NetworkFacts.name -> {"stretches": {name: seconds an image}, "facts": what `NetworkFacts.to_dict` gives}."""

    def learn(self, name: str, value: float, *, network: NetworkFacts | None = None) -> None:
        """Take in one of FIGURES; those that depend on the kind of network need to know it. What is not > 0 is not."""
        if name in _WITH_VIGOUR and network is not None:
            value /= network.vigour
        _blend(self.figures, name, value)

    def learn_view(self, kind: ViewKind, seconds: float, *, pixels: int) -> None:
        """Seconds of one core for a view of images of that size."""
        _blend(self.figures, f"{kind} view {_scale_of(pixels)}", seconds)

    def learn_stretch(self, network: NetworkFacts, stretch: str, seconds: float) -> None:
        """Seconds an image of one stretch of a network, named as in `cost_facts`."""
        _blend(self.networks.setdefault(network.name, {}).setdefault("stretches", {}), stretch, seconds)

    def learn_facts(self, network: NetworkFacts) -> None:
        """What was counted of a network."""
        self.networks.setdefault(network.name, {})["facts"] = network.to_dict()

    def stretches_of(self, name: str) -> dict[str, float]:
        """What was measured of a network."""
        found = self.networks.get(name, {}).get("stretches", {})
        return dict(found) if isinstance(found, dict) else {}

    def facts_of(self, name: str) -> NetworkFacts | None:
        """What was counted of a network on an earlier occasion."""
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            return NetworkFacts.from_dict(self.networks[name]["facts"])
        return None


def recall(machine: str | None = None) -> Known:
    """What was measured on a machine; None: on the one that ran last."""
    found = kept_figures(_kept_in())
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        raw = found["machines"][found["latest"] if machine is None else machine]
        figures = {name: float(value) for name, value in raw["figures"].items()}
        return Known(figures, {name: dict(value) for name, value in raw["networks"].items()})
    return Known()


def remember(machine: str, known: Known) -> None:
    """Keep what was measured; a full or read-only disk only means that it is measured again."""
    path = _kept_in()
    found = kept_figures(path)
    machines = found.get("machines")
    mine = {"figures": known.figures, "networks": known.networks}
    others = machines if isinstance(machines, dict) else {}
    with contextlib.suppress(OSError, DiskFullError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"latest": machine, "machines": {**others, machine: mine}})


def rates_of(
    known: Known,
    network: NetworkFacts,
    *,
    pixels: int = USUAL_PIXELS,
    gemm: float | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
) -> Rates:
    """The rates of a network on the machine of `known`.

    Args:
        known: What was measured there.
        network: Which one, at which size.
        pixels: Of a typical image.
        gemm: Billions of multiply-accumulates a second in a product of matrices; None measures it where it is needed.
        device: Where the network runs.
    """
    figures, stretches = known.figures, known.stretches_of(network.name)
    origin: Origin = "measured" if stretches else "related"
    if not any(name in figures for name in _WITH_VIGOUR):
        origin, gemm = "guessed", gemm_rate() if gemm is None else gemm
    arithmetic = _arithmetic(figures, network.vigour, gemm)
    usual = {name: figures.get(name, value) for name, value in _USUAL.items()}
    if device == "cuda" or find_spec("onnxruntime") is None:
        arithmetic["onnxruntime"] = 0.0
    return Rates(
        cores=cores(),
        plain_view=_view_seconds(figures, "plain", pixels),
        varied_view=_view_seconds(figures, "varied", pixels),
        setup_seconds=figures.get("setup_seconds", EXPECTED_SETUP_SECONDS),
        reload_seconds=figures.get("reload_seconds", EXPECTED_RELOAD_SECONDS),
        decoding="beside" if device == "cuda" else "shares_cores",
        measured=stretches,
        origin=origin,
        **arithmetic,
        **usual,
    )


def gemm_rate() -> float:
    """Billions of multiply-accumulates a second that the cores reach together; takes about a millisecond."""
    a = np.full((_GEMM_SIDE, _GEMM_SIDE), 0.5, np.float32)
    a @ a
    best = math.inf
    for _ in range(_GEMM_REPETITIONS):
        started = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - started)
    return float(cores() * _GEMM_SIDE**3 / 1e9 / max(best, 1e-9))


def _arithmetic(figures: Mapping[str, float], vigour: float, gemm: float | None) -> dict[str, float]:
    """Each of _WITH_VIGOUR for a network of this kind: measured, or from another one by the usual ratio."""
    per_vigour = dict(figures)
    if gemm is not None:
        per_vigour.setdefault("onnxruntime", _REACHED * gemm)
    ratios = {"onnxruntime": EXPECTED_GAIN, "torch": _FOLDED_GAIN, "forward": 1.0, "training": 1.0 / _BACKWARD}
    known = {name: per_vigour[name] / ratio for name, ratio in ratios.items() if name in per_vigour}
    # Nearest kin first: of a network with gradients the one without says more than an engine of its own kind.
    kin = next(known[name] for name in ("forward", "training", "torch", "onnxruntime") if name in known)
    return {name: per_vigour.get(name, kin * ratio) * vigour for name, ratio in ratios.items()}


def _view_seconds(figures: Mapping[str, float], kind: ViewKind, pixels: int) -> float:
    """Of the nearest size of images that was seen, in proportion to their pixels; else the usual."""
    other: ViewKind = "plain" if kind == "varied" else "varied"
    for one in (kind, other):
        seen = {int(name.split()[-1]): value for name, value in figures.items() if name.startswith(f"{one} view ")}
        if seen:
            nearest = min(seen, key=lambda scale: abs(scale - _scale_of(pixels)))
            return float(seen[nearest] * 2.0 ** (_scale_of(pixels) - nearest))
    return _VIEW_SECONDS + _PIXEL_SECONDS * pixels


def _scale_of(pixels: int) -> int:
    return round(math.log2(max(pixels, 1)))


def _blend(kept: dict[str, float], name: str, value: float) -> None:
    if math.isfinite(value) and value > 0:
        before = kept.get(name, value)
        kept[name] = float(f"{_WEIGHT * value + (1 - _WEIGHT) * before:.4g}")


def _kept_in() -> Path:
    return home() / "rates.json"
