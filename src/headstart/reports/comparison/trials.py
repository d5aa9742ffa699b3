"""Sections on trials: their curves, images, results, and how to reproduce them."""

from __future__ import annotations

from headstart.amounts import count_text
from headstart.comparison.comparison import PLAN_FILE
from headstart.comparison.record import TrialResult
from headstart.html import wording
from headstart.html.kit import PageSection, command, key, paragraph, table
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.reports.comparison.facts import ComparisonFacts
from headstart.reports.comparison.result import sentence_of
from headstart.reports.run.cost import command_line, environment_table
from headstart.reports.run.curves import accuracy_of_variant, captions, loss_of_variant, scales_of, steps_of

_STATES = {"done": "good", "failed": "warm"}


def variant_curves_section(comparison: ComparisonFacts) -> PageSection | None:
    """Section of small charts on common axes, one pair for each variant, with the range over its seeds or folds."""
    steps = {one.name: steps_of([run.epochs for run in comparison.runs_of(one.name)]) for one in comparison.variants}
    shown = {name: found for name, found in steps.items() if found}
    if not shown:
        return None
    scales = scales_of([step for found in shown.values() for step in found])
    seeds = max(len(comparison.runs_of(name)) for name in shown)
    band = f"Lines are means over {seeds} {comparison.record.repeats}, bands their range. " if seeds > 1 else ""
    accuracy_caption, loss_caption = captions(scales)
    titles = {name: f"{comparison.number(name)} {name}" for name in shown}
    parts = [
        paragraph(
            f"{band}All charts of a kind have the same axes. Epoch 0 (a diamond) is the linear probe. Training loss is "
            "measured on augmented views while weights change, so compare its trend, not its value."
        ),
        tag("h3", "Validation accuracy"),
        paragraph(accuracy_caption, style="small"),
        tag(
            "div", *(accuracy_of_variant(titles[name], found, scales) for name, found in shown.items()), class_="charts"
        ),
        tag("h3", "Loss"),
        paragraph(loss_caption, style="small"),
        key([("one", "validation"), ("two", "training")]),
        tag("div", *(loss_of_variant(titles[name], found, scales) for name, found in shown.items()), class_="charts"),
    ]
    return PageSection("curves", "Training curves", joined(parts))


def comparison_data_section(comparison: ComparisonFacts) -> PageSection | None:
    """Section on the images, from the comparison and the first readable run; None where no trial has them."""
    data = comparison.record.data
    if data.train_images is None:
        return None
    run = next(iter(comparison.runs.values()), None)
    text = (
        f" Training set: {count_text(data.train_images, 'image')}. Validation: {data.validated_on}. Test set: "
        f"{count_text(data.test_images or 0, 'image')} ({data.tested_on}), used for nothing else."
    )
    findings = run.data.findings if run is not None else ()
    unreadable = len(run.data.unreadable) if run is not None else 0
    notes = [f"{sentence_of(finding.evidence)} {sentence_of(finding.remedy)}" for finding in findings]
    if unreadable:
        notes.append(f"{count_text(unreadable, 'image')} could not be read and were left out.")
    parts = [
        paragraph("From ", tag("code", data.source), ".", text),
        _class_table(comparison),
        tag("ul", *(tag("li", note) for note in notes), class_="plain") if notes else None,
    ]
    return PageSection("data", "The images", joined(parts))


def _class_table(comparison: ComparisonFacts) -> Html:
    run = next(iter(comparison.runs.values()), None)
    if run is None:
        return paragraph(f"Classes: {wording.listed(comparison.record.data.classes, most=40)}.")
    roles = [role for role, counts in run.data.roles.items() if counts.images]
    rows = [[name, *(f"{run.data.counts(r).classes.get(name, 0):,}" for r in roles)] for name in run.classes]
    says = "Images by class and role in the first trial"
    return table(["class", *roles], rows, says=says, numeric=range(1, len(roles) + 1))


def trials_section(comparison: ComparisonFacts) -> PageSection:
    """Table of all trials, in the order of running."""
    rows = [_trial_row(trial) for trial in comparison.record.trials]
    header = [
        "trial",
        "variant",
        "seed" if comparison.record.folds is None else "seed, fold",
        "train share",
        "state",
        "validation accuracy",
        "test accuracy",
        "time",
        "peak memory",
    ]
    wrong = [tag("li", tag("b", trial.trial), f": {trial.error}") for trial in comparison.record.trials if trial.error]
    parts = [
        table(header, rows, says="Trials", numeric=(2, 3, 5, 6, 7, 8)),
        joined([tag("h3", "Errors"), tag("ul", *wrong, class_="plain")]) if wrong else None,
        paragraph(
            "Train share: share of the training images that a trial used. Time is of training and evaluation.",
            style="small",
        ),
    ]
    return PageSection("trials", "All trials", joined(parts))


def _trial_row(trial: TrialResult) -> list[str | None]:
    return [
        trial.trial,
        trial.variant,
        str(trial.seed) if trial.fold is None else f"{trial.seed}, {trial.fold}",
        f"{100 * trial.rung:.0f} %",
        tag("span", trial.state.replace("_", " "), class_=f"chip {_STATES.get(trial.state, '')}".strip()),
        wording.percent(trial.validation_accuracy),
        wording.percent(trial.test_accuracy),
        wording.duration(trial.seconds),
        wording.size(trial.peak_memory_bytes),
    ]


def comparison_again_section(comparison: ComparisonFacts) -> PageSection:
    """Section with the command, plan and machine."""
    given = command_line(comparison.record.command)
    parts = [
        joined([paragraph("Command:"), command(given)]) if given else NOTHING,
        paragraph(
            "The plan of the comparison, resolved when it began, is ",
            tag("code", str(comparison.folder / PLAN_FILE)),
            "; each trial is an ordinary run, and headstart report RUN writes its report.",
        ),
        environment_table(comparison.record.environment) if comparison.record.environment is not None else None,
    ]
    return PageSection("again", "How to reproduce it", joined(parts))
