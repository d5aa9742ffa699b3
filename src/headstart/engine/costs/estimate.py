"""Estimates of the runtime and memory of phases, and the choice between cached and computed activations: pure.

With N images, E epochs, V cached views, F the MACs of a forward pass and s the share of them before the cut point, a
phase that caches activations takes about `V N (s F + view) + E N (read + 3 (1-s) F)`, one that computes everything
`E N (view + (3-2s) F)`. Each of these has a speed in `Speeds`; a span of this network that was measured before is taken
as it was measured, whatever its MACs say. Nothing here measures, and nothing imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from headstart.amounts import bytes_text
from headstart.engine.costs.memory import Origin
from headstart.engine.costs.network import PIXELS, CutPoint, NetworkFacts
from headstart.engine.costs.phase_estimate import (
    TEST_ROWS,
    CostEstimate,
    FrozenPrefixChoice,
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

_ROW_BYTES = 16
"""Of a stored row besides its numbers."""
_ENGINES = ("torch", "onnxruntime")
_SMALL_SHARE = 0.1
"""Of an estimate: if no more than this was never measured, it counts as measured."""

_LIBRARIES_BYTES = 500_000_000
_COPIES = 4
"""Of the weights: the network, the probe, the best epoch, and the checkpoint that is being saved."""
_PER_TRAINED = 3
"""Further numbers for each trainable weight: its gradient and the optimizer's two averages."""
_FLOAT_BYTES = 4
_COMPUTED = FrozenPrefixChoice("computed", None, 0, 0, "")


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
                made.append(left.solve_phase(phase))
            else:
                anew = left if chosen_by is None else replace(left._with(stored={}, epochs_done=0), speeds=chosen_by)
                made.append(left.train_phase(phase, self._planned(phase) or anew.choose(phase)))
            room -= made[-1].stored_bytes
        made.append(self._end(phases))
        return CostEstimate(tuple(made), self.memory_bytes(phases), self._origin(made))

    def choose(self, phase: TrainPhase) -> FrozenPrefixChoice:
        """Cached or computed, cut where, and in how many views.

        The latest possible cut point, earlier ones, and no store at all are compared by the seconds of the whole phase.
        Where the number of views is open and they do not fit at the latest cut point, fewer are tried.
        """
        settings = self.settings
        points = [one for one in frozen_cut_points(phase, self.network) if one.name not in settings.uncut]
        if settings.store == "off" or not points:
            why = "the plan stores nothing" if points else "nothing is frozen before the first trained group"
            return replace(_COMPUTED, why=why)
        computed = self.train_phase(phase, _COMPUTED).seconds
        wanted, smallest = views_to_cache(settings.augmentation, phase.epochs), 0
        for views in _views_to_try(settings.augmentation, phase.epochs):
            rows = self.counts.train * views + self.counts.validation
            sizes = {one.name: cached_bytes(one, rows, settings.store) for one in points}
            smallest = min(sizes.values())
            ways = [
                FrozenPrefixChoice("cached", name, views, size, "")
                for name, size in sizes.items()
                if size <= settings.room_bytes
            ]
            timed = [(self.train_phase(phase, way).seconds, way) for way in ways]
            seconds, best = min(timed, key=lambda pair: pair[0], default=(math.inf, _COMPUTED))
            if seconds <= REUSE * computed:
                return _explained(best, points[-1].name, wanted, seconds, computed)
            if sizes[points[-1].name] <= settings.room_bytes:
                return replace(_COMPUTED, why=f"storing would take about {seconds / computed:.2g} times as long")
        why = f"{bytes_text(smallest)} at least would have to be stored, and there is room for "
        return replace(_COMPUTED, why=why + bytes_text(max(0, int(settings.room_bytes))))

    def train_phase(self, phase: TrainPhase, choice: FrozenPrefixChoice) -> PhaseEstimate:
        """A phase of epochs that gets the activations of its frozen part as `choice` says."""
        counts, speeds, settings = self.counts, self.speeds, self.settings
        epochs, first = phase.epochs - settings.epochs_done, first_trained(phase, self.network)
        view = speeds.plain_view if settings.augmentation.preset == "none" else speeds.augmented_view
        start = PIXELS if choice.cut_point is None else choice.cut_point
        steps, validation = counts.train * self._step_seconds(start, first), self._validation_seconds(start)
        validation *= counts.validation
        unmeasured = 0.0 if steps_span(start, first) in speeds.measured else epochs * steps
        unmeasured += 0.0 if validation_span(start) in speeds.measured else epochs * validation
        search = self._search_seconds(phase, start, view)
        # The head is solved on these first; a phase that goes on has done it.
        head_rows = phase.head_refit_views * counts.train if settings.epochs_done == 0 else 0
        head_views, head_features = self._pooled(head_rows, setup=0.0)
        if choice.cut_point is None:
            views = self._besides(counts.train * view / speeds.cores, steps)
            views = epochs * (views + self._besides(counts.validation * speeds.plain_view / speeds.cores, validation))
            once, frozen, added = 0.0, 0.0, 0
        else:
            point = self.network.cut_point(choice.cut_point)
            rows = counts.train * choice.views + counts.validation
            missing = max(0, rows - settings.stored.get(point.name, 0))
            core_seconds = counts.train * choice.views * view + counts.validation * speeds.plain_view
            frozen = self._frozen_seconds(missing, point.name, point.share)
            unmeasured += 0.0 if self._has_run(point.name) else frozen
            added = cached_bytes(point, missing, settings.store)
            frozen += added / speeds.store
            views = self._besides(core_seconds * missing / max(rows, 1) / speeds.cores, frozen)
            read, once = cached_bytes(point, 1, settings.store) / speeds.store, views + frozen
            steps, validation = steps + counts.train * read, validation + counts.validation * read
        return PhaseEstimate(
            phase.name,
            views_seconds=views + head_views,
            frozen_seconds=frozen + head_features,
            steps_seconds=epochs * steps,
            validation_seconds=epochs * validation,
            other_seconds=epochs * speeds.epoch_seconds,
            search_seconds=search,
            once_seconds=once + search + head_views + head_features,
            epochs=epochs,
            stored_bytes=added,
            choice=choice,
            unmeasured_seconds=unmeasured,
        )

    def solve_phase(self, phase: ProbePhase) -> PhaseEstimate:
        """A linear probe on pooled features."""
        counts, speeds, settings = self.counts, self.speeds, self.settings
        stored = settings.stored.get(POOLED, 0) if settings.store != "off" else 0
        missing = max(0, counts.train + counts.validation - stored)
        views, frozen = self._pooled(missing, setup=self._setup_of(POOLED))
        numbers = counts.train * self.network.features * max(counts.classes, 2)
        return PhaseEstimate(
            phase.name,
            views_seconds=views,
            frozen_seconds=frozen,
            other_seconds=numbers / speeds.head + speeds.head_seconds + speeds.epoch_seconds,
            once_seconds=views + frozen,
            stored_bytes=self._pooled_bytes(missing),
            unmeasured_seconds=0.0 if self._has_run(POOLED) else frozen,
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

    def _planned(self, phase: TrainPhase) -> FrozenPrefixChoice | None:
        """What the plan says already: a phase that goes on keeps its cut point and views."""
        said, store = phase.frozen_prefix, self.settings.store
        if not isinstance(said, FrozenPrefixPlan):
            return None
        if said.cut_point is None or store == "off" or said.cut_point not in self.network.groups[1:]:
            return replace(_COMPUTED, why="as the plan says")
        rows = self.counts.train * said.views + self.counts.validation
        size = cached_bytes(self.network.cut_point(said.cut_point), rows, store)
        return FrozenPrefixChoice("cached", said.cut_point, said.views, size, "as the plan says")

    def _origin(self, phases: Sequence[PhaseEstimate]) -> Origin:
        """That of the speeds, unless too much of what is to come never ran here."""
        unmeasured, seconds = sum(one.unmeasured_seconds for one in phases), sum(one.seconds for one in phases)
        origin = self.speeds.origin
        return "related" if origin == "measured" and unmeasured > _SMALL_SHARE * seconds else origin

    def _search_seconds(self, phase: TrainPhase, start: str, view: float) -> float:
        """Of the range tests before the first epoch: each runs its batches twice, without and with what it varies.

        A test whose edge lies outside runs a third time, which cannot be known before.
        """
        counts, batch_size = self.counts, self.settings.batch_size
        if phase.peak_lr != "find" or self.settings.epochs_done > 0 or counts.train == 0:
            return 0.0
        points = points_for(phase.epochs * math.ceil(counts.train / batch_size))
        images = (points + 1) * min(batch_size, counts.train)
        first, head = first_trained(phase, self.network), self.network.groups[-1]
        forward, with_head, whole = (
            self._validation_seconds(start),
            *(self._step_seconds(start, g) for g in (head, first)),
        )
        if first == head:
            passes = [forward, with_head]
        elif self.settings.weights == "random":
            passes = [forward, whole]
        else:
            passes = [forward, with_head, with_head, whole]
        if start != PIXELS:
            read = cached_bytes(self.network.cut_point(start), 1, self.settings.store) / self.speeds.store
            return images * (sum(passes) + len(passes) * read)
        return sum(images * each + self._besides(images * view / self.speeds.cores, images * each) for each in passes)

    def _end(self, phases: Phases) -> PhaseEstimate:
        """The head once more on all of train, the bundle, and the test images."""
        counts, speeds = self.counts, self.speeds
        tuned = any(isinstance(phase, TrainPhase) for phase in phases)
        solved = any(isinstance(phase, ProbePhase) for phase in phases) or self.settings.epochs_done > 0
        rows = 0
        if solved:  # the features of a tuned network are new ones
            rows = counts.training_pool if tuned else max(0, counts.training_pool - counts.train - counts.validation)
        setup = speeds.setup_seconds if tuned else speeds.reload_seconds
        views, frozen = self._pooled(rows, setup=setup)
        test, known = counts.test, validation_span(PIXELS) in speeds.measured
        seconds = test * self._validation_seconds(PIXELS)
        if counts.test >= FEWEST_FOR_AN_ENGINE:
            test, known = max(0, test - self.settings.stored.get(TEST_ROWS, 0)), self._has_run(POOLED)
            seconds = self._frozen_seconds(test, POOLED, 1.0, setup=setup if rows == 0 else speeds.reload_seconds)
        test_views = self._besides(test * speeds.plain_view / speeds.cores, seconds)
        numbers = counts.training_pool * self.network.features * max(counts.classes, 2) if rows else 0
        return PhaseEstimate(
            "end",
            views_seconds=views + test_views,
            frozen_seconds=frozen,
            validation_seconds=seconds,
            other_seconds=speeds.end_seconds + numbers / speeds.head / 10,  # one penalty, not a grid out of fold
            stored_bytes=self._pooled_bytes(rows),
            unmeasured_seconds=(0.0 if known else seconds) + (0.0 if self._has_run(POOLED) else frozen),
        )

    def _pooled(self, images: int, *, setup: float) -> tuple[float, float]:
        """(seconds of views, seconds of the network) for pooled features of so many images."""
        frozen = self._frozen_seconds(images, POOLED, 1.0, setup=setup)
        return self._besides(images * self.speeds.plain_view / self.speeds.cores, frozen), frozen

    def _pooled_bytes(self, rows: int) -> int:
        store = self.settings.store
        return cached_bytes(self.network.pooled, rows, store) if store != "off" else 0

    def _frozen_seconds(self, images: int, cut_point: str, share: float, *, setup: float | None = None) -> float:
        """By whichever engine is done first, set-up included."""
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
        return any(frozen_span(cut_point, engine) in self.speeds.measured for engine in _ENGINES)

    def _setup_of(self, cut_point: str) -> float:
        """A part that was run here before was also exported and kept."""
        was_run = frozen_span(cut_point, "onnxruntime") in self.speeds.measured
        return self.speeds.reload_seconds if was_run else self.speeds.setup_seconds

    def _step_seconds(self, start: str, first: str) -> float:
        """Of one image: the frozen part behind `start` forward, the trained one both ways, its share of the step."""
        speeds, network = self.speeds, self.network
        trained = 1.0 - network.share_before(first)
        frozen = network.share_before(first) - network.share_before(start)
        seconds = network.gmacs * (frozen / speeds.forward + trained / speeds.training)
        return speeds.measured.get(steps_span(start, first), seconds + speeds.step_seconds / self.settings.batch_size)

    def _validation_seconds(self, start: str) -> float:
        """Of one image."""
        gmacs = (1.0 - self.network.share_before(start)) * self.network.gmacs
        return self.speeds.measured.get(validation_span(start), gmacs / self.speeds.forward)

    def _besides(self, views: float, computing: float) -> float:
        """Seconds that views add to computing: all where they share the cores, else by how much they take longer."""
        return views if self.speeds.decoding == "shares_cores" else max(views, computing) - computing


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
    trainable = len(network.groups) - 1 if phase.unfreeze == "all" else phase.unfreeze
    return network.groups[max(0, len(network.groups) - 1 - trainable)]


def views_to_cache(augmentation: AugmentationPlan, epochs: int) -> int:
    """Cached views of an image where there is room: never more than epochs that could see them."""
    if augmentation.preset == "none":
        return 1
    return min(MOST_CACHED_VIEWS if augmentation.cached_views == "auto" else augmentation.cached_views, epochs)


def cached_bytes(point: CutPoint, rows: int, precision: StorePrecision) -> int:
    """Bytes of rows in the store."""
    return rows * (point.bytes_per_image // (2 if precision == "float16" else 1) + _ROW_BYTES)


def points_for(phase_steps: int) -> int:
    """Training steps of one range test of a phase: a sixth of the phase's, but 20 at least and 50 at most.

    A head and a backbone are tested one after the other, so that both take a third of the phase's steps or less, and
    100 at most; in phases of fewer than 120 steps more than a third, because fewer points would miss the edge.

    Args:
        phase_steps: Optimizer steps of the whole phase, > 0.
    """
    return min(MOST_POINTS, max(FEWEST_POINTS, phase_steps // 6))


def _views_to_try(augmentation: AugmentationPlan, epochs: int) -> Iterator[int]:
    wanted = views_to_cache(augmentation, epochs)
    fewest = 1 if augmentation.cached_views == "auto" else wanted
    yield from range(wanted, fewest - 1, -1)


def _explained(
    best: FrozenPrefixChoice, latest: str, wanted: int, seconds: float, computed: float
) -> FrozenPrefixChoice:
    why = f"{_pace(seconds, computed)} running everything in every epoch"
    if best.cut_point != latest:
        why += f"; before {best.cut_point} and not {latest}, where it would take longer or more room"
    if best.views < wanted:
        why += f"; {best.views} of {wanted} views, because there is no room for more"
    return replace(best, why=why)


def _pace(seconds: float, other: float) -> str:
    """`about 2.5 times as fast as`: a ratio holds on more machines than seconds do."""
    if seconds <= other / ALIKE:
        return f"about {other / seconds:.2g} times as fast as"
    if seconds <= other * ALIKE:
        return "about as fast as"
    return f"stored for later phases and runs, though it takes about {seconds / other:.2g} times as long as"
