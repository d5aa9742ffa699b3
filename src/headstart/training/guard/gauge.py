"""Readings of a network on a fixed batch of training images: what it still has of the network that it began as.

Of every layer group of the backbone, the output of the last of its layers that runs is averaged over positions, and
compared with that of the starting network on the same images. Where a phase trains on cached activations, the batch is
a batch of these, and only the groups behind the cut point are read: those before it cannot change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.arrays import Floats, Labels
from headstart.engine.prefix.parts import pooled
from headstart.measures.metrics import log_loss
from headstart.measures.similarity import linear_cka
from headstart.networks.backbone import Classifier
from headstart.networks.groups.layers import in_evaluation_mode, is_batch_norm, owner_by_path
from headstart.runs.ledger import BatchState, GroupState
from headstart.solvers.linear_head import softmax

MOST_IMAGES, FEWEST_IMAGES = 64, 16
BATCH_SHARE = 1 / 8
"""Of the training images, between these two numbers: the reading then takes some 4 % of an epoch at most."""

DEAD_SHARE = 0.01
"""A channel is dead whose standard deviation over the images is below this share of the starting network's median."""


def fixed_images(images: int, *, seed: int) -> np.ndarray:
    """Positions of the images of the fixed batch among the training images, the same in every process."""
    count = min(images, MOST_IMAGES, max(FEWEST_IMAGES, int(images * BATCH_SHARE)))
    return np.sort(np.random.default_rng((seed, images)).permutation(images)[:count])


