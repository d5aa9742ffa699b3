"""How learning went: curves, what was checked, and what happened on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headstart.amounts import count_text
from headstart.html import wording
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.html.page import Section, fold, key, notice, paragraph, table
from headstart.reports.run.curves import curves_of_run
from headstart.reports.run.timeline import columns_of, rows_of
from headstart.runs.record import Epoch, RunFacts, Values

_TOLD_ELSEWHERE = frozenset({"epoch_done", "estimates", "finding"})
_MOST_VALUES = 6


def curves_section(run: RunFacts) -> Section:
    """Learning curves with the table of epochs behind them."""
    trained = any(epoch.number for epoch in run.epochs)
    solved = run.epochs[0] if run.epochs[0].number == 0 else None
    parts = [paragraph(_intro(run, solved))]
    if trained:
        parts += [key([("one", "images that choose"), ("two", "training")]), curves_of_run(run)]
    parts.append(fold("All epochs as a table", _epoch_table(run)))
    return Section("curves", "How learning went", joined(parts))


def _intro(run: RunFacts, solved: Epoch | None) -> str:
    images = f"{count_text(run.choosing_images, 'image')} ({run.data['selected_on']})"
    if not any(epoch.number for epoch in run.epochs):
        assert solved is not None
        return (
            f"There are no epochs: the head was solved at once. On the images that choose, {images}, it names "
            f"{wording.percent(solved.select_accuracy)} rightly."
        )
    start = (
        f"Epoch 0 (the diamond) is the solved head ({solved.phase}) on the pretrained features: what tuning must beat. "
        if solved
        else ""
    )
    return (
        f"{start}Every candidate was judged on {images}. Training loss is measured on altered views while weights "
        "change, with any label smoothing, so compare its direction rather than its height."
    )


def _epoch_table(run: RunFacts) -> Html:
    rows, picked = [], []
    for index, epoch in enumerate(run.epochs):
        if epoch is run.kept:
            picked.append(index)
        rates = list(epoch.rates.values())
        rows.append(
            [
                epoch.phase,
                str(epoch.number) if epoch.number else "solved",
                wording.number(epoch.train_loss),
                wording.number(epoch.select_loss),
                wording.percent(epoch.select_accuracy),
                wording.rate(rates[-1]) if rates else "\u2013",
                wording.duration(epoch.seconds),
                "kept" if epoch is run.kept else "",
            ]
        )
    header = ["phase", "epoch", "training loss", "loss, choosing", "accuracy, choosing", "head's last rate", "time", ""]
    return table(header, rows, says="Epochs", numeric=range(1, 7), picked=picked)


def checks_section(run: RunFacts) -> Section:
    """The frozen check, alarms, and events in order."""
    parts = [_frozen_check(run), _alarms(run), _event_log(run)]
    return Section("events", "Checks and events", joined(parts))


def _frozen_check(run: RunFacts) -> Html:
    epochs = sum(epoch.number > 0 for epoch in run.epochs)
    if not epochs:
        return paragraph("No layer was trained, so the whole backbone is as it was.")
    frozen = _resting(run)
    still = all(phase.get("batch_norm") == "pretrained_statistics" for phase in run.phases if phase["kind"] == "train")
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
    alarms = (run.metrics or {}).get("alarms") or [event for event in run.events if event.get("event") == "alarm"]
    if not alarms:
        return paragraph(tag("span", "no alarm", class_="chip good"), " Every group that should learn moved.")
    return notice("Alarms", tag("ul", *(tag("li", f"{alarm['text']}.") for alarm in alarms)))


def _event_log(run: RunFacts) -> Html:
    began = run.events[0]["time"] if run.events else 0.0
    rows = [
        [wording.duration(max(0.0, event["time"] - began)), event["event"].replace("_", " "), _told(event)]
        for event in run.events
        if event.get("event") not in _TOLD_ELSEWHERE
    ]
    return fold(
        f"{count_text(len(rows), 'event')} in order",
        table(["after", "event", "what"], rows, says="Events in order of time"),
    )


def _told(event: Values) -> str:
    """What happened, as a sentence where one is known, else its values."""
    tell = _SENTENCES.get(event["event"])
    try:
        if tell is not None:
            return tell(event)
    except KeyError:  # written by another version: its values say it
        pass
    values = [f"{name}: {value}" for name, value in event.items() if name not in ("time", "event")]
    return ", ".join(values[:_MOST_VALUES])


_SENTENCES: Mapping[str, Callable[[Values], str]] = {
    "phase_started": lambda e: f"{e['name']}: {'training' if e['kind'] == 'train' else 'the head is solved'}",
    "phase_done": lambda e: f"{e['name']}: {e['ended']}",
    "computed_by": lambda e: (
        f"what rests is run by {e['engine']}" if e["engine"] else "nothing rests, so nothing is kept"
    ),
    "chosen": lambda e: f"{e['weights']}: {e['why']}",
    "cost": lambda e: f"{e['phase']}: frozen prefix: {e.get('activations') or e['way']}: {e['why']}",  # way: old runs
    "stored": lambda e: f"{count_text(e['views'], 'view')} of each image before {e['border']} ({e['engine']})",
    "not_stored": lambda e: f"everything is run in every epoch: {e['why']}",
    "engine": lambda e: str(e["why"]),
    "alarm": lambda e: str(e["text"]),
    "weights": lambda e: f"{e['loaded']} tensors of {e['source']}; its head: {e['head']}, a new one is made",
    "strength_sample": lambda e: f"the head's strength was chosen on {e['images']:,} of {e['of']:,} images",
    "head": lambda e: f"{e['kept']}: {e['why']}",
    "diverged": lambda e: f"the loss stopped being a number in epoch {e['epoch']} of {e['phase']}",
    "resumed": lambda e: f"going on at phase {e['phase']}, after epoch {e['epoch']}",
    "stopped": lambda e: f"by the {e['reason']}; everything was saved",
    "advice": lambda e: str(e["warning"]),
    "no_effect": lambda e: f"{e['option']} has no effect: {e['strategy']} solves its head",
    "no_jitter": lambda e: f"channel_jitter has no effect in {e['phase']}: nothing is stored there",
}
"""How events are told; one that is not here shows its values."""
