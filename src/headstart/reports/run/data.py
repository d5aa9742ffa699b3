"""Which images: counts by class and role, findings, what could not be read."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.amounts import count_text
from headstart.html.kit import PageSection, fold, paragraph, table
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.runs.record import RunFacts
from headstart.runs.warnings import DataFinding

_ROLES = (("train", "training"), ("validation", "validation"), ("test", "test"))
_MOST_UNREADABLE = 200
_MOST_GROUPS = 200


def data_section(run: RunFacts) -> PageSection:
    """The images and what is known of them."""
    data = run.data
    parts = [paragraph("From ", tag("code", str(data["source"])), ". ", _roles_sentence(run))]
    parts += [_counts(run), _groups(run), _view(run), _findings(run), _unreadable(run)]
    return PageSection("data", "The images", joined(parts))


def _roles_sentence(run: RunFacts) -> str:
    data = run.data
    return (
        f"Training set: {count_text(run.images('train'), 'image')}. Validation set: {data['validation_source']}. "
        f"Test set: {count_text(run.images('test'), 'image')} ({data['test_source']}), used for the final figures only."
    )


def _counts(run: RunFacts) -> Html:
    roles = run.data["roles"]
    shown = [(role, name) for role, name in _ROLES if roles.get(role, {}).get("images")]
    rows = [[name, *(f"{roles[role]['classes'].get(name, 0):,}" for role, _ in shown)] for name in run.classes]
    rows.append(["all", *(f"{roles[role]['images']:,}" for role, _ in shown)])
    header = ["class", *(name for _, name in shown)]
    return table(header, rows, says="Images by class and role", numeric=range(1, len(header)))


def _groups(run: RunFacts) -> Html:
    groups = run.data.get("groups")
    total = sum(run.images(role) for role in ("train", "validation", "test"))
    if not groups or groups >= total:
        return paragraph("Every image stands alone: none was said to belong with another.", style="small")
    return paragraph(
        f"The {total:,} images form {groups:,} groups (the same patient, scene or file); a group is never divided "
        "between roles.",
        style="small",
    )


def _view(run: RunFacts) -> Html:
    """What the network saw of the images; nothing for runs that did not write it down."""
    view = run.data.get("view")
    if not view or not view["cut"]:
        return NOTHING
    how = {"crop": "cropped", "squash": "squashed", "letterbox": "letterboxed"}[view["resize"]]
    seen = f"Images are {how} to {view['size']} x {view['size']} pixels for evaluation"
    cut = view["cut"]
    if not cut["largest"]:
        return paragraph(f"{seen}; nothing is cut off.", style="small")
    return paragraph(
        f"{seen}: {cut['median']:.0%} of the area of the median image is cut off, at most {cut['largest']:.0%}.",
        style="small",
    )


def _findings(run: RunFacts) -> Html:
    findings = [*run.data.get("findings", ())]
    known = {finding.get("what") for finding in findings}
    for line in run.events:  # what training itself has found; a resumed run may say it twice
        if isinstance(line.event, DataFinding) and line.event.what not in known:
            known.add(line.event.what)
            findings.append(line.event.to_dict())
    if not findings:
        return paragraph("The check before training found nothing suspicious.", style="small")
    chips = {"error": "warm", "warning": "warm", "info": "blue"}
    items = [
        tag(
            "li",
            tag("span", finding["level"], class_=f"chip {chips.get(finding['level'], '')}"),
            f" {finding['evidence']}. ",
            tag("span", f"{finding['remedy']}.", class_="soft"),
            _images_of(finding.get("images") or ()),
        )
        for finding in findings
    ]
    return joined([tag("h3", "What the check before training found"), tag("ul", *items, class_="plain")])


def _images_of(groups: Sequence[Sequence[str]]) -> Html:
    """All groups of images that a finding names, folded; runs of earlier versions have none."""
    if not groups:
        return NOTHING
    items = [
        tag("li", *(part for name in group for part in (tag("code", name), " "))) for group in groups[:_MOST_GROUPS]
    ]
    if (more := len(groups) - _MOST_GROUPS) > 0:
        items.append(tag("li", f"and {more:,} more (data.json has them all)"))
    return fold(f"All images of it: {count_text(len(groups), 'group')}", tag("ul", *items, class_="plain"))


def _unreadable(run: RunFacts) -> Html:
    unreadable = run.data.get("unreadable") or {}
    if not unreadable:
        return NOTHING
    items = [
        tag("li", tag("code", name), f": {reason}") for name, reason in list(unreadable.items())[:_MOST_UNREADABLE]
    ]
    if (more := len(unreadable) - _MOST_UNREADABLE) > 0:
        items.append(tag("li", f"and {more:,} more (data.json has them all)"))
    title = f"{count_text(len(unreadable), 'image')} that could not be read"
    return fold(title, tag("ul", *items, class_="plain"))
