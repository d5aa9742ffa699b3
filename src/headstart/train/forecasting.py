"""What a run knows of its costs: forecasts its phases, and settles how each gets the part of the network that rests."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from headstart.errors import ModelError
from headstart.features import store_limit
from headstart.features.anatomy import anatomy_of, card_facts_of
from headstart.features.cost import Phases, choose, first_trained, forecast, resting_borders, views_wanted
from headstart.features.cost_facts import POOLED, Forecast, ImageCounts, PhaseCost, Rates, Terms, duration_text
from headstart.features.cut import CutNetwork, NetworkGraph
from headstart.features.engine_choice import EngineWish
from headstart.features.engines import best_device
from headstart.features.kept import rows_kept
from headstart.features.measured import Known, rates_of, recall
from headstart.features.network_facts import NetworkFacts
from headstart.features.speed import machine_key
from headstart.features.store import EVALUATION, random_view, row_ids
from headstart.models.backbone import Classifier
from headstart.plan import AugmentationPlan, FrozenPartPlan, SolvePhase, TrainPhase
from headstart.train.feeds import border_label, graph_of_classifier, views_drawn_from
from headstart.train.observers import Observer
from headstart.train.training_images import TrainingImages

NOMINAL_GEMM = 100.0
"""Billions of multiply-accumulates a second that two usual cores reach in a product of matrices."""


@dataclass(frozen=True)
class Settled:
    """How a phase gets what rests, decided once."""

    plan: FrozenPartPlan
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
    batch_size: int = 32
    engine: EngineWish = "auto"
    seed: int = 0

    def under(self, augmentation: AugmentationPlan, *, batch_size: int, engine: EngineWish, seed: int) -> Costs:
        """This, with what the plan says from now on."""
        self.augmentation, self.batch_size, self.engine, self.seed = augmentation, batch_size, engine, seed
        return self

    def rates(self) -> Rates:
        """As they are known now."""
        device: Literal["cpu", "cuda"] = "cuda" if best_device().type == "cuda" else "cpu"
        found = rates_of(self.known, self.facts, pixels=self.images.pixels, device=device)
        return replace(found, onnxruntime=0.0) if self.engine == "torch" else found

    def nominal_rates(self) -> Rates:
        """Of a usual machine, whatever was measured here: for choices that the answer depends on.

        A stored view is another view than one that is made anew, so a choice by the clock would give other weights to
        the same plan from one run to the next.
        """
        device: Literal["cpu", "cuda"] = "cuda" if best_device().type == "cuda" else "cpu"
        found = rates_of(Known(), self.facts, pixels=self.images.pixels, gemm=NOMINAL_GEMM, device=device)
        return replace(found, onnxruntime=0.0) if self.engine == "torch" else found

    def announced(self, phases: Phases, *, epochs_done: int = 0, budget_seconds: float | None = None) -> dict[str, Any]:
        """A forecast of the phases that are to come, as an event.

        Args:
            phases: Settled; the first may have begun.
            epochs_done: Of the first.
            budget_seconds: From the start of the command; what it will cut off is said.
        """
        self._look_inside_for(phases)
        terms = replace(self._terms(), epochs_done=epochs_done, kept=self._kept(phases))
        made = forecast(phases, self.counts, self.facts, self.rates(), terms, chosen_by=self.nominal_rates())
        elapsed = time.monotonic() - self.started
        total = elapsed + made.seconds
        short = budget_seconds is not None and budget_seconds < total
        return {
            "elapsed_seconds": round(elapsed, 3),
            "phases": [_plain(cost) for cost in made.phases],
            "total_seconds": round(total, 3),
            "bytes": made.stored_bytes,
            "memory_bytes": made.memory_bytes,
            "rates": made.origin,
            "budget": cut_off(made, elapsed, budget_seconds) if budget_seconds is not None and short else None,
        }

    def settle(self, phase: TrainPhase, observer: Observer) -> Settled:
        """Stored or computed, where and in how many views; the same again where the plan says it already."""
        wanted = phase.frozen_part
        if isinstance(wanted, FrozenPartPlan):
            found = Settled(wanted, None, "as the plan says")
        else:
            found = self._weighed(phase)
        observer.noted("cost", {"phase": phase.name, **found.plan.model_dump(), "why": found.why})
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
                return Settled(FrozenPartPlan(way="computed"), None, "; ".join([*why, choice.why]))
            try:
                graph = graph or self._graph()
                cut = graph.cut(choice.border)
            except ModelError as error:
                why.append(str(error))
                if graph is None:
                    return Settled(FrozenPartPlan(way="computed"), None, str(error))
                terms = replace(terms, uncut=terms.uncut | {choice.border})
                continue
            crossing = sum(one.bytes_per_image for one in cut.crossing)
            if crossing == self.facts.border(choice.border).bytes_per_image or choice.border in seen:
                plan = FrozenPartPlan(way="stored", border=choice.border, views=choice.views)
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

    def _terms(self) -> Terms:
        store = self.images.store
        if store is None:
            return Terms(self.augmentation, self.batch_size, store="off", room_bytes=0.0)
        room = store_limit.bytes_for(store.root, store.root / "not there yet")
        return Terms(self.augmentation, self.batch_size, store=self.images.precision, room_bytes=float(room))

    def _kept(self, phases: Phases) -> dict[str, int]:
        """Border -> rows of this run that are stored already."""
        images = self.images
        if images.store is None or not any(images.store.root.glob("[!.]*/space.json")):
            return {}
        fit = [images.digests[record.id] for record in images.roles.fit]
        select = [images.digests[record.id] for record in images.roles.select]
        found: dict[str, int] = {}
        for phase in phases:
            if isinstance(phase, SolvePhase):
                found[POOLED] = self._rows(POOLED, fit + select, [EVALUATION], EVALUATION)
                continue
            numbers = range(views_wanted(self.augmentation, phase.epochs))
            plain = self.augmentation.preset == "none"
            names = [EVALUATION] if plain else [random_view(self.seed, number) for number in numbers]
            drawn = EVALUATION if plain else views_drawn_from(self.augmentation)
            for border in resting_borders(phase, self.facts)[-1:]:
                label = border_label(border.name)
                rows = self._rows(label, fit, names, drawn)
                found[border.name] = rows + self._rows(label, select, [EVALUATION], EVALUATION)
        return found

    def _rows(self, border: str, digests: list[bytes], names: list[str], drawn_from: str) -> int:
        assert self.images.store is not None
        if not digests:
            return 0
        return rows_kept(
            self.images.store.root,
            np.concatenate([row_ids(digests, name) for name in names]),
            model=self.classifier.card.name,
            border=border,
            spec=self.images.spec,
            precision=self.images.precision,
            views=drawn_from,
        )


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
        len(roles.fit), len(roles.select), len(roles.train), len(roles.report), classes=len(roles.classes)
    )
    same = found is not None and found.groups == expected.groups
    facts = found if found is not None and same else expected
    return Costs(classifier, images, machine, known, facts, counts, time.monotonic() if started is None else started)


def cut_off(made: Forecast, elapsed: float, budget_seconds: float) -> str:
    """One sentence: where a budget that is shorter than the forecast ends the training."""
    left = budget_seconds - elapsed
    sentence = f"the budget of {duration_text(budget_seconds)} is shorter than that: it ends training "
    for cost in made.phases[:-1]:
        if left < cost.seconds:
            if cost.epochs == 0:
                return f"{sentence}after {cost.name}"
            each = (cost.seconds - cost.once_seconds) / cost.epochs
            epochs = max(0, int((left - cost.once_seconds) / each)) if each > 0 else 0
            return f"{sentence}in {cost.name} after about {epochs} of {cost.epochs} epochs"
        left -= cost.seconds
    return f"the budget of {duration_text(budget_seconds)} is shorter than that, but only the end will be past it"


def _plain(cost: PhaseCost) -> dict[str, Any]:
    each = (cost.seconds - cost.once_seconds) / cost.epochs if cost.epochs else None
    choice = cost.choice
    return {
        "name": cost.name,
        "seconds": round(cost.seconds, 3),
        "once_seconds": round(cost.once_seconds, 3),
        "epochs": cost.epochs,
        "epoch_seconds": None if each is None else round(each, 3),
        "bytes": cost.stored_bytes,
        "frozen_part": None if choice is None else choice.way,
        "border": None if choice is None else choice.border,
        "views": None if choice is None else choice.views,
    }
