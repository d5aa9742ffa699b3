"""The one loop: what it trains, what it keeps, and that stopping anywhere changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from conftest import Prepared, make_images
from fitted_runs import Rows, StopAfter, equal, run_fit
from headstart.data.class_balance import class_balance
from headstart.engine.prefix.inference import features_of
from headstart.errors import FrozenMovedError, RunError
from headstart.measures import selection
from headstart.networks import backbone
from headstart.networks.backbone import Classifier
from headstart.plan.plan import Plan, Schedule
from headstart.training import loop
from headstart.training.below_probe import unused_tuning
from headstart.training.best_epoch import Outcome
from headstart.training.checkpoint import load_state
from headstart.training.learning_rates.param_groups import Entered
from headstart.training.loop import fit
from headstart.training.phase import PhaseTraining
from headstart.training.stopping import StopRequest
from headstart.training.training import Training
from headstart.workflow.training.image_weights import image_weights
from matrix_heads import solve_logistic


def weights(classifier: Classifier) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_twice_and_another_seed_others(prepare: Callable):
    results = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        task = prepare(name, epochs=1, seed=seed, strategy="discriminative")
        run_fit(task)
        results.append(trained(task))
    assert equal(results[0], results[1])
    assert not equal(results[0], results[2])


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor], list[dict], bytes]:
    """Images, and the trained weights, the rows and the ledger of a run nobody stopped."""
    folder = make_images(tmp_path_factory.mktemp("straight") / "images")
    task = Prepared(folder, folder.parent / "run", strategy="gradual", epochs=2)
    _, outcome = run_fit(task)
    return folder, trained(task), timeless(outcome), (task.run.folder / "ledger.jsonl").read_bytes()


def trained(task: Prepared) -> dict[str, torch.Tensor]:
    """The network after its last step, and the best epoch: the probe may be what is kept, and that proves nothing."""
    state = load_state(task.run.checkpoint)
    return state.network | {f"best {name}": tensor for name, tensor in state.best.weights.items()}


def timeless(outcome: Outcome) -> list[dict]:
    return [replace(row, seconds=0.0) for row in outcome.progress.rows]


@pytest.mark.parametrize("looks", [1, 4, 12])  # in the probe, inside an epoch, in a later phase
@pytest.mark.slow
def test_a_run_stopped_anywhere_goes_on_bit_for_bit(straight: tuple, prepare: Callable, looks: int):
    folder, expected_weights, expected_rows, ledger = straight
    task = prepare(folder=folder, strategy="gradual", epochs=2)
    _, first = run_fit(task, stop=StopAfter(looks))
    assert first.stopped == "signal"
    rows = Rows()
    _, outcome = run_fit(task, observer=rows)
    assert outcome.stopped is None
    assert rows.events[0][0] == "resumed"
    assert equal(expected_weights, trained(task))
    assert not equal(trained(task), weights(task.classifier())), "something was learned"
    assert timeless(outcome) == expected_rows
    assert (task.run.folder / "ledger.jsonl").read_bytes() == ledger


@pytest.mark.slow
def test_an_mlp_head_with_dropout_goes_on_bit_for_bit(prepare: Callable):
    options = {"strategy": "feature_extraction", "head": "mlp", "epochs": 3}
    straight, _ = run_fit(prepare("straight", **options))
    task = prepare("stopped", **options)
    run_fit(task, stop=StopAfter(6))
    resumed, _ = run_fit(task)
    assert equal(weights(straight), weights(resumed))


def test_each_phase_trains_the_planned_groups_at_their_learning_rates(prepare: Callable):
    rows = Rows()
    run_fit(prepare(strategy="gradual", epochs=1), observer=rows)
    assert [(p["name"], p["trained"], p["lr"]) for p in rows.phases] == [
        ("probe", ["head"], {}),
        ("head", ["head"], {"head": 1e-3}),
        ("last_stage", ["stage7", "head"], {"stage7": 1e-4, "head": 1e-4}),
        ("last_two_stages", ["stage6", "stage7", "head"], {"stage6": 1e-5, "stage7": 1e-5, "head": 1e-5}),
    ]
    assert [list(row["lr"]) for row in rows.epochs[1:]] == [p["trained"] for p in rows.phases[1:]]


def test_frozen_groups_are_bit_identical_and_unfrozen_ones_moved(prepare: Callable):
    task = prepare(strategy="gradual", epochs=1)
    before = weights(task.classifier())
    run_fit(task)
    after = torch.load(task.run.checkpoint, weights_only=True)["network"]
    groups = task.classifier().groups
    for group in groups[:-1]:
        names = [name for name in before if group.owns(name) and "num_batches" not in name]
        moved = [name for name in names if not torch.equal(before[name], after[name])]
        if group.name in ("stage6", "stage7"):
            assert moved, group.name
            assert not [name for name in moved if "running" in name]
        else:
            assert not moved, group.name


@pytest.mark.parametrize(
    ("options", "moving"),
    [
        ({"strategy": "partial"}, ["stage6", "stage7", "head"]),
        ({"strategy": "partial", "unfreeze": 1}, ["stage7", "head"]),
        ({"strategy": "discriminative", "unfreeze": 3}, ["stage5", "stage6", "stage7", "head"]),
        ({"strategy": "full"}, ["stem", *(f"stage{i}" for i in range(1, 8)), "head"]),
        ({"strategy": "full", "lr_rule": "bit"}, ["stem", *(f"stage{i}" for i in range(1, 8)), "head"]),
        ({"strategy": "scratch"}, ["stem", *(f"stage{i}" for i in range(1, 8)), "head"]),
    ],
)
def test_exactly_the_unfrozen_groups_move(prepare: Callable, options: dict, moving: list[str]):
    task = prepare(epochs=1, **options)
    before, groups = weights(task.classifier()), task.classifier().groups
    _, outcome = run_fit(task)
    after = torch.load(task.run.checkpoint, weights_only=True)["network"]
    learned = [name for name in before if "running" not in name and "num_batches" not in name]
    moved = [name for name in learned if not torch.equal(before[name], after[name])]
    assert [group.name for group in groups if any(group.owns(name) for name in moved)] == moving
    assert outcome.phases[-1].trained == moving
    assert "groups_unchanged" not in [warning["kind"] for warning in outcome.progress.warnings]


def test_blocks_are_groups_where_the_plan_says_so(prepare: Callable):
    task = prepare(strategy="partial", grain="block", unfreeze=3, epochs=1)
    _, outcome = run_fit(task)
    trained = outcome.phases[-1].trained
    assert len(trained) == 4
    assert len(task.classifier().groups) > 15
    assert trained == list(task.classifier().group_names[-4:])


def test_scratch_reads_no_weights_and_moves_statistics(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    def never(*args: object) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(backbone, "load_weights", never)
    task = prepare(strategy="scratch", epochs=1)
    before = weights(task.classifier())
    assert equal(before, weights(task.classifier())), "the seed decides random weights"
    classifier, outcome = run_fit(task)
    assert [phase.name for phase in outcome.phases] == ["train"]
    assert outcome.probe_accuracy is None
    assert outcome.chosen == "train/1"
    buffers = [name for name in before if "running" in name]
    assert all(not torch.equal(before[name], weights(classifier)[name]) for name in buffers)


def test_bit_has_no_probe_and_starts_from_zeros(prepare: Callable):
    task = prepare(strategy="full", lr_rule="bit", epochs=2)
    assert not task.classifier().head.weight.any()
    rows = Rows()
    run_fit(task, observer=rows)
    assert [phase["name"] for phase in rows.phases] == ["tune"]
    assert rows.phases[0]["schedule"] == "multi_step"
    assert {*rows.phases[0]["lr"].values()} == {task.plan.phases[0].head_lr}


@pytest.mark.slow
def test_mixed_batches_and_clipped_gradients_go_on_bit_for_bit(prepare: Callable):
    results = []
    for name, alpha, stop in (("whole", 0.4, 99), ("stopped", 0.4, 6), ("unmixed", 0.0, 99)):
        task = prepare(name, strategy="feature_extraction", head_solver="adam", epochs=2)
        mixed = task.plan.augmentation.model_copy(update={"mixup_alpha": alpha, "cutmix_alpha": 2 * alpha})
        clipped = task.plan.optimizer.model_copy(update={"clip_norm": 0.5})
        task.plan = task.plan.changed(augmentation=mixed, optimizer=clipped)
        _, outcome = run_fit(task, stop=StopAfter(stop))
        if outcome.stopped:
            run_fit(task)
        results.append(load_state(task.run.checkpoint).network)
    assert equal(results[0], results[1])
    assert not equal(results[0], results[2])


def test_groups_really_move_at_their_learning_rates_in_the_loop(prepare: Callable):
    """Under SGD without momentum a step is rate x gradient: measured for every step and group of a whole run."""
    task = prepare(strategy="full", lr_rule="decay_0.9", grain="stage", epochs=2)
    raw = task.plan.model_dump(mode="json")
    raw["optimizer"] = {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0}
    raw["phases"][1]["schedule"] = {"name": "one_cycle"}
    raw["phases"][0]["l2_penalty"] = 10.0  # a head of small weights: steep losses would leave the numbers at such rates
    raw["phases"][1]["lr_by_group"] = {name: 30 * rate for name, rate in task.plan.phases[1].lr_by_group.items()}
    task.plan = Plan.from_dict(raw)
    before, measured = [], []

    def remember(optimizer, args, kwargs) -> None:
        before[:] = [[p.detach().double().clone() for p in group["params"]] for group in optimizer.param_groups]

    def measure(optimizer, args, kwargs) -> None:
        groups, row = optimizer.param_groups, {}
        for group, old in zip(groups, before, strict=True):
            gradient = torch.cat([p.grad.double().flatten() for p in group["params"]])
            moved = torch.cat([(o - p.detach().double()).flatten() for o, p in zip(old, group["params"], strict=True)])
            row[group["name"]] = float(moved @ gradient / (gradient @ gradient))
        measured.append(row)

    hooks = [register_optimizer_step_pre_hook(remember), register_optimizer_step_post_hook(measure)]
    try:
        run_fit(task)
    finally:
        for hook in hooks:
            hook.remove()
    phase = task.plan.phases[1]
    per_epoch = len(measured) // 2
    assert per_epoch == -(-len(task.images.roles.train) // 4)
    for step, row in enumerate(measured):
        rise = phase.schedule.pct_start
        at = step / len(measured)
        shape = (
            0.04 + 0.96 * (1 - np.cos(np.pi * at / rise)) / 2
            if at < rise
            else 1e-5 + (1 - 1e-5) * (1 + np.cos(np.pi * (at - rise) / (1 - rise))) / 2
        )
        expected = {name: peak * shape for name, peak in phase.lr_by_group.items()}
        assert row == pytest.approx(expected, rel=0.02), step


def test_a_learning_rate_that_is_not_the_planned_one_stops_the_run(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    def one_rate_for_all(self, rates) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = max(rates.values())

    monkeypatch.setattr(Entered, "set_learning_rates", one_rate_for_all)
    with pytest.raises(RunError, match=r"did not follow the plan in phase tune, epoch 1 \(stem at .* instead of"):
        run_fit(prepare(strategy="discriminative", epochs=1))


@pytest.mark.slow
def test_a_group_that_stands_still_gives_one_warning(prepare: Callable):
    task = prepare(strategy="discriminative", epochs=2)
    raw = task.plan.model_dump(mode="json")
    raw["phases"][1]["lr_by_group"] |= {"stem": 1e-30, "stage1": 1e-30}
    raw["phases"][1]["schedule"]["name"] = "constant"
    task.plan = Plan.from_dict(raw)
    rows = Rows()
    _, outcome = run_fit(task, observer=rows)
    (warning,) = outcome.progress.warnings
    assert (warning["phase"], warning["epoch"], *warning["groups"]) == ("tune", 1, "stem", "stage1")
    (noted,) = [values for event, values in rows.events if event == "groups_unchanged"]
    assert {**noted, "groups": list(noted["groups"])}.items() <= {**warning, "groups": list(warning["groups"])}.items()
    assert load_state(task.run.checkpoint).progress.warnings == [warning]


def test_something_frozen_that_moves_stops_the_run(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    original, task = PhaseTraining.count_step, prepare(strategy="discriminative", epochs=1)
    classifier = task.classifier()

    def drift(self, *args) -> None:
        with torch.no_grad():
            classifier.network.bn1.running_mean.add_(1e-6)
        original(self, *args)

    monkeypatch.setattr(PhaseTraining, "count_step", drift)
    with pytest.raises(FrozenMovedError, match=r"bn1\.running_mean"):
        fit(Training(task.plan, classifier, task.images, run=task.run))


def test_select_and_report_images_are_never_trained_on(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    seen: set[str] = set()
    original = PhaseTraining.targets

    def watch(self, records):
        seen.update(record.id for record in records)
        return original(self, records)

    monkeypatch.setattr(PhaseTraining, "targets", watch)
    task = prepare(strategy="discriminative", epochs=1)
    run_fit(task)
    roles = task.images.roles
    assert seen == {record.id for record in roles.train}
    assert len(roles.validation) > 0
    assert not seen & {record.id for record in (*roles.validation, *roles.test)}


def test_tuning_cannot_improve_on_a_probe_without_mistakes(prepare: Callable):
    rows = Rows()
    _, outcome = run_fit(prepare(), observer=rows)
    assert outcome.chosen == "probe"
    assert rows.phases[1]["epochs_run"] == 0
    assert "no epoch could make fewer errors" in rows.phases[1]["ended"]


def test_naming_the_epochs_tunes_anyway_and_the_probe_stays_unless_beaten(prepare: Callable):
    rows = Rows()
    _, outcome = run_fit(prepare(epochs=2), observer=rows)
    assert rows.phases[1]["epochs_run"] == 2
    assert outcome.chosen == "probe"
    assert "no epoch is significantly better than the linear probe" in outcome.why


def test_a_first_epoch_far_below_the_probe_gives_one_warning_with_its_numbers(prepare: Callable):
    """A hundred times the planned learning rates."""
    task, rows = prepare(strategy="full", epochs=2, batch_size=2), Rows()
    tune = task.plan.phases[1]
    rates = dict.fromkeys(tune.lr_by_group, 0.03)
    wild = tune.model_copy(update={"lr_by_group": rates, "schedule": Schedule(name="constant"), "head_refit_views": 0})
    selection = task.plan.selection.model_copy(update={"significance_level": 0.9})  # there are three images to tell by
    task.plan = task.plan.model_copy(update={"phases": (task.plan.phases[0], wild), "selection": selection})
    _, outcome = run_fit(task, observer=rows)
    (warning,) = [warning for warning in outcome.progress.warnings if warning["kind"] == "first_epoch_below_probe"]
    assert (warning["phase"], warning["epoch"], warning["probe_accuracy"]) == ("tune", 1, 1.0)
    assert warning["accuracy"] == outcome.progress.rows[1].validation_accuracy < 1
    assert warning["lr"] == rates
    assert next(values for event, values in rows.events if event == warning["kind"]).items() <= warning.items()
    assert unused_tuning(outcome.phases, outcome.chosen).epochs == 2


def test_tuning_begins_with_a_head_that_knows_augmented_views(prepare: Callable):
    rows = Rows()
    run_fit(prepare(strategy="gradual", epochs=1), observer=rows)
    starts = [values for event, values in rows.events if event == "head_fitted_on_views"]
    assert [(start["phase"], start["views"]) for start in starts] == [("head", 1)]


def test_the_selected_head_is_fitted_on_all_of_train(prepare: Callable):
    task = prepare()
    classifier, outcome = run_fit(task)
    roles = task.images.roles
    assert len(roles.training_pool) == len(roles.train) + len(roles.validation)
    features = features_of(classifier, roles.training_pool, task.images.spec)
    labels = task.images.labels(roles.training_pool)
    expected = solve_logistic(features, labels, 2, l2_penalty=outcome.progress.l2_penalty)
    assert np.allclose(classifier.head.weight.detach().numpy(), expected.weight_KF, atol=1e-5)


@pytest.mark.slow
def test_patience_ends_a_phase_also_when_the_run_was_stopped_in_between(
    prepare: Callable, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(selection, "sharpened_log_losses", lambda probabilities, labels, weights: np.ones(len(labels)))
    for name, stop in (("straight", StopRequest()), ("stopped", StopAfter(13))):
        task = prepare(name, strategy="feature_extraction", head_solver="adam", epochs=30)
        task.plan = task.plan.changed(selection=task.plan.selection.model_copy(update={"patience": 2}))
        _, outcome = run_fit(task, stop=stop)
        if outcome.stopped:
            _, outcome = run_fit(task)
        phase = outcome.progress.phases[0]
        assert phase.ended == "no better epoch for 2"
        assert phase.epochs_run == 3 if name == "straight" else len(outcome.progress.rows) == 3


def test_a_loss_that_is_no_number_from_the_start_leaves_nothing_to_keep(
    prepare: Callable, monkeypatch: pytest.MonkeyPatch
):
    original = PhaseTraining.count_step
    monkeypatch.setattr(PhaseTraining, "count_step", lambda self, images, loss: original(self, images, float("nan")))
    with pytest.raises(RunError, match="lower the learning rate"):
        run_fit(prepare(strategy="feature_extraction", head="mlp", epochs=3))


def test_outputs_that_are_no_numbers_end_the_phase_too(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    """The last step of an epoch can spoil the weights after its own loss was fine."""
    original = PhaseTraining.count_step

    def spoil(self, images, loss) -> None:
        original(self, images, loss)
        if self.position[2] == 1:
            with torch.no_grad():
                self.optimizer.param_groups[0]["params"][0].fill_(float("nan"))

    monkeypatch.setattr(PhaseTraining, "count_step", spoil)
    rows = Rows()
    task = prepare(strategy="discriminative", epochs=3)
    task.plan = task.plan.changed(batch_size=64)  # one step an epoch
    classifier, outcome = run_fit(task, observer=rows)
    assert "stopped being a number in epoch 2" in rows.phases[1]["ended"]
    assert [row.epoch for row in outcome.progress.rows] == [0, 1]
    assert all(torch.isfinite(p).all() for p in classifier.network.parameters())


def test_a_loss_that_is_no_number_ends_the_phase_and_keeps_the_best(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    original = PhaseTraining.count_step

    def explode(self, images, loss) -> None:
        original(self, images, float("nan") if self.position[2] == 1 else loss)

    monkeypatch.setattr(PhaseTraining, "count_step", explode)
    rows = Rows()
    classifier, _ = run_fit(prepare(strategy="discriminative", epochs=3), observer=rows)
    assert "stopped being a number" in rows.phases[1]["ended"]
    assert rows.phases[1]["epochs_run"] == 1
    assert ("diverged", {"phase": "tune", "epoch": 2}) in rows.events
    assert all(torch.isfinite(tensor).all() for tensor in weights(classifier).values())


def test_the_budget_keeps_the_best_so_far_and_finishes(prepare: Callable):
    task, rows = prepare(strategy="discriminative", epochs=5), Rows()

    class OnceTuned(StopRequest):
        @property
        def reason(self) -> str | None:
            return "budget" if any(row["phase"] == "tune" for row in rows.epochs) else None

    _, outcome = run_fit(task, stop=OnceTuned(), observer=rows)
    assert outcome.stopped == "budget"
    assert outcome.chosen in ("probe", "tune/1")
    assert not outcome.progress.done
    assert [(p.name, p.ended) for p in outcome.phases][1:] == [("tune", "stopped by the budget")]


@pytest.mark.parametrize(
    ("preset", "schedule"),
    [
        ("none", "cosine"),
        ("light", "one_cycle"),
        ("standard", "plateau"),
        ("strong", "constant"),
        ("light", "multi_step"),
        ("trivial", "cosine"),
    ],
)
def test_every_preset_and_schedule_trains(prepare: Callable, preset: str, schedule: str):
    task = prepare(strategy="feature_extraction", head_solver="adam", epochs=1, augmentation=preset)
    raw = task.plan.model_dump(mode="json")
    raw["phases"][0]["schedule"] = {"name": schedule}
    task.plan = Plan.from_dict(raw)
    _, outcome = run_fit(task)
    assert outcome.chosen == "head/1"


@pytest.mark.parametrize("policy", ["pretrained_statistics", "adapt_statistics", "train"])
def test_every_batch_norm_policy_trains_and_moves_what_it_says(prepare: Callable, policy: str):
    task = prepare(strategy="discriminative", epochs=1)
    raw = task.plan.model_dump(mode="json")
    raw["phases"][1]["batch_norm"] = policy
    task.plan = Plan.from_dict(raw)
    before = weights(task.classifier())
    run_fit(task)
    after = torch.load(task.run.checkpoint, weights_only=True)["network"]
    buffers = [name for name in before if "running" in name]
    moved = [name for name in buffers if not torch.equal(before[name], after[name])]
    assert len(moved) == (0 if policy == "pretrained_statistics" else len(buffers))


def test_weights_of_images_reach_the_loss_of_every_step(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    task = prepare(strategy="full", epochs=1)
    own = {r.id: 3.0 if r.label == "blue" else 1.0 for r in task.images.roles.training_pool}
    task.images = replace(task.images, weights=own)
    seen: list[tuple[list[int], list[float]]] = []

    def watched(outputs, labels, mixing, *, label_smoothing, weights_B):
        seen.append((labels.tolist(), weights_B.tolist()))
        return loop_loss(outputs, labels, mixing, label_smoothing=label_smoothing, weights_B=weights_B)

    loop_loss = loop.batch_loss
    monkeypatch.setattr(loop, "batch_loss", watched)
    run_fit(task)
    pairs = [pair for labels, weights in seen for pair in zip(labels, weights, strict=True)]
    assert len(pairs) == len(task.images.roles.train)
    assert np.mean([weight for _, weight in pairs]) == pytest.approx(1)
    assert {(label, round(weight / min(w for _, w in pairs), 5)) for label, weight in pairs} == {(0, 3.0), (1, 1.0)}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["balanced_sampling", "logit_adjustment"])
def test_a_balanced_run_stopped_inside_an_epoch_goes_on_bit_for_bit(prepare: Callable, tmp_path: Path, method: str):
    folder = make_images(tmp_path / "photos")
    for image in sorted((folder / "blue").iterdir())[3:]:
        image.unlink()
    results, candidates = [], []
    for name, way, stop in (("whole", method, 99), ("stopped", method, 6), ("plain", "none", 99)):
        task = prepare(name, folder=folder, strategy="feature_extraction", head_solver="adam", epochs=2)
        balance = class_balance(way, task.data.roles.training_pool)
        weighed = image_weights(way, None, task.data.roles.training_pool)
        task.images = replace(task.images, balance=balance, weights=weighed, metric="balanced_accuracy")
        _, outcome = run_fit(task, stop=StopAfter(stop))
        if outcome.stopped:
            run_fit(task)
        results.append(load_state(task.run.checkpoint).network)
        candidates.append(load_state(task.run.checkpoint).best)
    assert equal(results[0], results[1])
    assert not equal(results[0], results[2]), "the method changes what is learned"
    whole, stopped, _ = candidates
    assert (whole.metric, whole.value) == (stopped.metric, stopped.value) == ("balanced_accuracy", whole.value)
    assert (whole.labels == stopped.labels).all()
