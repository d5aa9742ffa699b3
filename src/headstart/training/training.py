"""The record of one training run: its inputs, its progress and its estimates; made once and passed around."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headstart.engine.costs.run_estimate import RunEstimates, run_estimates
from headstart.engine.known.classifier import AnyClassifier
from headstart.engine.known.depths import restored
from headstart.engine.store.training_images import TrainingImages
from headstart.plan.plan import FrozenPrefixPlan, Phase, Plan, ProbePhase, TrainPhase
from headstart.runs.events import PrefixComputed, Resumed
from headstart.runs.folder import Run
from headstart.runs.ledger import Ledger, LedgerEntry
from headstart.runs.observers import Observer
from headstart.runs.training_events import EpochDone, PhaseDone
from headstart.runs.warnings import PhaseWarning
from headstart.training.activation_source import ActivationSource
from headstart.training.checkpoint import Candidate, StepState, TrainingProgress, TrainingState, load_state, save_state
from headstart.training.steps.depth import resolved_step
from headstart.training.stopping import StopRequest, stop_if_requested
from headstart.training.validation_predictions import phase_row

if TYPE_CHECKING:
    import torch

    from headstart.networks.backbone import Classifier


@dataclass
class Training:
    """The record of one training run that the loop and its parts share."""

    plan: Plan
    """Resolved; what is decided on the way (learning rates, frozen part, engine) is written into it."""
    classifier: AnyClassifier
    """Trained in place; torch builds it when a train phase begins (`torch_classifier`), if it has not yet."""
    images: TrainingImages
    run: Run
    """Where plan and checkpoint are written."""
    observer: Observer = field(default_factory=Observer)
    stop: StopRequest = field(default_factory=StopRequest)
    costs: RunEstimates | None = None
    """Estimates the phases and decides whether their activations are cached; None starts from what is remembered."""
    state: TrainingState = field(init=False)
    """All that a checkpoint holds; read by `take_up`."""
    history: list[LedgerEntry] = field(init=False, default_factory=list)
    """Epochs that are in the ledger."""
    _start: Mapping[str, Any] | None = field(init=False, default=None)

    @property
    def start(self) -> Mapping[str, Any]:
        """State of the network that the run began with; its head is the linear probe where the plan has one first."""
        if self.state.probe is not None and self._start is None:
            return self.state.probe.weights
        assert self._start is not None, "taken up"
        return self._start

    @property
    def progress(self) -> TrainingProgress:
        """Progress of training."""
        return self.state.progress

    @property
    def estimates(self) -> RunEstimates:
        """Estimates of the phases, made at the first use."""
        if self.costs is None:
            self.costs = run_estimates(self.classifier, self.images)
        return self.costs

    @property
    def source(self) -> ActivationSource:
        """Source of frozen activations; made anew each time, because the plan's engine is decided on the way."""
        return ActivationSource(self.classifier, self.images, self.plan.engine, self.observer, self.after_batch)

    def torch_classifier(self) -> Classifier:
        """The classifier in torch, built at the first call."""
        built = self.classifier = self.classifier.built()
        return built

    def take_up(self) -> None:
        """Read the last checkpoint, if there is one, and announce what is to come.

        Raises:
            RunError: the checkpoint is damaged.
        """
        plan = self.plan
        self.state = load_state(self.run.checkpoint) or TrainingState(TrainingProgress(), {}, None, None, None)
        progress = self.state.progress
        if not isinstance(plan.phases[0], ProbePhase):  # else the probe holds the same weights
            self._start = self.classifier.state()
        ledger = Ledger(self.run.folder)
        ledger.cut_to(progress.ledger_lines)
        self.history = ledger.entries()
        if self.state.network:
            self.classifier.restore(self.state.network)
            self.observer.noted(Resumed(progress.phase, progress.epoch))
        costs = self.estimates
        costs.under(plan.augmentation, plan.selection, batch_size=plan.batch_size, engine=plan.engine, seed=plan.seed)
        epochs_done = progress.epoch - progress.rescued_after
        to_come, budget = plan.phases[progress.phase :], plan.budget_seconds
        self.observer.noted(costs.announced(to_come, epochs_done=epochs_done, budget_seconds=budget))

    def save(self, *, optimizer: torch.optim.Optimizer | None, average: Mapping[str, Any] | None = None) -> None:
        """Write a checkpoint in place of the last one.

        Args:
            optimizer: Of the current phase; None between phases.
            average: State of the average of the weights over the steps of the phase, where there is one.

        Raises:
            DiskFullError: the last one is whole.
        """
        self.state.network = self.classifier.state()
        self.state.optimizer = optimizer.state_dict() if optimizer is not None else None
        self.state.average = average
        save_state(self.run.checkpoint, self.state)

    def stop_if_requested(self) -> None:
        """Raise if the run is to stop, as long as there are phases left.

        Raises:
            Stopped: the run is to stop.
        """
        if not self.progress.done:
            stop_if_requested(self.stop)

    def after_batch(self, engine: str | None) -> None:
        """Called between batches of cached activations and between steps of a solver; a resume finds the rows again.

        Raises:
            Stopped: the run was asked to stop; everything is saved.
        """
        self._keep_engine(engine)
        if self.stop.reason is not None:
            # The optimizer in the state is left alone: it may be that of a phase that had begun before this process.
            self.state.network = self.classifier.state()
            save_state(self.run.checkpoint, self.state)
            self.stop_if_requested()

    def resolve_phase(self, phase: TrainPhase, reasons: Mapping[str, str] | None = None) -> TrainPhase:
        """Put the phase in place of the one of its name in the plan, so that a resume takes it as it is."""
        phases = tuple(phase if one.name == phase.name else one for one in self.plan.phases)
        why = {**self.plan.reasons, **(reasons or {})}
        self.plan = self.plan.model_copy(update={"phases": phases, "reasons": why})
        self.run.rewrite_plan(self.plan)
        return phase

    def planned(self, name: str) -> TrainPhase:
        """The phase of a name, as the plan has it now."""
        return next(one for one in self.plan.phases if isinstance(one, TrainPhase) and one.name == name)

    def resolve_frozen_prefix(self, phase: TrainPhase, frozen_part: FrozenPrefixPlan) -> TrainPhase:
        """Write into the plan how a phase gets its frozen activations."""
        if phase.frozen_prefix == frozen_part:
            return phase
        return self.resolve_phase(phase.model_copy(update={"frozen_prefix": frozen_part}))

    def resolve_engine(self, name: str | None) -> None:
        """Say which engine computed what a phase reads."""
        self.observer.noted(PrefixComputed(name))
        self._keep_engine(name)

    def _keep_engine(self, name: str | None) -> None:
        """The first engine that computes something runs the rest of the run, a resume included.

        Another one gives other last bits, and half of the activations would be of the one and half of the other.
        """
        if name is not None and self.plan.engine == "auto":
            self.plan = self.plan.model_copy(update={"engine": name})
            self.estimates.engine = self.plan.engine
            self.run.rewrite_plan(self.plan)

    def add_epoch_row(self, row: EpochDone) -> None:
        """Put a line into the table of epochs."""
        self.progress.rows.append(row)
        self.observer.epoch_done(row)

    def add_to_ledger(self, entry: LedgerEntry) -> None:
        """Write the line of an epoch; a resume from a checkpoint before it writes it again."""
        Ledger(self.run.folder).append(entry)
        self.history.append(entry)
        self.progress.ledger_lines += 1

    def warn(self, warning: PhaseWarning | None) -> None:
        """Note a warning, each kind once a phase: nothing may be wrong, so the run goes on."""
        warnings = self.progress.warnings
        if warning is None:
            return
        row = warning.to_json()
        key = ("kind", "phase", "rescues")  # a rescued phase may raise an alarm a second time
        if [row.get(name) for name in key] not in [[one.get(name) for name in key] for one in warnings]:
            warnings.append(row)
            self.observer.noted(warning)

    def phase_row(self, phase: Phase, reason: str) -> PhaseDone:
        """The line of a phase in the table of phases."""
        return phase_row(phase, self.progress.rows, head=self.classifier.group_names[-1], reason=reason)

    @property
    def before_step(self) -> Candidate | None:
        """The candidate that a step must be better than; None where the plan has no linear probe."""
        return self.state.step or self.state.depths or self.state.probe

    @property
    def step_start(self) -> Candidate | None:
        """The candidate that a step starts from: a head on all depths is no start, because it cannot be tuned."""
        return self.state.step or self.state.probe

    def restore(self, candidate: Candidate) -> None:
        """Load the weights of a candidate, with the head that it has."""
        self.classifier = restored(self.classifier, candidate.weights, self.images.spec.size)

    def begin_step(self, phase: TrainPhase) -> TrainPhase:
        """The step with its groups decided; the network is that of the best candidate so far."""
        phase = self.resolve_phase(resolved_step(phase, self.estimates.counted_facts()))
        if self.progress.epoch or self.progress.step:  # it had begun in another process
            return phase
        self.state.best, self.state.rounds = None, StepState()
        if (start := self.step_start) is not None:
            self.classifier.restore(start.weights)
        return phase

    def end_phase(self, phase: Phase, *, reason: str) -> None:
        """Write the phase's line, and set the counts for the next one."""
        progress = self.progress
        self.state.rounds = None
        row = self.phase_row(phase, reason)
        progress.phases.append(row)
        progress.start_phase(progress.phase + 1)
        progress.done = progress.phase >= len(self.plan.phases)
        self.observer.phase_done(row)

    def restore_best(self) -> None:
        """Load the best weights so far, for a later phase to start from where this one ended with worse ones."""
        best = self.state.best or self.step_start
        if best is not None:
            self.classifier.restore(best.weights)
