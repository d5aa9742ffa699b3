"""What training will cost: minutes and memory on the machine that trains, and what a rented one would charge.

The forecast is that of `headstart.engine.costs.model`, from rates that runs left on this machine, or from stated ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from headstart.engine.costs.memory import CORE_RATE, GPU_RATE, USUAL_PIXELS, Known, rates_of
from headstart.engine.costs.model import forecast
from headstart.engine.costs.network import NetworkFacts
from headstart.engine.costs.terms import ImageCounts, Rates, Terms
from headstart.knowledge.choosing import CLOUD_CPU, CLOUD_GPU, FROM_SCRATCH, TRANSFER, PriceFact, RouteFact
from headstart.plan.plan import AugmentationPlan, ProbePhase, TrainPhase

Gpu = Literal["none", "one"]


@dataclass(frozen=True, slots=True)
class Hardware:
    """What will compute."""

    cores: int = 2
    gpu: Gpu = "none"


SSL_EPOCHS = 100
SSL_VIEWS = 2
"""Of every image in a step of self-supervised pretraining (Chen & He 2021)."""

HEAD_START_SECONDS = 6.0
"""Until torch and timm are imported."""
SELECT_SHARE = 0.2
REPORT_SHARE = 0.25
"""Of the images to learn from: as many more report."""
UNKNOWN_CLASSES = 10

Origin = Literal["measured", "related", "guessed"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way of training takes."""

    seconds: float
    memory_gb: float
    """At the peak, of the process."""
    disk_gb: float
    """Of stored activations."""
    usd: float
    """What the same hours cost on a rented machine of this kind."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "minutes": round(self.seconds / 60, 2),
            "memory_gb": round(self.memory_gb, 2),
            "disk_gb": round(self.disk_gb, 3),
            "usd": round(self.usd, 4),
        }


@dataclass(frozen=True)
class Machine:
    """What the forecast assumes of the machine that trains."""

    hardware: Hardware
    rates: Rates
    price: PriceFact

    @property
    def origin(self) -> Origin:
        """Where the rates come from."""
        return self.rates.origin

    @property
    def assumption(self) -> str:
        """Where the rates come from, in a sentence."""
        if self.origin == "measured":
            return "rates measured on this machine with this network"
        if self.origin == "related":
            return "rates measured on this machine with other networks"
        each = f"{CORE_RATE:g} billion multiply-accumulates a second a core"
        if self.hardware.gpu == "one":
            each = f"{GPU_RATE:,.0f} billion multiply-accumulates a second on the GPU"
        return f"stated rates, nothing was measured here yet: {each}; no run here has tested them"

    def usd(self, seconds: float) -> float:
        """What so many seconds cost on a rented machine with as many cores, or a GPU."""
        machines = 1.0 if self.hardware.gpu == "one" else self.hardware.cores / self.price.cores
        return seconds / 3600 * self.price.usd_per_hour * machines


def machine_for(hardware: Hardware, network: NetworkFacts, known: Known, *, resolution: int | None) -> Machine:
    """The machine with its rates for one network.

    Args:
        hardware: What will train.
        network: Its facts at the size it will see.
        known: What runs left on that machine; empty where nothing ran, or where it is not this machine.
        resolution: Median of the images' shorter sides in pixels, if known.
    """
    pixels = USUAL_PIXELS if resolution is None else round(resolution**2 * 4 / 3)
    on_gpu = hardware.gpu == "one"
    gemm = GPU_RATE if on_gpu else CORE_RATE * hardware.cores
    rates = rates_of(known, network, pixels=pixels, gemm=gemm, device="cuda" if on_gpu else "cpu")
    return Machine(hardware, replace(rates, cores=hardware.cores), CLOUD_GPU if on_gpu else CLOUD_CPU)


def cost_of(
    phases: Sequence[ProbePhase | TrainPhase],
    images: int,
    *,
    classes: int | None,
    network: NetworkFacts,
    machine: Machine,
    augmentation: AugmentationPlan,
    batch_size: int,
) -> Cost:
    """What the phases of a plan take with so many images to learn from, as if each ran to its end."""
    tuned = any(isinstance(phase, TrainPhase) for phase in phases)
    select = round(images * SELECT_SHARE) if tuned else 0
    counts = ImageCounts(
        fit=max(1, images - select),
        select=select,
        train=images,
        report=round(images * REPORT_SHARE),
        classes=classes or UNKNOWN_CLASSES,
    )
    expected = forecast(phases, counts, network, machine.rates, Terms(augmentation, batch_size))
    seconds = HEAD_START_SECONDS + expected.seconds
    return Cost(seconds, expected.memory_bytes / 1e9, expected.stored_bytes / 1e9, machine.usd(seconds))


def pretraining_seconds(unlabelled: int, network: NetworkFacts, machine: Machine) -> float:
    """Self-supervised pretraining on unlabelled images: two views of each, a hundred times over."""
    views = unlabelled * SSL_EPOCHS * SSL_VIEWS
    computing = views * network.gmacs / machine.rates.training
    making = views * machine.rates.varied_view / machine.rates.cores
    return max(computing, making) if machine.rates.decoding == "beside" else computing + making


def usual_routes() -> dict[str, dict[str, Any]]:
    """What the field says of both ways, as plain values: this is what a forecast is set against."""
    return {route.name.replace(" ", "_"): _route(route) for route in (FROM_SCRATCH, TRANSFER)}


def _route(route: RouteFact) -> dict[str, Any]:
    low, high = route.labelled_images
    return {
        "labelled_images": f"{low:,}+" if high is None else f"{low:,} to {high:,}",
        "time": route.time,
        "usd": f"${route.usd[0]} to {route.usd[1]}" + ("+" if high is None else ""),
        "risk": route.risk,
        "note": route.note,
    }
