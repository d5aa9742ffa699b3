"""The advice: a plan, its reasons, the rejected strategies, costs, and further steps."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from headstart.advice.choices import NextStep, Reason
from headstart.advice.situation import Situation
from headstart.amounts import count_text, duration_text
from headstart.engine.costs.training_cost import TrainingCost, TrainingMachine
from headstart.knowledge.choosing import FROM_SCRATCH, SCRATCH_IMAGES, TRANSFER, RouteFact
from headstart.knowledge.domains import DOMAINS
from headstart.plan.plan import DataPlan, Plan, TrainPhase
from headstart.plan.reasons import ANY_SOURCE
from headstart.plan.request import DEFAULT_MODEL

_DATA_OPTIONS = ("val", "group", "fold", "limit_train", "limit_test", "bits", "bands", "window", "contrast", "links")
"""Of a `DataPlan`, what `train` has an option for."""


@dataclass(frozen=True)
class AdviceCosts:
    """Cost estimates of the advised training and of its alternatives."""

    machine: TrainingMachine
    by_strategy: Mapping[str, TrainingCost]
    """Every strategy with its own phases, on the images of the situation."""
    scratch: TrainingCost
    """Random weights, on at least as many images as they need."""

    def to_dict(self, strategy: str, *, images: int) -> dict[str, Any]:
        """Plain values for JSON, for the chosen strategy on this many images."""
        hardware = self.machine.hardware
        return {
            **self.by_strategy[strategy].to_dict(),
            "cores": hardware.cores,
            "gpu": hardware.gpu,
            "speeds": self.machine.speeds.origin,
            "assumptions": [
                self.machine.assumption,
                f"${self.machine.rented.usd_per_hour:g} an hour for {self.machine.rented.machine} "
                f"({self.machine.rented.source})",
            ],
            "by_strategy": {name: cost.to_dict() for name, cost in self.by_strategy.items()},
            "from_scratch": {"images": max(SCRATCH_IMAGES, images), **self.scratch.to_dict()},
            "usual": usual_routes(),
        }


@dataclass(frozen=True, repr=False)
class Advice:
    """What to do with a set of images, and why."""

    situation: Situation
    strategy: str
    plan: Plan
    """What `train` runs unchanged; its `reasons` hold the same sentences."""
    reasons: tuple[Reason, ...]
    """The strategy's first."""
    rejected: Mapping[str, str]
    """Every other strategy -> why not."""
    costs: AdviceCosts
    steps: tuple[NextStep, ...]
    warnings: tuple[str, ...]

    def command(self, data: str = "DATA") -> str:
        """The training as a command with options.

        Args:
            data: Folder or other source of the images.
        """
        plan, domain = self.plan, DOMAINS[self.plan.domain]
        options = [f"--strategy {self.strategy}"]
        # Of real images `train` would look for itself, at other ones.
        options += [f"--domain {plan.domain}"] if plan.domain != "photo" or plan.data.source != ANY_SOURCE else []
        options += [f"--model {plan.model.name}"] if plan.model.name != DEFAULT_MODEL else []
        options += [f"--input-size {plan.input.size}"] if plan.input.size != "auto" else []
        options += [f"--resize {plan.input.resize}"] if plan.input.resize != "auto" else []
        trains = any(isinstance(phase, TrainPhase) for phase in plan.phases)
        if trains and plan.augmentation.preset != domain.augmentation:
            options.append(f"--augmentation {plan.augmentation.preset}")
        options += [f"--budget {plan.budget_seconds:.0f}s"] if plan.budget_seconds is not None else []
        usual = DataPlan(source=plan.data.source)
        given = {name: getattr(plan.data, name) for name in _DATA_OPTIONS}
        given = {name: value for name, value in given.items() if value != getattr(usual, name)}
        options += [f"--{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given.items() if value]
        options += ["--strict"] if plan.data.unreadable == "stop" else []
        return f"headstart train {shlex.quote(data)} {' '.join(options)}"

    @property
    def command_says_all(self) -> bool:
        """Whether `command` trains the same plan.

        BatchNorm has no option, and most strategies keep its statistics; shares and seeds of the division have none.
        """
        part = self.plan.data
        said = {name: getattr(part, name) for name in ("source", "unreadable", *_DATA_OPTIONS)}
        if part != DataPlan(**said):
            return False
        usual = "train" if self.strategy == "scratch" else "pretrained_statistics"
        return all(phase.batch_norm == usual for phase in self.plan.phases if isinstance(phase, TrainPhase))

    @property
    def model(self) -> str:
        """Name of the network."""
        return self.plan.model.name

    @property
    def cost(self) -> TrainingCost:
        """Of the advised training, without steps before and after."""
        return self.costs.by_strategy[self.strategy]

    def __repr__(self) -> str:
        images = count_text(self.situation.images, "image")
        return f"Advice({self.strategy} with {self.model} for {images}, about {duration_text(self.cost.seconds)})"

    def to_dict(self) -> dict[str, Any]:
        """For JSON, as `headstart advise --json` prints it."""
        return {
            "strategy": self.strategy,
            "model": self.model,
            "reasons": [asdict(reason) for reason in self.reasons],
            "rejected": [{"strategy": name, "reason": why} for name, why in self.rejected.items()],
            "plan": self.plan.model_dump(mode="json"),
            "cost": self.costs.to_dict(self.strategy, images=self.situation.images),
            "command": self.command(self.plan.data.source),
            "command_says_all": self.command_says_all,
            "steps": [asdict(step) for step in self.steps],
            "warnings": list(self.warnings),
            "situation": _plain(self.situation),
        }


def _plain(situation: Situation) -> dict[str, Any]:
    """The situation for JSON: an unlimited budget is a word, because JSON has no infinity."""
    values = asdict(situation)
    if situation.budget_seconds == float("inf"):
        values["budget_seconds"] = "unlimited"
    return {**values, "domain_similarity": situation.domain_similarity, "images_per_class": situation.images_per_class}


def usual_routes() -> dict[str, dict[str, Any]]:
    """Usual costs of both ways in the literature, as plain values, to set an estimate against."""
    return {route.name.replace(" ", "_"): _route(route) for route in (FROM_SCRATCH, TRANSFER)}


def _route(route: RouteFact) -> dict[str, Any]:
    low, high = route.labelled_images
    return {
        "labelled_images": f"{low:,}+" if high is None else f"{low:,} to {high:,}",
        "time": route.time,
        "usd": f"${route.usd[0]} to {route.usd[1]}" + ("+" if high is None else ""),
        "risk": route.risk,
        "note": route.note,
    }
