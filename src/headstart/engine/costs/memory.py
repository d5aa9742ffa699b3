"""What runs took on this machine, kept under $HEADSTART_HOME, and the rates that follow for a network; no torch.

    rates.json   {"format": 2, "latest": MACHINE, "machines": {MACHINE: {"figures": {name: number},
                                                                        "networks": {NAME@SIZE: {...}},
                                                                        "estimates": {ORIGIN: [took by estimate]}}}}

A figure that is measured again moves most of the way to what was measured last. The rates of a network are, in this
order: its own, measured by runs or tried for a moment; those of other networks, scaled by the vigour of their kinds;
those of usual cores. What is missing follows from its kin by ratios that were measured (docs/benchmarks.md).
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from headstart.data.loading import cores
from headstart.data.meter import ViewKind
from headstart.engine.costs.network import NetworkFacts, expected_gain
from headstart.engine.costs.past_estimates import KeptEstimates, kept_estimates, with_ratio
from headstart.engine.costs.terms import Origin, Rates
from headstart.engine.prefix.engine_choice import EXPECTED_RELOAD_SECONDS, EXPECTED_SETUP_SECONDS
from headstart.errors import DiskFullError
from headstart.files import home, read_json, update_json

Device = Literal["cpu", "cuda"]

FIGURES = (
    "torch",
    "onnxruntime",
    "forward",
    "training",
    "moved",
    "solved",
    "solving_seconds",
    "step_seconds",
    "epoch_seconds",
    "end_seconds",
    "setup_seconds",
    "reload_seconds",
)
"""Names under which `Known` keeps what is not a stretch of one network: see `cost_facts.Rates`."""

USUAL_PIXELS = 200_000
"""Of an image where nobody looked: 500 x 400."""

CORE_RATE = 50.0
"""Billions of multiply-accumulates a second of one core in a product of matrices, where nothing ran yet: AVX2."""
GPU_RATE = 10_000.0
"""The same of a GPU."""

_FORMAT = 2
"""Of the file; in the first one, rates of ONNX Runtime were scaled by other numbers."""
_WEIGHT = 0.7
"""Of a new measurement against what was known."""
_OF_A_KIND = ("torch", "onnxruntime", "forward", "training")
"""Figures that depend on the kind of network, and are kept as those of a network of vigour 1."""

_BACKWARD = 3.0
"""Forward and backward, in forward passes."""
_FOLDED_GAIN = 1.4
"""How much faster a network at rest is than the network as it is, BatchNorm folded: 1.1 to 1.7 for four networks."""
_REACHED: Mapping[Device, float] = {"cpu": 1.4, "cuda": 0.32}
"""The forward pass of a network of vigour 1 against a product of matrices: 1.3 to 2.0 for four networks on two cores;
on a GPU ResNet-50 trains 240 images a second where GPU_RATE holds, as an A10G does in single precision."""
_USUAL = {
    "moved": 5e8,
    "solved": 4e7,
    "solving_seconds": 0.25,
    "step_seconds": 2e-3,
    "epoch_seconds": 0.1,
    "end_seconds": 0.5,
}
_VIEW_SECONDS: Mapping[ViewKind, tuple[float, float]] = {"plain": (1e-3, 4e-9), "varied": (2e-3, 7e-9)}
"""Of one core, and besides for each pixel of the file: evaluation views decode no more than they need."""
_SAME_SIZE = 1
"""Powers of two by which images may differ in pixels, and a view of one still tells what one of the other takes."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a moment before a run told, where nothing was known; counts until a run has measured it."""

    rates: Mapping[str, float] = field(default_factory=dict)
    """Of one network: some of forward, torch, onnxruntime; billions of multiply-accumulates a second."""
    views: Mapping[ViewKind, float] = field(default_factory=dict)
    """Seconds of one core, for images of the run's size."""


UNTRIED = Trial()


