"""What `headstart train` prints when it has ended."""

from __future__ import annotations

from dataclasses import replace

from headstart.apps.cli.text import training
from headstart.apps.cli.text.training import training_text
from headstart.findings import Finding
from headstart.runs.run_metrics import MeasuredEstimate, MeasuredPhase, SelectedCheckpoint, ValidationFigures
from headstart.runs.training_events import PhaseDone
from run_values import final_figures, run_metrics

METRICS = run_metrics(
    run="runs/my photos",
    bundle="runs/my photos/bundle",
    findings=(Finding("warning", "twins", "twins", "remove them"),),
    test=final_figures(
        0.9,
        10,
        accuracy_interval=(0.6, 0.98),
        balanced_accuracy=0.88,
        counted="groups",
        groups=4,
        source="held-out 20 %",
    ),
    validation=ValidationFigures(accuracy=0.875, source="out-of-fold in train"),
    phases=(
        PhaseDone(
            name="probe",
            kind="linear_probe",
            trained=["head"],
            lr={},
            batch_norm="pretrained_statistics",
            schedule=None,
            epochs_run=0,
            validation_accuracy=0.875,
            seconds=1.25,
            ended="fitted",
        ),
    ),
    selected=SelectedCheckpoint("probe", "nothing is better"),
    unreadable={"a.jpg": "cut"},
    reasons={"phases": "few images", "domain": "the default"},
    seconds=12.3,
    engine="onnxruntime",
)


NEXT = "next: headstart predict 'runs/my photos' IMAGES -o predictions.csv"


def test_the_result_comes_first_and_the_next_command_last():
    lines = training_text(METRICS).splitlines()
    assert lines[:2] == [
        "accuracy 0.900 (95 % interval 0.600..0.980) on 10 test images of 4 groups",
        "bundle: runs/my photos/bundle",
    ]
    assert lines[-1] == NEXT
    text = "\n".join(lines[2:])
    for words in (
        "warning: twins\n    -> remove them",
        "0.8750      1.2  head: linear probe",
        "selected checkpoint: probe - nothing is better",
        "test set: held-out 20 %\nvalidation set: out-of-fold in train",
        "left out: 1 unreadable image, named in data.json of the run",
        "took 12 s, engine onnxruntime",
    ):
        assert words in text


def test_reasons_are_printed_where_they_are_wanted():
    assert "few images" not in training_text(METRICS)
    text = training_text(METRICS, reasons="shown")
    assert text.endswith(f"reasons\n  phases: few images\n  domain: the default\n{NEXT}")


def test_a_run_out_of_budget_says_at_once_how_to_go_on():
    stopped = replace(METRICS, stopped="budget", resume="headstart train --resume x")
    assert training_text(stopped).splitlines()[2] == "stopped by the budget; resume with: headstart train --resume x"


def test_the_end_of_training_compares_with_the_estimate():
    phases = tuple(
        MeasuredPhase(name, 6.0, 0.0, 0.0, 0, None, 0, measured_seconds=took)
        for name, took in (("probe", 5.0), ("tune", None))
    )
    made = MeasuredEstimate(1.0, phases, 145.3, None, None, 0, 0, "guessed", None, None, 0, None, 13.0)
    text = training_text(replace(METRICS, estimates=made))
    assert "took 12 s (estimated 2 min 25 s; not run: tune), engine onnxruntime" in text


def test_neighbours_with_the_same_rate_are_named_once():
    rates = {"stem": 1e-6, "layer1": 1e-6, "layer2": 5e-6, "layer4": 1e-5, "head": 1e-3}
    text = training._runs_of_rates(rates)
    assert text == "stem..layer1 1e-06, layer2 5e-06, layer4 1e-05, head 0.001"


def test_a_rate_for_each_of_many_blocks_is_one_line_with_both_ends():
    rates = {**{f"block{i}": 1e-3 * 0.75 ** (16 - i) for i in range(16)}, "head": 1e-3}
    assert training._runs_of_rates(rates) == "block0 1e-05 to block15 0.00075 (16 groups, see --json), head 0.001"
