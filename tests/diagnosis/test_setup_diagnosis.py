from __future__ import annotations

from pathlib import Path

import pytest

import headstart
from diagnosis.gallery.broken import BROKEN, BrokenSetup
from diagnosis.gallery.parts import correct, seeded
from diagnosis.gallery.sound import SOUND
from headstart.diagnosis import setup_diagnosis
from headstart.diagnosis.registry import DoctorCheck


@pytest.mark.parametrize("setup", BROKEN, ids=lambda one: one.make.__name__)
def test_broken_set_ups_are_named(setup: BrokenSetup, tmp_path: Path):
    seeded()
    result = headstart.doctor(**setup.make(tmp_path))
    assert setup.id in {finding.id for finding in result.findings}, str(result)


@pytest.mark.parametrize("make", SOUND, ids=lambda one: one.__name__)
def test_correct_set_ups_have_no_complaint(make):
    seeded()
    result = headstart.doctor(**make())
    assert result.complaints == (), str(result)


def test_a_check_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch):
    def broken(examined: object) -> list:
        raise KeyError("odd")

    checks = (DoctorCheck("broken", broken, ()), *setup_diagnosis.CHECKS)
    monkeypatch.setattr(setup_diagnosis, "CHECKS", checks)
    result = headstart.doctor(**correct(accumulate=2))
    assert result.omitted[0].reason == "it failed with KeyError: 'odd'"
    assert [one.id for one in result.findings] == ["accumulation_remainder"]
