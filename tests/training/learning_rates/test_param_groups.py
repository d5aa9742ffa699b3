"""Entering a phase: trainable groups, their learning rates, and the optimizer."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import get_args

import pytest
import torch
from torch import nn

from headstart.errors import RunError
from headstart.knowledge.transfer import LR_RULES
from headstart.networks.backbone import Classifier, build_network, with_new_head
from headstart.networks.cards.finding import find_model
from headstart.networks.groups.layers import LayerGroup
from headstart.plan.plan import DataPlan, OptimizerPlan, Plan, Schedule, TrainPhase
from headstart.plan.presets import STRATEGIES, Request
from headstart.training.learning_rates.param_groups import Entered, enter
from headstart.training.learning_rates.schedules import learning_rate_at


@pytest.fixture
def classifier() -> Classifier:
    card = find_model("resnet18").card
    torch.manual_seed(0)
    return with_new_head(build_network(card), card, kind="linear", num_classes=2)


def phase(rates: dict[str, float], **changes: str) -> TrainPhase:
    return TrainPhase(name="p", epochs=1, unfreeze=len(rates) - 1, head_lr=1e-3, lr_by_group=rates, **changes)


def test_exactly_the_named_groups_are_trained_each_at_its_own_learning_rate(classifier: Classifier):
    entered = enter(classifier, phase({"layer4": 1e-4, "head": 1e-3}), OptimizerPlan())
    assert {g["name"]: g["lr"] for g in entered.optimizer.param_groups} == {"layer4": 1e-4, "head": 1e-3}
    held = {id(p) for g in entered.optimizer.param_groups for p in g["params"]}
    learning = {id(p) for p in classifier.network.parameters() if p.requires_grad}
    assert held == learning
    assert len(held) == sum(1 for n, _ in classifier.network.named_parameters() if n.startswith(("layer4", "fc")))


def test_set_learning_rates_reaches_every_group(classifier: Classifier):
    entered = enter(classifier, phase({"layer4": 1e-4, "head": 1e-3}), OptimizerPlan())
    entered.set_learning_rates({"layer4": 3e-5, "head": 2e-4})
    assert [g["lr"] for g in entered.optimizer.param_groups] == [3e-5, 2e-4]


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)]
)
def test_optimizers_are_torchs_own(classifier: Classifier, name: str, kind: type):
    plan = OptimizerPlan(name=name, weight_decay=0.02, momentum=0.8)
    optimizer = enter(classifier, phase({"head": 1e-3}), plan).optimizer
    assert type(optimizer) is kind
    assert optimizer.defaults["weight_decay"] == 0.02
    if name == "sgd":
        assert optimizer.defaults["momentum"] == 0.8


@pytest.mark.parametrize("clip_norm", [0.1, 1e6, None])
def test_gradients_are_clipped_over_all_groups_together(classifier: Classifier, clip_norm: float | None):
    plan = OptimizerPlan(name="sgd", momentum=0.0, weight_decay=0.0, clip_norm=clip_norm)
    entered = enter(classifier, phase({"layer4": 1e-4, "head": 1e-3}), plan)
    trained = [p for p in classifier.network.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.grad = torch.randn_like(parameter)
    before = torch.cat([p.grad.flatten() for p in trained if p.grad is not None]).double()
    entered.take_step()
    after = torch.cat([p.grad.flatten() for p in trained if p.grad is not None]).double()
    scale = 1.0 if clip_norm is None else min(1.0, clip_norm / float(before.norm()))
    assert torch.allclose(after, scale * before, rtol=1e-4)


def test_start_epoch_restores_modes_after_an_evaluation(classifier: Classifier):
    entered = enter(classifier, phase({"head": 1e-3}, batch_norm="adapt_statistics"), OptimizerPlan())
    classifier.network.eval()
    entered.start_epoch()
    assert classifier.network.bn1.training


def test_a_later_phase_unfreezes_what_an_earlier_one_froze(classifier: Classifier):
    enter(classifier, phase({"head": 1e-3}), OptimizerPlan())
    assert not classifier.network.layer4[0].conv1.weight.requires_grad
    enter(classifier, phase({"layer4": 1e-4, "head": 1e-3}), OptimizerPlan())
    assert classifier.network.layer4[0].conv1.weight.requires_grad
    assert classifier.network.layer4[0].bn1.weight.requires_grad


# The rates that are really used, measured: under plain SGD a parameter moves by rate x gradient.

NAMES = ("stem", "one", "two", "three", "head")
STEPS, EPOCHS = 4, 5


class Tiny(nn.Module):
    """Five groups in a row, in double precision so that small rates can be measured."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleDict({name: nn.Linear(4, 4) for name in NAMES}).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers.values():
            x = torch.tanh(layer(x))
        return x


def tiny() -> SimpleNamespace:
    """What `enter` needs of a classifier."""
    return SimpleNamespace(network=Tiny(), groups=tuple(LayerGroup(name, (f"layers.{name}",)) for name in NAMES))


def planned_phase(rates: str, schedule: Schedule) -> TrainPhase:
    plan = STRATEGIES["full"](Request(DataPlan(source="x"), lr_rule=rates, epochs=EPOCHS))
    raw = plan.model_dump(mode="json")
    raw["phases"][-1]["schedule"] = schedule.model_dump(mode="json")
    phase = Plan.from_dict(raw).resolved(model_name="tiny", input_size=32, group_names=NAMES).phases[-1]
    assert isinstance(phase, TrainPhase)
    return phase


