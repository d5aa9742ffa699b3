"""Result of a comparison, read from its folder: metrics, verdicts, and the recommended variant.

Validation and test images are never mixed: the former decide which variant is recommended, the latter give its final
metrics.
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
from headstart.comparison.learning_rate_labels import LearningRateCurve, label_learning_rates
from headstart.comparison.measured_variants import (
    MeasuredVariant,
    keep_common_validation,
    measure,
    network_facts,
    record_of,
)
from headstart.comparison.outcomes import Outcomes, TrialPredictions, outcomes_of, summarize
from headstart.comparison.recommendation import recommend
from headstart.comparison.rounds import TrialSchedule
from headstart.comparison.trial_record import on_common_images, value_of
from headstart.comparison.verdicts import Pair, Role, compare_pairs
from headstart.measures.pareto import front

COMPARISON_SCHEMA = 2


def validation_values(comparison: Comparison, trials: Sequence[Trial], metric: Metric) -> dict[str, float | None]:
    """Variant -> validation metric in a round, on the images that all its variants share.

    Args:
        comparison: Whose folder is read.
        trials: Of the round, one for each variant.
        metric: By which variants are compared. Larger values are better; None if failed or run with random weights.
    """
    found: dict[str, TrialPredictions] = {}
    for trial in trials:
        end = comparison.end_of(trial)
        if end is not None and end.state == "done" and end.accuracy == "measured":
            found[trial.variant.name] = record_of(comparison.run_of(trial)).validation
    values = [value_of(predictions, metric) for predictions in on_common_images(list(found.values()))]
    return {**dict.fromkeys(trial.variant.name for trial in trials), **dict(zip(found, values, strict=True))}


def comparison_result(comparison: Comparison, known: TrialSchedule) -> dict[str, Any]:
    """Content of comparison.json as plain values, from the trials that have ended so far."""
    plan = comparison.plan()
    measured = measure(comparison, plan, known)
    comparable = [one for one in measured.values() if one.records and not one.has_random_weights]
    entries = _entries(comparable)
    standing = {entry.variant for entry in entries}
    different = [one for one in comparable if one.variant.name in standing]
    keep_common_validation(comparable)
    pairs = [pair for role in ("validation", "test") for pair in _pairs(different, role, plan.metric)]
    labels = _learning_rate_labels(plan, comparable)
    inference = _inference(comparison, measured)
    variants = [_variant(one, plan, known, inference, labels) for one in measured.values()]
    for row in variants:
        row["same_model_as"] = next((e.variant for e in entries if row["name"] in e.variants[1:]), None)
    trials = [_trial(comparison, trial) for trial in known.trials]
    finished = not known.to_come and all(row["state"] in ("done", "failed") for row in trials)
    why_resume = _why_resume(trials, finished=finished)
    return {
        "kind": "comparison",
        "schema_version": COMPARISON_SCHEMA,
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


def _inference(comparison: Comparison, measured: Mapping[str, MeasuredVariant]) -> dict[str, Any]:
    """Key of throughput and latency -> their figures; implausible ones are marked."""
    facts = [network_facts(one.runs[-1]) for one in measured.values() if one.runs]
    return marked(comparison.inference(), {one["inference_key"]: one["flops"] for one in facts})


def _entries(comparable: Sequence[MeasuredVariant]) -> list[Entry]:
    records = {one.variant.name: one.records for one in comparable}
    return entries_of(records, {one.variant.name: one.cost.seconds or 0.0 for one in comparable})


def _pairs(comparable: Sequence[MeasuredVariant], role: Role, metric: Metric) -> list[Pair]:
    outcomes = [_outcomes(one, role, metric) for one in comparable]
    return compare_pairs(outcomes, on=role) if len(outcomes) > 1 else []


def _outcomes(one: MeasuredVariant, role: Role, metric: Metric) -> Outcomes:
    """Values of a variant; all bundles classify test images in one way, validation images in the way of the split."""
    return outcomes_of(one.variant.name, one.predictions(role), metric, one.method if role == "validation" else "")


def _variant(
    one: MeasuredVariant, plan: GridPlan, known: TrialSchedule, inference: Mapping[str, Any], labels: Mapping[str, Any]
) -> dict[str, Any]:
    """Row of `variants`."""
    name, test, validation = one.variant.name, None, None
    if one.records and not one.has_random_weights:
        test = summarize(one.predictions("test"), plan.metric).to_dict()
        validation = summarize(one.predictions("validation"), plan.metric).to_dict()
    elif one.partial_validation is not None and not one.has_random_weights:
        validation = summarize({plan.seeds[0]: one.partial_validation}, plan.metric).to_dict()
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
        "validation_method": one.method or None,
        "accuracy_status": _status(one, known),
        "test": test,
        "validation": validation,
        "seconds": {"mean": sum(seconds) / len(seconds), "by_seed": seconds} if seconds else None,
        "peak_memory_bytes": max(memory, default=None),
        "parameters": facts.get("parameters"),
        "flops": facts.get("flops"),
        "inference": speed,
        "learning_rate_label": labels.get(name),
        "dropped_at": known.dropped.get(name),
        "weights_missing": one.missing if one.has_random_weights else None,
        "errors": one.errors,
    }


def _selected_probe(one: MeasuredVariant) -> dict[str, int] | None:
    """Number of seeds in which fine-tuning did not beat the linear probe; None if nothing was fine-tuned."""
    tuned = sum(bool(record.tuned) for record in one.records.values())
    return {"seeds": probe_seeds(one.records), "of": tuned} if tuned else None


def _status(one: MeasuredVariant, known: TrialSchedule) -> str:
    if one.has_random_weights:
        return "needs download"
    if one.records:
        return "measured"
    if one.variant.name in known.dropped:
        return "dropped"
    return "failed" if one.errors else "to come"


def _trial(comparison: Comparison, trial: Trial) -> dict[str, Any]:
    """Row of `trials`."""
    end, run = comparison.end_of(trial), comparison.run_of(trial)
    row: dict[str, Any] = {
        "trial": trial.name,
        "run": str(run.folder),
        "variant": trial.variant.name,
        "seed": trial.seed,
        "rung": trial.share,
        "state": "to_come" if end is None else end.state,
        "accuracy_status": end.accuracy if end is not None and end.state == "done" else None,
        "test_accuracy": None,
        "validation_accuracy": None,
        "seconds": None if end is None else end.seconds,
        "peak_memory_bytes": None if end is None else end.peak_memory_bytes,
        "resumed": 0 if end is None else end.resumed,
        "error": None if end is None else end.error,
    }
    metrics = run.metrics() if end is not None and end.state == "done" else None
    if end is not None and metrics is not None:
        row["selected_checkpoint"] = metrics["selected"]["checkpoint"]
        if end.accuracy == "measured":
            row["test_accuracy"] = metrics["test"]["accuracy"]
            row["validation_accuracy"] = metrics["validation"]["accuracy"]
    return row


def _why_resume(trials: Sequence[Mapping[str, Any]], *, finished: bool) -> str | None:
    """Reason to resume, as the beginning of a sentence that ends in the command; None if all is done.

    Trials of early rounds are not run again: other variants went on in their place.
    """
    if not finished:
        return "not finished; resume with"
    last = [row for row in trials if row["rung"] == 1.0]
    failed = sum(row["state"] == "failed" for row in last)
    lacking = sum(row["accuracy_status"] == "needs download" for row in last)
    reasons = [f"{failed} trial{'s' * (failed > 1)} failed"] if failed else []
    reasons += (
        ["1 trial lacks pretrained weights" if lacking == 1 else f"{lacking} trials lack pretrained weights"]
        if lacking
        else []
    )
    return f"{' and '.join(reasons)}; try again with" if reasons else None


def _data(plan: GridPlan, measured: Mapping[str, MeasuredVariant]) -> dict[str, Any]:
    """Classes and number of images by role; None where no trial has them."""
    records = [record for one in measured.values() for record in one.records.values()]
    records += [one.partial for one in measured.values() if one.partial is not None]
    if not records:
        figures = ("train_images", "validation_images", "test_images", "validated_on", "tested_on")
        return {"source": plan.data.source, "classes": [], **dict.fromkeys(figures)}
    tuned = next((record for record in records if record.data["roles"]["validation"]["images"]), records[0])
    roles = tuned.data["roles"]
    return {
        "source": plan.data.source,
        "classes": tuned.data["classes"],
        "train_images": roles["train"]["images"],
        "validation_images": roles["validation"]["images"] or len(tuned.validation.images),
        "test_images": roles["test"]["images"],
        "validated_on": " or ".join(sorted({record.data["validation_source"] for record in records})),
        "tested_on": tuned.data["test_source"],
    }


def _chosen(
    different: Sequence[MeasuredVariant],
    entries: Sequence[Entry],
    pairs: Sequence[Pair],
    variants: Sequence[Mapping[str, Any]],
    metric: Metric,
) -> dict[str, Any] | None:
    if not different:
        return None
    outcomes = [_outcomes(one, "validation", metric) for one in different]
    choice = recommend(outcomes, pairs, {one.variant.name: one.cost for one in different}, entries)
    test = next(row["test"] for row in variants if row["name"] == choice.variant)
    return {**choice.to_dict(), "test": test}


def _pareto(variants: Sequence[Mapping[str, Any]], metric: Metric) -> dict[str, list[str]]:
    """Pareto fronts: accuracy and training time, accuracy and throughput."""
    sign = -1.0 if metric == "log_loss" else 1.0
    measured = [row for row in variants if row["test"] is not None and row["same_model_as"] is None]

    def of(cost: Callable[[Mapping[str, Any]], float | None]) -> list[str]:
        points = {row["name"]: (c, sign * row["test"]["value"]) for row in measured if (c := cost(row)) is not None}
        return front(points)

    return {
        "minutes": of(lambda row: row["seconds"]["mean"] if row["seconds"] else None),
        "inference": of(_seconds_an_image),
    }


def _seconds_an_image(row: Mapping[str, Any]) -> float | None:
    """Seconds an image at full throughput; None if unknown or unstable."""
    speed = row["inference"]
    return 1 / speed["images_per_second"] if speed and speed.get("stability") != "unstable" else None


LEARNING_RATE_PATH = "phases[tune].head_lr"


def _learning_rate_labels(plan: GridPlan, comparable: Sequence[MeasuredVariant]) -> dict[str, Any]:
    """Name of a variant -> label of its learning rate; empty where something else is compared."""
    if plan.what != "learning_rates":
        return {}
    seeds = set.intersection(*(set(one.records) for one in comparable)) if comparable else set()
    curves = {one.variant.name: _curve(one, seeds) for one in comparable} if seeds else {}
    trained = {name: curve for name, curve in curves.items() if curve is not None}
    if len(trained) < 2 or len({curve.learning_rate for curve in trained.values()}) < len(
        trained
    ):  # something else varies too
        return {}
    labels = label_learning_rates(list(trained.values()))
    return {name: label.to_dict() for name, label in zip(trained, labels, strict=True)}


def _curve(one: MeasuredVariant, seeds: set[int]) -> LearningRateCurve | None:
    """Curve of one learning rate, over the seeds that all variants share; None if nothing was trained."""
    name = one.variant.name
    records = {seed: record for seed, record in one.records.items() if seed in seeds}
    rate = one.variant.changes.get(LEARNING_RATE_PATH)
    diverged = any(record.diverged for record in records.values())
    evaluated = min(len(record.tuned) for record in records.values())
    if not isinstance(rate, float) or not (evaluated or diverged):
        return None
    epochs = [
        outcomes_of(name, {seed: record.tuned[epoch] for seed, record in records.items()}, "accuracy")
        for epoch in range(evaluated)
    ]
    losses = zip(*(record.train_losses for record in records.values()), strict=False)
    starts = {seed: record.start for seed, record in records.items() if record.start is not None}
    start = outcomes_of(name, starts, "accuracy") if len(starts) == len(records) else None
    return LearningRateCurve(
        rate,
        [sum(values) / len(values) for values in losses],
        epochs,
        start,
        initialised_from="random head" if start is None else "start",
        outcome="diverged" if diverged else "finished",
    )
