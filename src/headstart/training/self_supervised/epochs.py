"""Epochs of self-supervised pretraining: seeded, stopped after any step, resumed bit for bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from headstart.data.loading import batches, read_values
from headstart.data.preprocess import NetworkInput, scale
from headstart.data.sources.dataset import ImageRecord
from headstart.engine.views import training_view, view_rng
from headstart.errors import HeadstartError
from headstart.files import write_atomically
from headstart.input_spec import InputSpec
from headstart.machine import device_of
from headstart.networks.groups.layers import freeze, set_batch_norm
from headstart.training.checkpoint_file import write_checkpoint
from headstart.training.seeds import seed_of
from headstart.training.self_supervised.settings import PretrainedEpoch, PretrainSettings
from headstart.training.self_supervised.siamese import Siamese
from headstart.training.stopping import Stopped, StopRequest

PRETRAIN_SAVE_SECONDS = 120.0


@dataclass
class PretrainProgress:
    """Position of a pretraining."""

    epoch: int = 0
    """Whole epochs."""
    step: int = 0
    """Whole steps of the epoch that is under way."""
    loss_sum: float = 0.0
    spread_sum: float = 0.0
    seconds: float = 0.0
    """Of the epoch that is under way."""
    done: list[PretrainedEpoch] = field(default_factory=list)


class SelfSupervisedTraining:
    """Pretraining of one backbone on one list of images."""

    def __init__(
        self,
        model: Siamese,
        records: Sequence[ImageRecord],
        spec: InputSpec,
        settings: PretrainSettings,
        file: Path | None,
    ) -> None:
        """Prepare it; what an earlier call saved is read.

        Args:
            model: Backbone and heads.
            records: Readable images; their labels are not used.
            spec: Input of the network.
            settings: What decides the result.
            file: Checkpoint; may be named later, before it is run.
        """
        self.model, self.records, self.spec, self.settings, self.file = model, tuple(records), spec, settings, file
        self.progress = PretrainProgress()
        self._device = device_of(model.classifier.network)
        self.model.heads.to(self._device)
        self._set_modes()
        backbone = {"params": list(model.trained()), "lr": settings.lr}
        heads = {"params": list(model.heads.parameters()), "lr": 10 * settings.lr}
        self._optimizer = torch.optim.AdamW([backbone, heads], weight_decay=settings.weight_decay)
        if file is not None and file.exists():
            self._restore(torch.load(file, map_location=self._device, weights_only=True))

    @property
    def steps_an_epoch(self) -> int:
        """Steps; images that do not fill the last batch of an epoch are left out of it, others in each."""
        return len(self.records) // self.settings.batch_size

    def run(
        self,
        stop: StopRequest,
        *,
        on_epoch: Callable[[PretrainedEpoch], object] = lambda epoch: None,
        on_images: Callable[[int], object] = lambda count: None,
    ) -> Literal["finished", "budget"]:
        """Train until the last epoch or the end of the budget.

        Args:
            stop: Checked after every step.
            on_epoch: Called after each epoch, once it is saved.
            on_images: Called after each step with its number of images.

        Raises:
            Stopped: by a signal, with everything saved.
            HeadstartError: the loss is no number.
        """
        saved = time.monotonic()
        while self.progress.epoch < self.settings.epochs:
            for _ in self._steps():
                on_images(self.settings.batch_size)
                if (reason := stop.reason) is not None:
                    self.save()
                    if reason == "signal":
                        raise Stopped(reason)
                    return "budget"
                if time.monotonic() - saved > PRETRAIN_SAVE_SECONDS:
                    self.save()
                    saved = time.monotonic()
            on_epoch(self._close_epoch())
        return "finished"

    def _steps(self) -> Any:  # noqa: ANN401 - a generator of steps
        at, size = self.progress, self.settings.batch_size
        order = np.random.default_rng(seed_of(self.settings.seed, "pretrain", at.epoch)).permutation(len(self.records))
        starts = [number * size for number in range(at.step, self.steps_an_epoch)]
        chunks = [[self.records[index] for index in order[start : start + size]] for start in starts]
        self._set_modes()
        began = time.monotonic()
        for _, pairs in batches(chunks, self._two_views):
            self._step(pairs)
            at.seconds += time.monotonic() - began
            began = time.monotonic()
            yield at.step

    def _two_views(self, record: ImageRecord) -> NetworkInput:
        """Two augmented views of an image, height x width x twice the channels."""
        values = read_values(record, self.spec)
        views = [
            training_view(
                values,
                self.spec,
                preset=self.settings.augmentation,
                flip=self.settings.flip,
                rng=view_rng(self.settings.seed, self.progress.epoch, record.id, number),
            )
            for number in (0, 1)
        ]
        return np.concatenate([scale(view, self.spec) for view in views], axis=2)

    def _step(self, pairs: NetworkInput) -> None:
        at = self.progress
        inputs = torch.from_numpy(np.ascontiguousarray(pairs)).permute(0, 3, 1, 2).to(self._device)
        first, second = inputs.chunk(2, dim=1)
        share = (at.epoch * self.steps_an_epoch + at.step) / max(1, self.settings.epochs * self.steps_an_epoch)
        for group, peak in zip(self._optimizer.param_groups, (self.settings.lr, 10 * self.settings.lr), strict=True):
            group["lr"] = peak * 0.5 * (1 + math.cos(math.pi * share))
        self._optimizer.zero_grad(set_to_none=True)
        loss, spread = self.model.loss((first.contiguous(), second.contiguous()))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise HeadstartError(
                f"the loss is {value} in step {at.step} of epoch {at.epoch + 1}", remedy="a lower --lr"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        at.step, at.loss_sum, at.spread_sum = at.step + 1, at.loss_sum + value, at.spread_sum + spread

    def _close_epoch(self) -> PretrainedEpoch:
        at = self.progress
        epoch = PretrainedEpoch(at.epoch + 1, at.loss_sum / at.step, at.spread_sum / at.step, at.seconds)
        self.progress = PretrainProgress(at.epoch + 1, done=[*at.done, epoch])
        self.save()
        return epoch

    def _set_modes(self) -> None:
        """Every group trainable; BatchNorm as the policy says; heads in training mode, which SimSiam needs."""
        classifier = self.model.classifier
        trained = [name for name in classifier.group_names if name != "head"]
        freeze(classifier.network, classifier.groups, trained=trained)
        set_batch_norm(
            classifier.network,
            classifier.groups,
            policy=self.settings.batch_norm,
            affine="trained",
            trained=trained,
        )
        self.model.heads.train()

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        at = self.progress
        assert self.file is not None
        raw = {
            "network": self.model.classifier.state(),
            "heads": self.model.heads.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "position": [at.epoch, at.step, at.loss_sum, at.spread_sum, at.seconds],
            "done": [[one.epoch, one.loss, one.spread, one.seconds] for one in at.done],
        }
        write_atomically(self.file, lambda aside: write_checkpoint(raw, aside))

    def _restore(self, raw: dict[str, Any]) -> None:
        self.model.classifier.restore(raw["network"])
        self.model.heads.load_state_dict(raw["heads"])
        self._optimizer.load_state_dict(raw["optimizer"])
        epoch, step, *sums = raw["position"]
        done = [PretrainedEpoch(int(one[0]), *one[1:]) for one in raw["done"]]
        self.progress = replace(PretrainProgress(int(epoch), int(step), *sums), done=done)
        self._set_modes()
