"""Sections on training: curves and the table of epochs, checks of frozen layers, warnings and the log of events."""

from __future__ import annotations

from headstart.amounts import count_text
from headstart.html import wording
from headstart.html.kit import PageSection, fold, key, notice, paragraph, table
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.reports.run.curves import curves_of_run
from headstart.reports.run.timeline import columns_of, rows_of
from headstart.runs.record import Epoch, RunRecord
from headstart.runs.training_events import EpochDone
from headstart.runs.warnings import DataFinding, PhaseWarning

_SHOWN_ELSEWHERE = (EpochDone, DataFinding)
"""The curves show epochs, the section on data its findings."""


def curves_section(run: RunRecord) -> PageSection:
    """Section with the training curves and the table of epochs behind them."""
    probe = run.epochs[0] if run.epochs[0].number == 0 else None
    parts = [paragraph(_intro(run, probe))]
    if run.trained_epochs:
        parts += [key([("one", "validation"), ("two", "training")]), curves_of_run(run)]
    parts.append(fold("Table of epochs", _epoch_table(run)))
    return PageSection("curves", "Training curves", joined(parts))


def _intro(run: RunRecord, probe: Epoch | None) -> str:
    images = f"{count_text(run.validation_images, 'image')} ({run.data.validation_source})"
    if not run.trained_epochs:
        assert probe is not None
        return (
            f"There are no epochs: the linear probe is fitted in one go. Its validation accuracy is "
            f"{wording.percent(probe.row.validation_accuracy)} on {images}."
        )
    start = (
        f"Epoch 0 (the diamond) is the linear probe ({probe.row.phase}) on the pretrained features, the baseline of "
        "fine-tuning. "
        if probe
        else ""
    )
    return (
        f"{start}Every candidate is validated on {images}. The training loss is a mean over augmented views while the "
        "weights change, with label smoothing where the plan has it: compare its trend with the validation loss, not "
        "its level."
    )


def _epoch_table(run: RunRecord) -> Html:
    rows, picked = [], []
    for index, epoch in enumerate(run.epochs):
        if epoch is run.selected:
            picked.append(index)
        rates = list(epoch.row.lr.values())
        rows.append(
            [
                epoch.row.phase,
                str(epoch.number) if epoch.number else "probe",
                wording.number(epoch.row.train_loss),
                wording.number(epoch.row.validation_loss),
                wording.percent(epoch.row.validation_accuracy),
                wording.learning_rate(rates[-1]) if rates else "\u2013",
                wording.percent(epoch.row.movement),
                wording.duration(epoch.row.seconds),
                "selected" if epoch is run.selected else "",
            ]
        )
    losses = ["training loss", "validation loss", "validation accuracy"]
    header = ["phase", "epoch", *losses, "head learning rate", "largest movement", "time", ""]
    return table(header, rows, says="Epochs", numeric=range(1, 8), picked=picked)


def checks_section(run: RunRecord) -> PageSection:
    """Section with the check of frozen layers, warnings, and events in order."""
    parts = [_frozen_check(run), _warnings(run), _event_log(run)]
    return PageSection("events", "Checks and events", joined(parts))


def _frozen_check(run: RunRecord) -> Html:
    if not run.trained_epochs:
        return paragraph("No layer of the backbone was trained: its weights are the pretrained ones.")
    frozen = _frozen_groups(run)
    still = all(phase.batch_norm == "pretrained_statistics" for phase in run.phases if phase.kind == "train")
    what = "every frozen weight" + (" and every BatchNorm statistic" if still else "")
    held = f" Layer groups that are frozen in at least one phase: {wording.listed(frozen)}." if frozen else ""
    return paragraph(
        tag("span", "passed", class_="chip good"),
        f" After each of {count_text(run.trained_epochs, 'epoch')}, {what} was compared with its value before, bit for "
        "bit, and the learning rate of every layer group with the plan. Nothing frozen has changed; ledger.jsonl in "
        f"the run folder has the hashes.{held}",
    )


def _frozen_groups(run: RunRecord) -> list[str]:
    """Layer groups that are frozen in at least one phase that trains, stem to head."""
    columns = columns_of(run)
    trains = [column.kind == "train" for column in columns]
    return [
        row.name
        for row in rows_of(run, columns)
        if any(what == "frozen" for (what, _), train in zip(row.cells, trains, strict=True) if train)
    ]


def _warnings(run: RunRecord) -> Html:
    if not run.trained_epochs:
        return NOTHING
    noted = [line.event.sentence() for line in run.events if isinstance(line.event, PhaseWarning)]
    warnings = [warning.text for warning in run.metrics.warnings] if run.metrics is not None else []
    if not (texts := warnings or noted):
        return paragraph(tag("span", "no warning", class_="chip good"), " Every trainable layer group has changed.")
    return notice("Warnings", tag("ul", *(tag("li", f"{text}.") for text in texts)))


def _event_log(run: RunRecord) -> Html:
    began = run.events[0].time if run.events else 0.0
    rows = [
        [wording.duration(max(0.0, line.time - began)), line.name.replace("_", " "), line.event.sentence()]
        for line in run.events
        if not isinstance(line.event, _SHOWN_ELSEWHERE)
    ]
    return fold(
        f"{count_text(len(rows), 'event')} in order of time",
        table(["time", "event", "description"], rows, says="Events in order of time"),
    )
