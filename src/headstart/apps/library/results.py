"""Results of the library verbs whose command prints JSON: figures as attributes, one line as `repr`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from headstart.amounts import count_text
from headstart.networks.cards.catalog import ModelCard

if TYPE_CHECKING:
    from headstart.comparison.record import ComparisonRecord, VariantResult
    from headstart.comparison.verdicts import Pair
    from headstart.workflow.reporting import Report

_SHOWN_NAMES = 3
"""In the `repr` of a list of networks."""


@dataclass(frozen=True, repr=False)
class CompareResult:
    """Several trainings compared: which is better, which are tied, which to use."""

    record: ComparisonRecord
    """Everything that comparison.json holds."""

    @property
    def folder(self) -> Path:
        """Folder of the comparison."""
        return self.record.folder

    @property
    def chosen(self) -> str | None:
        """The variant to use; None where no accuracy was measured."""
        return None if self.record.chosen is None else self.record.chosen.variant

    @property
    def tied_with(self) -> tuple[str, ...]:
        """Variants that do not differ from it significantly on the validation images."""
        return () if self.record.chosen is None else self.record.chosen.tied_with

    @property
    def headline(self) -> str:
        """The result in a sentence."""
        chosen = self.record.chosen
        return "no recommendation: no accuracy was measured" if chosen is None else chosen.headline

    @property
    def variants(self) -> tuple[VariantResult, ...]:
        """Metrics and cost of each variant."""
        return self.record.variants

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Verdicts on every two variants by paired tests, each with its sentence."""
        return self.record.pairs

    def report(self, out: str | os.PathLike[str] | None = None) -> Report:
        """Write the comparison as one HTML page.

        Args:
            out: The file; `report.html` in the folder of the comparison if None.

        Raises:
            HeadstartError: the file cannot be written.
        """
        from headstart.workflow import reporting

        return reporting.report([self.folder], out=None if out is None else Path(out))[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: what `headstart compare --json` prints."""
        return self.record.to_dict()

    def __repr__(self) -> str:
        return f"CompareResult({self.headline}; {count_text(len(self.variants), 'variant')}, {self.folder})"


@dataclass(frozen=True, repr=False)
class ModelList(Sequence[ModelCard]):
    """Cards of networks, in the order of the search."""

    cards: tuple[ModelCard, ...]
    measured: Mapping[str, float | None] = field(default_factory=dict)
    """Name -> images a second on this machine, where it was measured; None where the figure was not stable."""

    @property
    def names(self) -> list[str]:
        """Full names, as `model` takes them."""
        return [card.name for card in self.cards]

    @overload
    def __getitem__(self, index: int) -> ModelCard: ...
    @overload
    def __getitem__(self, index: slice) -> ModelList: ...
    def __getitem__(self, index: int | slice) -> ModelCard | ModelList:
        return ModelList(self.cards[index], self.measured) if isinstance(index, slice) else self.cards[index]

    def __len__(self) -> int:
        return len(self.cards)

    def __repr__(self) -> str:
        named = ", ".join(self.names[:_SHOWN_NAMES]) + ", ..." * (len(self.cards) > _SHOWN_NAMES)
        return f"ModelList({count_text(len(self.cards), 'network')}" + (f": {named})" if self.cards else ")")
