"""Diagnosis of a set-up: examine it once, run every check that has what it needs."""

from __future__ import annotations

import time
import warnings

from headstart.diagnosis.examined import examine
from headstart.diagnosis.finding import DoctorFinding, DoctorResult, OmittedCheck, errors_first
from headstart.diagnosis.registry import CHECKS, lacking
from headstart.diagnosis.setup import Setup
from headstart.diagnosis.untouched import untouched_randomness


def diagnose_setup(setup: Setup) -> DoctorResult:
    """Findings on a set-up, errors first. Nothing of it is changed: network and optimizer are examined on a copy."""
    began = time.perf_counter()
    findings: list[DoctorFinding] = []
    names, omitted = [], []
    with untouched_randomness(setup.loaders.values()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the user's own code: it is run here on a copy
        examined = examine(setup)
        for check in CHECKS:
            reason = lacking(check, examined)
            if reason:
                omitted.append(OmittedCheck(check.name, reason))
                continue
            try:
                findings += check.find(examined)
            except Exception as error:  # one odd object of the user's must not hide what other checks find
                omitted.append(OmittedCheck(check.name, f"it failed with {type(error).__name__}: {str(error)[:80]}"))
                continue
            names.append(check.name)
    subject = (
        f"{setup.framework} set-up"
        if setup.model is None
        else f"{setup.framework} set-up of {type(setup.model).__name__}"
    )
    return DoctorResult(subject, errors_first(findings), tuple(names), tuple(omitted), time.perf_counter() - began)
