"""The guard of a train phase: checks after each epoch, the line of the ledger, and the alarms that it raises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from headstart.networks.groups.layers import named_tensors, owner_by_path
from headstart.runs.ledger import GroupMovement, LedgerEntry
from headstart.runs.warnings import AlarmRaised, GroupsUnchanged
from headstart.training.feeds import Feed
from headstart.training.guard.alarms import AlarmHistory, raised
from headstart.training.guard.drift import MovedCheck
from headstart.training.guard.frozen import FrozenCheck
from headstart.training.guard.gauge import Gauge, fixed_images
from headstart.training.learning_rates.param_groups import Entered
from headstart.training.training import Training


@dataclass(frozen=True, slots=True)
class Validated:
    """Figures of a validation pass."""

    loss: float
    """In nats."""
    accuracy: float
    """0..1."""
    images: int


class PhaseGuard:
    """The guard of a phase, in one process; what it needs from before is in the checkpoint and in the ledger."""

    def __init__(self, training: Training, entered: Entered, feed: Feed, rows: np.ndarray | None = None) -> None:
        """Take the hashes of what is frozen, and read the starting network.

        Args:
            training: Of the run; its network is in training mode, as the phase sets it.
            entered: The phase.
            feed: Inputs of its steps.
            rows: Positions of the training images that its steps use; None: all.
        """
        self._training = training
        classifier = training.torch_classifier()
        self._owners = owner_by_path((name for name, _ in named_tensors(classifier.network)), classifier.groups)
        self._runs = frozenset(name for name, _ in named_tensors(feed.network))
        self._names = {id(p): name for name, p in classifier.network.named_parameters()}
        self._frozen = FrozenCheck(entered.frozen(), self._owners)
        self._hashes = self._frozen.by_group(self._runs)
        self._prefix = self._frozen.by_group(frozenset(self._owners) - self._runs)
        self.gauge = self._read_start(feed, rows)
        self._moved: MovedCheck | None = None

    def _read_start(self, feed: Feed, rows: np.ndarray | None) -> Gauge:
        """The fixed batch, and what the starting network makes of it."""
        training = self._training
        train = training.images.roles.train
        positions = np.arange(len(train)) if rows is None else rows
        records = [train[positions[place]] for place in fixed_images(len(positions), seed=training.plan.seed)]
        ((_, batch),) = feed.batches([records], epoch=0)
        labels = training.images.labels(records)
        return Gauge(training.torch_classifier(), feed.network, batch, labels, training.start)

    def start_epoch(self, optimizer: torch.optim.Optimizer) -> None:
        """Copy what is trained; where the epoch began in another process, that is in the checkpoint."""
        state = self._training.state
        self._moved = MovedCheck(optimizer, state.epoch_start)
        state.epoch_start = None

    @property
    def epoch_start(self) -> Mapping[str, Sequence[Tensor]] | None:
        """Layer group -> its tensors when the epoch began."""
        return None if self._moved is None else self._moved.before

    def check(self, entered: Entered, planned: Mapping[str, float], *, where: str) -> None:
        """Check what an epoch must not change.

        Args:
            entered: The phase, in training mode.
            planned: Learning rate of every group at the last step.
            where: Phase and epoch, for the message.

        Raises:
            FrozenMovedError: something frozen moved.
            RunError: a group had another learning rate than the planned one.
        """
        self._frozen.assert_unmoved(entered.frozen(), where=where, among=self._runs)
        entered.assert_learning_rates(planned, where=where)
        assert self._moved is not None, "the epoch was started"
        # Now: the validation pass may put an average over steps in place of the weights.
        self._movements = self._moved.movements(), self._moved.distances(self._training.start, self._names)

    def check_prefix(self, entered: Entered, *, where: str) -> None:
        """Check, at the end of a phase, what no step of it has run.

        Raises:
            FrozenMovedError: something frozen moved.
        """
        if self._prefix:
            self._frozen.assert_unmoved(entered.frozen(), where=where)

    def unchanged(self, phase: str, epoch: int, lr: Mapping[str, float]) -> GroupsUnchanged | None:
        """See `MovedCheck.warning`."""
        return None if self._moved is None else self._moved.warning(phase, epoch, lr)

    def record(
        self,
        entry: LedgerEntry,
        optimizer: torch.optim.Optimizer,
        planned: Mapping[str, float],
        validated: Validated | None,
    ) -> LedgerEntry:
        """Write the line of an epoch.

        Args:
            entry: What the phase knows of it.
            optimizer: With the learning rates of the last step.
            planned: Those of the plan.
            validated: Figures of its validation pass, if it had one.
        """
        movements, distances = self._movements
        groups = {
            group["name"]: GroupMovement(
                lr=group["lr"],
                planned_lr=planned[group["name"]],
                movement=movements[group["name"]],
                distance=distances[group["name"]],
            )
            for group in optimizer.param_groups
        }
        states, batch = self.gauge.read()
        entry = replace(entry, frozen=self._hashes, prefix=self._prefix, groups=groups, states=states, batch=batch)
        if validated is not None:
            entry = replace(
                entry,
                validation_loss=validated.loss,
                validation_accuracy=validated.accuracy,
                validation_images=validated.images,
            )
        self._training.add_to_ledger(entry)
        return entry


def alarms_of(training: Training, entry: LedgerEntry, *, epochs: int) -> list[AlarmRaised]:
    """Alarms of the epoch that has just been written into the ledger.

    Args:
        training: Of the run.
        entry: The epoch.
        epochs: Planned of the phase, or of a round of it.
    """
    now = (entry.phase, entry.round, entry.rescues)
    same = [one for one in training.history if (one.phase, one.round, one.rescues) == now]
    return raised(_history(training, same, epochs=epochs), phase=entry.phase, epoch=entry.epoch)


def alarms_of_broken_epoch(training: Training, phase: str, epoch: int) -> list[AlarmRaised]:
    """The alarm of an epoch whose loss or outputs are not finite.

    Args:
        training: Of the run.
        phase: Its name.
        epoch: From 1.
    """
    history = _history(training, [], epochs=epoch)
    return raised(replace(history, broken_epoch=epoch), phase=phase, epoch=epoch)


def _history(training: Training, entries: Sequence[LedgerEntry], *, epochs: int) -> AlarmHistory:
    images = training.images
    counts = np.bincount(images.labels(images.roles.train), minlength=len(images.roles.classes)).astype(float)
    shares = counts[counts > 0] / counts.sum()
    before, plan = training.step_start, training.plan
    return AlarmHistory(
        entries=entries,
        epochs=epochs,
        guess_loss=float(-(shares * np.log(shares)).sum())
        if images.balance.method == "none"
        else float(np.log(len(counts))),
        guess_accuracy=float(shares.max()),
        start_accuracy=None if before is None else before.accuracy,
        weights=plan.model.weights,
        rescues=training.progress.rescues,
    )
