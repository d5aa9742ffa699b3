"""Entering a phase: trainable parameters, BatchNorm modes and the learning rate of each group are set only here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from headstart.errors import RunError
from headstart.networks.backbone import Classifier
from headstart.networks.groups.layers import freeze, frozen_tensors, named_tensors, param_groups, set_batch_norm
from headstart.plan.plan import OptimizerPlan, TrainPhase
from headstart.training.weights.average import WeightAverage
from headstart.training.weights.start_pull import StartPull


@dataclass(frozen=True)
class Entered:
    """A phase that is ready for its first step: modes are set, and the optimizer is built."""

    phase: TrainPhase
    classifier: Classifier
    optimizer: torch.optim.Optimizer
    """One parameter group per layer group, named."""
    clip_norm: float | None = None
    """Largest L2 norm of the gradients of a step; None: any."""
    pull: StartPull | None = None
    """L2-SP, where the plan has it."""
    average: WeightAverage | None = None
    """Over steps, where the plan has one."""

    def take_step(self) -> None:
        """One step of the optimizer by the gradients there are, clipped, with the pull and the average of the plan."""
        if self.clip_norm is not None:
            trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
            torch.nn.utils.clip_grad_norm_(trained, self.clip_norm)
        self.optimizer.step()
        if self.pull is not None:
            self.pull.apply()
        if self.average is not None:
            self.average.add_step()

    def averaged(self) -> AbstractContextManager[None]:
        """The average in place of the weights for as long as the block lasts; without one, the weights as they are."""
        return nullcontext() if self.average is None else self.average.in_place()

    def start_epoch(self) -> None:
        """Set the modes of the phase again: a validation pass has changed them."""
        _set_modes(self.classifier, self.phase)

    def frozen(self) -> Mapping[str, Tensor]:
        """The tensors that must not change in this phase; call while training modes are set."""
        return frozen_tensors(self.classifier.network, policy=self.phase.batch_norm)

    def set_learning_rates(self, lr: Mapping[str, float]) -> None:
        """Give every group its learning rate for the next step."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr[group["name"]]

    def assert_learning_rates(self, planned: Mapping[str, float], *, where: str) -> None:
        """Check that the optimizer holds exactly the trainable parameters, each group at the planned learning rate.

        Args:
            planned: Learning rate of every group of the phase at the step that was taken last.
            where: Phase and epoch, for the message.

        Raises:
            RunError: a learning rate differs, or a parameter is held twice, though it is frozen, or not at all.
        """
        groups = self.optimizer.param_groups
        off = [f"{g['name']} at {g['lr']:g} instead of {planned[g['name']]:g}" for g in groups if _is_off(g, planned)]
        held = Counter(id(parameter) for group in groups for parameter in group["params"])
        trainable = Counter(id(p) for p in self.classifier.network.parameters() if p.requires_grad)
        if held != trainable:
            off.append(f"{held.total()} parameters in the optimizer instead of the {trainable.total()} trainable ones")
        if off:
            raise RunError(
                f"training did not follow the plan in {where} ({'; '.join(off)})",
                expected="each group at the learning rate of the plan",
                remedy="this is a fault of headstart: please report it with the plan",
            )


def enter(
    classifier: Classifier, phase: TrainPhase, plan: OptimizerPlan, *, start: Mapping[str, Any] | None = None
) -> Entered:
    """The phase with groups frozen, BatchNorm set, and an optimizer over exactly the trainable parameters.

    Args:
        classifier: Trained in place.
        phase: Resolved.
        plan: Of the optimizer.
        start: Name -> pretrained tensor or array, for L2-SP; None: there is no pull.
    """
    freeze(classifier.network, classifier.groups, trained=phase.lr_by_group)
    _set_modes(classifier, phase)
    groups = param_groups(classifier.network, classifier.groups, phase.lr_by_group)
    pulled = plan.l2_sp > 0 and start is not None
    if pulled:  # towards the start in place of zero; the new head has no start
        head = classifier.groups[-1].name
        groups = [group if group["name"] == head else {**group, "weight_decay": 0.0} for group in groups]
    optimizer = _make_optimizer(groups, plan)
    entered = Entered(phase, classifier, optimizer, plan.clip_norm)
    if pulled:
        assert start is not None
        entered = replace(entered, pull=StartPull(optimizer, _starts(classifier, start), plan.l2_sp))
    if plan.ema_decay is not None:
        frozen = entered.frozen()
        moving = {name: tensor for name, tensor in named_tensors(classifier.network) if name not in frozen}
        entered = replace(entered, average=WeightAverage(moving, plan.ema_decay))
    return entered


def _starts(classifier: Classifier, start: Mapping[str, Any]) -> dict[Tensor, Tensor]:
    """Parameter of the backbone -> its pretrained value."""
    head = classifier.groups[-1]
    return {
        parameter: torch.as_tensor(start[name])
        for name, parameter in classifier.network.named_parameters()
        if not head.owns(name)
    }


def _is_off(group: Mapping[str, Any], planned: Mapping[str, float]) -> bool:
    """Whether another learning rate was used, or a factor next to it that a scheduler might or might not honour."""
    return group["lr"] != planned[group["name"]] or "lr_scale" in group


def _set_modes(classifier: Classifier, phase: TrainPhase) -> None:
    set_batch_norm(
        classifier.network,
        classifier.groups,
        policy=phase.batch_norm,
        affine=phase.batch_norm_affine,
        trained=phase.lr_by_group,
    )


def _make_optimizer(groups: list[dict[str, object]], plan: OptimizerPlan) -> torch.optim.Optimizer:
    if plan.name == "sgd":
        return torch.optim.SGD(groups, momentum=plan.momentum, weight_decay=plan.weight_decay, fused=True)
    kind = torch.optim.AdamW if plan.name == "adamw" else torch.optim.Adam
    return kind(groups, weight_decay=plan.weight_decay, fused=True)
