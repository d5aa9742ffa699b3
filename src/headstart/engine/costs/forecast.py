"""What a run knows of its costs: forecasts its phases, and settles how each gets the part of the network that rests."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from statistics import mean
from typing import Any

import numpy as np
import torch

from headstart.data.loading import read_view
from headstart.data.meter import ViewKind
from headstart.data.sources.reading import ImageRecord
from headstart.engine.costs.memory import (
    UNTRIED,
    Device,
    Known,
    Trial,
    completed,
    nominal_rates,
    rates_of,
    recall,
)
from headstart.engine.costs.model import Phases, choose, first_trained, forecast, resting_borders, views_wanted
from headstart.engine.costs.network import Border, NetworkFacts
from headstart.engine.costs.network_counts import anatomy_of, card_facts_of
from headstart.engine.costs.speed import glance, known_speed
from headstart.engine.costs.terms import REPORTED, ImageCounts, Origin, Rates, Terms
from headstart.engine.prefix import engine_choice
from headstart.engine.prefix.cut import CutNetwork, NetworkGraph
from headstart.engine.prefix.engine_choice import EngineWish
from headstart.engine.prefix.engines import pooled_label
from headstart.engine.prefix.onnx_engine import runtime_version
from headstart.engine.store import limit
from headstart.engine.store.activations import POOLED_DEPTHS, library_of
from headstart.engine.store.frozen_part import border_label, graph_of_classifier, views_drawn_from
from headstart.engine.store.index import POOLED
from headstart.engine.store.kept_rows import rows_kept
from headstart.engine.store.store import EVALUATION, random_view, row_ids
from headstart.engine.store.training_images import TrainingImages
from headstart.engine.views import augmented_input, view_rng
from headstart.errors import DataError, ModelError
from headstart.files import kept_paths
from headstart.machine import best_device, machine_key
from headstart.networks.backbone import Classifier, Weights
from headstart.plan.plan import AugmentationPlan, FrozenPrefixPlan, ProbePhase, SelectionPlan, TrainPhase
from headstart.runs.observers import Observer

_TRIED_IMAGES = 3
"""The first one warms up."""
_TRIED_SECONDS = 0.03
"""Of each kind of view; one image is looked at in any case."""


@dataclass(frozen=True)
class Settled:
    """How a phase gets what rests, decided once."""

    plan: FrozenPrefixPlan
    cut: CutNetwork | None
    """Where the network was cut to decide it."""
    why: str


@dataclass
class Costs:
    """Facts, counts and rates of one run; what is measured while it goes on is in `known`."""

    classifier: Classifier
    images: TrainingImages
    machine: str
    known: Known
    facts: NetworkFacts
    counts: ImageCounts
    started: float
    """`time.monotonic()` when the command began."""
    augmentation: AugmentationPlan = field(default_factory=AugmentationPlan)
    selection: SelectionPlan = field(default_factory=SelectionPlan)
    batch_size: int = 32
    engine: EngineWish = "auto"
    seed: int = 0
    trial: Trial | None = None
    """What a moment before the first forecast told; None: it is still to come."""
    to_come: Phases = ()
    """As they were announced last."""
    budget_seconds: float | None = None
    """Of them, from the start of the command."""
    announced_seconds: float | None = None
    """In all, by the last announcement."""

    def under(
        self,
        augmentation: AugmentationPlan,
        selection: SelectionPlan,
        *,
        batch_size: int,
        engine: EngineWish,
        seed: int,
    ) -> Costs:
        """This, with what the plan says from now on."""
        self.augmentation, self.selection = augmentation, selection
        self.batch_size, self.engine, self.seed = batch_size, engine, seed
        return self

    def rates(self) -> Rates:
        """As they are known now."""
        trial, device = self.trial or UNTRIED, _device()
        found = rates_of(self.known, self.facts, pixels=self.images.pixels, device=device, trial=trial)
        if device == "cpu":  # engines make views in the threads that compute
            found = replace(found, cores=min(found.cores, torch.get_num_threads()))
        return replace(found, onnxruntime=0.0) if self.engine == "torch" else found

    def nominal_rates(self) -> Rates:
        """Of a usual machine, whatever was measured here: for choices that the answer depends on.

        A stored view is another view than one that is made anew, so a choice by the clock would give other weights to
        the same plan from one run to the next.
        """
        found = nominal_rates(self.facts, pixels=self.images.pixels, device=_device())
        return replace(found, onnxruntime=0.0) if self.engine == "torch" else found

    def announced(self, phases: Phases, *, epochs_done: int = 0, budget_seconds: float | None = None) -> dict[str, Any]:
        """A forecast of the phases that are to come, as an event.

        Args:
            phases: Settled; the first may have begun.
            epochs_done: Of the first.
            budget_seconds: From the start of the command; what it will cut off is said.
        """
        self._look_inside_for(phases)
        self._try_out(phases)
        uncut = self.known.uncut_of(self.facts.name)
        terms = replace(self._terms(), epochs_done=epochs_done, kept=self._kept(phases), uncut=uncut)
        made = forecast(phases, self.counts, self.facts, self.rates(), terms, chosen_by=self.nominal_rates())
        elapsed = time.monotonic() - self.started
        total = elapsed + made.seconds
        short = budget_seconds is not None and budget_seconds < total
        futile = self._if_futile(phases, terms)
        before, self.announced_seconds = self.announced_seconds, total
        self.to_come, self.budget_seconds = tuple(phases), budget_seconds
        return {
            "elapsed_seconds": round(elapsed, 3),
            "phases": [cost.to_dict() for cost in made.phases],
            "total_seconds": round(total, 3),
            "futile_seconds": None if futile is None else round(elapsed + futile, 3),
            "before_seconds": None if before is None else round(before, 3),
            "bytes": made.stored_bytes,
            "memory_bytes": made.memory_bytes,
            "rates": made.origin,
            **self._kept_so_far(made.origin, total),
            "budget": made.cut_off(elapsed, budget_seconds) if budget_seconds is not None and short else None,
        }

    def _kept_so_far(self, origin: Origin, seconds: float) -> dict[str, Any]:
        """What the last estimates of this kind make of these seconds; nothing is promised where too few runs tell."""
        kept = self.known.kept_estimates(origin)
        if kept is None:
            return {"low_seconds": None, "high_seconds": None, "kept_runs": 0}
        return {
            "low_seconds": round(seconds * kept.low, 3),
            "high_seconds": round(seconds * kept.high, 3),
            "kept_runs": kept.runs,
        }

    def _if_futile(self, phases: Phases, terms: Terms) -> float | None:
        """Seconds if tuning is skipped because the probe leaves nothing to repair; None where it is not skipped."""
        solved = [phase for phase in phases if isinstance(phase, ProbePhase)]
        if self.selection.when_cannot_improve == "tune_anyway" or not solved or len(solved) == len(phases):
            return None
        return forecast(solved, self.counts, self.facts, self.rates(), terms).seconds

    def settle(self, phase: TrainPhase, observer: Observer) -> Settled:
        """Stored or computed, where and in how many views; the same again where the plan says it already.

        Behind a phase that has ended, the rest is forecast once more with what is known by then.
        """
        wanted = phase.frozen_prefix
        if isinstance(wanted, FrozenPrefixPlan):
            found = Settled(wanted, None, "as the plan says")
        else:
            found = self._weighed(phase)
        observer.noted("cost", {"phase": phase.name, **found.plan.model_dump(), "why": found.why})
        names = [one.name for one in self.to_come]
        if phase.name in names[1:]:
            rest = self.to_come[names.index(phase.name) + 1 :]
            now = phase.model_copy(update={"frozen_prefix": found.plan})
            observer.noted("forecast", self.announced([now, *rest], budget_seconds=self.budget_seconds))
        return found

    def _weighed(self, phase: TrainPhase) -> Settled:
        """What is sooner done on a usual machine.

        The choice is made with what is known of the borders, then the network is cut there: if it cannot be, or if
        something else crosses than was known, the choice is made once more.
        """
        self._look_inside_for([phase])
        terms = self._terms()
        why: list[str] = []
        seen: set[str] = set()
        graph: NetworkGraph | None = None
        while True:
            choice = choose(phase, self.counts, self.facts, self.nominal_rates(), terms)
            if choice.border is None:
                return Settled(FrozenPrefixPlan(activations="computed"), None, "; ".join([*why, choice.why]))
            try:
                graph = graph or self._graph()
                cut = graph.cut(choice.border)
            except ModelError as error:
                why.append(str(error))
                if graph is None:
                    for name in self.facts.groups[1:]:
                        self.known.learn_cut(self.facts, name, works=False)
                    return Settled(FrozenPrefixPlan(activations="computed"), None, str(error))
                self.known.learn_cut(self.facts, choice.border, works=False)
                terms = replace(terms, uncut=terms.uncut | {choice.border})
                continue
            self.known.learn_cut(self.facts, choice.border, works=True)
            crossing = sum(one.bytes_per_image for one in cut.crossing)
            if crossing == self.facts.border(choice.border).bytes_per_image or choice.border in seen:
                plan = FrozenPrefixPlan(activations="cached", cut_point=choice.border, views=choice.views)
                return Settled(plan, cut, "; ".join([*why, choice.why]))
            seen.add(choice.border)
            self.facts = self.facts.with_bytes(choice.border, crossing)

    def _graph(self) -> NetworkGraph:
        return graph_of_classifier(self.classifier, size=self.images.spec.size)

    def _look_inside_for(self, phases: Phases) -> None:
        """Count inside the network, where something inside it is a border and no run has counted yet."""
        ends = (self.facts.groups[0], self.facts.groups[-1])
        train = [phase for phase in phases if isinstance(phase, TrainPhase)]
        if self.facts.counted or not any(first_trained(phase, self.facts) not in ends for phase in train):
            return
        self.facts = anatomy_of(self.classifier, size=self.images.spec.size)
        self.known.learn_facts(self.facts)

    def _try_out(self, phases: Phases) -> None:
        """Once, and only what no run here has measured."""
        if self.trial is not None:
            return
        images, own = self.images, self.known.rates_of(self.facts.name)
        trains = any(isinstance(phase, TrainPhase) for phase in phases)
        rates = {} if "forward" in own or (own and not trains) else self._tried_rates()
        kinds: list[ViewKind] = ["plain", "varied"] if trains and self.augmentation.preset != "none" else ["plain"]
        unseen = [kind for kind in kinds if not self.known.has_seen(kind, pixels=images.pixels)]
        self.trial = Trial(rates, tried_views(images, self.augmentation, unseen))

    def _tried_rates(self) -> dict[str, float]:
        """Billions of multiply-accumulates a second: what other commands measured here, else a glance."""
        card, side, gmacs = self.classifier.card, self.images.spec.size, self.facts.gmacs
        found: dict[str, float] = {}
        part = f"{pooled_label(self.classifier)}, {side}x{side}x{card.input.channels}"
        if timed := engine_choice.recall(f"{self.machine}, onnxruntime {runtime_version()}", part):
            found = {"forward": timed.torch * gmacs, "onnxruntime": timed.onnxruntime * gmacs}
        if speed := known_speed(card):
            found["forward"] = speed * gmacs * (card.input.size / side) ** 2
        if "forward" in found:
            return {name: rate for name, rate in found.items() if rate > 0}
        seen = glance(self.classifier.network, channels=card.input.channels, size=side)
        if seen is None:
            return {}
        found["forward"] = seen.together * gmacs
        if seen.one_core is not None:
            # Engines give each core images of its own: a busy machine disturbs that less than cores that share a batch.
            apart = math.sqrt(seen.one_core * torch.get_num_threads() * seen.together) * gmacs
            engines = completed({"forward": apart}, self.facts.vigour)
            found |= {"torch": engines["torch"], "onnxruntime": engines["onnxruntime"]}
        return found

    def _terms(self) -> Terms:
        store = self.images.store
        weights: Weights = "random" if self.classifier.report is None else "pretrained"
        terms = Terms(self.augmentation, self.batch_size, store="off", room_bytes=0.0, weights=weights)
        if store is None:
            return terms
        room = limit.bytes_for(store.root, store.root / "not there yet")
        return replace(terms, store=self.images.precision, room_bytes=float(room))

    def _kept(self, phases: Phases) -> dict[str, int]:
        """Border -> rows of this run that are stored already."""
        images = self.images
        if images.store is None or not kept_paths(images.store.root, "[!.]*/space.json"):
            return {}
        fit = [images.digests[record.id] for record in images.roles.train]
        select = [images.digests[record.id] for record in images.roles.validation]
        found: dict[str, int] = {}
        for phase in phases:
            if isinstance(phase, ProbePhase):
                found[POOLED] = self._rows(self._pooled_label(), fit + select, [EVALUATION], EVALUATION)
                continue
            said = phase.frozen_prefix
            views = views_wanted(self.augmentation, phase.epochs) if said == "auto" else said.views
            plain = self.augmentation.preset == "none"
            names = [EVALUATION] if plain else [random_view(self.seed, number) for number in range(views)]
            drawn = EVALUATION if plain else views_drawn_from(self.augmentation)
            for border in self._borders_of(phase):
                label = self._label(border)
                rows = self._rows(label, fit, names, drawn)
                found[border.name] = rows + self._rows(label, select, [EVALUATION], EVALUATION)
        if all(isinstance(phase, ProbePhase) or phase.unfreeze == 0 for phase in phases):
            report = [images.digests[record.id] for record in images.roles.test]
            found[REPORTED] = self._rows(self._pooled_label(), report, [EVALUATION], EVALUATION, precision="float32")
        return found

    def _borders_of(self, phase: TrainPhase) -> tuple[Border, ...]:
        """Where the phase keeps what rests, as far as that is known before it begins; one or none."""
        if phase.frozen_prefix == "auto":
            return resting_borders(phase, self.facts)[-1:]
        return tuple(border for border in self.facts.borders if border.name == phase.frozen_prefix.cut_point)

    def _pooled_label(self) -> str:
        return POOLED_DEPTHS if self.classifier.head_kind == "multi_depth" else POOLED

    def _label(self, border: Border) -> str:
        """How the store names what lies before a layer group: as pooled features where nothing else enters the head."""
        at_head = border.name == self.facts.groups[-1]
        same = at_head and border.bytes_per_image == self.facts.pooled.bytes_per_image
        return self._pooled_label() if same else border_label(border.name)

    def _rows(
        self, border: str, digests: list[bytes], names: list[str], drawn_from: str, precision: str | None = None
    ) -> int:
        assert self.images.store is not None
        if not digests:
            return 0
        return rows_kept(
            self.images.store.root,
            np.concatenate([row_ids(digests, name) for name in names]),
            model=self.classifier.card.name,
            library=library_of(self.classifier),
            border=border,
            spec=self.images.spec,
            precision=precision or self.images.precision,
            views=drawn_from,
        )


def tried_views(
    images: TrainingImages, augmentation: AugmentationPlan, kinds: Iterable[ViewKind]
) -> dict[ViewKind, float]:
    """Kind -> seconds of one core for a view of a few images of train; without a kind where an image cannot be read."""
    fit, spec = images.roles.train, images.spec
    chosen = [fit[round(at)] for at in np.linspace(0, len(fit) - 1, _TRIED_IMAGES)]

    def make(kind: ViewKind, record: ImageRecord) -> None:
        if kind == "plain":
            read_view(record, spec)
            return
        rng = view_rng(0, 0, record.id)
        augmented_input(record, spec, preset=augmentation.preset, flip=augmentation.flip, rng=rng)

    found: dict[ViewKind, float] = {}
    for kind in kinds:
        seconds: list[float] = []
        with contextlib.suppress(DataError):  # training will say it, if it needs that image
            while len(seconds) < len(chosen) and sum(seconds) < _TRIED_SECONDS:
                started = time.thread_time()
                make(kind, chosen[len(seconds)])
                seconds.append(time.thread_time() - started)
        if seconds:
            found[kind] = max(mean(seconds[1:] or seconds), 1e-6)
    return found


def _device() -> Device:
    return "cuda" if best_device().type == "cuda" else "cpu"


def costs_of(classifier: Classifier, images: TrainingImages, *, started: float | None = None) -> Costs:
    """What is known before a run begins.

    Args:
        classifier: That will be trained.
        images: On which.
        started: `time.monotonic()` when the command began; now if None.
    """
    machine, roles = machine_key(), images.roles
    known = recall(machine)
    expected = card_facts_of(classifier, size=images.spec.size)
    found = known.facts_of(expected.name)
    counts = ImageCounts(
        len(roles.train), len(roles.validation), len(roles.training_pool), len(roles.test), classes=len(roles.classes)
    )
    same = found is not None and found.groups == expected.groups
    facts = found if found is not None and same else expected
    return Costs(classifier, images, machine, known, facts, counts, time.monotonic() if started is None else started)
