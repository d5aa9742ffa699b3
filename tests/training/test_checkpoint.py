"""A checkpoint is whole or not there, and gives back exactly what was saved."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.data.sources.reading import ImageRecord
from headstart.errors import DiskFullError, RunError
from headstart.networks.groups.layers import copy_of
from headstart.runs.training_events import EpochDone
from headstart.training import checkpoint
from headstart.training.checkpoint import (
    Candidate,
    TrainingProgress,
    TrainingState,
    load_state,
    save_state,
    trained_seconds,
)


def state() -> TrainingState:
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    candidate = Candidate("probe", np.array([True, False, True]), np.array([0.1, 2.0, 0.3]), copy_of(network))
    row = EpochDone("tune", 1, None, 0.5, 0.75, {"head": 1e-3}, improved=True, seconds=1.0)
    progress = TrainingProgress(phase=1, epoch=2, step=3, rows=[row])
    return TrainingState(progress, copy_of(network), optimizer.state_dict(), candidate, None)


def test_what_is_saved_comes_back_bit_for_bit(tmp_path: Path):
    saved = state()
    save_state(tmp_path / "last.pt", saved)
    loaded = load_state(tmp_path / "last.pt")
    assert asdict(replace(loaded.progress, trained_seconds=0.0)) == asdict(saved.progress)
    assert all(torch.equal(loaded.network[n], t) for n, t in saved.network.items())
    moments, reference = loaded.optimizer["state"], saved.optimizer["state"]
    assert all(torch.equal(moments[i]["exp_avg"], reference[i]["exp_avg"]) for i in reference)
    assert loaded.probe.name == "probe"
    assert loaded.probe.accuracy == pytest.approx(2 / 3)
    assert (loaded.probe.correct == saved.probe.correct).all()
    assert (loaded.probe.losses == saved.probe.losses).all()
    assert loaded.best is None


def test_a_checkpoint_of_an_earlier_version_is_read(tmp_path: Path):
    path = tmp_path / "last.pt"
    saved = state()
    saved.progress.validation_losses, saved.progress.l2_penalty = [0.5, 0.4], 0.1
    record = ImageRecord("a.png", "ant", "train", lambda: b"")
    saved.validation_predictions.add("probe", [record], np.array([True]), np.array([0.25]))
    save_state(path, saved)
    raw = torch.load(path, weights_only=True)
    raw["judged"] = raw.pop("validation_predictions")
    raw["progress"]["select_losses"] = raw["progress"].pop("validation_losses")
    raw["progress"]["strength"] = raw["progress"].pop("l2_penalty")
    torch.save(raw, path)
    loaded = load_state(path)
    assert (loaded.progress.validation_losses, loaded.progress.l2_penalty) == ([0.5, 0.4], 0.1)
    assert loaded.validation_predictions.images == ("a.png",)


def test_nothing_saved_yet_is_none(tmp_path: Path):
    assert load_state(tmp_path / "last.pt") is None


def test_seconds_of_training_add_up_over_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "last.pt"
    assert trained_seconds(path) == 0.0
    clock = iter([107.0, 110.0, 1001.5])
    first = replace(state(), taken_up=100.0)
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: next(clock))
    save_state(path, first)
    save_state(path, first)
    again = load_state(path)
    assert again.progress.trained_seconds == 10.0
    save_state(path, replace(again, taken_up=1000.0))
    monkeypatch.undo()
    assert trained_seconds(path) == 11.5


def test_a_damaged_file_says_to_start_anew(tmp_path: Path):
    (tmp_path / "last.pt").write_bytes(b"half a checkpoint")
    with pytest.raises(RunError, match=r"damaged.*start the run anew"):
        load_state(tmp_path / "last.pt")


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_state(tmp_path / "last.pt", state())
    before = (tmp_path / "last.pt").read_bytes()

    def fill(raw: object, path: Path) -> None:
        path.write_bytes(b"x" * 100)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fill)
    with pytest.raises(DiskFullError, match="the disk is full"):
        save_state(tmp_path / "last.pt", state())
    assert (tmp_path / "last.pt").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_a_copy_does_not_follow_the_network():
    network = torch.nn.Linear(2, 2)
    kept = copy_of(network)
    with torch.no_grad():
        network.weight.zero_()
    assert kept["weight"].abs().sum() > 0


def candidate(wrong: int, loss: float, count: int = 100) -> Candidate:
    rng = np.random.default_rng(wrong)
    return Candidate("x", np.arange(count) >= wrong, loss + rng.uniform(0, 0.5, count), {})


def test_fewer_errors_and_clearly_lower_losses_beat_beyond_noise():
    assert candidate(10, 0.2).p_value_against(candidate(20, 0.6)) < 1e-6


def test_lower_losses_without_fewer_errors_do_not():
    assert candidate(20, 0.2).p_value_against(candidate(20, 0.6)) == 1.0


def test_fewer_errors_without_lower_losses_do_not():
    assert candidate(10, 0.6).p_value_against(candidate(20, 0.6)) > 0.05


def test_a_lower_loss_is_enough_for_a_step_unless_errors_are_more_beyond_noise():
    few, more = candidate(20, 0.2), candidate(20, 0.6)
    assert few.loss_p_value_against(more) < 1e-6
    assert more.loss_p_value_against(few) > 0.5
    assert candidate(40, 0.2).loss_p_value_against(candidate(20, 0.6)) == 1.0


def test_epochs_are_ordered_by_errors_then_by_loss():
    assert candidate(10, 0.9).is_better_than(candidate(20, 0.1))
    assert candidate(10, 0.1).is_better_than(candidate(10, 0.9))
    assert not candidate(10, 0.1).is_better_than(candidate(10, 0.1))


def test_rows_of_an_earlier_version_are_read_in_today_s_names(tmp_path: Path):
    path = tmp_path / "last.pt"
    save_state(path, state())
    raw = torch.load(path, weights_only=True)
    old = {"phase": "tune", "epoch": 1, "train_loss": 0.5, "select_loss": 0.25, "select_accuracy": 0.75}
    raw["progress"]["rows"] = [old | {"rates": {"head": 1e-3}, "better": True, "seconds": 1.0}]
    del raw["progress"]["warnings"]
    raw["progress"]["alarms"] = [{"alarm": "still_groups", "phase": "tune", "text": "stem did not change"}]
    torch.save(raw, path)
    progress = load_state(path).progress
    assert progress.rows == [EpochDone("tune", 1, 0.5, 0.25, 0.75, {"head": 1e-3}, improved=True, seconds=1.0)]
    assert progress.warnings == [{"kind": "groups_unchanged", "phase": "tune", "text": "stem did not change"}]
