"""Costs of a training that has not begun: minutes and memory on the machine that trains, and money for a rented one.

The estimate is that of `headstart.engine.costs.estimate`, with speeds that runs left on this machine or usual ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from headstart.engine.costs.estimate import Estimator
from headstart.engine.costs.memory import Measurements
from headstart.engine.costs.network import NetworkFacts
from headstart.engine.costs.phase_estimate import ImageCounts, Settings
from headstart.engine.costs.speeds import CORE_SPEED, GPU_SPEED, USUAL_PIXELS, Speeds, speeds_of
from headstart.knowledge.choosing import CLOUD_CPU, CLOUD_GPU, RentedMachine
from headstart.plan.plan import AugmentationPlan, ProbePhase, TrainPhase

Gpu: TypeAlias = Literal["none", "one"]


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine that will train."""

    cores: int = 2
    gpu: Gpu = "none"


SSL_EPOCHS = 100
SSL_VIEWS = 2
"""Of every image in a step of self-supervised pretraining (Chen & He 2021)."""

HEAD_START_SECONDS = 6.0
"""Until torch and timm are imported."""
VALIDATION_SHARE = 0.2
TEST_SHARE = 0.25
"""Of the training images: so many more are test images."""
UNKNOWN_CLASSES = 10


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """Time, memory, disk and money of one way of training."""

    seconds: float
    memory_gb: float
    """At the peak, of the process."""
    disk_gb: float
    """Of stored activations."""
    usd: float
    """For the same hours on a rented machine of this kind."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "minutes": round(self.seconds / 60, 2),
            "memory_gb": round(self.memory_gb, 2),
            "disk_gb": round(self.disk_gb, 3),
            "usd": round(self.usd, 4),
        }


@dataclass(frozen=True)
class TrainingMachine:
    """The machine that trains, as an estimate assumes it."""

    hardware: Hardware
    speeds: Speeds
    rented: RentedMachine
    """What a machine of this kind costs for an hour."""

    @property
    def assumption(self) -> str:
        """Origin of the speeds, in a sentence."""
        if self.speeds.origin == "measured":
            return "speeds measured on this machine with this network"
        if self.speeds.origin == "related":
            return "speeds measured on this machine with other networks"
        each = f"{CORE_SPEED:g} billion MACs a second a core"
        if self.hardware.gpu == "one":
            each = f"{GPU_SPEED:,.0f} billion MACs a second on the GPU"
        return f"usual speeds, because nothing was measured here yet: {each}"

    def usd(self, seconds: float) -> float:
        """Money for so many seconds on a rented machine with as many cores, or a GPU."""
        machines = 1.0 if self.hardware.gpu == "one" else self.hardware.cores / self.rented.cores
        return seconds / 3600 * self.rented.usd_per_hour * machines


def machine_for(
    hardware: Hardware, network: NetworkFacts, known: Measurements, *, resolution: int | None
) -> TrainingMachine:
    """The machine with its speeds for one network.

    Args:
        hardware: What will train.
        network: Its facts at the size it will see.
        known: What runs measured on that machine; empty where nothing ran, or where it is not this machine.
        resolution: Median of the images' shorter sides in pixels, if known.
    """
    pixels = USUAL_PIXELS if resolution is None else round(resolution**2 * 4 / 3)
    on_gpu = hardware.gpu == "one"
    gemm = GPU_SPEED if on_gpu else CORE_SPEED * hardware.cores
    speeds = speeds_of(known, network, pixels=pixels, gemm=gemm, device="cuda" if on_gpu else "cpu")
    return TrainingMachine(hardware, replace(speeds, cores=hardware.cores), CLOUD_GPU if on_gpu else CLOUD_CPU)


def training_cost_of(
    phases: Sequence[ProbePhase | TrainPhase],
    images: int,
    *,
    classes: int | None,
    network: NetworkFacts,
    machine: TrainingMachine,
    augmentation: AugmentationPlan,
    batch_size: int,
) -> TrainingCost:
    """Costs of the phases of a plan with so many training images, as if each ran to its end.

    Of steps that begin only if they can pay, the first counts: a deeper one begins only where the one before has paid.
    """
    expected_phases = without_deeper_steps(phases)
    tuned = [phase for phase in expected_phases if isinstance(phase, TrainPhase)]
    validation = round(images * VALIDATION_SHARE) if any(phase.folds < 2 for phase in tuned) else 0
    counts = ImageCounts(
        train=max(1, images - validation),
        validation=validation,
        training_pool=images,
        test=round(images * TEST_SHARE),
        classes=classes or UNKNOWN_CLASSES,
    )
    expected = Estimator(counts, network, machine.speeds, Settings(augmentation, batch_size)).estimate(expected_phases)
    seconds = HEAD_START_SECONDS + expected.seconds
    return TrainingCost(seconds, expected.memory_bytes / 1e9, expected.stored_bytes / 1e9, machine.usd(seconds))


def without_deeper_steps(phases: Sequence[ProbePhase | TrainPhase]) -> list[ProbePhase | TrainPhase]:
    """The phases without steps that begin only if they can pay, but the first of them."""
    optional = [phase for phase in phases if isinstance(phase, TrainPhase) and phase.begins == "if_it_can_pay"]
    return [phase for phase in phases if phase not in optional[1:]]


def pretraining_seconds(unlabelled: int, network: NetworkFacts, machine: TrainingMachine) -> float:
    """Seconds of self-supervised pretraining on unlabelled images: two views of each in a hundred epochs."""
    views = unlabelled * SSL_EPOCHS * SSL_VIEWS
    computing = views * network.gmacs / machine.speeds.training
    making = views * machine.speeds.augmented_view / machine.speeds.cores
    return max(computing, making) if machine.speeds.decoding == "in_parallel" else computing + making
