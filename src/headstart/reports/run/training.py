"""How learning went: curves, what was checked, and what happened on the way."""

from __future__ import annotations

from headstart.amounts import count_text
from headstart.html import wording
from headstart.html.kit import PageSection, fold, key, notice, paragraph, table
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.reports.run.curves import curves_of_run
from headstart.reports.run.timeline import columns_of, rows_of
from headstart.runs.record import Epoch, RunFacts
from headstart.runs.training_events import EpochDone
from headstart.runs.warnings import DataFinding, PhaseWarning

_SHOWN_ELSEWHERE = (EpochDone, DataFinding)
"""The curves show epochs, the section on data its findings."""


def curves_section(run: RunFacts) -> PageSection:
    """Learning curves with the table of epochs behind them."""
    trained = any(epoch.number for epoch in run.epochs)
    solved = run.epochs[0] if run.epochs[0].number == 0 else None
    parts = [paragraph(_intro(run, solved))]
    if trained:
        parts += [key([("one", "validation"), ("two", "training")]), curves_of_run(run)]
    parts.append(fold("All epochs as a table", _epoch_table(run)))
    return PageSection("curves", "How learning went", joined(parts))


def _intro(run: RunFacts, solved: Epoch | None) -> str:
    images = f"{count_text(run.validation_images, 'image')} ({run.data['validation_source']})"
    if not any(epoch.number for epoch in run.epochs):
        assert solved is not None
        return (
            f"There are no epochs: the head was fitted in one go. Its validation accuracy is "
            f"{wording.percent(solved.row.validation_accuracy)} on {images}."
        )
    start = (
        f"Epoch 0 (the diamond) is the linear probe ({solved.row.phase}) on the pretrained features: what tuning must "
        "beat. "
        if solved
        else ""
    )
    return (
        f"{start}Every candidate was validated on {images}. Training loss is measured on altered views while weights "
        "change, with any label smoothing, so compare its direction rather than its height."
    )


def _epoch_table(run: RunFacts) -> Html:
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
                wording.duration(epoch.row.seconds),
                "selected" if epoch is run.selected else "",
            ]
        )
    header = ["phase", "epoch", "train loss", "val loss", "val accuracy", "head lr", "time", ""]
    return table(header, rows, says="Epochs", numeric=range(1, 7), picked=picked)


def checks_section(run: RunFacts) -> PageSection:
    """The frozen check, alarms, and events in order."""
    parts = [_frozen_check(run), _alarms(run), _event_log(run)]
    return PageSection("events", "Checks and events", joined(parts))


def _frozen_check(run: RunFacts) -> Html:
    epochs = sum(epoch.number > 0 for epoch in run.epochs)
    if not epochs:
        return paragraph("No layer was trained, so the whole backbone is as it was.")
    frozen = _resting(run)
    still = all(phase.batch_norm == "pretrained_statistics" for phase in run.phases if phase.kind == "train")
    what = "every frozen weight" + (" and every statistic of BatchNorm" if still else "")
    held = f" Groups that rested in at least one phase: {wording.listed(frozen)}." if frozen else ""
    return paragraph(
        tag("span", "passed", class_="chip good"),
        f" After each of {count_text(epochs, 'epoch')} {what} was compared bit by bit with its state before, and "
        f"the learning rate of every group with the plan. Nothing moved that must not.{held}",
    )


def _resting(run: RunFacts) -> list[str]:
    """Layer groups that are frozen in at least one phase that trains, stem to head."""
    columns = columns_of(run)
    trains = [column.kind == "train" for column in columns]
    return [
        row.name
        for row in rows_of(run, columns)
        if any(what == "frozen" for (what, _), train in zip(row.cells, trains, strict=True) if train)
    ]


def _alarms(run: RunFacts) -> Html:
    if not any(epoch.number for epoch in run.epochs):
        return NOTHING
    noted = [line.event.sentence() for line in run.events if isinstance(line.event, PhaseWarning)]
    alarms = [alarm["text"] for alarm in (run.metrics or {}).get("warnings") or ()] or noted
    if not alarms:
        return paragraph(tag("span", "no alarm", class_="chip good"), " Every group that should learn moved.")
    return notice("Alarms", tag("ul", *(tag("li", f"{alarm}.") for alarm in alarms)))


def _event_log(run: RunFacts) -> Html:
    began = run.events[0].time if run.events else 0.0
    rows = [
        [wording.duration(max(0.0, line.time - began)), line.name.replace("_", " "), line.event.sentence()]
        for line in run.events
        if not isinstance(line.event, _SHOWN_ELSEWHERE)
    ]
    return fold(
        f"{count_text(len(rows), 'event')} in order",
        table(["after", "event", "what"], rows, says="Events in order of time"),
    )
