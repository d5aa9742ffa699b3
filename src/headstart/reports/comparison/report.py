"""HTML report of a comparison: the result, then its sections in order."""

from __future__ import annotations

from collections.abc import Callable

from headstart.html.kit import PageSection
from headstart.html.page import page
from headstart.reports.comparison.facts import ComparisonFacts
from headstart.reports.comparison.result import comparison_kind, comparison_result_card, comparison_title
from headstart.reports.comparison.tradeoffs import tradeoffs_section
from headstart.reports.comparison.trials import (
    comparison_again_section,
    comparison_data_section,
    trials_section,
    variant_curves_section,
)
from headstart.reports.comparison.variants import (
    forest_section,
    learning_rates_section,
    pairs_section,
    variants_section,
)

COMPARISON_SECTIONS: tuple[Callable[[ComparisonFacts], PageSection | None], ...] = (
    variants_section,
    forest_section,
    pairs_section,
    learning_rates_section,
    tradeoffs_section,
    variant_curves_section,
    comparison_data_section,
    trials_section,
    comparison_again_section,
)
"""Sections in the order of the page; empty ones return None. Add new ones here."""


def comparison_page(comparison: ComparisonFacts) -> str:
    """HTML of the whole report."""
    sections = [section for make in COMPARISON_SECTIONS if (section := make(comparison)) is not None]
    top = comparison_result_card(comparison)
    return page(title=comparison_title(comparison), kind=comparison_kind(comparison), top=top, sections=sections)
