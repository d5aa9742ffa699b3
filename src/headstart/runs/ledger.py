"""ledger.jsonl of a run: after each epoch, what was frozen, how far each trained layer group has moved, and its state.

One JSON object a line, appended whole and synced. A resume first cuts off the lines behind its checkpoint, because
these epochs are trained again: so the file has every epoch once, whatever interrupted the run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstart.errors import DiskFullError
from headstart.files import FULL_DISK, is_file, write_atomically
from headstart.runs.values import plain_mapping, typed

LEDGER_FILE = "ledger.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """Outputs of a layer group on the fixed batch, against those of the starting network."""

    cka: float | None
    """Linear CKA with the outputs of the starting network, 0..1: 0 where outputs no longer differ between images, None
    where those of the starting network did not."""
    scale: float
    """Root mean square of the outputs over that of the starting network."""
    dead: float
    """Share of the channels whose outputs hardly differ between the images, 0..1."""
    dead_at_start: float
    """The same of the starting network."""
    statistics_drift: float | None = None
    """Of BatchNorm: median over channels of the shift of the running mean in standard deviations of the start, or of
    the running variance in powers of e, whichever is larger; None without BatchNorm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMovement:
    """A trained layer group after an epoch."""

    lr: float
    """Of the optimizer in the last step."""
    planned_lr: float
    """Of the plan in that step."""
    movement: float | None
    """L2 distance from the weights before the epoch, by their norm; None where these are not known or zero."""
    distance: float | None
    """The same from the weights that the run began with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchState:
    """Outputs of the network, in evaluation, on the fixed batch of training images."""

    images: int
    accuracy: float
    """0..1."""
    log_loss: float
    """Mean, in nats."""
    original_agreement: float | None = None
    """Share of the images to which the head that came with the weights gives the class it gave at the start, 0..1."""
    original_divergence: float | None = None
    """Kullback-Leibler divergence of its probabilities from those at the start, mean in nats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One epoch: a line of ledger.jsonl, and all that alarms read."""

    phase: str
    epoch: int
    """Within its phase, from 1."""
    round: int = 0
    """Of a step of progressive tuning, from 0."""
    rescues: int = 0
    """Of the phase, before this epoch."""
    train_loss: float
    """Mean over the steps of the epoch, in nats."""
    validation_loss: float | None = None
    """In nats; None where nothing was validated."""
    validation_accuracy: float | None = None
    """0..1."""
    validation_images: int = 0
    frozen: Mapping[str, str] = field(default_factory=dict)
    """Layer group -> hash of its frozen tensors and buffers after the epoch, in the part of the network that steps
    run."""
    prefix: Mapping[str, str] = field(default_factory=dict)
    """The same of the frozen prefix, which no step runs, when the phase began; compared again when it ends."""
    groups: Mapping[str, GroupMovement] = field(default_factory=dict)
    """Trained layer groups, stem to head."""
    states: Mapping[str, GroupState] = field(default_factory=dict)
    """Layer groups of the backbone that steps run, stem to head."""
    batch: BatchState | None = None

    @property
    def movement(self) -> float | None:
        """Largest movement of a group in the epoch."""
        return max((one.movement for one in self.groups.values() if one.movement is not None), default=None)

    @property
    def similarity(self) -> float | None:
        """Smallest CKA of a group with the starting network."""
        return min((one.cka for one in self.states.values() if one.cka is not None), default=None)


class Ledger:
    """The ledger of one run folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER_FILE

    def append(self, entry: LedgerEntry) -> None:
        """Add a line, which is on the disk afterwards.

        Raises:
            DiskFullError: the disk is full.
        """
        line = json.dumps(plain_mapping(entry), ensure_ascii=False) + "\n"
        try:
            with self.path.open("ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno in FULL_DISK:
                found = f"the disk is full: {self.path} could not be written"
                raise DiskFullError(found, remedy="make room") from error
            raise

    def entries(self) -> list[LedgerEntry]:
        """All whole lines, in order; a line that a crash cut, or of another version, is left out."""
        found = []
        for line in self._lines():
            try:
                found.append(typed(LedgerEntry, json.loads(line)))
            except ValueError:
                continue
        return found

    def cut_to(self, count: int) -> None:
        """Leave the first `count` lines: those that a checkpoint knows."""
        lines = self._lines()
        if is_file(self.path) and (len(lines) > count or self.path.read_bytes()[-1:] not in (b"\n", b"")):
            text = b"".join(line + b"\n" for line in lines[:count])
            write_atomically(self.path, lambda aside: aside.write_bytes(text))

    def _lines(self) -> Sequence[bytes]:
        return self.path.read_bytes().splitlines() if is_file(self.path) else ()
