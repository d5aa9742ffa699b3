"""Speeds: positive, remembered for this machine, and not measured twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart.features import speed
from headstart.models.catalog import find_model

CARDS = [find_model(name).card for name in ("timm/test_resnet", "timm/test_vit")]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    monkeypatch.setattr(speed, "SECONDS_A_NETWORK", 0.01)
    return tmp_path


def test_speeds_are_measured_once_and_remembered_for_this_machine(home: Path, monkeypatch: pytest.MonkeyPatch):
    done: list[int] = []
    first = speed.measured_speeds(CARDS, on_card=done.append)
    assert done == [1, 1]
    assert set(first) == {card.name for card in CARDS}
    assert all(value > 1 for value in first.values())
    kept = json.loads((home / "speeds.json").read_text())
    assert list(kept) == [speed.machine_key()]
    monkeypatch.setattr(speed, "_images_per_second", lambda card: pytest.fail("measured again"))
    assert speed.measured_speeds(CARDS) == first


def test_another_machine_or_version_is_measured_anew(home: Path, monkeypatch: pytest.MonkeyPatch):
    speed.measured_speeds(CARDS[:1])
    monkeypatch.setattr(speed, "machine_key", lambda: "another machine")
    monkeypatch.setattr(speed, "_images_per_second", lambda card: 7.0)
    assert speed.measured_speeds(CARDS[:1]) == {CARDS[0].name: 7.0}
    assert len(json.loads((home / "speeds.json").read_text())) == 2


def test_a_damaged_file_of_speeds_is_made_anew(home: Path):
    (home / "speeds.json").write_text("{")
    assert speed.measured_speeds(CARDS[:1])
    assert json.loads((home / "speeds.json").read_text())
