"""ledger.jsonl: every epoch once, whatever interrupted the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.errors import DiskFullError
from headstart.runs.ledger import BatchState, GroupMovement, GroupState, Ledger, LedgerEntry


def entry(epoch: int, *, cka: float | None = 0.75) -> LedgerEntry:
    return LedgerEntry(
        phase="tune",
        epoch=epoch,
        train_loss=1 / 3,
        validation_loss=0.5,
        validation_accuracy=0.9,
        validation_images=10,
        frozen={"stem": "ab"},
        groups={
            "stage1": GroupMovement(lr=1e-4, planned_lr=1e-4, movement=0.01, distance=0.02),
            "head": GroupMovement(lr=1e-3, planned_lr=1e-3, movement=0.3, distance=None),
        },
        states={
            "stem": GroupState(cka=1.0, scale=1.0, dead=0.0, dead_at_start=0.0),
            "stage1": GroupState(cka=cka, scale=2.0, dead=0.5, dead_at_start=0.25, statistics_drift=0.1),
        },
        batch=BatchState(images=16, accuracy=1.0, log_loss=0.1),
    )


def test_entries_come_back_as_they_were_written(tmp_path: Path):
    ledger = Ledger(tmp_path)
    assert ledger.entries() == []
    for epoch in (1, 2):
        ledger.append(entry(epoch))
    assert ledger.entries() == [entry(1), entry(2)]


def test_a_line_that_a_crash_cut_is_left_out_and_cut_off(tmp_path: Path):
    ledger = Ledger(tmp_path)
    ledger.append(entry(1))
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole + whole[:40])
    assert ledger.entries() == [entry(1)]
    ledger.cut_to(1)
    assert ledger.path.read_bytes() == whole
    ledger.append(entry(2))
    assert ledger.entries() == [entry(1), entry(2)]


def test_lines_behind_the_checkpoint_are_cut_off(tmp_path: Path):
    ledger = Ledger(tmp_path)
    ledger.cut_to(3)
    assert not ledger.path.exists()
    for epoch in (1, 2, 3):
        ledger.append(entry(epoch))
    ledger.cut_to(2)
    assert [one.epoch for one in ledger.entries()] == [1, 2]


def test_the_largest_movement_and_the_lowest_similarity_leave_out_what_is_not_known():
    assert entry(1).movement == 0.3
    assert entry(1).similarity == 0.75
    assert entry(1, cka=None).similarity == 1.0
    assert LedgerEntry(phase="tune", epoch=1, train_loss=0.5).movement is None


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headstart.runs.ledger.os.fsync", full)
    with pytest.raises(DiskFullError, match=r"ledger\.jsonl"):
        Ledger(tmp_path).append(entry(1))
