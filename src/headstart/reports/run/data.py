"""Section on the images: counts by class and role, findings, and files that could not be read."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.amounts import count_text
from headstart.html.kit import PageSection, fold, paragraph, table
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.runs.record import RunRecord
from headstart.runs.run_data import ImageRole
from headstart.runs.warnings import DataFinding

_ROLES: tuple[tuple[ImageRole, str], ...] = (("train", "training"), ("validation", "validation"), ("test", "test"))
_MOST_UNREADABLE = 200
_MOST_GROUPS = 200


def data_section(run: RunRecord) -> PageSection:
    """Section on the images."""
    parts = [paragraph("From ", tag("code", run.data.source), ". ", _roles_sentence(run))]
    parts += [_counts(run), _groups(run), _view(run), _findings(run), _unreadable(run)]
    return PageSection("data", "The images", joined(parts))


def _roles_sentence(run: RunRecord) -> str:
    return (
        f"Training set: {count_text(run.images('train'), 'image')}. Validation set: {run.data.validation_source}. "
        f"Test set: {count_text(run.images('test'), 'image')} ({run.data.test_source}), used for nothing else."
    )


def _counts(run: RunRecord) -> Html:
    shown = [(run.data.counts(role), name) for role, name in _ROLES if run.images(role)]
    rows = [[name, *(f"{counts.classes.get(name, 0):,}" for counts, _ in shown)] for name in run.classes]
    rows.append(["all", *(f"{counts.images:,}" for counts, _ in shown)])
    header = ["class", *(name for _, name in shown)]
    return table(header, rows, says="Images by class and role", numeric=range(1, len(header)))


def _groups(run: RunRecord) -> Html:
    groups, total = run.data.groups, run.data.all_images
    if not groups or groups >= total:
        return paragraph("No images are grouped: each counts as independent of the others.", style="small")
    return paragraph(
        f"The {total:,} images form {groups:,} groups (the same patient, scene or file); a group is never divided "
        "between roles.",
        style="small",
    )


def _view(run: RunRecord) -> Html:
    """Evaluation view of the images; nothing for runs of earlier versions, which did not record it."""
    view = run.data.view
    if view is None or view.cut is None:
        return NOTHING
    how = {"crop": "cropped", "squash": "squashed", "letterbox": "letterboxed"}[view.resize]
    text = f"Images are {how} to {view.size} x {view.size} pixels for evaluation"
    if not view.cut.largest:
        return paragraph(f"{text}; nothing is cut off.", style="small")
    return paragraph(
        f"{text}: {view.cut.median:.0%} of the area of the median image is cut off, at most {view.cut.largest:.0%}.",
        style="small",
    )


def _findings(run: RunRecord) -> Html:
    findings = [DataFinding.of(finding) for finding in run.data.findings]
    known = {finding.what for finding in findings}
    for line in run.events:  # findings of training itself; a resumed run may have them twice
        if isinstance(line.event, DataFinding) and line.event.what not in known:
            known.add(line.event.what)
            findings.append(line.event)
    if not findings:
        return paragraph("The checks found nothing suspicious.", style="small")
    chips = {"error": "warm", "warning": "warm", "info": "blue"}
    items = [
        tag(
            "li",
            tag("span", finding.level, class_=f"chip {chips[finding.level]}"),
            f" {finding.evidence}. ",
            tag("span", f"{finding.remedy}.", class_="soft"),
            _images_of(finding.images),
        )
        for finding in findings
    ]
    return joined([tag("h3", "Findings"), tag("ul", *items, class_="plain")])


def _images_of(groups: Sequence[Sequence[str]]) -> Html:
    """All groups of images of a finding, folded; runs of earlier versions have none."""
    if not groups:
        return NOTHING
    items = [
        tag("li", *(part for name in group for part in (tag("code", name), " "))) for group in groups[:_MOST_GROUPS]
    ]
    if (more := len(groups) - _MOST_GROUPS) > 0:
        items.append(tag("li", f"and {more:,} more (data.json has them all)"))
    return fold(f"All its images: {count_text(len(groups), 'group')}", tag("ul", *items, class_="plain"))


def _unreadable(run: RunRecord) -> Html:
    unreadable = run.data.unreadable
    if not unreadable:
        return NOTHING
    items = [
        tag("li", tag("code", name), f": {reason}") for name, reason in list(unreadable.items())[:_MOST_UNREADABLE]
    ]
    if (more := len(unreadable) - _MOST_UNREADABLE) > 0:
        items.append(tag("li", f"and {more:,} more (data.json has them all)"))
    title = f"{count_text(len(unreadable), 'image')} that could not be read"
    return fold(title, tag("ul", *items, class_="plain"))
