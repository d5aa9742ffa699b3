from __future__ import annotations

from pathlib import Path

import pytest

import headstart
from diagnosis.gallery.broken import BROKEN, BrokenSetup
from diagnosis.gallery.parts import seeded
from diagnosis.gallery.sound import SOUND


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
