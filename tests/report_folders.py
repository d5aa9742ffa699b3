"""Folders of runs and comparisons made by hand, as `train` and `compare` write them: pages are tested fast."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from headstart.comparison.identical import Entry
from headstart.comparison.learning_rate_labels import LearningRateLabel
from headstart.comparison.outcomes import VariantMetrics
from headstart.comparison.recommendation import Recommendation
from headstart.comparison.record import (
    ComparedImages,
    ComparisonRecord,
    ParetoFronts,
    TrainingTime,
    TrialResult,
    VariantResult,
)
from headstart.comparison.verdicts import Pair
from headstart.machine import environment
from headstart.measures.intervals import wilson_interval
from headstart.measures.metrics import evaluation_figures
from headstart.prediction.inference_figures import InferenceFigures
from headstart.reports.comparison.facts import ComparisonFacts
from headstart.runs.run_metrics import (
    FinalFigures,
    MeasuredEstimate,
    MeasuredPhase,
    RunMetrics,
    SelectedCheckpoint,
    ValidationFigures,
)
from headstart.runs.training_events import EpochDone, PhaseDone

GROUPS = ("stem", "stage1", "stage2", "stage3", "stage4", "stage5", "stage6", "stage7", "head")


def make_run(
    folder: Path,
    *,
    classes: Sequence[str] = ("ants", "bees"),
    epochs: int = 3,
    report_images: int = 40,
    ends: str = "finished",
    kept: str = "tune/2",
    seed: int = 0,
    source: str = "photos",
) -> Path:
    """A run of probe_then_tune; `ends` is finished, budget, signal or killed."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    rates = dict.fromkeys(GROUPS[5:-1], 3e-4) | {"head": 3e-3}
    rows = _epochs(rng, epochs, rates)
    phases = [
        {"name": "probe", "kind": "linear_probe", "trained": ["head"], "lr": {}, "epochs_run": 0}
        | {
            "batch_norm": "pretrained_statistics",
            "schedule": None,
            "seconds": 2.5,
            "ended": "fitted with an L2 penalty of 1",
            "validation_accuracy": 0.8,
        },
        {"name": "tune", "kind": "train", "trained": list(rates), "lr": rates, "epochs_run": epochs}
        | {"batch_norm": "pretrained_statistics", "schedule": "one_cycle", "seconds": 9.0, "ended": "all epochs done"}
        | {"validation_accuracy": 0.8},
    ]
    data = _data(classes, report_images, source)
    (folder / "plan.resolved.yaml").write_text(
        yaml.safe_dump(_plan(source, epochs, rates, seed), sort_keys=False), encoding="utf-8"
    )
    _write(
        folder / "environment.json",
        replace(environment(), command=("/bin/headstart", "train", source), threads=2).to_dict(),
    )
    _write(folder / "data.json", data)
    events: list[dict[str, Any]] = [{"event": "phase_started", "index": 0, "name": "probe", "kind": "linear_probe"}]
    events += [{"event": "epoch_done", **rows[0]}, {"event": "phase_done", **phases[0]}]
    events += [{"event": "phase_started", "index": 1, "name": "tune", "kind": "train"}]
    events += [{"event": "epoch_done", **row} for row in rows[1:]]
    if ends == "finished":
        events += [
            {"event": "phase_done", **phases[1]},
            {"event": "checkpoint_selected", "checkpoint": kept, "reason": "it is best"},
        ]
    elif ends != "killed":
        events.append({"event": "stopped", "reason": ends})
    lines = [json.dumps({"time": 1000.0 + index, **event}) for index, event in enumerate(events)]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if ends in ("finished", "budget"):
        _finish(folder, rng, data, rows, phases, kept=kept, stopped=None if ends == "finished" else "budget")
    return folder


