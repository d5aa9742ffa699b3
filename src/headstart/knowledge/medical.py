"""Radiographs, scans and other clinical images."""

from __future__ import annotations

from headstart.knowledge.domain import DomainValues

MEDICAL = DomainValues(
    name="medical",
    augmentation="standard",
    augmentation_reason="medical sets are small, so views are augmented; grey images stay grey under colour jitter",
    flip="none",
    flip_reason="medical: left and right mean something in a body",
)
