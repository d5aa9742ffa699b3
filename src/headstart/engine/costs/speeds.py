"""Speeds of one network on one machine: measured ones where there are any, else what follows for them; no torch.

The speeds of a network are, in this order: its own, measured by runs or by the quick benchmark; those of other
networks, scaled by how much of the machine their kinds use; those of usual cores. What is missing follows from the
others by ratios that were measured (docs/benchmarks.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Literal, TypeAlias

from headstart.data.loading import cores
from headstart.data.meter import ViewKind
from headstart.engine.costs.memory import Measurements, Origin, figure_of
from headstart.engine.costs.network import NetworkFacts, expected_gain
from headstart.engine.prefix.engine_choice import EXPECTED_RELOAD_SECONDS, EXPECTED_SETUP_SECONDS

DeviceKind: TypeAlias = Literal["cpu", "cuda"]

USUAL_PIXELS = 200_000
"""Of an image of unknown size: 500 x 400."""
CORE_SPEED = 50.0
"""Billions of MACs a second of one core in a product of matrices, where nothing ran yet: AVX2."""
GPU_SPEED = 10_000.0
"""The same of a GPU."""

_OF_A_KIND = ("torch", "onnxruntime", "forward", "training")
"""Speeds that depend on the kind of network; for other networks they are kept as those of utilisation 1."""
_BACKWARD = 3.0
"""Forward and backward, in forward passes."""
_FOLDED_GAIN = 1.4
"""How much faster a frozen part is than the network as it is, BatchNorm folded: 1.1 to 1.7 for four networks."""
_REACHED: Mapping[DeviceKind, float] = {"cpu": 1.4, "cuda": 0.32}
"""The forward pass of a network of utilisation 1 against a product of matrices: 1.3 to 2.0 for four networks on two
cores; on a GPU ResNet-50 trains 240 images a second where GPU_SPEED holds, as an A10G does in single precision."""
_USUAL = {
    "setup_seconds": EXPECTED_SETUP_SECONDS,
    "reload_seconds": EXPECTED_RELOAD_SECONDS,
    "store": 5e8,
    "head": 4e7,
    "head_seconds": 0.25,
    "step_seconds": 2e-3,
    "epoch_seconds": 0.1,
    "end_seconds": 0.5,
}
"""Figures of the machine, which no network changes."""
_VIEW_SECONDS: Mapping[ViewKind, tuple[float, float]] = {"plain": (1e-3, 4e-9), "augmented": (2e-3, 7e-9)}
"""Of one core, and besides for each pixel of the file: evaluation views decode no more than they need."""
_SAME_SIZE = 1
"""Powers of two by which images may differ in pixels, and a view of one still tells the seconds of the other."""


@dataclass(frozen=True)
class Speeds:
    """Speeds of one network on one machine; figures that end in `seconds` are >= 0, all others > 0.

    Networks are measured in billions of MACs a second.
    """

    cores: int
    plain_view: float
    """Seconds of one core to read an image and make its evaluation view."""
    augmented_view: float
    """The same of a training view."""
    torch: float
    """A frozen part in PyTorch."""
    onnxruntime: float
    """The same in ONNX Runtime; 0: it is not used here."""
    setup_seconds: float
    """Until ONNX Runtime gives its first outputs."""
    reload_seconds: float
    """The same where the exported network is kept from an earlier run."""
    forward: float
    """The network as it is, without gradients."""
    training: float
    """A trainable part, forward and backward; MACs are those of its forward pass."""
    store: float
    """Bytes a second to and from the activation store."""
    head: float
    """Images x features x classes a second, from features to a linear probe with a cross-validated L2 penalty."""
    step_seconds: float
    """Of a step besides its MACs."""
    epoch_seconds: float
    """Of an epoch besides its steps and its validation pass (checks, saving)."""
    end_seconds: float
    """Of the end of a run besides its images (writing the bundle, loading it)."""
    head_seconds: float = 0.25
    """Of a linear probe besides its numbers."""
    decoding: Literal["shares_cores", "in_parallel"] = "shares_cores"
    """in_parallel: views are made while another device computes."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """Span of this network -> seconds an image; see `frozen_span`, `steps_span` and `validation_span`."""
    origin: Origin = "guessed"


def frozen_span(cut_point: str, engine: str) -> str:
    """Name of the seconds an image that an engine takes up to a cut point, without views and set-up."""
    return f"frozen part up to {cut_point} ({engine})"


def steps_span(start: str, first: str) -> str:
    """Name of the seconds an image of training steps from PIXELS or a cut point; `first` is the first trained group."""
    return f"steps from {start}, trained from {first}"


def validation_span(start: str) -> str:
    """Name of the seconds an image of a validation pass from PIXELS or a cut point."""
    return f"validation from {start}"


def learn_speed(measured: Measurements, name: str, value: float, network: NetworkFacts) -> None:
    """Take in a speed that depends on the kind of network: for this network, and for others by its utilisation."""
    measured.learn(name, value, network=network.name)
    measured.learn(name, value / _kind_scale(name, network.utilisation))


def view_figure(kind: ViewKind, *, pixels: int) -> str:
    """Name of the seconds of one core for a view of images of about that size."""
    return f"{kind} view {_size_class(pixels)}"


def has_seen(measured: Measurements, kind: ViewKind, *, pixels: int) -> bool:
    """Whether views of images of about that size were measured."""
    return any(abs(size - _size_class(pixels)) <= _SAME_SIZE for size in _seen(measured.figures, kind))


def own_speeds(known: Measurements, network: str) -> dict[str, float]:
    """Speeds that were measured with a network itself."""
    return {name: value for name, value in known.figures_of(network).items() if name in _OF_A_KIND}


def speeds_of(
    known: Measurements,
    network: NetworkFacts,
    *,
    pixels: int = USUAL_PIXELS,
    gemm: float | None = None,
    device: DeviceKind = "cpu",
) -> Speeds:
    """The speeds of a network on the machine of `known`.

    Args:
        known: What was measured there.
        network: Which one, at which size.
        pixels: Of a typical image.
        gemm: Billions of MACs a second in a product of matrices, for where nothing ran; None is usual.
        device: Where the network runs.
    """
    figures, own = known.figures, own_speeds(known, network.name)
    spans = {name: value for name, value in known.figures_of(network.name).items() if name not in _OF_A_KIND}
    related = {name: figures[name] * _kind_scale(name, network.utilisation) for name in _OF_A_KIND if name in figures}
    origin: Origin = "measured" if spans else "related"
    if not own and not related:
        gemm = gemm or (GPU_SPEED if device == "cuda" else CORE_SPEED * cores())
        origin, related = "guessed", {"forward": _REACHED[device] * gemm * network.utilisation}
    speeds = completed(own or related, network.utilisation)
    if not _uses_onnxruntime(device):
        speeds["onnxruntime"] = 0.0
    return Speeds(
        cores=cores(),
        plain_view=_view_seconds(figures, "plain", pixels),
        augmented_view=_view_seconds(figures, "augmented", pixels),
        decoding="in_parallel" if device == "cuda" else "shares_cores",
        measured=spans,
        origin=origin,
        **speeds,
        **{name: figures.get(name, value) for name, value in _USUAL.items()},
    )


def nominal_speeds(network: NetworkFacts, *, pixels: int, device: DeviceKind) -> Speeds:
    """Speeds of no real machine, the same on all: they make the choices that the trained weights depend on.

    They are further from most machines than what `speeds_of` expects, and stay as they are: others would store other
    views for the plans of before, and so train other weights.
    """
    forward, view = 0.8 / 2.5 * 100.0 * network.utilisation, 1e-3 + 4e-8 * pixels
    own = {"forward": forward, "training": forward / 3, "torch": 1.4 * forward, "onnxruntime": 2.5 * forward}
    figures = {figure_of(name, network.name): speed for name, speed in own.items()} | {"head": 2e6}
    speeds = speeds_of(Measurements(figures), network, device=device)
    return replace(speeds, plain_view=view, augmented_view=view, origin="guessed")


def completed(known: Mapping[str, float], utilisation: float) -> dict[str, float]:
    """forward, training, torch and onnxruntime, from at least one of them: what is missing by the usual ratios.

    Args:
        known: Billions of MACs a second of one network.
        utilisation: Of its kind, 0..1.
    """
    # Nearest first: of a network with gradients the one without says more than an engine of its own kind.
    ratios = {
        "forward": 1.0,
        "training": 1.0 / _BACKWARD,
        "torch": _FOLDED_GAIN,
        "onnxruntime": expected_gain(utilisation),
    }
    nearest = next(name for name in ratios if name in known)
    return {name: known.get(name, known[nearest] / ratios[nearest] * ratio) for name, ratio in ratios.items()}


def _uses_onnxruntime(device: DeviceKind) -> bool:
    return device == "cpu" and find_spec("onnxruntime") is not None


def _kind_scale(name: str, utilisation: float) -> float:
    """What one of _OF_A_KIND is divided by, so that it says something of networks of other kinds."""
    return utilisation * expected_gain(utilisation) if name == "onnxruntime" else utilisation


def _view_seconds(figures: Mapping[str, float], kind: ViewKind, pixels: int) -> float:
    """Seconds of a view of images of the nearest measured size, in proportion; else of the other kind of view."""
    size = _size_class(pixels)
    for one in (kind, *(other for other in _VIEW_SECONDS if other != kind)):
        if seen := _seen(figures, one):
            nearest = min(seen, key=lambda found: abs(found - size))
            return seen[nearest] * _usual_view_seconds(kind, 2**size) / _usual_view_seconds(one, 2**nearest)
    return _usual_view_seconds(kind, pixels)


def _usual_view_seconds(kind: ViewKind, pixels: int) -> float:
    each, of_a_pixel = _VIEW_SECONDS[kind]
    return each + of_a_pixel * pixels


def _seen(figures: Mapping[str, float], kind: ViewKind) -> dict[int, float]:
    """Size class of images -> seconds of a view."""
    return {int(name.split()[-1]): value for name, value in figures.items() if name.startswith(f"{kind} view ")}


def _size_class(pixels: int) -> int:
    return round(math.log2(max(pixels, 1)))