def _epochs(rng: np.random.Generator, epochs: int, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    rows = [
        {"phase": "probe", "epoch": 0, "train_loss": None, "validation_loss": 0.5, "validation_accuracy": 0.8, "lr": {}}
    ]
    for number in range(1, epochs + 1):
        row = {"phase": "tune", "epoch": number, "train_loss": 0.9 / number, "lr": dict(rates)}
        row |= {"validation_loss": 0.6 / number + 0.1, "validation_accuracy": min(0.975, 0.75 + 0.05 * number)}
        row["validation_accuracy"] -= float(rng.integers(0, 3)) * 0.025
        rows.append(row)
    return [{**row, "improved": True, "seconds": 1.5} for row in rows]


def _plan(source: str, epochs: int, rates: Mapping[str, float], seed: int) -> dict[str, Any]:
    tune = {"kind": "train", "name": "tune", "epochs": epochs, "unfreeze": 3, "head_lr": 3e-3}
    tune |= {"batch_norm": "pretrained_statistics", "schedule": {"name": "one_cycle"}, "lr_by_group": dict(rates)}
    return {
        "schema_version": 2,
        "strategy": "probe_then_tune",
        "data": {"source": source, "val": None},
        "model": {"name": "tf_efficientnet_lite0:in1k", "weights": "pretrained", "grain": "stage"},
        "input": {"size": 64},
        "phases": [{"kind": "linear_probe", "name": "probe", "l2_penalty": "auto"}, tune],
        "optimizer": {"name": "adamw", "weight_decay": 0.01},
        "batch_size": 32,
        "seed": seed,
        "reasons": {
            "batch_size": "it fits any machine",
            "phases[1].schedule": "few steps & a <fall>",
            "gone.by": "old",
        },
    }


def _data(classes: Sequence[str], report_images: int, source: str) -> dict[str, Any]:
    images = {
        "train": [f"train/{name}/{i:03d}.png" for name in classes for i in range(16)],
        "validation": [f"train/{name}/{i:03d}.png" for name in classes for i in range(16, 36)],
        "test": [f"val/{name}/{i:03d}.png" for name in classes for i in range(report_images // len(classes))],
    }
    counts = {role: len(names) // len(classes) for role, names in images.items()}
    return {
        "source": source,
        "content": "c0ffee",
        "classes": list(classes),
        "roles": {
            role: {"images": len(names), "classes": dict.fromkeys(classes, counts[role])}
            for role, names in images.items()
        },
        "images": images,
        "validation_source": "held-out 20% of train",
        "test_source": "val",
        "unreadable": {"train/ants/broken.png": "the file is empty"},
        "findings": [{"level": "warning", "what": "duplicates", "evidence": "2 files are the same", "remedy": "look"}],
        "groups": sum(map(len, images.values())),
    }


def _finish(
    folder: Path,
    rng: np.random.Generator,
    data: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    phases: Sequence[Mapping[str, Any]],
    *,
    kept: str,
    stopped: str | None,
) -> None:
    classes, images = data["classes"], data["images"]["test"]
    labels = np.array([classes.index(name.split("/")[1]) for name in images])
    scores = rng.normal(0, 1, (len(images), len(classes)))
    scores[np.arange(len(images)), labels] += 1.6
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    predictions = [
        {"image": name, "label": classes[label], "predicted": classes[int(p.argmax())], "probabilities": p.tolist()}
        for name, label, p in zip(images, labels, probabilities, strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(predictions), folder / "predictions.parquet")
    metrics = RunMetrics(
        run=str(folder),
        bundle=str(folder / "bundle"),
        strategy="probe_then_tune",
        model="tf_efficientnet_lite0:in1k",
        test=FinalFigures(**vars(evaluation_figures(probabilities, labels, classes)), source="val"),
        validation=ValidationFigures(accuracy=0.85, images=40, source=data["validation_source"]),
        seconds={"total": 12.5},
        estimates=_estimates(phases),
        phases=tuple(map(PhaseDone.from_dict, phases)),
        epochs=tuple(map(EpochDone.from_dict, rows)),
        selected=SelectedCheckpoint(kept, "significantly better than the linear probe"),
        unreadable=data["unreadable"],
        stopped=stopped,
        resume=f"headstart train --resume {folder}" if stopped else None,
    )
    _write(folder / "metrics.json", metrics.to_dict())
    (folder / "bundle").mkdir()
    _write(folder / "bundle" / "bundle.json", {"card": {"groups": list(GROUPS)}})


def _estimates(phases: Sequence[Mapping[str, Any]]) -> MeasuredEstimate:
    return MeasuredEstimate(
        elapsed_seconds=1.0,
        phases=tuple(
            MeasuredPhase(p["name"], 3.0, 0.0, 0.0, 0, None, 0, measured_seconds=p["seconds"]) for p in phases
        ),
        total_seconds=7.0,
        without_tuning_seconds=None,
        previous_total_seconds=None,
        stored_bytes=1000,
        memory_bytes=500_000_000,
        speeds="guessed",
        low_seconds=None,
        high_seconds=None,
        past_runs=0,
        budget=None,
        measured_seconds=12.5,
    )


def make_comparison(
    folder: Path,
    runs: Mapping[str, Sequence[Path]],
    *,
    what: str = "strategies",
    finished: bool = True,
    rates: Mapping[str, tuple[float, str]] | None = None,
) -> Path:
    """A comparison of finished runs (variant -> its runs by seed), which are copied into it; the first is chosen.

    One variant more needs a download, and one trial failed. Where it is not finished one trial is to come.
    """
    most = max(map(len, runs.values()))
    order = [(name, seed, all_[seed]) for seed in range(most) for name, all_ in runs.items() if seed < len(all_)]
    trials = [_trial(folder, index, name, seed, run) for index, (name, seed, run) in enumerate(order, 1)]
    failed = TrialResult("090-resnet50-seed0", "gone", "resnet50", 0, 1.0, "failed", error="RunError: <out> of memory")
    trials.append(failed)
    if not finished:
        trials.append(replace(failed, trial="091-resnet50-seed1", seed=1, state="to_come", error=None))
    names = list(runs)
    data = _read(runs[names[0]][0] / "data.json")
    counts = {role: data["roles"][role]["images"] for role in ("train", "validation", "test")}
    variants = [
        _variant(i, name, [t for t in trials if t.variant == name], counts, (rates or {}).get(name))
        for i, name in enumerate(names)
    ]
    variants.append(_variant(len(names), "resnet50", [], counts, None))
    by_cost = sorted(variants[:-1], key=lambda v: v.mean_seconds)
    front = [v.name for i, v in enumerate(by_cost) if all(v.test.accuracy > w.test.accuracy for w in by_cost[:i])]
    record = ComparisonRecord(
        comparison=str(folder),
        what=what,
        finished=finished,
        metric="accuracy",
        seeds=tuple(range(most)),
        halving="none",
        data=ComparedImages(
            data["source"],
            tuple(data["classes"]),
            *(counts[role] for role in ("train", "validation", "test")),
            data["validation_source"],
            data["test_source"],
        ),
        trials=tuple(trials),
        trials_to_come=0 if finished else 1,
        variants=tuple(variants),
        pairs=tuple(_pairs(variants[:-1], counts)),
        entries=tuple(Entry(name) for name in names),
        chosen=Recommendation(
            variant=names[0],
            on="validation",
            why="it has the best accuracy",
            tied_with=tuple(names[1:2]),
            headline=f"{names[0]} is the cheapest",
            best=names[0],
            test=variants[0].test,
        ),
        pareto=ParetoFronts(tuple(front), tuple(names[:2])),
        seconds=123.0,
        environment=environment(),
        command=f"headstart compare {what} {data['source']} --seeds 2",
        resume=None if finished else f"headstart compare --resume {folder}",
    )
    _write(folder / "comparison.json", record.to_dict())
    (folder / "comparison.yaml").write_text("what: strategies\n", encoding="utf-8")
    return folder


def with_record(comparison: ComparisonFacts, **values: Any) -> ComparisonFacts:
    """The same comparison with other values in its record."""
    return replace(comparison, record=replace(comparison.record, **values))


def _trial(folder: Path, index: int, name: str, seed: int, run: Path) -> TrialResult:
    """Result of a run, which is copied into the comparison."""
    trial = f"{index:03d}-{name}-seed{seed}"
    shutil.copytree(run, folder / "trials" / trial)
    metrics = _read(run / "metrics.json")
    return TrialResult(
        trial,
        str(folder / "trials" / trial),
        name,
        seed,
        1.0,
        "done",
        accuracy_status="measured",
        test_accuracy=metrics["test"]["accuracy"],
        validation_accuracy=metrics["validation"]["accuracy"],
        seconds=metrics["seconds"]["total"],
        peak_memory_bytes=500_000_000 + index,
        selected_checkpoint=metrics["selected"]["checkpoint"],
    )


def _variant(
    index: int,
    name: str,
    trials: Sequence[TrialResult],
    counts: Mapping[str, int],
    rate: tuple[float, str] | None,
) -> VariantResult:
    speed = InferenceFigures(90.0 / (index + 1), 12.5 + index, "onnxruntime", 64, 2, peak_memory_bytes=400_000_000)
    label = rate and LearningRateLabel(rate[0], rate[1], f"the rule for {rate[1]} holds", {})
    validated = counts["validation"] or counts["train"]
    return VariantResult(
        name=name,
        changes={"strategy": name},
        strategy=name,
        model="tf_efficientnet_lite0:in1k",
        weights="pretrained" if trials else "random",
        seeds_done=len(trials),
        selected_probe=None,
        validation_method="held-out 20% of train",
        accuracy_status="measured" if trials else "needs download",
        test=_figures([t.test_accuracy for t in trials], counts["test"]) if trials else None,
        validation=_figures([t.validation_accuracy for t in trials], validated) if trials else None,
        seconds=TrainingTime(12.5 * (index + 1), tuple(t.seconds for t in trials)),
        peak_memory_bytes=500_000_000,
        parameters=4_652_008,
        flops=385e6,
        inference=speed,
        learning_rate_label=label,
        dropped_at=None,
        weights_missing=None,
    )


def _figures(shares: Sequence[float], images: int) -> VariantMetrics:
    mean = sum(shares) / len(shares)
    interval = wilson_interval(round(mean * images), images)
    predictions = images * len(shares)
    return VariantMetrics(mean, interval, images, predictions, tuple(shares), mean, interval, tuple(shares))


def _pairs(variants: Sequence[VariantResult], counts: Mapping[str, int]) -> list[Pair]:
    found = []
    for a, b in itertools.combinations(variants, 2):
        for on in ("validation", "test"):
            difference = getattr(a, on).accuracy - getattr(b, on).accuracy
            tie = abs(difference) < 0.05
            said = "tie" if tie else f"differ by {100 * difference:+.1f} points"
            found.append(
                Pair(
                    a=a.name,
                    b=b.name,
                    on=on,
                    difference=difference,
                    interval=(difference - 0.04, difference + 0.04),
                    images=counts[on],
                    seeds=2,
                    p_value=0.3,
                    p_corrected=0.6,
                    verdict="tie" if tie else "a" if difference > 0 else "b",
                    further_images=900 if tie else None,
                    sentence=f"{a.name} and {b.name}: {said}.",
                )
            )
    return found


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
