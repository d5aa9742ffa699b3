"""The layer groups that a step trains, chosen by their share of the MACs and not by their names."""

from __future__ import annotations

from headstart.engine.costs.network import NetworkFacts
from headstart.errors import PlanError
from headstart.plan.plan import TrainPhase, lr_by_group


def resolved_step(phase: TrainPhase, facts: NetworkFacts) -> TrainPhase:
    """The phase with the number of its groups, and their learning rates; as it is where it says them already.

    Args:
        phase: A step.
        facts: Of the network, with counted MACs.

    Raises:
        PlanError: its learning rates name no group.
    """
    if phase.unfreeze != "by_cost":
        return phase
    assert phase.most_trained_share is not None
    counted = phase.model_copy(update={"unfreeze": facts.groups_within(phase.most_trained_share)})
    rates, faults = lr_by_group(counted, facts.groups)
    if faults:
        raise PlanError(faults)
    return counted.model_copy(update={"lr_by_group": rates})
