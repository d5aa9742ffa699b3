"""Check that trainable groups change: a group without any change in an epoch trains in name only."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from headstart.networks.groups.layers import fingerprints
from headstart.runs.warnings import GroupsUnchanged


class MovedCheck:
    """Hashes of every parameter group of an optimizer, to find those that an epoch left bit-identical."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._groups: dict[str, list[Tensor]] = {
            group["name"]: list(group["params"]) for group in optimizer.param_groups
        }
        self._before = {name: [_print(p) for p in params] for name, params in self._groups.items()}

    def still(self) -> list[str]:
        """Names of the groups in which no parameter changed a single bit.

        It can be correct: dead units get no gradient, and below a head of zeros nothing gets any in the first step.
        """
        return [
            name
            for name, params in self._groups.items()
            if all(_print(p) == before for p, before in zip(params, self._before[name], strict=True))
        ]

    def warning(self, phase: str, epoch: int, lr: Mapping[str, float]) -> GroupsUnchanged | None:
        """Warning of groups without any change; None if every group changed.

        Args:
            phase: Name of the phase.
            epoch: From 1.
            lr: Group -> peak learning rate.
        """
        still = self.still()
        return GroupsUnchanged(phase, epoch, tuple(still), {name: lr[name] for name in still}) if still else None


def _print(parameter: Tensor) -> str:
    return fingerprints({"": parameter.detach()})[""]
