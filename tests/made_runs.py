"""Folders of runs, comparisons and pretrainings as headstart writes them, without the training."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from headstart.comparison.outcomes import VariantMetrics
from headstart.comparison.recommendation import Recommendation
from headstart.comparison.record import ComparedImages, ComparisonRecord, ParetoFronts, TrialResult
from headstart.runs.folder import Run
from headstart.runs.tables import PredictedImage
from headstart.training.self_supervised.settings import PretrainedEpoch
from headstart.workflow.pretraining.folder import PretrainFolder, PretrainRequest
from headstart.workflow.pretraining.pretrain import DEFAULTS
from run_values import run_data, run_metrics

STARTED = "2026-11-24T12:00:00+0000"


def make_run(
    folder: Path,
    *,
    accuracy: float | None = 0.9,
    answers: Mapping[str, tuple[str, str]] | None = None,
    stopped: str | None = None,
    started: str = STARTED,
    seconds: float = 60.0,
    content: str = "abc",
    events: Sequence[tuple[str, Mapping[str, Any]]] = (),
    **plan: Any,
) -> Path:
    """A run; without an accuracy one that has not reported.

    Args:
        folder: Of the run.
        accuracy: On 100 images.
        answers: Image -> (class, answer), in place of it.
        stopped: Reason, as in metrics.json.
        started: As in environment.json.
        seconds: In all.
        content: Hash of the images.
        events: Names and values.
        plan: Top-level values of the plan.
    """
    (folder / "checkpoints").mkdir(parents=True)
    values = {
        "schema_version": 2,
        "strategy": "probe_then_tune",
        "data": {"source": "photos", "val": None},
        "model": {"name": "resnet18:in1k"},
        "phases": [{"name": "probe", "kind": "linear_probe"}, {"name": "tune", "epochs": 3}],
        "seed": 0,
        "reasons": {"seed": "nobody asked"},
        **plan,
    }
    text = yaml.safe_dump(values)
    for name in ("plan.yaml", "plan.resolved.yaml"):
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "environment.json").write_text(json.dumps({"started": started, "command": []}))
    (folder / "data.json").write_text(json.dumps(run_data(content).to_dict()))
    run = Run(folder)
    for name, row in events:
        run.append_event(name, **row)
    if answers is not None:
        right = [label == answer for label, answer in answers.values()]
        accuracy = sum(right) / len(right)
        run.write_predictions(
            [PredictedImage(image, label, answer, (0.5, 0.5)) for image, (label, answer) in answers.items()]
        )
    if accuracy is not None:
        run.write_metrics(run_metrics(accuracy, images=len(answers or range(100)), seconds=seconds, stopped=stopped))
    return folder


def make_comparison(folder: Path, *, finished: bool = True, chosen: str | None = "full") -> Path:
    """A comparison of two trials, one of them done."""
    make_run(folder / "trials" / "001-full-seed0")
    make_run(folder / "trials" / "002-partial-seed0", accuracy=None)
    (folder / "comparison.yaml").write_text("what: strategies\n")
    names = ("001-full-seed0", "002-partial-seed0")
    first = TrialResult(names[0], str(folder / "trials" / names[0]), "full", 0, 1.0, "done")
    test = VariantMetrics(0.8, (0.7, 0.9), 100, 100, (0.8,), 0.8, (0.7, 0.9), (0.8,))
    record = ComparisonRecord(
        comparison=str(folder),
        what="strategies",
        finished=finished,
        metric="accuracy",
        seeds=(0,),
        halving="none",
        data=ComparedImages("photos"),
        trials=(first, replace(first, trial=names[1], variant="partial", state="to_come")),
        trials_to_come=1,
        variants=(),
        pairs=(),
        entries=(),
        chosen=chosen
        and Recommendation(chosen, "validation", "it is best", (), f"{chosen} is best", chosen, test=test),
        pareto=ParetoFronts(),
        seconds=60.0,
        environment={"started": STARTED},
    )
    (folder / "comparison.json").write_text(json.dumps(record.to_dict()))
    return folder


def quiet_since(folder: Path, instant: float) -> None:
    """Nothing in the folder was written after this."""
    for path in folder.rglob("*"):
        os.utime(path, (instant, instant))


def make_pretraining(folder: Path, *, ended: str | None = "finished") -> Path:
    """The folder of a pretraining as `headstart pretrain` leaves it; ended None: before its first epoch is saved."""
    request = PretrainRequest(
        init="tf_efficientnet_lite0:in1k",
        input_size=96,
        domain="satellite",
        data={"source": "tiles"},
        images=10,
        content="abc",
        settings=DEFAULTS,
    )
    made = PretrainFolder.create(folder, request, stem="x")
    if ended is not None:
        made.checkpoint.write_bytes(b"weights")
        made.backbone.write_bytes(b"weights")
        epochs = 20 if ended == "finished" else 1
        made.write_metrics([PretrainedEpoch(number + 1, -0.4, 0.9, 3.0) for number in range(epochs)], ended=ended)
    return folder
