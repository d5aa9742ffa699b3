"""The report of one run: its result, then its sections in order."""

from __future__ import annotations

from headstart.html.kit import PageSection
from headstart.html.page import page
from headstart.html.pictures import NO_PICTURES, Pictures
from headstart.reports.run.cost import again_section, cost_section
from headstart.reports.run.data import data_section
from headstart.reports.run.mistakes import classes_section, confusion_section, worst_section
from headstart.reports.run.plan import decisions_section
from headstart.reports.run.result import run_kind, run_result, run_title
from headstart.reports.run.retention import retention_section
from headstart.reports.run.timeline import timeline_section
from headstart.reports.run.training import checks_section, curves_section
from headstart.runs.record import RunRecord


def run_sections(run: RunRecord, pictures: Pictures = NO_PICTURES) -> list[PageSection]:
    """The sections that have something to say, in the order of the page. To add one, add it here."""
    made = (
        data_section(run),
        decisions_section(run),
        curves_section(run),
        timeline_section(run),
        retention_section(run),
        checks_section(run),
        worst_section(run, pictures),
        confusion_section(run, pictures),
        classes_section(run),
        cost_section(run),
        again_section(run),
    )
    return [section for section in made if section is not None]


def run_page(run: RunRecord, pictures: Pictures = NO_PICTURES) -> str:
    """The whole HTML file."""
    return page(title=run_title(run), kind=run_kind(run), top=run_result(run), sections=run_sections(run, pictures))
