"""How each trial of a comparison went, and what is needed to do it again."""

from __future__ import annotations

from headstart.amounts import count_text
from headstart.html import wording
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.html.page import Section, command, key, paragraph, table
from headstart.reports.comparison.facts import ComparisonFacts
from headstart.reports.run.cost import command_line, environment_table
from headstart.reports.run.curves import accuracy_of_variant, captions, loss_of_variant, scales_of, steps_of
from headstart.runs.record import Values

_STATES = {"done": "good", "failed": "warm"}


def variant_curves_section(comparison: ComparisonFacts) -> Section | None:
    """Small charts on common axes, one pair a variant, with the band of its seeds."""
    steps = {
        one["name"]: steps_of([run.epochs for run in comparison.runs_of(one["name"])]) for one in comparison.variants
    }
    shown = {name: found for name, found in steps.items() if found}
    if not shown:
        return None
    scales = scales_of([step for found in shown.values() for step in found])
    seeds = max(len(comparison.runs_of(name)) for name in shown)
    band = f"Lines are means and bands reach from the least to the most of {seeds} seeds. " if seeds > 1 else ""
    accuracy_caption, loss_caption = captions(scales)
    titles = {name: f"{comparison.number(name)} {name}" for name in shown}
    parts = [
        paragraph(
            f"{band}All charts of a kind have the same axes. Epoch 0 (a diamond) is a solved head. Training loss is "
            "measured on altered views while weights change, so compare its direction rather than its height."
        ),
        tag("h3", "Accuracy on the images that choose"),
        paragraph(accuracy_caption, style="small"),
        tag(
            "div", *(accuracy_of_variant(titles[name], found, scales) for name, found in shown.items()), class_="charts"
        ),
        tag("h3", "Loss"),
        paragraph(loss_caption, style="small"),
        key([("one", "images that choose"), ("two", "training")]),
        tag("div", *(loss_of_variant(titles[name], found, scales) for name, found in shown.items()), class_="charts"),
    ]
    return Section("curves", "How learning went", joined(parts))


def comparison_data_section(comparison: ComparisonFacts) -> Section | None:
    """The images, as the comparison and the first run that can be read tell them; None where no trial could tell."""
    data = comparison.answer["data"]
    if data.get("fit_images") is None:
        return None
    run = next(iter(comparison.runs.values()), None)
    text = (
        f" Every trial learned from {count_text(data['fit_images'], 'image')}, and "
        f"{count_text(data['report_images'], 'image')} ({data['reported_on']}) reported. Choices were made on: "
        f"{data['selected_on']}. No image that reports has another role."
    )
    findings = run.data.get("findings", ()) if run is not None else ()
    unreadable = len(run.data.get("unreadable", ())) if run is not None else 0
    notes = [f"{finding['evidence']}. {finding['remedy']}." for finding in findings]
    if unreadable:
        notes.append(f"{count_text(unreadable, 'image')} could not be read and took no part.")
    parts = [
        paragraph("From ", tag("code", str(data["source"])), ".", text),
        _class_table(comparison),
        tag("ul", *(tag("li", note) for note in notes), class_="plain") if notes else None,
    ]
    return Section("data", "The images", joined(parts))


def _class_table(comparison: ComparisonFacts) -> Html:
    run = next(iter(comparison.runs.values()), None)
    if run is None:
        return paragraph(f"Classes: {wording.listed(comparison.answer['data']['classes'], most=40)}.")
    roles = [
        (role, name) for role, name in (("fit", "to learn from"), ("select", "to choose on"), ("report", "to report"))
    ]
    roles = [(role, name) for role, name in roles if run.data["roles"].get(role, {}).get("images")]
    rows = [[name, *(f"{run.data['roles'][r]['classes'].get(name, 0):,}" for r, _ in roles)] for name in run.classes]
    says = "Images by class and role in the first trial"
    return table(["class", *(name for _, name in roles)], rows, says=says, numeric=range(1, len(roles) + 1))


def trials_section(comparison: ComparisonFacts) -> Section:
    """Every trial in the order in which they were run."""
    rows = [_trial_row(trial) for trial in comparison.answer["trials"]]
    header = ["trial", "variant", "seed", "images", "state", "choosing", "report", "time", "memory"]
    wrong = [
        tag("li", tag("b", trial["trial"]), f": {trial['error']}")
        for trial in comparison.answer["trials"]
        if trial.get("error")
    ]
    parts = [
        table(header, rows, says="Trials", numeric=(2, 3, 5, 6, 7, 8)),
        joined([tag("h3", "What went wrong"), tag("ul", *wrong, class_="plain")]) if wrong else None,
        paragraph("Images: the share of the training images that a trial learned from.", style="small"),
    ]
    return Section("trials", "Every trial", joined(parts))


def _trial_row(trial: Values) -> list[str | None]:
    return [
        trial["trial"],
        trial["variant"],
        str(trial["seed"]),
        f"{100 * (trial.get('rung') or 1.0):.0f} %",
        tag("span", trial["state"].replace("_", " "), class_=f"chip {_STATES.get(trial['state'], '')}".strip()),
        wording.percent(trial.get("select_accuracy")),
        wording.percent(trial.get("accuracy")),
        wording.duration(trial.get("seconds")),
        wording.size(trial.get("peak_memory_bytes")),
    ]


def comparison_again_section(comparison: ComparisonFacts) -> Section:
    """The command and the machine."""
    given = command_line(comparison.answer.get("command") or ())
    environment = comparison.answer.get("environment") or {}
    parts = [
        joined([paragraph("The command as it was typed:"), command(given)]) if given else NOTHING,
        paragraph(
            "What was compared was settled when the comparison began and lies in ",
            tag("code", str(comparison.folder / "comparison.yaml")),
            "; each trial is an ordinary run, of which headstart report makes a page of its own.",
        ),
        environment_table(environment),
    ]
    return Section("again", "To do it again", joined(parts))