# From the head down, as shares of the head's rate, written out from the papers.
SHARES = {
    "decay_0.75": [1, 0.75, 0.75**2, 0.75**3, 0.75**4],
    "decay_0.9": [1, 0.9, 0.9**2, 0.9**3, 0.9**4],
    "ulmfit": [1, 1 / 2.6, 1 / 2.6**2, 1 / 2.6**3, 1 / 2.6**4],
    "ten_fold": [1, 0.1, 0.1, 0.1, 0.1],
    "by_depth": [1, 0.05, 0.01, 0.005, 0.001],
    "bit": [1, 1, 1, 1, 1],
}
SCHEDULES = {
    "constant": (Schedule(name="constant"), lambda at: 1.0),
    "cosine": (Schedule(name="cosine", final_lr=0), lambda at: (1 + math.cos(math.pi * at)) / 2),
    "one_cycle": (
        Schedule(name="one_cycle"),
        lambda at: (
            0.04 + 0.96 * (1 - math.cos(math.pi * at / 0.3)) / 2
            if at < 0.3
            else 1e-5 + (1 - 1e-5) * (1 + math.cos(math.pi * (at - 0.3) / 0.7)) / 2
        ),
    ),
    "multi_step": (Schedule(name="multi_step"), lambda at: 10.0 ** -((at >= 0.3) + (at >= 0.6) + (at >= 0.9))),
    # One reduction after every epoch but the first, whose loss is the first minimum.
    "plateau": (
        Schedule(name="plateau", plateau_patience_epochs=0, plateau_min_lr=0),
        lambda at: 0.5 ** max(0, int(at * EPOCHS + 1e-9) - 1),
    ),
}


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@pytest.mark.parametrize("rates", sorted(LR_RULES))
def test_every_group_moves_at_its_planned_learning_rate_under_every_schedule(rates: str, name: str):
    schedule, shape = SCHEDULES[name]
    phase, classifier = planned_phase(rates, schedule), tiny()
    entered = enter(classifier, phase, OptimizerPlan(name="sgd", momentum=0, weight_decay=0))
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for step in range(STEPS * EPOCHS):
        planned = {
            group: learning_rate_at(
                phase.schedule,
                peak=peak,
                step=step,
                steps_per_epoch=STEPS,
                epochs=EPOCHS,
                validation_losses=[1.0] * (step // STEPS),
            )
            for group, peak in phase.lr_by_group.items()
        }
        entered.set_learning_rates(planned)
        measured = measured_rates(classifier.network, entered.optimizer, x)
        expected = [phase.head_lr * share * shape(step / (STEPS * EPOCHS)) for share in SHARES[rates]]
        assert [measured[group] for group in reversed(NAMES)] == pytest.approx(expected, rel=1e-5), step
        entered.assert_learning_rates(planned, where="here")


def measured_rates(network: Tiny, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> dict[str, float]:
    """Take one step; by how many gradients each group moved."""
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimizer.zero_grad()
    network(x).square().sum().backward()
    optimizer.step()
    measured = {}
    for group in NAMES:
        owned = [name for name in before if name.startswith(f"layers.{group}.")]
        parameters = dict(network.named_parameters())
        gradient = torch.cat([parameters[name].grad.flatten() for name in owned])
        moved = torch.cat([(before[name] - parameters[name].detach()).flatten() for name in owned])
        measured[group] = float(moved @ gradient / (gradient @ gradient))
    return measured


def test_all_presets_and_schedules_of_the_plan_are_measured():
    assert set(SHARES) == set(LR_RULES)
    assert set(SCHEDULES) == set(get_args(Schedule.model_fields["name"].annotation))


def entered_tiny() -> Entered:
    return enter(tiny(), planned_phase("ulmfit", Schedule()), OptimizerPlan())


def test_another_learning_rate_than_the_planned_one_stops_the_run():
    entered = entered_tiny()
    planned = dict(entered.phase.lr_by_group)
    entered.assert_learning_rates(planned, where="phase tune, epoch 1")
    entered.optimizer.param_groups[2]["lr"] *= 2
    with pytest.raises(RunError, match=r"did not follow the plan in phase tune, epoch 1 \(two at .* instead of"):
        entered.assert_learning_rates(planned, where="phase tune, epoch 1")


def test_a_factor_next_to_the_learning_rate_stops_the_run():
    """timm's layer decay writes lr_scale, which torch's schedulers do not honour."""
    entered = entered_tiny()
    entered.optimizer.param_groups[0]["lr_scale"] = 0.1
    with pytest.raises(RunError, match="stem at"):
        entered.assert_learning_rates(entered.phase.lr_by_group, where="here")


def test_an_optimizer_that_misses_or_keeps_a_parameter_stops_the_run():
    entered = entered_tiny()
    entered.optimizer.param_groups[0]["params"].pop()
    with pytest.raises(RunError, match="9 parameters in the optimizer instead of the 10 trainable ones"):
        entered.assert_learning_rates(entered.phase.lr_by_group, where="here")
    entered = entered_tiny()
    entered.classifier.network.layers["stem"].bias.requires_grad = False
    with pytest.raises(RunError, match="10 parameters in the optimizer instead of the 9 trainable ones"):
        entered.assert_learning_rates(entered.phase.lr_by_group, where="here")


def test_backward_ends_at_the_first_group_that_learns(classifier: Classifier):
    entered = enter(classifier, phase({"layer4": 1e-4, "head": 1e-3}), OptimizerPlan())
    entered.start_epoch()
    reached: list[str] = []
    for name in ("layer3", "layer4"):
        classifier.network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: reached.append(name) if output.requires_grad else None
        )
    classifier.network(torch.randn(2, 3, 64, 64)).sum().backward()
    assert reached == ["layer4"]  # no graph was made before it, so there is nothing to go back through
