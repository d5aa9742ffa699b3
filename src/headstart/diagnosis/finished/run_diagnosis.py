"""Diagnosis of a run folder."""

from __future__ import annotations

import time
from pathlib import Path

from headstart.diagnosis.finding import DoctorFinding, DoctorResult, errors_first
from headstart.diagnosis.finished.run_checks import RUN_CHECKS
from headstart.diagnosis.finished.run_figures import figures_of
from headstart.runs.record import read_run


def diagnose_run(folder: Path) -> DoctorResult:
    """Findings on a run, errors first; only its folder is read.

    Raises:
        RunError: no run folder, a damaged file, or nothing has been trained yet.
    """
    began = time.perf_counter()
    figures = figures_of(read_run(folder))
    findings: list[DoctorFinding] = []
    for _, find in RUN_CHECKS:
        findings += find(figures)
    names = tuple(name for name, _ in RUN_CHECKS)
    return DoctorResult(f"run {figures.name}", errors_first(findings), names, (), time.perf_counter() - began)
