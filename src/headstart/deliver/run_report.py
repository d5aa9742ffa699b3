"""The report of one run: its answer, then its sections in order."""

from __future__ import annotations

from headstart.deliver.about_cost import again_section, cost_section
from headstart.deliver.about_data import data_section
from headstart.deliver.about_mistakes import classes_section, confusion_section, worst_section
from headstart.deliver.about_plan import decisions_section
from headstart.deliver.about_training import checks_section, curves_section
from headstart.deliver.page import Section, page
from headstart.deliver.pictures import NO_PICTURES, Pictures
from headstart.deliver.run_answer import run_answer, run_kind, run_title
from headstart.deliver.run_facts import RunFacts
from headstart.deliver.timeline import timeline_section


def run_sections(run: RunFacts, pictures: Pictures = NO_PICTURES) -> list[Section]:
    """The sections that have something to say, in the order of the page. To add one, add it here."""
    made = (
        data_section(run),
        decisions_section(run),
        curves_section(run),
        timeline_section(run),
        checks_section(run),
        worst_section(run, pictures),
        confusion_section(run, pictures),
        classes_section(run),
        cost_section(run),
        again_section(run),
    )
    return [section for section in made if section is not None]


def run_page(run: RunFacts, pictures: Pictures = NO_PICTURES) -> str:
    """The whole HTML file."""
    return page(title=run_title(run), kind=run_kind(run), top=run_answer(run), sections=run_sections(run, pictures))
