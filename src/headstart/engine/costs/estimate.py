"""Estimates of the runtime and memory of phases, and the choice between cached and computed activations: pure.

With N images, E epochs, V cached views, F the MACs of a forward pass and s the share of them before the cut point, a
phase that caches activations takes about `V N (s F + view) + E N (read + 3 (1-s) F)`, one that computes everything
`E N (view + (3-2s) F)`. Each of these has a speed in `Speeds`; a span of this network that was measured before is taken
as it was measured, whatever its MACs say. Nothing here measures, and nothing imports torch.

What an estimate decides: cached or computed, by `nominal_speeds`, because another choice trains other weights; and the
strategy that is advised, by what is known of the machine. The engine is chosen by the throughput of the real images in
the moment (`prefix.engine_choice`), which is right where an expectation may be off by a factor of two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

from headstart.amounts import bytes_text
from headstart.engine.costs.memory import Origin
from headstart.engine.costs.network import PIXELS, CutPoint, NetworkFacts
from headstart.engine.costs.phase_estimate import (
    TEST_ROWS,
    CostEstimate,
    ImageCounts,
    PhaseEstimate,
    Settings,
    StorePrecision,
)
from headstart.engine.costs.speeds import Speeds, frozen_span, steps_span, validation_span
from headstart.engine.prefix.engine_choice import FEWEST_FOR_AN_ENGINE
from headstart.engine.store.index import POOLED
from headstart.plan.sections import AugmentationPlan, FrozenPrefixPlan, ProbePhase, TrainPhase

Phases: TypeAlias = Sequence[ProbePhase | TrainPhase]

MOST_CACHED_VIEWS = 4
"""Views of an image that are stored where the plan leaves their number open."""
REUSE = 1.25
"""Storing is preferred unless it takes this many times as long as not storing: stored activations serve other phases
and runs too, and measured speeds differ by a fifth from one minute to the next."""
ALIKE = 1.05
"""Times that differ by less are said to be the same."""
FEWEST_POINTS = 20
"""Of one range test of learning rates: five a decade."""
MOST_POINTS = 50
COMPUTED = FrozenPrefixPlan(activations="computed")

_ROW_BYTES = 16
"""Of a stored row besides its numbers."""
_SMALL_SHARE = 0.1
"""Of an estimate: if no more than this was never measured, it counts as measured."""
_LIBRARIES_BYTES = 500_000_000
_COPIES = 4
"""Of the weights: the network, the probe, the best epoch, and the checkpoint that is being saved."""
_PER_TRAINED = 3
"""Further numbers for each trainable weight: its gradient and the optimizer's two averages."""
_FLOAT_BYTES = 4


class PrefixChoice(NamedTuple):
    """How a phase gets the activations of its frozen prefix, and one sentence that says why."""

    plan: FrozenPrefixPlan
    why: str