class Gauge:
    """The fixed batch of a phase, and what the starting network makes of it."""

    def __init__(
        self,
        classifier: Classifier,
        runs: nn.Module,
        batch: tuple[Tensor, ...],
        labels: Labels,
        start: Mapping[str, Any],
    ) -> None:
        """Read the starting network; the weights of the classifier are the same afterwards.

        Args:
            classifier: Its network, which may have been trained already.
            runs: The part of it that steps run: the whole network, or its trainable suffix.
            batch: Inputs of that part.
            labels: (N,) classes of the batch.
            start: State of the network that the run began with.
        """
        self._classifier, self._runs, self._batch, self._labels = classifier, runs, batch, labels
        *self._backbone, _ = classifier.group_names
        now = classifier.state()
        classifier.restore(start)
        self._layers = self._last_layers()
        self._original_logits: Floats | None = None
        self._start, _ = self._outputs()
        self._original = self._original_logits
        self._statistics = {name: (m.clone(), v.clone()) for name, m, v in self._running_statistics()}
        classifier.restore(now)

    def read(self) -> tuple[dict[str, GroupState], BatchState]:
        """(layer group -> its state, state of the outputs of the network) as they are now."""
        outputs, logits = self._outputs()
        drift = self._drift()
        states = {
            group: group_state(outputs[group], self._start[group], statistics_drift=drift.get(group))
            for group in self._start
        }
        right = float((logits.argmax(axis=1) == self._labels).mean())
        agreement, divergence = None, None
        if self._original is not None and self._original_logits is not None:
            agreement, divergence = agreement_of(self._original, self._original_logits)
        return states, BatchState(
            images=len(logits),
            accuracy=right,
            log_loss=log_loss(softmax(logits), self._labels),
            original_agreement=agreement,
            original_divergence=divergence,
        )

    def _last_layers(self) -> dict[str, str]:
        """Layer group of the backbone -> the last of its layers that runs."""
        network, found = self._classifier.network, dict[str, str]()
        leaves = [name for name, module in network.named_modules() if name and next(module.children(), None) is None]
        owners = owner_by_path(leaves, self._classifier.groups)

        def note(name: str) -> Callable[..., None]:
            def hook(module: nn.Module, given: object, output: object) -> None:
                if isinstance(output, Tensor) and output.ndim > 1:
                    found[owners[name]] = name

            return hook

        with self._hooked({name: note(name) for name in leaves if owners.get(name) in self._backbone}):
            self._run(images=2)
        return {group: found[group] for group in self._backbone if group in found}

    def _outputs(self) -> tuple[dict[str, Floats], Floats]:
        """(layer group -> (N, C) outputs, averaged over positions; (N, K) logits)."""
        found = dict[str, Floats]()

        def keep(group: str) -> Callable[..., None]:
            def hook(module: nn.Module, given: object, output: Tensor) -> None:
                # At once: a layer behind it may change its output in place.
                found[group] = pooled(output).flatten(1).float().cpu().numpy().astype(np.float64)

            return hook

        original, features = self._classifier.original_head, list[Tensor]()
        head = self._classifier.head
        reads = head.register_forward_pre_hook(lambda module, given: features.append(given[0]))
        with self._hooked({layer: keep(group) for group, layer in self._layers.items()}):
            logits = self._run()
        reads.remove()
        # A head of another kind may sit elsewhere than the one that came with the weights.
        if original is not None and features and features[0].flatten(1).shape[1] == original.weight.shape[1]:
            given = original.logits(features[0].flatten(1).float().cpu())
            self._original_logits = np.asarray(given.numpy(), np.float64)
        return found, logits

    def _run(self, images: int | None = None) -> Floats:
        """(N, K) logits of the fixed batch, or of its first images."""
        with in_evaluation_mode(self._classifier.network), torch.inference_mode():
            output = self._runs(*(tensor[:images] for tensor in self._batch))
            (logits, _), *_ = self._classifier.weighted_logits(output)
            return np.asarray(logits.float().cpu().numpy(), np.float64)

    @contextmanager
    def _hooked(self, hooks: Mapping[str, Callable[..., None]]) -> Iterator[None]:
        network = self._classifier.network
        handles = [network.get_submodule(name).register_forward_hook(hook) for name, hook in hooks.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _running_statistics(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """(name of a BatchNorm layer, its running mean, its running variance) in the groups that are read."""
        named = dict(self._classifier.network.named_modules())
        owners = owner_by_path(named, self._classifier.groups)
        for name, module in named.items():
            if owners.get(name) in self._layers and is_batch_norm(module):
                buffers = dict(module.named_buffers(recurse=False))
                if buffers.get("running_mean") is not None and buffers.get("running_var") is not None:
                    yield name, buffers["running_mean"].detach(), buffers["running_var"].detach()

    def _drift(self) -> dict[str, float]:
        """Layer group -> the largest drift of the running statistics of one of its BatchNorm layers."""
        found = dict[str, float]()
        owners = owner_by_path(self._statistics, self._classifier.groups)
        for name, mean, variance in self._running_statistics():
            before_mean, before_variance = self._statistics[name]
            drift = statistics_drift(*(t.cpu().numpy() for t in (mean, variance, before_mean, before_variance)))
            found[owners[name]] = max(found.get(owners[name], 0.0), drift)
        return found


def group_state(now_NC: Floats, start_NC: Floats, *, statistics_drift: float | None = None) -> GroupState:  # noqa: N803
    """State of a layer group from its outputs and those of the starting network.

    Args:
        now_NC: Outputs for N images, averaged over positions.
        start_NC: Those of the starting network, for the same images.
        statistics_drift: Of its BatchNorm layers.
    """
    least = DEAD_SHARE * float(np.median(start_NC.std(axis=0)))
    comparable = len(now_NC) > 1 and bool(np.isfinite(now_NC).all()) and bool(start_NC.std(axis=0).any())
    return GroupState(
        # 0 where the outputs do not differ any more: nothing is left of what they were.
        cka=min(1.0, linear_cka(start_NC, now_NC)) if comparable else None,
        scale=_rms(now_NC) / max(_rms(start_NC), 1e-12),
        dead=float((now_NC.std(axis=0) <= least).mean()),
        dead_at_start=float((start_NC.std(axis=0) <= least).mean()),
        statistics_drift=statistics_drift,
    )


def agreement_of(before_NC: Floats, now_NC: Floats) -> tuple[float, float]:  # noqa: N803
    """(share of the images with the same class, mean Kullback-Leibler divergence KL(before || now) in nats).

    Args:
        before_NC: Logits of the head that came with the weights, on the features of the starting network.
        now_NC: Its logits on the features of the network as it is.
    """
    before, now = (np.clip(softmax(logits), 1e-12, 1.0) for logits in (before_NC, now_NC))
    same = float((before.argmax(axis=1) == now.argmax(axis=1)).mean())
    return same, float((before * np.log(before / now)).sum(axis=1).mean())


def statistics_drift(mean_C: Floats, variance_C: Floats, mean0_C: Floats, variance0_C: Floats) -> float:  # noqa: N803
    """Median over channels of |mean - mean0| / deviation0 or of |ln(variance / variance0)|, whichever is larger.

    Channels whose variance was about zero at the start are left out.

    Args:
        mean_C: Running mean of a BatchNorm layer.
        variance_C: Its running variance.
        mean0_C: Running mean at the start.
        variance0_C: Running variance at the start.
    """
    alive = variance0_C > 1e-10
    if not alive.any():
        return 0.0
    shift = np.abs(mean_C - mean0_C)[alive] / np.sqrt(variance0_C[alive])
    ratio = np.abs(np.log(np.maximum(variance_C[alive], 1e-12) / variance0_C[alive]))
    return float(max(np.median(shift), np.median(ratio)))


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
