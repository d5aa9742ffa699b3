"""Movement of trainable groups in an epoch and since the start; a group without any change trains in name only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from headstart.runs.warnings import GroupsUnchanged


class MovedCheck:
    """Copies of every parameter group of an optimizer, to measure how far an epoch moves it."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        before: Mapping[str, Sequence[Tensor]] | None = None,
    ) -> None:
        """Copy the groups.

        Args:
            optimizer: Of named groups.
            before: Copies from when the epoch began, where it began in another process.
        """
        self._groups: dict[str, list[Tensor]] = {
            group["name"]: list(group["params"]) for group in optimizer.param_groups
        }
        self.before: Mapping[str, Sequence[Tensor]] = before or {
            name: [p.detach().clone() for p in params] for name, params in self._groups.items()
        }
        """Group -> its tensors when the epoch began."""

    def still(self) -> list[str]:
        """Names of the groups in which no parameter changed.

        It can be correct: dead units get no gradient, and below a head of zeros nothing gets any in the first step.
        """
        return [
            name
            for name, params in self._groups.items()
            if all(torch.equal(p.detach(), b.to(p.device)) for p, b in zip(params, self.before[name], strict=True))
        ]

    def movements(self) -> dict[str, float | None]:
        """Group -> L2 distance from its weights before the epoch, by their norm; None where that is zero."""
        return {name: relative_distance(params, self.before[name]) for name, params in self._groups.items()}

    def distances(self, start: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, float | None]:
        """Group -> L2 distance from the weights of the start, by their norm; None where these are not known or zero.

        Args:
            start: Name of a tensor -> its values when the run began.
            names: `id` of a parameter -> its name.
        """
        found: dict[str, float | None] = {}
        for group, params in self._groups.items():
            known = [start.get(names[id(p)]) for p in params]
            same = all(
                one is not None and tuple(one.shape) == tuple(p.shape) for one, p in zip(known, params, strict=True)
            )
            found[group] = relative_distance(params, [torch.as_tensor(one) for one in known]) if same else None
        return found

    def warning(self, phase: str, epoch: int, lr: Mapping[str, float]) -> GroupsUnchanged | None:
        """Warning of groups without any change; None if every group changed.

        Args:
            phase: Name of the phase.
            epoch: From 1.
            lr: Group -> peak learning rate.
        """
        still = self.still()
        return GroupsUnchanged(phase, epoch, tuple(still), {name: lr[name] for name in still}) if still else None


def relative_distance(tensors: Sequence[Tensor], before: Sequence[Tensor]) -> float | None:
    """||a - b|| / ||b|| over all tensors together (L2); None where b is zero or something is not finite.

    Args:
        tensors: a.
        before: b, of the same shapes; on any device.
    """
    moved = norm = 0.0
    with torch.no_grad():
        for a, b in zip(tensors, before, strict=True):  # one after another: no copy of the network in between
            there = b.to(a.device)
            moved += float(torch.linalg.vector_norm(a - there)) ** 2
            norm += float(torch.linalg.vector_norm(there)) ** 2
    moved, norm = moved**0.5, norm**0.5
    distance = moved / norm if norm > 0 else float("nan")
    return distance if distance < float("inf") else None
