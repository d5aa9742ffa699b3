"""Findings of the doctor by id, for the tests of checks."""

from __future__ import annotations

from typing import Any

import headstart
from diagnosis.gallery.parts import correct, seeded
from headstart.diagnosis.finding import DoctorFinding


def found(**changes: Any) -> dict[str, DoctorFinding]:
    """Id -> finding of the correct set-up with some values changed."""
    seeded()
    return {one.id: one for one in headstart.doctor(**correct(**changes)).findings}