@dataclass(frozen=True)
class Estimator:
    """Estimates for one network, its images and one machine."""

    counts: ImageCounts
    network: NetworkFacts
    speeds: Speeds
    settings: Settings

    def estimate(self, phases: Phases, *, chosen_by: Speeds | None = None) -> CostEstimate:
        """Seconds and bytes of every phase as if it ran to its end; early stopping and skipped phases only take less.

        Args:
            phases: Resolved, those that are still to come.
            chosen_by: Speeds that decide between cached and computed, with nothing cached yet; None: `speeds`.
        """
        made, room = list[PhaseEstimate](), self.settings.room_bytes
        for number, phase in enumerate(phases):
            left = self._with(room_bytes=room, epochs_done=self.settings.epochs_done if number == 0 else 0)
            if isinstance(phase, ProbePhase):
                made.append(left.probe_phase(phase))
            else:
                anew = left if chosen_by is None else replace(left._with(stored={}, epochs_done=0), speeds=chosen_by)
                made.append(left.train_phase(phase, self._planned(phase) or anew.choose(phase).plan))
            room -= made[-1].stored_bytes
        made.append(self._end(phases))
        unmeasured, seconds = sum(one.unmeasured_seconds for one in made), sum(one.seconds for one in made)
        origin: Origin = self.speeds.origin
        if origin == "measured" and unmeasured > _SMALL_SHARE * seconds:
            origin = "related"
        return CostEstimate(tuple(made), self.memory_bytes(phases), origin)

    def choose(self, phase: TrainPhase) -> PrefixChoice:
        """Cached or computed, cut where, and in how many views.

        The latest possible cut point, earlier ones, and no store at all are compared by the seconds of the whole phase.
        Where the number of views is open and they do not fit at the latest cut point, fewer are tried.
        """
        settings, store = self.settings, self.settings.store
        points = [one for one in frozen_cut_points(phase, self.network) if one.name not in self.network.uncut]
        if store == "off" or not points:
            why = "the plan stores nothing" if points else "nothing is frozen before the first trained group"
            return PrefixChoice(COMPUTED, why)
        computed = self.train_phase(phase, COMPUTED).seconds
        wanted, smallest = views_to_cache(settings.augmentation, phase.epochs), 0
        fewest = 1 if settings.augmentation.cached_views == "auto" else wanted
        for views in range(wanted, fewest - 1, -1):
            rows = self.counts.train * views + self._plain_rows(phase)
            sizes = {one.name: cached_bytes(one, rows, store) for one in points}
            smallest = min(sizes.values())
            ways = [_cached(name, views) for name, size in sizes.items() if size <= settings.room_bytes]
            timed = [(self.train_phase(phase, way).seconds, way) for way in ways]
            seconds, best = min(timed, key=lambda pair: pair[0], default=(math.inf, COMPUTED))
            if seconds <= REUSE * computed:
                return PrefixChoice(best, _why(best, points[-1].name, wanted, seconds, computed))
            if sizes[points[-1].name] <= settings.room_bytes:
                return PrefixChoice(COMPUTED, f"storing would take about {seconds / computed:.2g} times as long")
        room = bytes_text(max(0, int(settings.room_bytes)))
        return PrefixChoice(
            COMPUTED, f"{bytes_text(smallest)} at least would have to be stored, and there is room for {room}"
        )

    def train_phase(self, phase: TrainPhase, prefix: FrozenPrefixPlan) -> PhaseEstimate:
        """A phase of epochs that gets the activations of its frozen part as `prefix` says."""
        counts, speeds, settings = self.counts, self.speeds, self.settings
        epochs, first = phase.epochs - settings.epochs_done, first_trained(phase, self.network)
        start = prefix.cut_point or PIXELS
        trained, validated = self._images_of(phase)
        steps = trained * self._step_seconds(start, first)
        validation = validated * self._validation_seconds(start)
        unmeasured = epochs * (0.0 if steps_span(start, first) in speeds.measured else steps)
        unmeasured += epochs * (0.0 if validation_span(start) in speeds.measured else validation)
        search = self._search_seconds(phase, start)
        # The head is fitted on these first; a phase that goes on has done it.
        head_rows = phase.head_refit_views * counts.train if settings.epochs_done == 0 else 0
        head, _ = self._pooled(head_rows, setup=0.0)
        once, each, added = search + head, steps + validation + speeds.epoch_seconds, 0
        if prefix.cut_point is None:
            each += self._besides(trained * self._train_view, steps)
            each += self._besides(validated * speeds.plain_view, validation)
        else:
            point = self.network.cut_point(start)
            plain = self._plain_rows(phase)
            rows = counts.train * prefix.views + plain
            missing = max(0, rows - settings.stored.get(start, 0))
            frozen = self._frozen_seconds(missing, start, point.share)
            unmeasured += 0.0 if self._has_run(start) else frozen
            added = cached_bytes(point, missing, settings.store)
            frozen += added / speeds.store
            views = counts.train * prefix.views * self._train_view + plain * speeds.plain_view
            once += frozen + self._besides(views * missing / max(rows, 1), frozen)
            each += (trained + validated) * self._read_seconds(start)
        return PhaseEstimate(
            phase.name,
            seconds=once + epochs * each,
            search_seconds=search,
            once_seconds=once,
            epochs=epochs,
            epoch_seconds=each if epochs else None,
            stored_bytes=added,
            unmeasured_seconds=unmeasured,
            **prefix.model_dump(),
        )

    def _is_cross_fitted(self, phase: TrainPhase) -> bool:
        """Whether training images validate the phase, in folds."""
        return phase.folds > 1 and self.counts.validation == 0

    def _plain_rows(self, phase: TrainPhase) -> int:
        """Images whose plain view validates the phase."""
        return self.counts.train if self._is_cross_fitted(phase) else self.counts.validation

    def _images_of(self, phase: TrainPhase) -> tuple[float, float]:
        """Images that an epoch trains on, and that validate it.

        Of a cross-fitted step one fold and the round on all images are expected: the first fold decides as a rule.
        """
        counts = self.counts
        if not self._is_cross_fitted(phase):
            return counts.train, counts.validation
        return counts.train * (2 - 1 / phase.folds), counts.train / phase.folds

    def probe_phase(self, phase: ProbePhase) -> PhaseEstimate:
        """A linear probe on pooled features."""
        counts, speeds, settings = self.counts, self.speeds, self.settings
        stored = settings.stored.get(POOLED, 0) if settings.store != "off" else 0
        missing = max(0, counts.train + counts.validation - stored)
        once, unmeasured = self._pooled(missing, setup=self._setup_of(POOLED))
        fitting = self._head_numbers(counts.train) / speeds.head + speeds.head_seconds + speeds.epoch_seconds
        if phase.alternative_head == "multi_depth":  # its fits take about as long as those of the plain head
            fitting += self._head_numbers(counts.train) / speeds.head + speeds.head_seconds
        return PhaseEstimate(
            phase.name,
            seconds=once + fitting,
            once_seconds=once,
            stored_bytes=self._pooled_bytes(missing),
            unmeasured_seconds=unmeasured,
        )

    def memory_bytes(self, phases: Phases) -> int:
        """Resident memory at the peak, without pages of the store that the system caches while there is room."""
        network, batch_size = self.network, self.settings.batch_size
        most = 0.1 * network.held_bytes * batch_size  # a forward pass lets go of what it has used
        for phase in phases:
            if isinstance(phase, TrainPhase):
                trained = 1.0 - network.share_before(first_trained(phase, network))
                weights = trained * network.parameters * _FLOAT_BYTES * _PER_TRAINED
                most = max(most, weights + trained * network.held_bytes * batch_size)
        return int(_LIBRARIES_BYTES + network.parameters * _FLOAT_BYTES * _COPIES + most)

    def _with(self, **settings: Any) -> Estimator:  # noqa: ANN401 - fields of Settings
        return replace(self, settings=replace(self.settings, **settings))

    def _planned(self, phase: TrainPhase) -> FrozenPrefixPlan | None:
        """The choice of the plan, where it has one: a resumed phase keeps its cut point and views."""
        said = phase.frozen_prefix
        if not isinstance(said, FrozenPrefixPlan):
            return None
        return said if self.settings.store != "off" and said.cut_point in self.network.groups[1:] else COMPUTED

    def _search_seconds(self, phase: TrainPhase, start: str) -> float:
        """Of the range tests before the first epoch: each runs its batches twice, without and with what it varies.

        A test whose edge lies outside runs a third time, which cannot be known before.
        """
        counts, batch_size = self.counts, self.settings.batch_size
        if phase.peak_lr != "find" or self.settings.epochs_done > 0 or counts.train == 0:
            return 0.0
        images = (points_for(phase.epochs * math.ceil(counts.train / batch_size)) + 1) * min(batch_size, counts.train)
        first, head = first_trained(phase, self.network), self.network.groups[-1]
        forward, whole = self._validation_seconds(start), self._step_seconds(start, first)
        passes = [forward, whole]
        if first != head and self.settings.weights == "pretrained":  # the head first, then the backbone
            with_head = self._step_seconds(start, head)
            passes = [forward, with_head, with_head, whole]
        if start != PIXELS:
            return images * (sum(passes) + len(passes) * self._read_seconds(start))
        return sum(images * each + self._besides(images * self._train_view, images * each) for each in passes)

    def _end(self, phases: Phases) -> PhaseEstimate:
        """Estimate of the end: the head once more on all of train, the bundle, and the test images."""
        counts, speeds = self.counts, self.speeds
        tuned = any(isinstance(phase, TrainPhase) for phase in phases)
        rows = 0
        if self.settings.epochs_done > 0 or any(isinstance(phase, ProbePhase) for phase in phases):
            # The features of a tuned network are new ones.
            rows = counts.training_pool if tuned else max(0, counts.training_pool - counts.train - counts.validation)
        pooled, unmeasured = self._pooled(rows, setup=speeds.setup_seconds if tuned else speeds.reload_seconds)
        test, known = counts.test, validation_span(PIXELS) in speeds.measured
        seconds = test * self._validation_seconds(PIXELS)
        if test >= FEWEST_FOR_AN_ENGINE:
            test, known = max(0, test - self.settings.stored.get(TEST_ROWS, 0)), self._has_run(POOLED)
            setup = speeds.setup_seconds if tuned and rows == 0 else speeds.reload_seconds
            seconds = self._frozen_seconds(test, POOLED, 1.0, setup=setup)
        head = self._head_numbers(counts.training_pool if rows else 0) / speeds.head / 10  # one penalty, not a grid
        test_views = self._besides(test * speeds.plain_view, seconds)
        return PhaseEstimate(
            "end",
            seconds=pooled + test_views + seconds + head + speeds.end_seconds,
            stored_bytes=self._pooled_bytes(rows),
            unmeasured_seconds=unmeasured + (0.0 if known else seconds),
        )

    def _pooled(self, images: int, *, setup: float) -> tuple[float, float]:
        """(seconds, those that were never measured here) for pooled features of so many images."""
        frozen = self._frozen_seconds(images, POOLED, 1.0, setup=setup)
        seconds = frozen + self._besides(images * self.speeds.plain_view, frozen)
        return seconds, 0.0 if self._has_run(POOLED) else frozen

    def _pooled_bytes(self, rows: int) -> int:
        store = self.settings.store
        return cached_bytes(self.network.pooled, rows, store) if store != "off" else 0

    def _head_numbers(self, images: int) -> int:
        return images * self.network.features * max(self.counts.classes, 2)

    def _frozen_seconds(self, images: int, cut_point: str, share: float, *, setup: float | None = None) -> float:
        """Seconds of the frozen prefix by the engine that finishes first, set-up included."""
        if images == 0:
            return 0.0
        speeds, gmacs = self.speeds, share * self.network.gmacs
        by_torch = images * speeds.measured.get(frozen_span(cut_point, "torch"), gmacs / speeds.torch)
        if speeds.onnxruntime == 0:
            return by_torch
        each = speeds.measured.get(frozen_span(cut_point, "onnxruntime"), gmacs / speeds.onnxruntime)
        return min(by_torch, (self._setup_of(cut_point) if setup is None else setup) + images * each)

    def _has_run(self, cut_point: str) -> bool:
        """Whether an engine ran the part up to a cut point here."""
        return any(frozen_span(cut_point, engine) in self.speeds.measured for engine in ("torch", "onnxruntime"))

    def _setup_of(self, cut_point: str) -> float:
        """A part that was run here before was also exported and kept."""
        was_run = frozen_span(cut_point, "onnxruntime") in self.speeds.measured
        return self.speeds.reload_seconds if was_run else self.speeds.setup_seconds

    def _step_seconds(self, start: str, first: str) -> float:
        """Seconds of one image in a step: the frozen part behind `start` forward, the trainable one both ways."""
        speeds, network = self.speeds, self.network
        trained = 1.0 - network.share_before(first)
        frozen = network.share_before(first) - network.share_before(start)
        seconds = network.gmacs * (frozen / speeds.forward + trained / speeds.training)
        return speeds.measured.get(steps_span(start, first), seconds + speeds.step_seconds / self.settings.batch_size)

    def _validation_seconds(self, start: str) -> float:
        """Seconds of one image in a validation pass."""
        gmacs = (1.0 - self.network.share_before(start)) * self.network.gmacs
        return self.speeds.measured.get(validation_span(start), gmacs / self.speeds.forward)

    def _read_seconds(self, cut_point: str) -> float:
        """Seconds of reading the cached activations of one image."""
        return cached_bytes(self.network.cut_point(cut_point), 1, self.settings.store) / self.speeds.store

    @property
    def _train_view(self) -> float:
        """Seconds of one core for a view of a training image."""
        augmented = self.settings.augmentation.preset != "none"
        return self.speeds.augmented_view if augmented else self.speeds.plain_view

    def _besides(self, views: float, computing: float) -> float:
        """Seconds that views of so many core seconds add to computing.

        All of them where views share the cores; else only by how much they take longer.
        """
        seconds = views / self.speeds.cores
        return seconds if self.speeds.decoding == "shares_cores" else max(seconds, computing) - computing


