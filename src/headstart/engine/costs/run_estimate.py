"""Estimates of one run: announced before each phase, and how each phase gets the activations of its frozen part."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from headstart.engine.costs.estimate import (
    COMPUTED,
    Estimator,
    Phases,
    PrefixChoice,
    first_trained,
    frozen_cut_points,
    views_to_cache,
)
from headstart.engine.costs.memory import Measurements, recall
from headstart.engine.costs.network import CutPoint, NetworkFacts, classifier_facts
from headstart.engine.costs.phase_estimate import TEST_ROWS, CostEstimate, ImageCounts, Settings
from headstart.engine.costs.quick_benchmark import quick_benchmark
from headstart.engine.costs.speeds import DeviceKind, Speeds, nominal_speeds, speeds_of
from headstart.engine.known.classifier import AnyClassifier, KnownClassifier
from headstart.engine.prefix.engine_choice import EngineOption
from headstart.engine.store import limit
from headstart.engine.store.activations import cut_point_label, pooled_name
from headstart.engine.store.index import POOLED
from headstart.engine.store.run_rows import rows_of_run
from headstart.engine.store.training_images import TrainingImages
from headstart.errors import ModelError
from headstart.files import stored_paths
from headstart.machine import device_kind, machine_key, thread_count
from headstart.plan.plan import AugmentationPlan, FrozenPrefixPlan, ProbePhase, SelectionPlan, TrainPhase
from headstart.runs.events import PrefixPlanned
from headstart.runs.observers import Observer
from headstart.runs.training_events import RuntimeEstimate

if TYPE_CHECKING:
    from headstart.engine.prefix.cut import CutNetwork, NetworkGraph


@dataclass(frozen=True)
class ResolvedFrozenPrefix:
    """How a phase gets the activations of its frozen part, decided once."""

    plan: FrozenPrefixPlan
    cut: CutNetwork | None
    """The network as it was cut to decide it."""
    why: str


@dataclass
class RunEstimates:
    """Facts, counts and speeds of one run; what is measured while it goes on is in `known`."""

    classifier: AnyClassifier
    images: TrainingImages
    machine: str
    known: Measurements
    facts: NetworkFacts
    counts: ImageCounts
    started: float
    """`time.monotonic()` when the command began."""
    augmentation: AugmentationPlan = field(default_factory=AugmentationPlan)
    selection: SelectionPlan = field(default_factory=SelectionPlan)
    batch_size: int = 32
    engine: EngineOption = "auto"
    seed: int = 0
    benchmark: dict[str, float] | None = None
    """Figures that count until a run has measured them; None: the quick benchmark is still to come."""
    waits_for_torch: bool = False
    """Whether the quick benchmark left out what needs torch."""
    to_come: Phases = ()
    """As they were announced last."""
    budget_seconds: float | None = None
    """Of them, from the start of the command."""
    announced_seconds: float | None = None
    """In total, by the last announcement."""

    def under(
        self,
        augmentation: AugmentationPlan,
        selection: SelectionPlan,
        *,
        batch_size: int,
        engine: EngineOption,
        seed: int,
    ) -> RunEstimates:
        """Take the settings of the plan from now on."""
        self.augmentation, self.selection = augmentation, selection
        self.batch_size, self.engine, self.seed = batch_size, engine, seed
        return self

    def speeds(self) -> Speeds:
        """Speeds, as they are known now."""
        device, figures = _device(), Measurements({**(self.benchmark or {}), **self.known.figures})
        found = speeds_of(figures, self.facts, pixels=self.images.pixels, device=device)
        if device == "cpu":  # engines make views in the threads that compute
            found = replace(found, cores=min(found.cores, thread_count()))
        return replace(found, onnxruntime=0.0) if self.engine == "torch" else found

    def nominal_speeds(self) -> Speeds:
        """Speeds of a usual machine, whatever was measured here: for choices that the trained weights depend on.

        A stored view is another view than one that is made anew, so a choice by the clock would give other weights to
        the same plan from one run to the next.
        """
        found = nominal_speeds(self.facts, pixels=self.images.pixels, device=_device())
        return replace(found, onnxruntime=0.0) if self.engine == "torch" else found

    def announced(
        self, phases: Phases, *, epochs_done: int = 0, budget_seconds: float | None = None
    ) -> RuntimeEstimate:
        """Estimates of the phases that are to come, as an event.

        Args:
            phases: Resolved; the first may have begun.
            epochs_done: Of the first.
            budget_seconds: From the start of the command; the event says what it will cut off.
        """
        self._measure_for(phases)
        settings = replace(self._settings(), epochs_done=epochs_done, stored=self._stored(phases))
        estimator = Estimator(self.counts, self.facts, self.speeds(), settings)
        made = estimator.estimate(phases, chosen_by=self.nominal_speeds())
        elapsed = time.monotonic() - self.started
        total = elapsed + made.seconds
        short = budget_seconds is not None and budget_seconds < total
        skipped = self._without_tuning(phases, estimator)
        before, self.announced_seconds = self.announced_seconds, total
        self.to_come, self.budget_seconds = tuple(phases), budget_seconds
        past = self.known.past_estimates(made.origin)
        values = {
            "elapsed_seconds": elapsed,
            "phases": [asdict(one) for one in made.phases],
            "total_seconds": total,
            "without_tuning_seconds": None if skipped is None else elapsed + skipped.seconds,
            "previous_total_seconds": before,
            "stored_bytes": made.stored_bytes,
            "memory_bytes": made.memory_bytes,
            "speeds": made.origin,
            "low_seconds": past and total * past.low,
            "high_seconds": past and total * past.high,
            "past_runs": past.runs if past else 0,
            "budget": made.cut_off(elapsed, budget_seconds) if budget_seconds is not None and short else None,
            "optional_steps": sum(isinstance(one, TrainPhase) and one.begins == "if_it_can_pay" for one in phases),
        }
        return RuntimeEstimate.from_dict(_rounded(values))

    def _measure_for(self, phases: Phases) -> None:
        """Count inside the network and run the quick benchmark, once; what needs torch waits until it is there."""
        trains = any(isinstance(phase, TrainPhase) for phase in phases)
        # A run that ends at its probe then needs no torch: until a step begins, usual ratios say what training takes.
        waits = trains and isinstance(self.classifier, KnownClassifier) and not self.classifier.is_built
        if not waits:
            self._look_inside_for(phases)
        if self.benchmark is None or (self.waits_for_torch and not waits):
            views = self.augmentation if trains and not waits else None
            self.benchmark = quick_benchmark(self.classifier, self.facts, self.images, self.known, augmentation=views)
            self.waits_for_torch = waits

    def _without_tuning(self, phases: Phases, estimator: Estimator) -> CostEstimate | None:
        """Seconds if tuning is skipped because it cannot improve on the probe; None where it is not skipped."""
        solved = [phase for phase in phases if isinstance(phase, ProbePhase)]
        if self.selection.when_cannot_improve == "tune_anyway" or not solved or len(solved) == len(phases):
            return None
        return estimator.estimate(solved)

    def resolve(self, phase: TrainPhase, observer: Observer) -> ResolvedFrozenPrefix:
        """Stored or computed, cut where and in how many views; the same again where the plan says it already.

        Behind a phase that has ended, all that is to come is estimated once more with what is known by then.
        """
        planned = phase.frozen_prefix
        if isinstance(planned, FrozenPrefixPlan):
            found = ResolvedFrozenPrefix(planned, None, "as the plan says")
        else:
            found = self._chosen(phase)
        observer.noted(PrefixPlanned(phase.name, **found.plan.model_dump(), why=found.why))
        names = [one.name for one in self.to_come]
        if phase.name in names[1:]:
            later = self.to_come[names.index(phase.name) + 1 :]
            now = phase.model_copy(update={"frozen_prefix": found.plan})
            observer.noted(self.announced([now, *later], budget_seconds=self.budget_seconds))
        return found

    def _chosen(self, phase: TrainPhase) -> ResolvedFrozenPrefix:
        """What is done sooner on a usual machine.

        The choice is made with the expected activations, then the network is cut there: if it cannot be, or if the
        activations have another size than expected, the choice is made once more.
        """
        from headstart.engine.store.frozen_part import graph_of_classifier

        self._look_inside_for([phase])
        settings, speeds, why, seen = self._settings(), self.nominal_speeds(), list[str](), set[str]()
        # Cuts that failed in earlier runs are tried anew: what is remembered changes estimates and no choice.
        facts, uncut = replace(self.facts, uncut=()), set(self.facts.uncut)
        graph: NetworkGraph | None = None
        cut: CutNetwork | None = None
        while name := (choice := Estimator(self.counts, facts, speeds, settings).choose(phase)).plan.cut_point:
            try:
                graph = graph or graph_of_classifier(self.classifier.built(), size=self.images.spec.size)
                cut = graph.cut(name)
            except ModelError as error:
                why.append(str(error))
                facts = replace(facts, uncut=(*facts.uncut, name) if graph else facts.groups[1:])
                if graph is None:
                    choice = PrefixChoice(COMPUTED, why.pop())
                    break
                continue
            uncut.discard(name)
            crossing = sum(one.bytes_per_image for one in cut.crossing)
            if crossing == facts.cut_point(name).bytes_per_image or name in seen:
                break
            seen.add(name)
            facts = facts.with_bytes(name, crossing)
        self._learn_facts(replace(facts, uncut=tuple(sorted(uncut | set(facts.uncut)))))
        cut = cut if choice.plan.cut_point else None
        return ResolvedFrozenPrefix(choice.plan, cut, "; ".join([*why, choice.why]))

    def counted_facts(self) -> NetworkFacts:
        """Facts of the network with its MACs counted inside it; counted once, and remembered."""
        if not self.facts.counted:
            from headstart.engine.costs.network_counts import counted_facts_of

            counted = counted_facts_of(self.classifier.built(), size=self.images.spec.size)
            self._learn_facts(replace(counted, uncut=self.facts.uncut))
        return self.facts

    def seconds_of(self, phases: Phases) -> float:
        """Estimated seconds of phases that have not begun, by what is known of this machine."""
        settings = replace(self._settings(), stored=self._stored(phases))
        estimator = Estimator(self.counts, self.facts, self.speeds(), settings)
        return sum(phase.seconds for phase in estimator.estimate(phases, chosen_by=self.nominal_speeds()).phases[:-1])

    def _look_inside_for(self, phases: Phases) -> None:
        """Count inside the network, where a phase may be cut inside it and no run has counted yet."""
        ends = (self.facts.groups[0], self.facts.groups[-1])
        train = [phase for phase in phases if isinstance(phase, TrainPhase)]
        if any(first_trained(phase, self.facts) not in ends for phase in train):
            self.counted_facts()

    def _learn_facts(self, facts: NetworkFacts) -> None:
        """Take over what was found out about the network; sizes that only a cut has shown are not worth a write."""
        if (facts.counted, facts.uncut) != (self.facts.counted, self.facts.uncut):
            self.known.learn_network(facts)
        self.facts = facts

    def _settings(self) -> Settings:
        store = self.images.store
        weights: Literal["pretrained", "random"] = "random" if self.classifier.report is None else "pretrained"
        if store is None:
            return Settings(self.augmentation, self.batch_size, store="off", room_bytes=0.0, weights=weights)
        room = float(limit.bytes_for(store.root, store.root / "not there yet"))
        return Settings(self.augmentation, self.batch_size, self.images.precision, room, weights=weights)

    def _stored(self, phases: Phases) -> dict[str, int]:
        """Cut point -> rows of this run that are in the store already."""
        images, roles, pooled = self.images, self.images.roles, pooled_name(self.classifier)
        if images.store is None or not stored_paths(images.store.root, "[!.]*/space.json"):
            return {}
        rows = partial(rows_of_run, self.classifier, images, seed=self.seed)
        drawn = None if self.augmentation.preset == "none" else self.augmentation
        found: dict[str, int] = {}
        for phase in phases:
            if isinstance(phase, ProbePhase):
                found[POOLED] = rows(pooled, [*roles.train, *roles.validation])
                continue
            said = phase.frozen_prefix
            views = views_to_cache(self.augmentation, phase.epochs) if said == "auto" else said.views
            for point in self._cut_points_of(phase):
                label = self._label(point)
                found[point.name] = rows(label, roles.train, augmentation=drawn, views=views)
                found[point.name] += rows(label, roles.validation)
        if all(isinstance(phase, ProbePhase) or phase.unfreeze == 0 for phase in phases):
            found[TEST_ROWS] = rows(pooled, roles.test, precision="float32")
        return found

    def _cut_points_of(self, phase: TrainPhase) -> tuple[CutPoint, ...]:
        """Cut points where the phase caches activations, as far as that is known before it begins; one or none."""
        if phase.frozen_prefix == "auto":
            return frozen_cut_points(phase, self.facts)[-1:]
        return tuple(point for point in self.facts.cut_points if point.name == phase.frozen_prefix.cut_point)

    def _label(self, point: CutPoint) -> str:
        """Label of the activations in the cache: pooled features where nothing else enters the head."""
        at_head = point.name == self.facts.groups[-1]
        same = at_head and point.bytes_per_image == self.facts.pooled.bytes_per_image
        return pooled_name(self.classifier) if same else cut_point_label(point.name)


def _rounded(value: Any) -> Any:  # noqa: ANN401 - plain values
    """The estimate with seconds rounded to milliseconds."""
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 3) if isinstance(value, float) else value


def _device() -> DeviceKind:
    return "cuda" if device_kind() == "cuda" else "cpu"


def run_estimates(classifier: AnyClassifier, images: TrainingImages, *, started: float | None = None) -> RunEstimates:
    """Estimates of a run that is about to begin.

    Args:
        classifier: That will be trained.
        images: On which.
        started: `time.monotonic()` when the command began; now if None.
    """
    machine, roles = machine_key(), images.roles
    known, facts = recall(machine), classifier_facts(classifier, size=images.spec.size)
    found = known.networks.get(facts.name)
    if found is not None and found.groups == facts.groups:
        facts = found if found.counted else replace(facts, uncut=found.uncut)
    counts = ImageCounts(
        len(roles.train), len(roles.validation), len(roles.training_pool), len(roles.test), classes=len(roles.classes)
    )
    return RunEstimates(
        classifier, images, machine, known, facts, counts, time.monotonic() if started is None else started
    )
