"""Costs: what is compared with hand-made sums, and what must move with what."""

from __future__ import annotations

import pytest

from headstart.engine.costs.memory import Measurements
from headstart.engine.costs.network import facts_of_card
from headstart.engine.costs.speeds import CORE_SPEED, GPU_SPEED
from headstart.engine.costs.training_cost import (
    HEAD_START_SECONDS,
    Hardware,
    machine_for,
    pretraining_seconds,
    training_cost_of,
)
from headstart.networks.cards.finding import find_model
from headstart.plan.image_counts import PlanCounts, counted
from headstart.plan.plan import AugmentationPlan, DataPlan, Plan
from headstart.plan.presets import STRATEGIES
from headstart.plan.request import Request

CARD = find_model("tf_efficientnet_lite0").card
NETWORK = facts_of_card(CARD, size=224)
CPU, GPU = Hardware(2, "none"), Hardware(4, "one")


def plan(strategy: str, images: int) -> Plan:
    request = Request(DataPlan(source="x"))
    return counted(STRATEGIES[strategy](request), request, PlanCounts(images))


def seconds(strategy: str, images: int, hardware: Hardware = CPU) -> float:
    machine = machine_for(hardware, NETWORK, Measurements(), resolution=None)
    return training_cost_of(
        plan(strategy, images).phases,
        images,
        classes=None,
        network=NETWORK,
        machine=machine,
        augmentation=AugmentationPlan(),
        batch_size=32,
    ).seconds


def test_usual_speeds_are_those_of_the_cores_and_not_of_this_machine():
    machine = machine_for(CPU, NETWORK, Measurements(), resolution=None)
    assert machine.speeds.origin == "guessed"
    assert machine.speeds.cores == 2
    assert str(round(CORE_SPEED)) in machine.assumption
    twice = machine_for(Hardware(4, "none"), NETWORK, Measurements(), resolution=None)
    assert twice.speeds.training == pytest.approx(2 * machine.speeds.training)


def test_measured_speeds_are_taken_and_named():
    known = Measurements({"training": 7.0, "forward": 21.0})
    known.learn("validation from pixels", 0.01, network=NETWORK.name)
    assert "measured on this machine with this network" in machine_for(CPU, NETWORK, known, resolution=None).assumption
    other = machine_for(CPU, NETWORK, Measurements({"training": 7.0}), resolution=None)
    assert "other networks" in other.assumption


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_more_images_cost_more(strategy: str):
    assert seconds(strategy, 200) < seconds(strategy, 2_000) < seconds(strategy, 20_000)


def test_a_linear_probe_costs_least_and_random_weights_cost_most():
    costs = {name: seconds(name, 2_000) for name in STRATEGIES}
    assert min(costs, key=lambda name: costs[name]) == "feature_extraction"
    assert max(costs, key=lambda name: costs[name]) == "scratch"


def test_a_gpu_is_faster_and_an_hour_of_it_dearer():
    assert seconds("full", 5_000, GPU) < seconds("full", 5_000) / 10
    cpu, gpu = (machine_for(hardware, NETWORK, Measurements(), resolution=None) for hardware in (CPU, GPU))
    assert gpu.usd(3_600) == pytest.approx(gpu.rented.usd_per_hour)
    assert cpu.usd(3_600) == pytest.approx(cpu.rented.usd_per_hour)
    assert machine_for(Hardware(8, "none"), NETWORK, Measurements(), resolution=None).usd(3_600) == pytest.approx(
        4 * cpu.rented.usd_per_hour
    )
    assert f"{GPU_SPEED:,.0f}" in gpu.assumption


def test_no_training_is_shorter_than_the_start_of_the_program():
    assert seconds("feature_extraction", 2) > HEAD_START_SECONDS


def test_pretraining_sees_two_views_of_every_image_a_hundred_times():
    machine = machine_for(CPU, NETWORK, Measurements(), resolution=None)
    each = NETWORK.gmacs / machine.speeds.training + machine.speeds.augmented_view / machine.speeds.cores
    assert pretraining_seconds(1_000, NETWORK, machine) == pytest.approx(200_000 * each)
    gpu = machine_for(GPU, NETWORK, Measurements(), resolution=None)
    assert pretraining_seconds(1_000, NETWORK, gpu) < pretraining_seconds(1_000, NETWORK, machine)


def test_small_images_are_decoded_sooner():
    small, large = (
        machine_for(CPU, NETWORK, Measurements(), resolution=side).speeds.plain_view for side in (64, 2_000)
    )
    assert small < large
