"""The report of one run: its answer, then its sections in order."""

from __future__ import annotations

from collections.abc import Callable

from headstart.deliver.about_cost import again_section, cost_section
from headstart.deliver.about_data import data_section
from headstart.deliver.about_mistakes import classes_section, confusion_section, worst_section
from headstart.deliver.about_plan import decisions_section
from headstart.deliver.about_training import checks_section, curves_section
from headstart.deliver.page import Section, page
from headstart.deliver.run_answer import run_answer, run_kind, run_title
from headstart.deliver.run_facts import RunFacts
from headstart.deliver.timeline import timeline_section

RUN_SECTIONS: tuple[Callable[[RunFacts], Section | None], ...] = (
    data_section,
    decisions_section,
    curves_section,
    timeline_section,
    checks_section,
    worst_section,
    confusion_section,
    classes_section,
    cost_section,
    again_section,
)
"""In the order of the page. A section that has nothing to say is None. To add one, add it here."""


def run_page(run: RunFacts) -> str:
    """The whole HTML file."""
    sections = [section for make in RUN_SECTIONS if (section := make(run)) is not None]
    return page(title=run_title(run), kind=run_kind(run), top=run_answer(run), sections=sections)