@dataclass
class Known:
    """What was measured on one machine."""

    figures: dict[str, float] = field(default_factory=dict)
    """FIGURES, and `plain view N` and `varied view N` for images of about 2**N pixels."""
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """NetworkFacts.name -> {"stretches": {name: seconds an image}, "rates": {figure: number}, "uncut": [border],
    "facts": what `NetworkFacts.to_dict` gives}."""
    estimates: dict[str, list[float]] = field(default_factory=dict)
    """Origin of the figures an estimate was made from -> seconds taken by seconds estimated, of the last runs."""
    tested: list[tuple[Origin, float, float]] = field(default_factory=list, compare=False, repr=False)
    """Origin, seconds estimated and seconds taken of runs that are not remembered yet."""
    began_with: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Figures and networks, as they were recalled: what differs from it is what was learned since."""

    def learn(self, name: str, value: float, *, network: NetworkFacts | None = None) -> None:
        """Take in one of FIGURES; those that depend on the kind of network need to know it. What is not > 0 is not."""
        if name in _OF_A_KIND and network is not None:
            _blend(self._of(network).setdefault("rates", {}), name, value)
            value /= _scale_of_kind(name, network.vigour)
        _blend(self.figures, name, value)

    def learn_view(self, kind: ViewKind, seconds: float, *, pixels: int) -> None:
        """Seconds of one core for a view of images of that size."""
        _blend(self.figures, f"{kind} view {_scale_of(pixels)}", seconds)

    def learn_stretch(self, network: NetworkFacts, stretch: str, seconds: float) -> None:
        """Seconds an image of one stretch of a network, named as in `cost_facts`."""
        _blend(self._of(network).setdefault("stretches", {}), stretch, seconds)

    def learn_facts(self, network: NetworkFacts) -> None:
        """What was counted of a network."""
        self._of(network)["facts"] = network.to_dict()

    def learn_cut(self, network: NetworkFacts, border: str, *, works: bool) -> None:
        """Whether a network can be cut at a border."""
        known = self.uncut_of(network.name)
        uncut = known - {border} if works else known | {border}
        if uncut != known:
            self._of(network)["uncut"] = sorted(uncut)

    def stretches_of(self, name: str) -> dict[str, float]:
        """What was measured of a network."""
        found = self.networks.get(name, {}).get("stretches", {})
        return dict(found) if isinstance(found, dict) else {}

    def rates_of(self, name: str) -> dict[str, float]:
        """Figures that were measured with a network itself."""
        found = self.networks.get(name, {}).get("rates", {})
        return dict(found) if isinstance(found, dict) else {}

    def uncut_of(self, name: str) -> frozenset[str]:
        """Borders at which a network could not be cut."""
        found = self.networks.get(name, {}).get("uncut", ())
        return frozenset(found if isinstance(found, list) else ())

    def has_seen(self, kind: ViewKind, *, pixels: int) -> bool:
        """Whether views of images of about that size were measured."""
        return any(abs(scale - _scale_of(pixels)) <= _SAME_SIZE for scale in _seen(self.figures, kind))

    def learn_estimate(self, origin: Origin, *, estimated: float, took: float) -> None:
        """A whole run has ended: what it was estimated to take, and what it took, in seconds."""
        self.estimates[origin] = with_ratio(self.estimates.get(origin, ()), estimated=estimated, took=took)
        self.tested.append((origin, estimated, took))

    def kept_estimates(self, origin: Origin) -> KeptEstimates | None:
        """How right the last estimates from such figures were; None where too few runs tell."""
        return kept_estimates(self.estimates.get(origin, ()))

    def facts_of(self, name: str) -> NetworkFacts | None:
        """What was counted of a network on an earlier occasion."""
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            return NetworkFacts.from_dict(self.networks[name]["facts"])
        return None

    def _of(self, network: NetworkFacts) -> dict[str, Any]:
        return self.networks.setdefault(network.name, {})


def recall(machine: str | None = None) -> Known:
    """What was measured on a machine; None: on the one that ran last."""
    found = read_json(_kept_in())
    return _read(found, found.get("latest") if machine is None else machine)


def remember(machine: str, known: Known) -> None:
    """Keep what was measured; a full or read-only disk only means that it is measured again.

    What another process learned meanwhile stays: only values that `known` has changed take the place of those kept.
    """

    def with_known(found: dict[str, Any]) -> dict[str, Any]:
        now, began = _read(found, machine), known.began_with
        figures = _merged(now.figures, known.figures, began.get("figures", {}))
        networks = _merged(now.networks, known.networks, began.get("networks", {}))
        machines = found["machines"] if found.get("format") == _FORMAT and "machines" in found else {}
        others = machines if isinstance(machines, dict) else {}
        estimates = dict(now.estimates)
        for origin, estimated, took in known.tested:
            estimates[origin] = with_ratio(estimates.get(origin, ()), estimated=estimated, took=took)
        mine = {"figures": figures, "networks": networks, "estimates": estimates}
        return {"format": _FORMAT, "latest": machine, "machines": {**others, machine: mine}}

    with contextlib.suppress(OSError, DiskFullError):
        update_json(_kept_in(), with_known)
        known.tested.clear()


def _read(found: Mapping[str, Any], machine: str | None) -> Known:
    """One machine of the file; nothing where it is not in it, or damaged, or of another format."""
    with contextlib.suppress(KeyError, TypeError, AttributeError, ValueError):
        if found["format"] == _FORMAT:
            raw = found["machines"][machine]
            figures = {name: float(value) for name, value in raw["figures"].items()}
            networks = {name: dict(value) for name, value in raw["networks"].items()}
            raw_estimates = raw.get("estimates", {})
            estimates = {name: [float(ratio) for ratio in ratios] for name, ratios in raw_estimates.items()}
            began = copy.deepcopy({"figures": figures, "networks": networks})
            return Known(figures, networks, estimates, began_with=began)
    return Known()


def _merged(now: Mapping[str, Any], mine: Mapping[str, Any], began: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept now, with every value of mine that is not as it began; facts of a network are one value."""
    merged = dict(now)
    for name, value in mine.items():
        before, there = began.get(name), now.get(name)
        if isinstance(value, dict) and name != "facts":
            known = there if isinstance(there, dict) else {}
            merged[name] = _merged(known, value, before if isinstance(before, dict) else {})
        elif value != before or name not in now:
            merged[name] = value
    return merged


