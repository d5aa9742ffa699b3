"""Entering a phase: trainable parameters, BatchNorm modes and the learning rate of each group are set only here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headstart.errors import RunError
from headstart.networks.backbone import Classifier
from headstart.networks.groups.layers import freeze, frozen_tensors, param_groups, set_batch_norm
from headstart.plan.plan import OptimizerPlan, TrainPhase


@dataclass(frozen=True)
class Entered:
    """A phase that is ready for its first step: modes are set, and the optimizer is built."""

    phase: TrainPhase
    classifier: Classifier
    optimizer: torch.optim.Optimizer
    """One parameter group per layer group, named."""
    clip_norm: float | None = None
    """Largest L2 norm of the gradients of a step; None: any."""

    def clip_gradients(self) -> None:
        """Scale the gradients of a step down to the norm of the plan, all trained parameters together."""
        if self.clip_norm is not None:
            trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
            torch.nn.utils.clip_grad_norm_(trained, self.clip_norm)

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


def enter(classifier: Classifier, phase: TrainPhase, optimizer: OptimizerPlan) -> Entered:
    """The phase with groups frozen, BatchNorm set, and an optimizer over exactly the trainable parameters."""
    freeze(classifier.network, classifier.groups, trained=phase.lr_by_group)
    _set_modes(classifier, phase)
    groups = param_groups(classifier.network, classifier.groups, phase.lr_by_group)
    return Entered(phase, classifier, _make_optimizer(groups, optimizer), optimizer.clip_norm)


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
