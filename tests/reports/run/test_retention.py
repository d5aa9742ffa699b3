"""The section on retention: similarity by epoch, and layer groups after the last one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.reports.run.retention import retention_section
from headstart.runs.ledger import GroupMovement, GroupState, LedgerEntry
from headstart.runs.record import read_run
from report_folders import make_run


def entry(epoch: int, *cka: float) -> LedgerEntry:
    return LedgerEntry(
        phase="tune",
        epoch=epoch,
        train_loss=0.5,
        groups={"stage1": GroupMovement(lr=1e-4, planned_lr=1e-4, movement=0.0125, distance=0.25)},
        states={
            f"stage{number}": GroupState(cka=one, scale=1.0, dead=0.125, dead_at_start=0.0)
            for number, one in enumerate(cka)
        },
    )


def test_the_lowest_group_is_named_and_groups_are_listed(tmp_path: Path):
    run = replace(read_run(make_run(tmp_path / "run")), ledger=(entry(1, 1.0, 0.9), entry(2, 1.0, 0.625)))
    section = retention_section(run)
    assert section is not None
    for words in ("stage1 have a linear CKA of 0.62", "from 0.90 to 0.62", "1.2\u00a0%", "25.0\u00a0%", "frozen"):
        assert words in section.body, words


def test_runs_without_a_ledger_have_no_section(tmp_path: Path):
    assert retention_section(read_run(make_run(tmp_path / "run"))) is None