def rates_of(
    known: Known,
    network: NetworkFacts,
    *,
    pixels: int = USUAL_PIXELS,
    gemm: float | None = None,
    device: Device = "cpu",
    trial: Trial = UNTRIED,
) -> Rates:
    """The rates of a network on the machine of `known`.

    Args:
        known: What was measured there.
        network: Which one, at which size.
        pixels: Of a typical image.
        gemm: Billions of multiply-accumulates a second in a product of matrices, for where nothing ran; None is usual.
        device: Where the network runs.
        trial: Of this network and these images.
    """
    figures, stretches = known.figures, known.stretches_of(network.name)
    own = {**trial.rates, **known.rates_of(network.name)}
    related = {name: figures[name] * _scale_of_kind(name, network.vigour) for name in _OF_A_KIND if name in figures}
    origin: Origin = "measured" if stretches else "related"
    if not own and not related:
        gemm = gemm or (GPU_RATE if device == "cuda" else CORE_RATE * cores())
        origin, related = "guessed", {"forward": _REACHED[device] * gemm * network.vigour}
    arithmetic = completed(own or related, network.vigour)
    if not _uses_onnxruntime(device):
        arithmetic["onnxruntime"] = 0.0
    return Rates(
        cores=cores(),
        plain_view=_view_seconds(figures, "plain", pixels, trial),
        varied_view=_view_seconds(figures, "varied", pixels, trial),
        setup_seconds=figures.get("setup_seconds", EXPECTED_SETUP_SECONDS),
        reload_seconds=figures.get("reload_seconds", EXPECTED_RELOAD_SECONDS),
        decoding="beside" if device == "cuda" else "shares_cores",
        measured=stretches,
        origin=origin,
        **arithmetic,
        **{name: figures.get(name, value) for name, value in _USUAL.items()},
    )


