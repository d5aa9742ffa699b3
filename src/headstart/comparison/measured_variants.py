"""What the trials of a comparison left, by variant, as far as it can be compared."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.comparison.comparison import Comparison, TrialEnd
from headstart.comparison.grid import GridPlan, Variant
from headstart.comparison.outcomes import Answers
from headstart.comparison.recommendation import Cost
from headstart.comparison.rounds import Schedule
from headstart.comparison.trial_record import TrialRecord, read_trial, shared
from headstart.errors import RunError
from headstart.runs.folder import Run


@dataclass
class Measured:
    """One variant and what its trials left."""

    variant: Variant
    records: dict[int, TrialRecord] = field(default_factory=dict)
    """Seed -> trial on all training images."""
    select: dict[int, Answers] = field(default_factory=dict)
    """Seed -> answers to the images that choose, as far as all variants gave them."""
    ends: list[TrialEnd] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    partial: TrialRecord | None = None
    """Of its last round on fewer images."""
    partial_select: Answers | None = None
    """Of that round's answers to the images that choose those which all variants of the round gave."""
    errors: list[str] = field(default_factory=list)
    stands_in: bool = False
    """Whether random weights stand in for its own: for time and memory, not for accuracy."""
    missing: str | None = None
    """Why its weights could not be had, and the way out."""

    @property
    def method(self) -> str:
        """How its validation images were classified, in words."""
        return " or ".join(sorted({record.method for record in self.records.values()}))

    @property
    def cost(self) -> Cost:
        """What it takes; its quickest trial counts, because the first of a network also computes its features."""
        seconds = min((end.seconds for end in self.ends), default=None)
        return Cost(seconds, network_facts(self.runs[-1])["parameters"] if self.runs else None)

    def answers(self, role: str) -> dict[int, Answers]:
        """Seed -> answers on the images of a role: select or report."""
        return self.select if role == "select" else {seed: record.report for seed, record in self.records.items()}


def measure(comparison: Comparison, plan: GridPlan, known: Schedule) -> dict[str, Measured]:
    """Name of each variant -> what its ended trials left."""
    measured = {variant.name: Measured(variant) for variant in plan.variants()}
    rounds: dict[float, dict[str, Answers]] = {}
    for trial in known.trials:
        end, one = comparison.end_of(trial), measured[trial.variant.name]
        if end is None:
            continue
        one.missing = next(iter(end.missing.values()), one.missing)
        if end.state != "done":
            one.errors.append(end.error or "")
            continue
        run = comparison.run_of(trial)
        try:
            record = record_of(run)
        except RunError as error:  # a damaged file of one trial leaves the others their answer
            one.errors.append(str(error))
            continue
        one.runs.append(run)
        one.stands_in |= end.accuracy == "needs download"
        if trial.share == 1.0:
            one.ends.append(end)
            one.records[trial.seed] = record
            one.select[trial.seed] = record.select
        else:
            one.partial = record
            if end.accuracy == "measured":
                rounds.setdefault(trial.share, {})[trial.variant.name] = record.select
    for answers in rounds.values():  # in the order of running: the last round of a variant stays
        for name, kept in zip(answers, shared(list(answers.values())), strict=True):
            measured[name].partial_select = kept
    return measured


def keep_common_validation(comparable: Sequence[Measured]) -> None:
    """Leave of the validation images those that all variants validated in the same way have, in the seeds they share.

    Where variants share no seed (half a comparison), all stays as it is.
    """
    for method in {one.method for one in comparable}:
        alike = [one for one in comparable if one.method == method]
        seeds = set.intersection(*(set(one.select) for one in alike))
        for seed in seeds:
            for one, answers in zip(alike, shared([one.select[seed] for one in alike]), strict=True):
                one.select[seed] = answers
        for one in alike:
            one.select = {seed: answers for seed, answers in one.select.items() if seed in seeds or not seeds}


def record_of(run: Run) -> TrialRecord:
    """What a finished trial left; read once as long as its metrics.json stays as it is.

    Raises:
        RunError: metrics.json is gone, or a file is damaged.
    """
    try:
        changed = (run.folder / "metrics.json").stat().st_mtime_ns
    except OSError as error:
        raise RunError(f"{run.folder} has lost its metrics.json", remedy="remove the folder, then resume") from error
    return _remembered(str(run.folder), changed)


@functools.lru_cache(maxsize=512)
def _remembered(folder: str, changed: int) -> TrialRecord:
    """Trials are read once, although the answer is written after each."""
    from pathlib import Path

    del changed
    return read_trial(Run(Path(folder)))


def network_facts(run: Run) -> dict[str, Any]:
    """What a card knows of the network that a run settled on."""
    from headstart.networks.cards.finding import find_model

    plan = run.plan()
    card = find_model(plan.model.name).card
    size = plan.input.size
    macs = None
    if card.gmacs is not None and isinstance(size, int):
        macs = card.gmacs * 1e9 * (size / card.input.size) ** 2
    return {
        "strategy": plan.strategy,
        "model": plan.model.name,
        "weights": plan.model.weights,
        "parameters": card.parameters,
        "flops": macs,
        "inference_key": inference_key(run),
    }


def inference_key(run: Run) -> str:
    """What the speed of prediction depends on: strategies and rates do not change it."""
    plan = run.plan()
    return f"{plan.model.name}, {plan.head.kind} head, {plan.input.size} px"