def frozen_cut_points(phase: TrainPhase, network: NetworkFacts) -> tuple[CutPoint, ...]:
    """Cut points, in order, with nothing before them that is trained or whose statistics move; maybe none."""
    if phase.batch_norm != "pretrained_statistics":
        return ()
    first = first_trained(phase, network)
    names = [point.name for point in network.cut_points]
    return network.cut_points[: names.index(first) + 1] if first in names else ()


def first_trained(phase: TrainPhase, network: NetworkFacts) -> str:
    """Name of the first trainable layer group, by the learning rates of a resolved phase or by its `unfreeze`."""
    if phase.lr_by_group:
        return next(name for name in network.groups if name in phase.lr_by_group)
    if phase.unfreeze == "by_cost":
        trainable = network.groups_within(phase.most_trained_share or 1.0)
    else:
        trainable = phase.unfreeze if isinstance(phase.unfreeze, int) else len(network.groups) - 1
    return network.groups[max(0, len(network.groups) - 1 - trainable)]


def views_to_cache(augmentation: AugmentationPlan, epochs: int) -> int:
    """Cached views of an image where there is room: never more than epochs that could see them."""
    if augmentation.preset == "none":
        return 1
    return min(MOST_CACHED_VIEWS if augmentation.cached_views == "auto" else augmentation.cached_views, epochs)