def nominal_rates(network: NetworkFacts, *, pixels: int, device: Device) -> Rates:
    """Rates that decide what the answer depends on: of no real machine, and the same on all.

    They are further from most machines than what `rates_of` expects, and stay as they are: other ones would store other
    views for the plans of before, and so train other weights.
    """
    forward = 0.8 / 2.5 * 100.0 * network.vigour
    view = 1e-3 + 4e-8 * pixels
    return Rates(
        cores=cores(),
        plain_view=view,
        varied_view=view,
        torch=1.4 * forward,
        onnxruntime=2.5 * forward if _uses_onnxruntime(device) else 0.0,
        setup_seconds=2.0,
        reload_seconds=0.5,
        forward=forward,
        training=forward / 3,
        moved=5e8,
        solved=2e6,
        step_seconds=2e-3,
        epoch_seconds=0.1,
        end_seconds=0.5,
        decoding="beside" if device == "cuda" else "shares_cores",
    )


def _uses_onnxruntime(device: Device) -> bool:
    return device == "cpu" and find_spec("onnxruntime") is not None


def _scale_of_kind(name: str, vigour: float) -> float:
    """What one of _OF_A_KIND is divided by, so that it says something of networks of other kinds."""
    return vigour * expected_gain(vigour) if name == "onnxruntime" else vigour


def completed(known: Mapping[str, float], vigour: float) -> dict[str, float]:
    """forward, training, torch and onnxruntime, from at least one of them: what is missing by the usual ratios.

    Args:
        known: Billions of multiply-accumulates a second of one network.
        vigour: Of it.
    """
    gain = expected_gain(vigour)
    ratios = {"onnxruntime": gain, "torch": _FOLDED_GAIN, "forward": 1.0, "training": 1.0 / _BACKWARD}
    # Nearest kin first: of a network with gradients the one without says more than an engine of its own kind.
    kin = next(known[name] / ratios[name] for name in ("forward", "training", "torch", "onnxruntime") if name in known)
    return {name: known.get(name, kin * ratio) for name, ratio in ratios.items()}


def _view_seconds(figures: Mapping[str, float], kind: ViewKind, pixels: int, trial: Trial) -> float:
    """Of images of this size, tried or measured; else in proportion to the usual: of other sizes, of the other kind."""
    other: ViewKind = "plain" if kind == "varied" else "varied"
    scale = _scale_of(pixels)
    for one in (kind, other):
        seen, tried = _seen(figures, one), trial.views.get(one)
        nearest = min(seen, key=lambda found: abs(found - scale), default=None)
        if nearest is not None and (tried is None or abs(nearest - scale) <= _SAME_SIZE):
            return seen[nearest] * _usual_view_seconds(kind, 2**scale) / _usual_view_seconds(one, 2**nearest)
        if tried is not None:
            return tried * _usual_view_seconds(kind, pixels) / _usual_view_seconds(one, pixels)
    return _usual_view_seconds(kind, pixels)


def _usual_view_seconds(kind: ViewKind, pixels: int) -> float:
    each, of_a_pixel = _VIEW_SECONDS[kind]
    return each + of_a_pixel * pixels


def _seen(figures: Mapping[str, float], kind: ViewKind) -> dict[int, float]:
    """Scale of images -> seconds of a view."""
    return {int(name.split()[-1]): value for name, value in figures.items() if name.startswith(f"{kind} view ")}


def _scale_of(pixels: int) -> int:
    return round(math.log2(max(pixels, 1)))


def _blend(kept: dict[str, float], name: str, value: float) -> None:
    if math.isfinite(value) and value > 0:
        before = kept.get(name, value)
        kept[name] = float(f"{_WEIGHT * value + (1 - _WEIGHT) * before:.4g}")


def _kept_in() -> Path:
    return home() / "rates.json"
