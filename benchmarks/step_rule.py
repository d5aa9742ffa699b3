"""When a step of progressive tuning pays: every step trained whatever the rule says, then rules replayed.

    HEADSTART_DATA=FOLDER python benchmarks/step_rule.py [--sets rsscn7 ...] [--seeds N] [--table] [--write]

Each run trains a set with `--strategy progressive` and nothing left out: each step validates all its folds, is trained
on all images even where it was not selected, and is evaluated on the test images, which decide nothing. Whether it was
selected is decided as in headstart, and the next step starts from the best so far. What was recorded then says what a
rule would have trained, gained and spent. What is done is kept in build/step-rule.jsonl. --write writes the section of
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from measured import BUILD, Kept, Row
from sections import replace_section
from step_sets import SETS, folder_of
from step_table import section

import headstart
from headstart.engine.prefix.inference import logits_of
from headstart.measures.metrics import sharpened_log_losses
from headstart.solvers.linear_head import softmax
from headstart.training.checkpoint import Candidate
from headstart.training.steps.rounds import at_rows, rows_so_far, verdict
from headstart.training.steps.step_phase import StepTraining
from headstart.training.training import Training

NAME = "step-rule"
FIRE = "_(?:un)?burned_(.+?)_(?:pre|post)_"
Facts = dict[str, Any]


class RecordedStep(StepTraining):
    """A step that is trained to its end, and recorded."""

    recorded: list[Facts]
    """Of the run; set by `recording`."""

    def __init__(self, training: Training, *rest: Any) -> None:  # noqa: ANN401 - as StepTraining
        """See `StepTraining`; the probe is evaluated before the first step changes it."""
        super().__init__(training, *rest)
        if not self.recorded:
            self.recorded.append({"name": "probe", **_validated(self._before), "test": _tested(training)})

    def _end_step(self, candidate: Candidate, loss: float) -> None:
        """Select the step as headstart would, and record what it would have known after each round."""
        training, state, before = self._training, self._state, self._compared(candidate)
        level, verdicts = training.plan.selection.significance_level, []
        for looks in range(1, self._folds + 1):
            rows = rows_so_far(self._rounds, looks)
            pair = (at_rows(candidate, rows), at_rows(before, rows))
            found = verdict(*pair, looks=looks, of=self._folds, significance_level=level)
            verdicts.append(found)
        # The first verdict that is not open is the one that headstart acts on.
        state.selected = next((found for found in verdicts if found != "open"), "open") == "better"
        facts = training.estimates.facts
        first = next(name for name in facts.groups if name in self.phase.lr_by_group)
        rounds = [one.validation_rows.tolist() for one in self._rounds if one.validation_rows is not None]
        self.recorded.append(
            {
                "name": self.phase.name,
                "first_group": first,
                "share": round(1 - facts.share_before(first), 4),
                "epochs": self.phase.epochs,
                "views": getattr(self.feed, "views", 0),
                "rounds": rounds,
                **_validated(candidate),
                "before": before.name,
                "verdicts": verdicts,
                "selected": state.selected,
                "test": _tested(training),
                "cpu_seconds": _cpu(),
            }
        )
        super()._end_step(candidate, loss)


def _cpu() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_utime, 1)


def _validated(candidate: Candidate) -> Facts:
    """What a candidate got right, and its log loss on every image that validates."""
    return {"correct": candidate.correct.astype(int).tolist(), "losses": np.round(candidate.losses, 4).tolist()}


def _tested(training: Training) -> Facts:
    """The network in place on the test images."""
    images = training.images
    logits = logits_of(training.torch_classifier(), images.roles.test, images.spec)
    labels = images.labels(images.roles.test)
    losses = sharpened_log_losses(softmax(logits.astype(np.float64)), labels)
    return {"correct": (logits.argmax(axis=1) == labels).astype(int).tolist(), "losses": np.round(losses, 4).tolist()}


@contextmanager
def recording() -> Iterator[list[Facts]]:
    """Within the block nothing is left out of progressive tuning; a list of what the probe and each step gave."""
    found: list[Facts] = []
    RecordedStep.recorded = found

    def all_rounds(*_: object, looks: int, of: int, **__: object) -> str:
        return "better" if looks == of else "open"

    with (
        patch("headstart.training.loop.why_no_step", lambda training: ""),
        patch("headstart.training.phase_start.StepTraining", RecordedStep),
        patch("headstart.training.steps.step_phase.verdict", all_rounds),
    ):
        yield found


def measured(name: str, seed: int) -> Row:
    """A row: every step of one set and seed."""
    folder = folder_of(name, seed)
    group = {"group": FIRE} if SETS[name].archive == "wildfire_s2" else {}
    BUILD.mkdir(exist_ok=True)
    out, started = Path(tempfile.mkdtemp(dir=BUILD)), _cpu()
    try:
        with recording() as found:
            headstart.train(
                folder,
                strategy="progressive",
                input_size=SETS[name].input_size,
                seed=seed,
                out=out / "run",
                progress="none",
                **group,
            )
    finally:
        shutil.rmtree(out)
    for step in found[1:]:
        step["cpu_seconds"] = round(step["cpu_seconds"] - started, 1)
    return {"set": name, "seed": seed, "train": len(found[0]["correct"]), "steps": found}


class _Short(Kept):
    """Prints a line a step, without the results for each image."""

    def add(self, row: Row) -> Row:
        """See `Kept.add`."""
        probe = row["steps"][0]
        for step in row["steps"]:
            test = f"test {np.mean(step['test']['correct']):.3f} {np.mean(step['test']['losses']):.3f}"
            validated = f"validation {np.mean(step['correct']):.3f} {np.mean(step['losses']):.3f}"
            what = ", ".join(f"{key} {step[key]}" for key in ("share", "verdicts", "cpu_seconds") if key in step)
            print(row["set"], row["seed"], len(probe["correct"]), step["name"], validated, test, what, flush=True)
        with patch("builtins.print"):
            return super().add(row)


def main() -> None:
    """Parse, measure what is not there yet, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    options = parser.parse_args()
    kept = _Short(NAME)
    if not options.table:
        for seed, name in itertools.product(options.seeds, options.sets):
            if not kept.has(set=name, seed=seed):
                kept.add(measured(name, seed))
    text = section(kept.rows())
    print(text)
    if options.write:
        replace_section(NAME, text)


if __name__ == "__main__":
    main()
