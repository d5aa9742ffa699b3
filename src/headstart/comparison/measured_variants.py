"""Records of a comparison's trials, by variant, reduced to what can be compared."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

from headstart.comparison.comparison import Comparison, TrialEnd
from headstart.comparison.grid import GridPlan, Variant
from headstart.comparison.outcomes import TrialPredictions
from headstart.comparison.recommendation import VariantCost
from headstart.comparison.rounds import TrialSchedule
from headstart.comparison.trial_record import TrialRecord, on_common_images, read_trial
from headstart.comparison.verdicts import Role
from headstart.errors import RunError
from headstart.runs.folder import Run


@dataclass(frozen=True, slots=True)
class VariantNetwork:
    """Network of a variant's runs."""

    strategy: str
    model: str
    weights: str
    """pretrained, random, or where they come from."""
    parameters: int
    macs: float | None
    """Multiply-accumulates of one image; None if unknown."""
    inference_key: str
    """Key of its throughput and latency: strategies and learning rates do not change them."""


@dataclass
class MeasuredVariant:
    """One variant and the records of its trials."""

    variant: Variant
    records: dict[int, TrialRecord] = field(default_factory=dict)
    """Seed (or repeat, see `Trial.repeat`) -> trial on all training images."""
    validation: dict[int, TrialPredictions] = field(default_factory=dict)
    """Seed -> predictions for the validation images that all variants share."""
    ends: list[TrialEnd] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    partial: TrialRecord | None = None
    """Record of its last round on fewer images."""
    partial_validation: TrialPredictions | None = None
    """Predictions for the validation images that all variants of that round share."""
    errors: list[str] = field(default_factory=list)
    has_random_weights: bool = False
    """Whether it ran with random weights in place of its own: for time and memory, not for accuracy."""
    missing: str | None = None
    """Why its weights could not be had, and the way out."""

    @property
    def method(self) -> str:
        """Way in which its validation images were classified, in words."""
        return " or ".join(sorted({record.method for record in self.records.values()}))

    @property
    def cost(self) -> VariantCost:
        """Cost by the quickest trial, because the first trial of a network also computes its features."""
        seconds = min((end.seconds for end in self.ends), default=None)
        return VariantCost(seconds, self.network.parameters if self.network is not None else None)

    @property
    def network(self) -> VariantNetwork | None:
        """Its network; None while none of its trials is done."""
        return network_of(self.runs[-1]) if self.runs else None

    def predictions(self, role: Role) -> dict[int, TrialPredictions]:
        """Seed -> predictions for the images of a role."""
        return self.validation if role == "validation" else {seed: record.test for seed, record in self.records.items()}


def measure(comparison: Comparison, plan: GridPlan, known: TrialSchedule) -> dict[str, MeasuredVariant]:
    """Name of each variant -> records of its ended trials."""
    measured = {variant.name: MeasuredVariant(variant) for variant in plan.variants()}
    rounds: dict[float, dict[str, TrialPredictions]] = {}
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
        except RunError as error:  # a damaged file of one trial does not lose the others
            one.errors.append(str(error))
            continue
        one.runs.append(run)
        one.has_random_weights |= end.accuracy == "needs download"
        if trial.share == 1.0:
            one.ends.append(end)
            one.records[trial.repeat] = record
            one.validation[trial.repeat] = record.validation
        else:
            one.partial = record
            if end.accuracy == "measured":
                rounds.setdefault(trial.share, {})[trial.variant.name] = record.validation
    for by_variant in rounds.values():  # in the order of running: the last round of a variant stays
        for name, common in zip(by_variant, on_common_images(list(by_variant.values())), strict=True):
            measured[name].partial_validation = common
    return measured


def keep_common_validation(comparable: Sequence[MeasuredVariant]) -> None:
    """Restrict validation images to those that all variants validated in the same way share, in their common seeds.

    Where variants share no seed (in an unfinished comparison), nothing is restricted.
    """
    for method in {one.method for one in comparable}:
        alike = [one for one in comparable if one.method == method]
        seeds = set.intersection(*(set(one.validation) for one in alike))
        for seed in seeds:
            for one, common in zip(alike, on_common_images([one.validation[seed] for one in alike]), strict=True):
                one.validation[seed] = common
        for one in alike:
            one.validation = {seed: rows for seed, rows in one.validation.items() if seed in seeds or not seeds}


def record_of(run: Run) -> TrialRecord:
    """Record of a finished trial; read once as long as its metrics.json stays as it is.

    Raises:
        RunError: metrics.json is gone, or a file is damaged.
    """
    try:
        changed = (run.folder / "metrics.json").stat().st_mtime_ns
    except OSError as error:
        raise RunError(f"{run.folder} has lost its metrics.json", remedy="remove the folder, then resume") from error
    return _cached_record(str(run.folder), changed)


@functools.lru_cache(maxsize=512)
def _cached_record(folder: str, changed: int) -> TrialRecord:
    """Record of a run, cached: the result is written anew after each trial."""
    from pathlib import Path

    del changed
    return read_trial(Run(Path(folder)))


def network_of(run: Run) -> VariantNetwork:
    """Properties of the network that a run uses, from its card."""
    from headstart.networks.cards.finding import find_model

    plan = run.plan()
    card = find_model(plan.model.name).card
    size = plan.input.size
    macs = None
    if card.gmacs is not None and isinstance(size, int):
        # MACs of a convolution grow with the number of pixels; cards have them for one input size.
        macs = card.gmacs * 1e9 * (size / card.input.size) ** 2
    return VariantNetwork(
        strategy=plan.strategy,
        model=plan.model.name,
        weights=plan.model.weights,
        parameters=card.parameters,
        macs=macs,
        inference_key=f"{plan.model.name}, {plan.head.kind} head, {plan.input.size} px",
    )
