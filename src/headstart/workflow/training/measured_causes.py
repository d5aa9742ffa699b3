"""Causes of a gap between validation and test accuracy, measured on the features of a run's images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headstart.errors import HeadstartError
from headstart.findings import Finding
from headstart.input_spec import InputSpec
from headstart.inspection.domain_look import MOST_COLOURS
from headstart.inspection.features.gap_causes import gap_causes
from headstart.measures.figure_findings import GAP
from headstart.networks.cards.finding import find_model
from headstart.runs.progress import no_progress
from headstart.workflow.checking.features import checked_features
from headstart.workflow.images import CheckedData


def with_measured_causes(
    findings: Sequence[Finding], data: CheckedData, *, model: str, spec: InputSpec | None
) -> list[Finding]:
    """The findings; the one about the gap with what features show of its cause.

    Features come from the activation cache where a linear probe was fitted; without a finding none are read.

    Args:
        findings: About the figures.
        data: Images of the run.
        model: Name of the network.
        spec: What it sees of an image in the linear probe; None where there was none.
    """
    if spec is None or not any(finding.what == GAP for finding in findings):
        return list(findings)
    # What explains a figure may never cost the figure: without features the finding stays as it is.
    try:
        causes = _causes(data, model, spec)
    except HeadstartError:
        return list(findings)
    said = f"what features show, the strongest first: {'; '.join(causes)}" if causes else "features show no cause"
    return [
        replace(finding, evidence=f"{finding.evidence}; {said}") if finding.what == GAP else finding
        for finding in findings
    ]


def _causes(data: CheckedData, model: str, spec: InputSpec) -> list[str]:
    roles = data.roles
    used = {record.id for record in (*roles.train, *roles.validation, *roles.test)}
    if (data.decoding.band_count or 0) > MOST_COLOURS:
        return []
    facts = replace(data.facts, readable=tuple(record for record in data.facts.readable if record.id in used))
    seen = replace(spec, decoding=data.decoding)
    images = checked_features(facts, data.groups, find_model(model), seen, progress=no_progress)
    test = {record.id for record in roles.test}
    is_test = np.array([record.id in test for record in images.records])
    return gap_causes(images.features, images.labels, is_test, images.group_numbers)
