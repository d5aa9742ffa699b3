"""Throughput: positive, remembered for this machine, and not measured twice."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from headstart.engine.costs import throughput
from headstart.engine.costs.memory import remember_value
from headstart.measures import timing
from headstart.measures.timing import Timing
from headstart.networks.cards.catalog import ModelCard
from headstart.networks.cards.finding import find_model

CARDS = [find_model(name).card for name in ("timm/test_resnet", "timm/test_vit")]


def stable(images_per_second: float) -> Timing:
    seconds = throughput.TIMED_IMAGES / images_per_second
    return Timing(seconds, seconds, seconds, "stable")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    monkeypatch.setattr(throughput, "SECONDS_A_NETWORK", 0.01)
    monkeypatch.setattr(timing, "AGREE", float("inf"))  # else a busy machine would decide what is remembered
    return tmp_path


def test_throughputs_are_measured_once_and_remembered_for_this_machine(home: Path, monkeypatch: pytest.MonkeyPatch):
    done: list[int] = []
    first = throughput.measured_throughputs(CARDS, on_card=done.append)
    assert done == [1, 1]
    assert set(first) == {card.name for card in CARDS}
    assert all(value > 1 for value in first.values())
    kept = json.loads((home / "measurements.json").read_text())["machines"]
    assert list(kept) == [throughput.machine_key()]
    monkeypatch.setattr(throughput, "_timing", lambda card: pytest.fail("measured again"))
    assert throughput.measured_throughputs(CARDS) == first


def test_another_machine_or_version_is_measured_anew(home: Path, monkeypatch: pytest.MonkeyPatch):
    throughput.measured_throughputs(CARDS[:1])
    monkeypatch.setattr(throughput, "machine_key", lambda: "another machine")
    monkeypatch.setattr(throughput, "_timing", lambda card: stable(7.0))
    assert throughput.measured_throughputs(CARDS[:1]) == {CARDS[0].name: 7.0}
    assert len(json.loads((home / "measurements.json").read_text())["machines"]) == 2


def test_a_figure_that_is_not_stable_is_told_and_not_remembered(home: Path, monkeypatch: pytest.MonkeyPatch):
    told: dict[str, tuple[float, float]] = {}
    card = CARDS[0]
    monkeypatch.setattr(throughput, "_timing", lambda card: Timing(0.08, 0.04, 0.8, "unstable"))
    assert throughput.measured_throughputs([card], on_unstable=told.__setitem__) == {card.name: 100.0}
    assert told == {card.name: (10.0, 200.0)}
    assert throughput.known_throughput(card) is None
    monkeypatch.setattr(throughput, "_timing", lambda card: stable(200.0))
    assert throughput.measured_throughputs([card], on_unstable=told.__setitem__) == {card.name: 200.0}
    assert throughput.known_throughput(card) == 200.0


def test_a_throughput_that_was_measured_is_known_for_this_machine_only(home: Path, monkeypatch: pytest.MonkeyPatch):
    assert throughput.known_throughput(CARDS[0]) is None
    found = throughput.measured_throughputs(CARDS[:1])
    assert throughput.known_throughput(CARDS[0]) == found[CARDS[0].name]
    assert throughput.known_throughput(CARDS[1]) is None
    monkeypatch.setattr(throughput, "machine_key", lambda: "another machine")
    assert throughput.known_throughput(CARDS[0]) is None


@pytest.mark.parametrize("value", ["x", -1, 0, None, [], {}])
def test_a_damaged_figure_counts_as_none(home: Path, value: object):
    card = CARDS[0]
    key = f"timm/{card.architecture}@{card.input.size}"
    remember_value(throughput.machine_key(), "throughputs", key, 30.0)
    assert throughput.known_throughput(card) == 30.0
    remember_value(throughput.machine_key(), "throughputs", key, value)
    assert throughput.known_throughput(card) is None


def test_throughputs_measured_at_the_same_time_are_all_kept(home: Path, monkeypatch: pytest.MonkeyPatch):
    """Both have read the file before either writes; a lock on the file keeps threads apart as it does processes."""
    both_have_read = threading.Barrier(2)

    def measure(card: ModelCard) -> Timing:
        both_have_read.wait()
        return stable(float(len(card.name)))

    monkeypatch.setattr(throughput, "_timing", measure)
    threads = [threading.Thread(target=throughput.measured_throughputs, args=([card],)) for card in CARDS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [throughput.known_throughput(card) for card in CARDS] == [float(len(card.name)) for card in CARDS]
