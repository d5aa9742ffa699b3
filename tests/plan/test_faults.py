"""Paths and sentences of what is wrong with a plan."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.errors import PlanError
from headstart.plan.faults import cross_faults, schema_fault
from headstart.plan.plan import Plan

TRAIN = {"kind": "train", "name": "tune", "epochs": 5, "unfreeze": "all", "head_lr": 1e-3}


def plan(**changes: Any) -> dict[str, Any]:
    base = {
        "strategy": "s",
        "data": {"source": "d"},
        "model": {"name": "m"},
        "phases": [{"kind": "linear_probe"}, TRAIN],
    }
    return base | changes


def phase(**changes: Any) -> dict[str, Any]:
    return plan(phases=[{"kind": "linear_probe"}, TRAIN | changes])


def faults_of(raw: Any) -> tuple[str, ...]:
    with pytest.raises(PlanError) as caught:
        Plan.from_dict(raw)
    return caught.value.faults


def test_the_base_of_these_tests_has_no_fault() -> None:
    assert Plan.from_dict(plan()).phases[1].name == "tune"
    assert (
        Plan.from_dict(phase(unfreeze=1) | {"augmentation": {"channel_jitter": 0.1}}).augmentation.channel_jitter == 0.1
    )


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (plan(seed=-1), "seed: -1 must be >= 0"),
        (plan(seed=2**32), f"seed: {2**32} must be < {2**32}"),
        (phase(head_lr=-0.1), "phases[1].head_lr: -0.1 must be > 0.0"),
        (phase(head_lr=2), "phases[1].head_lr: 2 must be <= 1.0"),
        (phase(epochs=0), "phases[1].epochs: 0 must be >= 1"),
        (phase(schedule={"pct_start": 1}), "phases[1].schedule.pct_start: 1 must be < 1.0"),
        (phase(backbone_lr={"groups": {"stem": 0}}), "phases[1].backbone_lr.groups.stem: 0 must be > 0.0"),
        (plan(input={"size": 5}), "input.size: 5 must be >= 32 or 5 must be 'auto'"),
        (phase(unfreeze=-1), "phases[1].unfreeze: -1 must be >= 0 or -1 must be 'all' or 'by_cost'"),
        (plan(data={}), "data.source: is missing"),
        (
            plan(data={"source": "d", "sauce": 1}),
            "data.sauce: is no key of a plan ('sauce' is unknown here); did you mean data.source?",
        ),
        (plan(phases=[TRAIN | {"head_lr": -1}]), "phases[0].head_lr: -1 must be > 0.0"),
        (plan(colour="red"), "colour: is no key of a plan ('colour' is unknown here)"),
        (phase(speed=1), "phases[1].speed: is no key of a plan ('speed' is unknown here); did you mean seed?"),
        (plan(augmentation={"mixup_alpha": -1}), "augmentation.mixup_alpha: -1 must be >= 0.0"),
        (plan(optimizer={"l2_sp": 11}), "optimizer.l2_sp: 11 must be <= 10.0"),
        (plan(optimizer={"ema_decay": 1}), "optimizer.ema_decay: 1 must be < 1.0"),
        (
            plan(selection={"after_alarm": "rescue"}) | phase(begins="if_it_can_pay"),
            "selection.after_alarm: rescue is for epochs that replace each other; a step of progressive tuning that is "
            "not better is never selected; leave it at go_on, or use --strategy probe_then_tune",
        ),
        (
            plan(phases=[TRAIN], selection={"interpolate": "auto"}),
            "selection.interpolate: auto needs a linear_probe phase, from whose network weights are mixed",
        ),
        (
            plan(selection={"interpolate": "auto"}) | phase(begins="if_it_can_pay"),
            "selection.interpolate: auto needs epochs that are validated, and steps of progressive tuning are compared "
            "as a whole; use --strategy probe_then_tune",
        ),
        (
            phase(batch_norm="train") | {"model": {"name": "m", "weights": "random"}, "optimizer": {"l2_sp": 0.1}},
            "optimizer.l2_sp: random weights are no start to stay near; leave it at 0",
        ),
        (
            phase(schedule={"milestones": [0.5, 0.2]}),
            "phases[1].schedule.milestones: [0.5, 0.2] must rise, each once, such as [0.3, 0.6, 0.9]",
        ),
    ],
)
def test_one_fault_gives_one_sentence_with_its_path(raw: dict[str, Any], fault: str) -> None:
    assert faults_of(raw) == (fault,)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (plan(domain="medcal"), ["domain: 'medcal' must be 'photo', 'medical'", "did you mean medical?"]),
        (plan(model={"name": "m", "weights": "randm"}), ["model.weights: 'randm'", "did you mean random?"]),
        (plan(model={"name": "m", "grain": "layer"}), ["model.grain: 'layer' must be 'stage' or 'block'"]),
        (phase(batch_norm="trian"), ["phases[1].batch_norm: 'trian' must be", "did you mean train?"]),
        (plan(data={"source": "d", "group": "("}), ["data.group: '('", "no regular expression"]),
        (plan(data={"source": "d", "group": "abc"}), ["data.group: 'abc'", "no group 1", "( )"]),
        (plan(data={"source": "d", "limit_train": "0"}), ["data.limit_train: '0'", "1000 or 100/class"]),
        (plan(batch_size="many"), ["batch_size: 'many'", "valid integer"]),
        (plan(phases=[]), ["phases:", "at least 1"]),
        (plan(phases=[{"kind": "tune"}]), ["phases[0]", "'linear_probe', 'train'"]),
        (plan(phases=[{}]), ["phases[0]", "kind"]),
    ],
)
def test_sentence_says_value_and_expectation(raw: dict[str, Any], words: list[str]) -> None:
    found = faults_of(raw)
    assert len(found) == 1
    for word in words:
        assert word in found[0]


def test_faults_come_in_the_order_of_the_file_with_those_between_values_last() -> None:
    raw = plan(
        data={"source": ""},
        phases=[TRAIN | {"epochs": 0}, {"kind": "linear_probe"}],
        seed=-1,
    )
    found = faults_of(raw)
    assert [fault.split(":")[0] for fault in found] == ["data.source", "phases[0].epochs", "seed", "phases[1].kind"]
    assert "must come first" in found[3]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (plan(phases=[TRAIN, TRAIN]), ["phases[1].name: 'tune'", "earlier phase"]),
        (plan(head={"kind": "mlp"}), ["phases[0].kind", "mlp head cannot be a linear probe", "head.kind linear"]),
        (
            plan(phases=[{"kind": "linear_probe", "alternative_head": "multi_depth"}], head={"kind": "multi_depth"}),
            ["phases[0].alternative_head", "is head.kind already"],
        ),
        (
            plan(phases=[{"kind": "linear_probe", "alternative_head": "multi_depth"}, TRAIN | {"name": "multi_depth"}]),
            ["phases[1].name: 'multi_depth'", "alternative head"],
        ),
        (plan(head={"kind": "multi_depth"}), ["phases[1].kind", "is a linear probe, not trained", "head.kind linear"]),
        (
            plan(augmentation={"channel_jitter": 0.1}),
            ["augmentation.channel_jitter: no phase", "unfreezes less than all"],
        ),
        (
            phase(unfreeze=1, batch_norm="train") | {"augmentation": {"channel_jitter": 0.1}},
            ["augmentation.channel_jitter", "batch_norm pretrained_statistics"],
        ),
        (
            phase(unfreeze=1) | {"augmentation": {"channel_jitter": 0.1}, "store": "off"},
            ["augmentation.channel_jitter: activation_cache is off", "float16 or float32"],
        ),
        (plan(phases=[TRAIN, {"kind": "linear_probe"}]), ["phases[1].kind", "must come first", "phase 1"]),
        (phase(schedule={"warmup_epochs": 5}), ["phases[1].schedule.warmup_epochs: 5 must be < epochs 5"]),
        (phase(schedule={"warmup_epochs": "1e1"}), ["phases[1].schedule.warmup_epochs", "must be < epochs 5"]),
    ],
)
def test_faults_between_values(raw: dict[str, Any], words: list[str]) -> None:
    found = faults_of(raw)
    assert len(found) == 1
    for word in words:
        assert word in found[0]


def test_a_missing_name_is_not_called_a_duplicate_too() -> None:
    nameless = {key: value for key, value in TRAIN.items() if key != "name"}
    assert faults_of(plan(phases=[{"kind": "linear_probe"}, nameless])) == ("phases[1].name: is missing",)


RANDOM = {"name": "m", "weights": "random"}


def test_random_weights_have_no_pretrained_statistics() -> None:
    found = faults_of(plan(model=RANDOM))
    assert found == ("phases[1].batch_norm: random weights have no pretrained statistics; use train",)
    for changes in ({"batch_norm": "train"}, {"batch_norm": "adapt_statistics"}, {"unfreeze": 0}):
        assert Plan.from_dict(phase(**changes) | {"model": RANDOM}).model.weights == "random"


def test_random_weights_read_no_file() -> None:
    raw = phase(batch_norm="train") | {"model": {"name": "m:file:w.pth", "weights": "random"}}
    assert faults_of(raw) == (
        "model.weights: random reads no file; leave it out, or leave :file:PATH out of model.name",
    )
    assert Plan.from_dict(plan(model={"name": "m:file:w.pth"})).model.weights == "pretrained"


def test_a_probe_on_random_features_is_no_fault() -> None:
    assert Plan.from_dict(plan(model=RANDOM, phases=[{"kind": "linear_probe"}])).model.weights == "random"


@pytest.mark.parametrize("phases", [None, 3, "linear_probe", [3, None], {"kind": "linear_probe"}])
def test_cross_faults_bear_phases_of_any_shape(phases: Any) -> None:
    assert cross_faults({"phases": phases, "head": 3}) == []


@pytest.mark.parametrize("version", [None, 1, 0])
def test_readable_schema_has_no_fault_of_its_own(version: int | None) -> None:
    assert schema_fault({} if version is None else {"schema_version": version}, 1) is None


def test_newer_schema_says_how_to_upgrade() -> None:
    fault = schema_fault({"schema_version": 7}, 1)
    assert fault is not None
    for word in ("schema_version: 7", "newer than 1", "pip install --upgrade headstart"):
        assert word in fault
