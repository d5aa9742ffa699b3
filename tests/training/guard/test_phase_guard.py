"""The guard in real trainings: on images, on cached activations, in steps; and what it does not change."""

from __future__ import annotations

from pathlib import Path

import pytest

import headstart
from headstart.runs.ledger import LEDGER_FILE, Ledger
from headstart.training.guard import phase_guard as guard_module
from headstart.training.guard.phase_guard import Validated
from headstart.training.training import Training


@pytest.mark.slow
@pytest.mark.parametrize(("feed", "strategy"), [("pixels", "full"), ("stored", "partial")])
def test_every_epoch_has_its_line_with_pixels_and_with_cached_activations(
    image_folder: Path, tmp_path: Path, feed: str, strategy: str
):
    result = headstart.train(
        image_folder, out=tmp_path / "run", strategy=strategy, input_size=32, batch_size=8, epochs=2, progress="none"
    )
    events = [line.name for line in result.run.events()]
    assert ("activations_cached" in events) == (feed == "stored")
    entries = Ledger(result.run.folder).entries()
    assert [(entry.phase, entry.epoch) for entry in entries] == [("tune", 1), ("tune", 2)]
    rows = [row for row in result.metrics.epochs if row.epoch]
    for entry, row in zip(entries, rows, strict=True):
        assert entry.validation_loss == row.validation_loss
        assert entry.movement == row.movement
        assert {name: one.lr for name, one in entry.groups.items()} == row.lr
        assert all(one.lr == one.planned_lr for one in entry.groups.values())
        assert all(one.movement is not None and one.distance is not None for one in entry.groups.values())
        assert all(0 <= one.cka <= 1 for one in entry.states.values() if one.cka is not None)
        assert set(entry.groups) - {"head"} <= set(entry.states)
    first, last = entries
    assert first.frozen == last.frozen, "BatchNorm statistics"
    assert bool(first.prefix) == (feed == "stored")
    assert first.prefix == last.prefix
    page = (result.report(tmp_path / "report.html")).path.read_text(encoding="utf-8")
    assert "Similarity to the starting network" in page
    assert (tmp_path / "run" / LEDGER_FILE).is_file()


def test_an_alarm_reads_the_epochs_since_the_last_rescue(monkeypatch: pytest.MonkeyPatch):
    """Of its own phase and round; others are not its history."""
    from dataclasses import replace

    from headstart.runs.ledger import LedgerEntry

    seen = []
    entry = LedgerEntry(phase="tune", epoch=3, rescues=1, train_loss=0.5)
    training = Training.__new__(Training)
    training.history = [
        replace(entry, phase="head"),
        replace(entry, epoch=1, rescues=0),
        replace(entry, epoch=2),
        replace(entry, round=1),
        entry,
    ]
    monkeypatch.setattr(guard_module, "_history", lambda training, same, epochs: seen.extend(same))
    monkeypatch.setattr(guard_module, "raised", lambda history, phase, epoch: [])
    assert guard_module.alarms_of(training, entry, epochs=5) == []
    assert [one.epoch for one in seen] == [2, 3]


def test_figures_of_a_validation_pass_have_names():
    assert Validated(loss=0.5, accuracy=0.9, images=10).images == 10
