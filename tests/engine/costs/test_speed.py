"""Speeds: positive, remembered for this machine, and not measured twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from headstart.engine.costs import speed
from headstart.measures import timing
from headstart.measures.timing import Timing
from headstart.networks.cards.catalog import ModelCard
from headstart.networks.cards.finding import find_model

CARDS = [find_model(name).card for name in ("timm/test_resnet", "timm/test_vit")]


def stable(images_per_second: float) -> Timing:
    seconds = speed.BATCH_IMAGES / images_per_second
    return Timing(seconds, seconds, seconds, "stable")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    monkeypatch.setattr(speed, "SECONDS_A_NETWORK", 0.01)
    monkeypatch.setattr(timing, "AGREE", float("inf"))  # else a busy machine would decide what is remembered
    return tmp_path


def test_speeds_are_measured_once_and_remembered_for_this_machine(home: Path, monkeypatch: pytest.MonkeyPatch):
    done: list[int] = []
    first = speed.measured_speeds(CARDS, on_card=done.append)
    assert done == [1, 1]
    assert set(first) == {card.name for card in CARDS}
    assert all(value > 1 for value in first.values())
    kept = json.loads((home / "speeds.json").read_text())
    assert list(kept) == [speed.machine_key()]
    monkeypatch.setattr(speed, "_timing", lambda card: pytest.fail("measured again"))
    assert speed.measured_speeds(CARDS) == first


def test_another_machine_or_version_is_measured_anew(home: Path, monkeypatch: pytest.MonkeyPatch):
    speed.measured_speeds(CARDS[:1])
    monkeypatch.setattr(speed, "machine_key", lambda: "another machine")
    monkeypatch.setattr(speed, "_timing", lambda card: stable(7.0))
    assert speed.measured_speeds(CARDS[:1]) == {CARDS[0].name: 7.0}
    assert len(json.loads((home / "speeds.json").read_text())) == 2


def test_a_figure_that_is_not_stable_is_told_and_not_remembered(home: Path, monkeypatch: pytest.MonkeyPatch):
    told: dict[str, tuple[float, float]] = {}
    card = CARDS[0]
    monkeypatch.setattr(speed, "_timing", lambda card: Timing(0.08, 0.04, 0.8, "unstable"))
    assert speed.measured_speeds([card], on_unstable=told.__setitem__) == {card.name: 100.0}
    assert told == {card.name: (10.0, 200.0)}
    assert speed.known_speed(card) is None
    monkeypatch.setattr(speed, "_timing", lambda card: stable(200.0))
    assert speed.measured_speeds([card], on_unstable=told.__setitem__) == {card.name: 200.0}
    assert speed.known_speed(card) == 200.0


def test_a_damaged_file_of_speeds_is_made_anew(home: Path):
    (home / "speeds.json").write_text("{")
    assert speed.measured_speeds(CARDS[:1])
    assert json.loads((home / "speeds.json").read_text())


def test_a_speed_that_was_measured_is_known_for_this_machine_only(home: Path, monkeypatch: pytest.MonkeyPatch):
    assert speed.known_speed(CARDS[0]) is None
    found = speed.measured_speeds(CARDS[:1])
    assert speed.known_speed(CARDS[0]) == found[CARDS[0].name]
    assert speed.known_speed(CARDS[1]) is None
    monkeypatch.setattr(speed, "machine_key", lambda: "another machine")
    assert speed.known_speed(CARDS[0]) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"KEY": 3}', '{"KEY": {"NETWORK": "x"}}', '{"KEY": {"NETWORK": -1}}'])
def test_a_damaged_file_of_speeds_knows_nothing(home: Path, text: str):
    card = CARDS[0]
    said = text.replace("KEY", speed.machine_key()).replace("NETWORK", f"timm/{card.architecture}@{card.input.size}")
    (home / "speeds.json").write_text(said)
    assert speed.known_speed(card) is None


class Clock:
    """Time that passes only while a network runs: a busy machine measures the same."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now

    thread_time = perf_counter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(speed, "time", clock := Clock())
    return clock


class Machine(nn.Module):
    """A network that takes some seconds of a core an image, and shares a batch among the threads there are."""

    def __init__(self, seconds: float, clock: Clock | None = None) -> None:
        super().__init__()
        self.clock = clock or Clock()
        self.norm, self.drop = nn.BatchNorm2d(3), nn.Dropout(0.5)
        self.seconds, self.passes = seconds, list[tuple[int, int]]()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        threads = torch.get_num_threads()
        self.clock.now += self.seconds * len(images) / min(threads, len(images))
        self.passes.append((threads, len(images)))
        assert not self.training
        assert images.is_contiguous(memory_format=torch.channels_last)
        return self.drop(self.norm(images))


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


@pytest.mark.parametrize(("each", "batch"), [(0.002, 6), (0.04, 5)])
def test_a_glance_sees_one_core_alone_and_all_together(clock: Clock, threads: int, each: float, batch: int):
    network = Machine(each, clock)
    found = speed.glance(network, channels=3, size=8)
    assert torch.get_num_threads() == threads
    assert network.passes[:2] == [(1, 1), (1, 1)], "the first warms up"
    ((used, count),) = network.passes[2:]
    assert used == threads
    assert 1 <= count <= batch
    assert found is not None
    assert found.one_core == pytest.approx(1 / each)
    assert found.together == pytest.approx(min(threads, count) / each)


def test_one_image_of_a_heavy_network_says_enough(clock: Clock, threads: int):
    network = Machine(0.25, clock)
    found = speed.glance(network, channels=3, size=8)
    assert network.passes == [(1, 1)]
    assert found is not None
    assert found.one_core <= 4
    assert found.together == pytest.approx(threads * found.one_core)


def test_a_glance_leaves_the_network_and_the_random_numbers_as_they_are():
    network = Machine(0.0).train()
    network.norm.eval()
    state, before = torch.random.get_rng_state(), {k: v.clone() for k, v in network.state_dict().items()}
    speed.glance(network, channels=3, size=8)
    assert (network.training, network.norm.training, network.drop.training) == (True, False, True)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_network_that_refuses_zeros_has_no_speed_and_keeps_its_modes():
    network = Machine(0.0).train()
    assert speed.glance(network, channels=4, size=8) is None
    assert network.training


def test_speeds_measured_at_the_same_time_are_all_kept(home: Path, monkeypatch: pytest.MonkeyPatch):
    """Both have read the file before either writes; a lock on the file keeps threads apart as it does processes."""
    both_have_read = threading.Barrier(2)

    def measure(card: ModelCard) -> Timing:
        both_have_read.wait()
        return stable(float(len(card.name)))

    monkeypatch.setattr(speed, "_timing", measure)
    threads = [threading.Thread(target=speed.measured_speeds, args=([card],)) for card in CARDS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [speed.known_speed(card) for card in CARDS] == [float(len(card.name)) for card in CARDS]
