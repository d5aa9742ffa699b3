"""The benchmark of the guard's seconds on a tiny set: every part is timed, and nothing stays patched."""

from __future__ import annotations

from pathlib import Path

import guard_seconds
import pytest

from headstart.runs.ledger import Ledger


def test_the_table_has_shares_of_an_epoch():
    row = {"activations": "cached", "epoch_seconds": 2.0, "checks": 0.02, "line": 0.002, "readings": 0.1}
    line = guard_seconds.table([{**row, "start of the phase": 0.25}])[2]
    assert line == "| cached | 2.00 s | 20 ms (1.0%) | 2 ms (0.1%) | 100 ms (5.0%) | 250 ms |"


@pytest.mark.slow
def test_every_part_is_timed(image_folder: Path):
    append = Ledger.append
    row = guard_seconds.measured_guard(image_folder, "partial", images=8, size=32, epochs=2)
    assert row["activations"] == "cached"
    assert all(row[part] > 0 for part in guard_seconds.PARTS)
    assert Ledger.append is append
