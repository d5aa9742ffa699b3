"""Report on weights that were loaded into a network; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HeadFound = Literal["loaded", "missing", "other size"]


@dataclass(frozen=True, slots=True)
class WeightReport:
    """Report on loaded weights."""

    source: str
    """File, package or URL."""
    loaded: int
    """Number of loaded tensors."""
    head: HeadFound
    """missing and other size: the original head is random, which a new head makes up for."""
    missing: tuple[str, ...] = ()
    """Of the head, as the network names them."""
    unexpected: tuple[str, ...] = ()
    """Of another head, as the file names them; left out."""

    @classmethod
    def whole(cls, source: str, loaded: int = 0) -> WeightReport:
        """Report of a file that fits exactly."""
        return cls(source, loaded, "loaded")
