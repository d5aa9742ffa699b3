"""Result of a comparison, read from its folder: metrics, verdicts, and the recommended variant.

Validation and test images are never mixed: the former decide which variant is recommended, the latter give its final
metrics.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from headstart.amounts import count_text
from headstart.comparison.comparison import Comparison
from headstart.comparison.grid import GridPlan, Metric, Trial
from headstart.comparison.identical import Entry, entries_of, probe_seeds
from headstart.comparison.latencies import marked
from headstart.comparison.learning_rate_labels import LearningRateCurve, LearningRateLabel, label_learning_rates
from headstart.comparison.measured_variants import MeasuredVariant, keep_common_validation, measure, record_of
from headstart.comparison.outcomes import (
    Outcomes,
    Repeats,
    TrialPredictions,
    VariantMetrics,
    outcomes_of,
    summarize,
)
from headstart.comparison.recommendation import Recommendation, recommend
from headstart.comparison.record import (
    ComparedImages,
    ComparisonRecord,
    ParetoFronts,
    ProbeSelections,
    TrainingTime,
    TrialResult,
    VariantResult,
    VariantStatus,
)
from headstart.comparison.rounds import TrialSchedule
from headstart.comparison.trial_record import on_common_images, value_of
from headstart.comparison.verdicts import Pair, Role, compare_pairs
from headstart.errors import RunError
from headstart.measures.pareto import front
from headstart.prediction.inference_figures import InferenceFigures


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


def comparison_result(comparison: Comparison, known: TrialSchedule) -> ComparisonRecord:
    """Record of a comparison, from the trials that have ended so far."""
    plan = comparison.plan()
    measured = measure(comparison, plan, known)
    comparable = [one for one in measured.values() if one.records and not one.has_random_weights]
    repeats: Repeats = "seeds" if plan.folds is None else "folds"
    entries = _entries(comparable, repeats)
    standing = {entry.variant for entry in entries}
    different = [one for one in comparable if one.variant.name in standing]
    # Before any metric: means over different validation images cannot be compared.
    keep_common_validation(comparable)
    roles: tuple[Role, ...] = ("validation", "test")
    pairs = [pair for role in roles for pair in _pairs(different, role, plan)]
    variants = _variants(comparison, plan, known, measured, entries)
    trials = tuple(_trial(comparison, trial) for trial in known.trials)
    finished = not known.to_come and all(trial.state in ("done", "failed") for trial in trials)
    why_resume = _why_resume(trials, finished=finished)
    environment = comparison.environment()
    return ComparisonRecord(
        comparison=str(comparison.folder),
        what=plan.what,
        finished=finished,
        metric=plan.metric,
        seeds=plan.seeds,
        folds=plan.folds,
        halving=plan.halving,
        data=_data(plan, measured),
        trials=trials,
        trials_to_come=known.to_come + sum(trial.state == "to_come" for trial in trials),
        variants=variants,
        pairs=tuple(pairs),
        entries=tuple(entries),
        chosen=_chosen(different, entries, pairs, variants, plan),
        pareto=_pareto(variants, plan.metric),
        seconds=sum(trial.seconds or 0.0 for trial in trials),
        environment=environment,
        written=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        command=shlex.join(["headstart", *(environment.command if environment is not None else ())[1:]]),
        resume=comparison.resume_command if why_resume else None,
        why_resume=why_resume,
    )


def _variants(
    comparison: Comparison,
    plan: GridPlan,
    known: TrialSchedule,
    measured: Mapping[str, MeasuredVariant],
    entries: Sequence[Entry],
) -> tuple[VariantResult, ...]:
    """Results of all variants, in the order of the plan."""
    networks = [one.network for one in measured.values() if one.network is not None]
    inference = marked(comparison.inference(), {network.inference_key: network.macs for network in networks})
    comparable = [one for one in measured.values() if one.records and not one.has_random_weights]
    labels = _learning_rate_labels(plan, comparable)
    same = {name: entry.variant for entry in entries for name in entry.same_model}
    found = []
    for name, one in measured.items():
        result = _variant(one, plan, known, inference)
        found.append(replace(result, learning_rate_label=labels.get(name), same_model_as=same.get(name)))
    return tuple(found)


def _entries(comparable: Sequence[MeasuredVariant], repeats: Repeats) -> list[Entry]:
    records = {one.variant.name: one.records for one in comparable}
    return entries_of(records, {one.variant.name: one.cost.seconds or 0.0 for one in comparable}, repeats)


def _pairs(comparable: Sequence[MeasuredVariant], role: Role, plan: GridPlan) -> list[Pair]:
    outcomes = [_outcomes(one, role, plan) for one in comparable]
    return compare_pairs(outcomes, on=role) if len(outcomes) > 1 else []


def _outcomes(one: MeasuredVariant, role: Role, plan: GridPlan) -> Outcomes:
    """Values of a variant; all bundles classify test images in one way, validation images in the way of the split."""
    repeats: Repeats = "seeds" if plan.folds is None else "folds"
    method = one.method if role == "validation" else ""
    return outcomes_of(one.variant.name, one.predictions(role), plan.metric, method, repeats)


def _variant(
    one: MeasuredVariant, plan: GridPlan, known: TrialSchedule, inference: Mapping[str, InferenceFigures]
) -> VariantResult:
    """Result of one variant, without what follows from the others."""
    network, given = one.network, {**plan.base, **one.variant.changes}
    test, validation = _metrics(one, plan)
    seconds = tuple(end.seconds for end in one.ends)
    memory = [end.peak_memory_bytes for end in one.ends if end.peak_memory_bytes]
    return VariantResult(
        name=one.variant.name,
        changes=one.variant.changes,
        strategy=network.strategy if network else given.get("strategy"),
        model=network.model if network else given.get("model"),
        weights=network.weights if network else "pretrained",
        seeds_done=len(one.records),
        selected_probe=_selected_probe(one),
        validation_method=one.method or None,
        accuracy_status=_status(one, known),
        test=test,
        validation=validation,
        seconds=TrainingTime(sum(seconds) / len(seconds), seconds) if seconds else None,
        peak_memory_bytes=max(memory, default=None),
        parameters=network.parameters if network else None,
        flops=network.macs if network else None,
        inference=inference.get(network.inference_key) if network else None,
        learning_rate_label=None,
        dropped_at=known.dropped.get(one.variant.name),
        weights_missing=one.missing if one.has_random_weights else None,
        errors=tuple(one.errors),
    )


def _metrics(one: MeasuredVariant, plan: GridPlan) -> tuple[VariantMetrics | None, VariantMetrics | None]:
    """Metrics on (test, validation) images; None where they were not measured, or with random weights."""
    if one.has_random_weights:
        return None, None
    if one.records:
        test, validation = (summarize(one.predictions(role), plan.metric) for role in ("test", "validation"))
        return test, validation
    if one.partial_validation is not None:
        return None, summarize({plan.seeds[0]: one.partial_validation}, plan.metric)
    return None, None


def _selected_probe(one: MeasuredVariant) -> ProbeSelections | None:
    """Number of seeds in which fine-tuning did not beat the linear probe; None if nothing was fine-tuned."""
    tuned = sum(bool(record.tuned) for record in one.records.values())
    return ProbeSelections(probe_seeds(one.records), tuned) if tuned else None


def _status(one: MeasuredVariant, known: TrialSchedule) -> VariantStatus:
    if one.has_random_weights:
        return "needs download"
    if one.records:
        return "measured"
    if one.variant.name in known.dropped:
        return "dropped"
    return "failed" if one.errors else "to come"


def _trial(comparison: Comparison, trial: Trial) -> TrialResult:
    """Result of one trial, however far it is."""
    end, run = comparison.end_of(trial), comparison.run_of(trial)
    result = TrialResult(
        trial=trial.name,
        run=str(run.folder),
        variant=trial.variant.name,
        seed=trial.seed,
        rung=trial.share,
        fold=None if trial.fold is None else str(trial.fold),
        state="to_come" if end is None else end.state,
    )
    if end is None:
        return result
    result = replace(
        result,
        seconds=end.seconds,
        peak_memory_bytes=end.peak_memory_bytes,
        resumed=end.resumed,
        error=end.error,
        accuracy_status=end.accuracy if end.state == "done" else None,
    )
    try:
        metrics = run.metrics() if end.state == "done" else None
    except RunError:  # a damaged file of one trial does not lose the others; its variant has the message
        return result
    if metrics is None:
        return result
    result = replace(result, selected_checkpoint=metrics.selected.checkpoint)
    if end.accuracy != "measured":
        return result
    return replace(result, test_accuracy=metrics.test.accuracy, validation_accuracy=metrics.validation.accuracy)


def _why_resume(trials: Sequence[TrialResult], *, finished: bool) -> str | None:
    """Reason to resume, as the beginning of a sentence that ends in the command; None if all is done.

    Trials of early rounds are not run again: other variants went on in their place.
    """
    if not finished:
        return "not finished; resume with"
    last = [trial for trial in trials if trial.rung == 1.0]
    failed = sum(trial.state == "failed" for trial in last)
    lacking = sum(trial.accuracy_status == "needs download" for trial in last)
    reasons = [f"{count_text(failed, 'trial')} failed"] if failed else []
    if lacking:
        reasons.append(f"{count_text(lacking, 'trial')} {'lacks' if lacking == 1 else 'lack'} pretrained weights")
    return f"{' and '.join(reasons)}; try again with" if reasons else None


def _data(plan: GridPlan, measured: Mapping[str, MeasuredVariant]) -> ComparedImages:
    """Classes and number of images by role; None where no trial has them."""
    records = [record for one in measured.values() for record in one.records.values()]
    records += [one.partial for one in measured.values() if one.partial is not None]
    if not records:
        return ComparedImages(plan.data.source)
    # Variants may be validated in different ways: held-out images are shown if any variant has them.
    shown = next((one.data for one in records if one.data.counts("validation").images), records[0].data)
    out_of_fold = len(records[0].validation.images)
    tested = {image for record in records for image in record.test.images}
    return ComparedImages(
        source=plan.data.source,
        classes=shown.classes,
        train_images=shown.counts("train").images,
        validation_images=shown.counts("validation").images or out_of_fold,
        test_images=len(tested) if plan.folds is not None else shown.counts("test").images,
        validated_on=" or ".join(sorted({record.data.validation_source for record in records})),
        tested_on=shown.test_source if plan.folds is None else f"{plan.folds} folds, each image tested once a seed",
    )


def _chosen(
    different: Sequence[MeasuredVariant],
    entries: Sequence[Entry],
    pairs: Sequence[Pair],
    variants: Sequence[VariantResult],
    plan: GridPlan,
) -> Recommendation | None:
    if not different:
        return None
    outcomes = [_outcomes(one, "validation", plan) for one in different]
    choice = recommend(outcomes, pairs, {one.variant.name: one.cost for one in different}, entries)
    return replace(choice, test=next(one.test for one in variants if one.name == choice.variant))


def _pareto(variants: Sequence[VariantResult], metric: Metric) -> ParetoFronts:
    sign = -1.0 if metric == "log_loss" else 1.0

    def of(cost: Callable[[VariantResult], float | None]) -> tuple[str, ...]:
        points = {
            one.name: (c, sign * one.test.value)
            for one in variants
            if one.test is not None and one.same_model_as is None and (c := cost(one)) is not None
        }
        return tuple(front(points))

    return ParetoFronts(minutes=of(lambda one: one.mean_seconds), inference=of(_seconds_an_image))


def _seconds_an_image(one: VariantResult) -> float | None:
    """Seconds an image at full throughput; None if unknown or unstable."""
    return None if one.stable_throughput is None else 1 / one.stable_throughput


LEARNING_RATE_PATH = "phases[tune].head_lr"


def _learning_rate_labels(plan: GridPlan, comparable: Sequence[MeasuredVariant]) -> dict[str, LearningRateLabel]:
    """Name of a variant -> label of its learning rate; empty where something else is compared."""
    if plan.what != "learning_rates":
        return {}
    seeds = set.intersection(*(set(one.records) for one in comparable)) if comparable else set()
    curves = {one.variant.name: _curve(one, seeds) for one in comparable} if seeds else {}
    trained = {name: curve for name, curve in curves.items() if curve is not None}
    is_repeated = len({curve.learning_rate for curve in trained.values()}) < len(trained)
    if len(trained) < 2 or is_repeated:  # something else varies too
        return {}
    return dict(zip(trained, label_learning_rates(list(trained.values())), strict=True))


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
