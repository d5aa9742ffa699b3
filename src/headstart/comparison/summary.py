"""The answer of a comparison, read from its folder: what was measured, what is better, what is tied, what to take.

Images that choose and images that report are never mixed: a variant is chosen on the first and reported on the second.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headstart.comparison.comparison import Comparison
from headstart.comparison.grid import GridPlan, Metric, Trial
from headstart.comparison.identical import Entry, entries_of, probe_seeds
from headstart.comparison.latencies import marked
from headstart.comparison.learning_rate_labels import RateCurve, label_rates
from headstart.comparison.measured_variants import (
    Measured,
    keep_common_validation,
    measure,
    network_facts,
    record_of,
)
from headstart.comparison.outcomes import Answers, Outcomes, outcomes_of, summarize
from headstart.comparison.recommendation import choose
from headstart.comparison.rounds import Schedule
from headstart.comparison.trial_record import shared, value_of
from headstart.comparison.verdicts import Pair, compare
from headstart.measures.pareto import front

SCHEMA_VERSION = 1


def select_values(comparison: Comparison, trials: Sequence[Trial], metric: Metric) -> dict[str, float | None]:
    """Variant -> how good it was in a round on the images that choose which all others answered too.

    Args:
        comparison: Whose folder is read.
        trials: Of the round, one for each variant.
        metric: Larger is better, whatever it is; None for what failed, or has random weights in place of its own.
    """
    found: dict[str, Answers] = {}
    for trial in trials:
        end = comparison.end_of(trial)
        if end is not None and end.state == "done" and end.accuracy == "measured":
            found[trial.variant.name] = record_of(comparison.run_of(trial)).select
    values = [value_of(answers, metric) for answers in shared(list(found.values()))]
    return {**dict.fromkeys(trial.variant.name for trial in trials), **dict(zip(found, values, strict=True))}


def answer_of(comparison: Comparison, known: Schedule) -> dict[str, Any]:
    """comparison.json as plain values, of what has ended so far."""
    plan = comparison.plan()
    measured = measure(comparison, plan, known)
    comparable = [one for one in measured.values() if one.records and not one.stands_in]
    entries = _entries(comparable)
    standing = {entry.variant for entry in entries}
    different = [one for one in comparable if one.variant.name in standing]
    keep_common_validation(comparable)
    pairs = [pair for role in ("select", "report") for pair in _pairs(different, role, plan.metric)]
    rates = _rate_labels(plan, comparable)
    inference = _inference(comparison, measured)
    variants = [_variant(one, plan, known, inference, rates) for one in measured.values()]
    for row in variants:
        row["same_model_as"] = next((e.variant for e in entries if row["name"] in e.variants[1:]), None)
    trials = [_trial(comparison, trial) for trial in known.trials]
    finished = not known.to_come and all(row["state"] in ("done", "failed") for row in trials)
    why_resume = _why_resume(trials, finished=finished)
    return {
        "kind": "comparison",
        "schema_version": SCHEMA_VERSION,
        "comparison": str(comparison.folder),
        "what": plan.what,
        "finished": finished,
        "metric": plan.metric,
        "seeds": list(plan.seeds),
        "halving": plan.halving,
        "data": _data(plan, measured),
        "trials": trials,
        "trials_to_come": known.to_come + sum(row["state"] == "to_come" for row in trials),
        "variants": variants,
        "pairs": [pair.to_dict() for pair in pairs],
        "entries": [entry.to_dict() for entry in entries],
        "chosen": _chosen(different, entries, pairs, variants, plan.metric),
        "pareto": _pareto(variants, plan.metric),
        "seconds": sum(row["seconds"] or 0.0 for row in trials),
        "environment": comparison.environment(),
        "written": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": shlex.join(["headstart", *comparison.environment().get("command", [])[1:]]),
        "resume": comparison.resume_command if why_resume else None,
        "why_resume": why_resume,
    }


def _inference(comparison: Comparison, measured: Mapping[str, Measured]) -> dict[str, Any]:
    """What prediction depends on -> its speed; what cannot be right is marked."""
    facts = [network_facts(one.runs[-1]) for one in measured.values() if one.runs]
    return marked(comparison.inference(), {one["inference_key"]: one["flops"] for one in facts})


def _entries(comparable: Sequence[Measured]) -> list[Entry]:
    records = {one.variant.name: one.records for one in comparable}
    return entries_of(records, {one.variant.name: one.cost.seconds or 0.0 for one in comparable})


def _pairs(comparable: Sequence[Measured], role: Any, metric: Metric) -> list[Pair]:  # noqa: ANN401 - a literal
    outcomes = [_outcomes(one, role, metric) for one in comparable]
    return compare(outcomes, on=role) if len(outcomes) > 1 else []


def _outcomes(one: Measured, role: str, metric: Metric) -> Outcomes:
    """Test images are classified by every bundle alike, validation images by the way the roles allow."""
    return outcomes_of(one.variant.name, one.answers(role), metric, one.method if role == "select" else "")


def _variant(
    one: Measured, plan: GridPlan, known: Schedule, inference: Mapping[str, Any], rates: Mapping[str, Any]
) -> dict[str, Any]:
    """A row of `variants`."""
    name, report, select = one.variant.name, None, None
    if one.records and not one.stands_in:
        report = summarize(one.answers("report"), plan.metric).to_dict()
        select = summarize(one.answers("select"), plan.metric).to_dict()
    elif one.partial_select is not None and not one.stands_in:
        select = summarize({plan.seeds[0]: one.partial_select}, plan.metric).to_dict()
    seconds = [end.seconds for end in one.ends]
    memory = [end.peak_memory_bytes for end in one.ends if end.peak_memory_bytes]
    facts = network_facts(one.runs[-1]) if one.runs else {}
    key = facts.pop("inference_key", None)
    speed = inference.get(key) if key else None
    return {
        "name": name,
        "changes": one.variant.changes,
        "strategy": facts.get("strategy", one.variant.changes.get("strategy", plan.base.get("strategy"))),
        "model": facts.get("model", one.variant.changes.get("model", plan.base.get("model"))),
        "weights": facts.get("weights", "pretrained"),
        "seeds_done": len(one.records),
        "selected_probe": _selected_probe(one),
        "validated": one.method or None,
        "accuracy_status": _status(one, known),
        "report": report,
        "select": select,
        "seconds": {"mean": sum(seconds) / len(seconds), "by_seed": seconds} if seconds else None,
        "peak_memory_bytes": max(memory, default=None),
        "parameters": facts.get("parameters"),
        "flops": facts.get("flops"),
        "inference": speed,
        "rate": rates.get(name),
        "dropped_at": known.dropped.get(name),
        "weights_missing": one.missing if one.stands_in else None,
        "errors": one.errors,
    }


def _selected_probe(one: Measured) -> dict[str, int] | None:
    """In how many seeds tuning did not beat the solved probe; None where nothing was tuned."""
    tuned = sum(bool(record.tuned) for record in one.records.values())
    return {"seeds": probe_seeds(one.records), "of": tuned} if tuned else None


def _status(one: Measured, known: Schedule) -> str:
    if one.stands_in:
        return "needs download"
    if one.records:
        return "measured"
    if one.variant.name in known.dropped:
        return "dropped"
    return "failed" if one.errors else "to come"


def _trial(comparison: Comparison, trial: Trial) -> dict[str, Any]:
    """A row of `trials`."""
    end, run = comparison.end_of(trial), comparison.run_of(trial)
    row: dict[str, Any] = {
        "trial": trial.name,
        "run": str(run.folder),
        "variant": trial.variant.name,
        "seed": trial.seed,
        "rung": trial.share,
        "state": "to_come" if end is None else end.state,
        "accuracy_status": end.accuracy if end is not None and end.state == "done" else None,
        "accuracy": None,
        "select_accuracy": None,
        "seconds": None if end is None else end.seconds,
        "peak_memory_bytes": None if end is None else end.peak_memory_bytes,
        "resumed": 0 if end is None else end.resumed,
        "error": None if end is None else end.error,
    }
    metrics = run.metrics() if end is not None and end.state == "done" else None
    if end is not None and metrics is not None:
        row["kept"] = metrics["kept"]["weights"]
        if end.accuracy == "measured":
            row["accuracy"] = metrics["val"]["accuracy"]
            row["select_accuracy"] = metrics["kept"]["select_accuracy"]
    return row


def _why_resume(trials: Sequence[Mapping[str, Any]], *, finished: bool) -> str | None:
    """What a resume would still do, as the beginning of a sentence that ends in its command; None if nothing.

    Trials of early rounds are not run again: others went on in their place.
    """
    if not finished:
        return "not finished; go on with"
    last = [row for row in trials if row["rung"] == 1.0]
    failed = sum(row["state"] == "failed" for row in last)
    lacking = sum(row["accuracy_status"] == "needs download" for row in last)
    said = [f"{failed} trial{'s' * (failed > 1)} failed"] if failed else []
    said += ["1 trial lacks its weights" if lacking == 1 else f"{lacking} trials lack their weights"] if lacking else []
    return f"{' and '.join(said)}; once more with" if said else None


def _data(plan: GridPlan, measured: Mapping[str, Measured]) -> dict[str, Any]:
    """What is known of the images; None where no trial could tell."""
    records = [record for one in measured.values() for record in one.records.values()]
    records += [one.partial for one in measured.values() if one.partial is not None]
    if not records:
        figures = ("fit_images", "select_images", "report_images", "selected_on", "reported_on")
        return {"source": plan.data.source, "classes": [], **dict.fromkeys(figures)}
    tuned = next((record for record in records if record.data["roles"]["select"]["images"]), records[0])
    roles = tuned.data["roles"]
    return {
        "source": plan.data.source,
        "classes": tuned.data["classes"],
        "fit_images": roles["fit"]["images"],
        "select_images": roles["select"]["images"] or len(tuned.select.images),
        "report_images": roles["report"]["images"],
        "selected_on": " or ".join(sorted({record.data["selected_on"] for record in records})),
        "reported_on": tuned.data["reported_on"],
    }


def _chosen(
    different: Sequence[Measured],
    entries: Sequence[Entry],
    pairs: Sequence[Pair],
    variants: Sequence[Mapping[str, Any]],
    metric: Metric,
) -> dict[str, Any] | None:
    if not different:
        return None
    outcomes = [_outcomes(one, "select", metric) for one in different]
    choice = choose(outcomes, pairs, {one.variant.name: one.cost for one in different}, entries)
    report = next(row["report"] for row in variants if row["name"] == choice.variant)
    return {**choice.to_dict(), "report": report}


def _pareto(variants: Sequence[Mapping[str, Any]], metric: Metric) -> dict[str, list[str]]:
    """Variants that no other beats in both accuracy and minutes, and in both accuracy and speed of prediction."""
    sign = -1.0 if metric == "log_loss" else 1.0
    judged = [row for row in variants if row["report"] is not None and row["same_model_as"] is None]

    def of(cost: Callable[[Mapping[str, Any]], float | None]) -> list[str]:
        points = {row["name"]: (c, sign * row["report"]["value"]) for row in judged if (c := cost(row)) is not None}
        return front(points)

    return {
        "minutes": of(lambda row: row["seconds"]["mean"] if row["seconds"] else None),
        "inference": of(_seconds_an_image),
    }


def _seconds_an_image(row: Mapping[str, Any]) -> float | None:
    """Of many images; None where it is not known, or not stable."""
    speed = row["inference"]
    return 1 / speed["images_per_second"] if speed and speed.get("stability") != "unstable" else None


RATE_PATH = "phases[tune].head_lr"


def _rate_labels(plan: GridPlan, comparable: Sequence[Measured]) -> dict[str, Any]:
    """Name of a variant -> the label of its rate, where rates are compared."""
    if plan.what != "rates":
        return {}
    seeds = set.intersection(*(set(one.records) for one in comparable)) if comparable else set()
    curves = {one.variant.name: _curve(one, seeds) for one in comparable} if seeds else {}
    drawn = {name: curve for name, curve in curves.items() if curve is not None}
    if len(drawn) < 2 or len({curve.rate for curve in drawn.values()}) < len(drawn):  # something else varies too
        return {}
    labels = label_rates(list(drawn.values()))
    return {name: label.to_dict() for name, label in zip(drawn, labels, strict=True)}


def _curve(one: Measured, seeds: set[int]) -> RateCurve | None:
    """How training went at one rate, over the seeds that all rates have; None if nothing was trained at all."""
    name = one.variant.name
    records = {seed: record for seed, record in one.records.items() if seed in seeds}
    rate = one.variant.changes.get(RATE_PATH)
    diverged = any(record.diverged for record in records.values())
    judged = min(len(record.tuned) for record in records.values())
    if not isinstance(rate, float) or not (judged or diverged):
        return None
    epochs = [
        outcomes_of(name, {seed: record.tuned[epoch] for seed, record in records.items()}, "accuracy")
        for epoch in range(judged)
    ]
    losses = zip(*(record.train_losses for record in records.values()), strict=False)
    starts = {seed: record.start for seed, record in records.items() if record.start is not None}
    start = outcomes_of(name, starts, "accuracy") if len(starts) == len(records) else None
    return RateCurve(
        rate,
        [sum(values) / len(values) for values in losses],
        epochs,
        start,
        began="random head" if start is None else "start",
        ending="diverged" if diverged else "finished",
    )
