"""Throughput, latency and memory of prediction, as they are measured and as files keep them. Imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from headstart.measures.timing import Stability


@dataclass(frozen=True, slots=True)
class InferenceFigures:
    """Medians over repetitions, and whether they can be relied on."""

    images_per_second: float
    """Of many: features by the engine that `evaluate` takes for many images, and the head."""
    one_image_ms: float
    """Milliseconds for one image alone, run as `predict` runs it."""
    engine: str
    """What ran the many: torch or onnxruntime."""
    input_size: int
    """Side in pixels."""
    threads: int
    stability: Stability = "stable"
    """unstable: repetitions did not come to agree, because the machine was busy; the ranges say how far they varied."""
    images_per_second_range: tuple[float, float] | None = None
    """Slowest and quickest round."""
    one_image_ms_range: tuple[float, float] | None = None
    """Quickest and slowest round."""
    peak_memory_bytes: int | None = None
    """Of the process that measured; None where it did other work too."""

    @property
    def is_unstable(self) -> bool:
        """Whether the figures are a range rather than a value."""
        return self.stability == "unstable"

    @property
    def throughput_range(self) -> tuple[float, float]:
        """Slowest and quickest round, in images a second; the figure twice where no range was measured."""
        return self.images_per_second_range or (self.images_per_second, self.images_per_second)

    @property
    def latency_range(self) -> tuple[float, float]:
        """Quickest and slowest round, in milliseconds; the figure twice where no range was measured."""
        return self.one_image_ms_range or (self.one_image_ms, self.one_image_ms)

    @classmethod
    def from_dict(cls, values: Any) -> InferenceFigures:  # noqa: ANN401 - whatever a file holds
        """The figures with these values.

        Raises:
            ValueError: one is missing or of another type.
        """
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_python(values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
