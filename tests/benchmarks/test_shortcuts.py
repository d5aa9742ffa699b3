"""Planted marks: where they are, how found ones are counted, and a trial on a tiny set."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from shortcuts import KINDS, MAGNITUDES, Archive, Base, drawn, exact_interval, mark_table, marked, saved

GREY = np.full((60, 80, 3), 100, np.uint8)


def test_each_mark_changes_its_own_place():
    changed = {kind: (marked(GREY, kind, MAGNITUDES["strong"]) != GREY).any(axis=2) for kind in KINDS}
    assert changed["corner"].sum() == 5 * 6
    assert changed["corner"][:5, -6:].all()
    assert not changed["edge"][1:-1, 1:-1].any()
    assert changed["stamp"][30:, :40].any()
    assert not changed["stamp"][:30].any()
    assert changed["brightness"].all()
    assert not changed["compression"].any()


def test_a_weaker_mark_changes_less():
    gone = [int(marked(GREY, "edge", one)[0, 0, 0]) for one in MAGNITUDES.values()]
    assert gone == sorted(gone)
    assert gone[0] == 0


def test_intervals_are_those_of_scipy():
    from scipy.stats import binomtest

    for found, count in ((0, 10), (7, 10), (10, 10)):
        theirs = binomtest(found, count).proportion_ci(0.95, method="exact")
        assert exact_interval(found, count) == pytest.approx((theirs.low, theirs.high))


def test_found_marks_are_counted_by_kind_magnitude_and_classes():
    rows = [
        {"kind": "edge", "magnitude": "weak", "base": f"rsscn7, {classes} classes", "found": found}
        for classes, found in (("real", False), ("random", True), ("random", False))
    ]
    line = next(line for line in mark_table(rows, "random").splitlines() if line.startswith("| edge"))
    assert "1 of 2" in line
    assert "0 of 1" in mark_table(rows, "real")


def test_classes_are_real_ones_or_say_nothing_of_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with tarfile.open(tmp_path / "made.tar", "w") as tar:
        for label in ("cat", "dog"):
            for number in range(6):
                content = saved(GREY)
                member = tarfile.TarInfo(f"{label}/{number}.jpg")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path))
    archive = Archive("made")
    real = drawn(archive, Base("made", "real", 5), 0)
    assert len({(name.split("/")[0], label) for name, label in real}) == 2
    assert len({(name.split("/")[0], label) for name, label in drawn(archive, Base("made", "random", 5), 0)}) == 4
    assert archive.read(real[0][0]).shape == GREY.shape
    archive.close()