def cached_bytes(point: CutPoint, rows: int, precision: StorePrecision) -> int:
    """Bytes of rows in the activation cache."""
    return rows * (point.bytes_per_image // (2 if precision == "float16" else 1) + _ROW_BYTES)


def points_for(phase_steps: int) -> int:
    """Training steps of one range test of a phase: a sixth of the phase's, but 20 at least and 50 at most.

    A head and a backbone are tested one after the other, so that both take a third of the phase's steps or less, and
    100 at most; in phases of fewer than 120 steps more than a third, because fewer points would miss the edge.

    Args:
        phase_steps: Optimizer steps of the whole phase, > 0.
    """
    return min(MOST_POINTS, max(FEWEST_POINTS, phase_steps // 6))


def _cached(cut_point: str, views: int) -> FrozenPrefixPlan:
    return FrozenPrefixPlan(activations="cached", cut_point=cut_point, views=views)


def _why(best: FrozenPrefixPlan, latest: str, wanted: int, seconds: float, computed: float) -> str:
    """The reason for caching, with a ratio, which holds on more machines than seconds do."""
    if seconds <= computed / ALIKE:
        pace = f"about {computed / seconds:.2g} times as fast as"
    elif seconds <= computed * ALIKE:
        pace = "about as fast as"
    else:
        pace = f"stored for later phases and runs, though it takes about {seconds / computed:.2g} times as long as"
    why = f"{pace} running everything in every epoch"
    if best.cut_point != latest:
        why += f"; before {best.cut_point} and not {latest}, where it would take longer or more room"
    if best.views < wanted:
        why += f"; {best.views} of {wanted} views, because there is no room for more"
    return why
