"""The range tests of a phase: what they vary, what they compare with, and that nothing of them stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Prepared, make_images
from headstart.engine.costs.estimate import FEWEST_POINTS
from headstart.engine.store.store import ActivationStore
from headstart.networks.backbone import Classifier
from headstart.networks.groups.layers import named_tensors
from headstart.plan.plan import AugmentationPlan, FrozenPrefixPlan, LrRule, Plan, Schedule, TrainPhase
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.training.activation_source import ActivationSource
from headstart.training.feeds import PixelFeed, feed_for
from headstart.training.learning_rates import finder
from headstart.training.learning_rates.finder import FoundLearningRates, Rehearsal, find_learning_rates, with_scaled_lr
from headstart.training.learning_rates.param_groups import enter
from headstart.training.loop import fit
from headstart.training.probe.probe import fit_probe
from headstart.training.stopping import StopRequest
from headstart.training.training import Training


class Notes(Observer):
    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.work: list[str] = []

    def noted(self, event: Event) -> None:
        self.events.append((event.event, event.to_dict()))

    def work_started(self, what: str, total: int) -> None:
        self.work.append(what)

    def found(self) -> list[dict[str, Any]]:
        """All events of a search, without the time it took."""
        return [{**values, "seconds": 0} for event, values in self.events if event == "learning_rates_found"]


POINTS = 8


class Leave(Exception):
    pass


def changed(task: Prepared, **changes: object) -> None:
    """Change the train phase of the plan."""
    raw = task.plan.model_dump(mode="json")
    raw["phases"][-1].update(changes)
    task.plan = Plan.from_dict(raw)


def rehearsal(task: Prepared, classifier: Classifier, **changes: object) -> Rehearsal:
    phase = task.plan.phases[-1]
    assert isinstance(phase, TrainPhase)
    feed = PixelFeed(classifier, task.images, task.plan.augmentation, task.plan.seed)
    made = Rehearsal(
        classifier,
        phase,
        1,
        feed,
        task.images,
        task.plan.optimizer,
        weights=task.plan.model.weights,
        batch_size=task.plan.batch_size,
        augmentation=AugmentationPlan(),
        seed=task.plan.seed,
        epochs_before=1,
        observer=Observer(),
        stop_if_requested=lambda: None,
    )
    return replace(made, **changes)


def with_fitted_probe(task: Prepared) -> Classifier:
    classifier = task.classifier()
    fit_probe(ActivationSource(classifier, task.images), task.plan.phases[0], seed=0, significance_level=0.05)
    return classifier


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = make_images(tmp_path_factory.mktemp("finder") / "images")
    # Plain views: of sixteen images augmented ones would decide more than the network does.
    task = Prepared(folder, folder.parent / "run", strategy="full", epochs=1, augmentation="none")
    # 3e-3 and 3e-4, whatever the preset has: far enough apart to tell the two, and near enough to be found at once.
    tune = with_scaled_lr(task.plan.phases[1], {"head": 15.0, "backbone": 1.5})
    task.plan = task.plan.model_copy(update={"phases": (task.plan.phases[0], tune)})
    return task


@pytest.fixture(scope="module")
def with_probe(task: Prepared) -> Classifier:
    return with_fitted_probe(task)


@pytest.fixture(scope="module")
def found(task: Prepared, with_probe: Classifier) -> FoundLearningRates:
    return find_learning_rates(rehearsal(task, with_probe))


def everything(classifier: Classifier) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in named_tensors(classifier.network)}


def test_the_head_is_tested_alone_and_then_the_backbone_beside_it(found: FoundLearningRates):
    head, backbone = found.tests
    assert (head.tested, head.groups) == ("head", ("head",))
    assert (backbone.tested, backbone.groups) == ("backbone", tuple(found.planned)[:-1])
    for test in found.tests:
        first = test.points[0]
        assert first.factor == 0.01
        assert first.loss == pytest.approx(first.baseline, abs=0.05), "hardly anything was learned yet"
        assert [p.factor for p in test.points] == sorted(p.factor for p in test.points)
    assert head.points[0].baseline != backbone.points[-1].baseline


def test_a_high_enough_learning_rate_destroys_the_features_of_the_backbone(found: FoundLearningRates):
    backbone = found.tests[1]
    worst = max(point.loss - point.baseline for point in backbone.points)
    assert not worst < 1.0, "or no number at all"
    assert len(backbone.points) < FEWEST_POINTS, "it ended there"
    assert backbone.suggestion.edge is not None
    assert backbone.suggestion.edge < backbone.points[-1].factor


@pytest.mark.parametrize("policy", ["pretrained_statistics", "adapt_statistics", "train"])
def test_nothing_of_the_search_stays(task: Prepared, policy: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(finder, "points_for", lambda steps: 3)
    classifier = task.classifier()
    before = everything(classifier)
    moved = []
    made = rehearsal(task, classifier, phase=task.plan.phases[-1].model_copy(update={"batch_norm": policy}))
    watched = replace(made, stop_if_requested=lambda: moved.append(everything(classifier)))
    find_learning_rates(watched)
    assert any(not torch.equal(moved[-1][name], before[name]) for name in before), "something was learned in between"
    assert all(torch.equal(tensor, before[name]) for name, tensor in everything(classifier).items())
    assert all(parameter.grad is None for parameter in classifier.network.parameters())
    assert not classifier.network.training


def test_each_test_moves_only_what_it_varies(task: Prepared, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(finder, "points_for", lambda steps: 3)
    classifier = task.classifier()
    start, heads, bodies = everything(classifier), [], []

    def look() -> None:
        now = everything(classifier)
        moved = {name for name in now if not torch.equal(now[name], start[name])}
        heads.append(any(name.startswith("classifier") for name in moved))
        bodies.append(any(not name.startswith("classifier") for name in moved))

    find_learning_rates(rehearsal(task, classifier, stop_if_requested=look))
    assert heads == [False] * 4 + [True] * (len(heads) - 4), "all but the first batches without learning"
    at_first = bodies.index(True)
    assert at_first >= 4 + 2 + 4, "the test of the head, and its baseline of the second"
    assert bodies == [False] * at_first + [True] * (len(bodies) - at_first)


def test_a_search_is_left_with_the_network_put_back(task: Prepared, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(finder, "points_for", lambda steps: 3)
    classifier = task.classifier()
    before, looks = everything(classifier), iter(range(100))

    def leave() -> None:
        if next(looks) == 5:
            raise Leave

    with pytest.raises(Leave):
        find_learning_rates(rehearsal(task, classifier, stop_if_requested=leave))
    assert all(torch.equal(tensor, before[name]) for name, tensor in everything(classifier).items())


@pytest.mark.slow
def test_a_plan_that_is_a_hundred_times_off_finds_nearly_the_same(
    task: Prepared, with_probe: Classifier, found: FoundLearningRates
):
    """On real steps: what is found depends on the network and the images, not on what was planned."""
    phase = task.plan.phases[-1]
    assert isinstance(phase, TrainPhase)
    planned = with_scaled_lr(phase, {"backbone": 0.01})
    low = find_learning_rates(rehearsal(task, with_probe, phase=planned))
    assert low.phase.lr_by_group["head"] == found.phase.lr_by_group["head"], "the first test is the same"
    ratio = low.phase.lr_by_group["stage7"] / found.phase.lr_by_group["stage7"]
    assert 0.2 < ratio < 5, "it was planned at a hundredth"


def test_random_weights_are_tested_in_one(task: Prepared, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(finder, "points_for", lambda steps: 3)
    made = find_learning_rates(rehearsal(task, task.classifier(), weights="random"))
    assert [(test.tested, test.groups) for test in made.tests] == [("all", tuple(made.planned))]


def test_a_head_that_learns_alone_is_tested_alone(task: Prepared, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(finder, "points_for", lambda steps: 3)
    phase = task.plan.phases[-1].model_copy(update={"unfreeze": 0, "lr_by_group": {"head": 1e-3}})
    made = find_learning_rates(rehearsal(task, task.classifier(), phase=phase))
    assert [test.tested for test in made.tests] == ["head"]
    assert set(made.phase.lr_by_group) == {"head"}


def test_stored_activations_feed_a_search_as_they_feed_the_phase(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(finder, "points_for", lambda steps: 3)
    task = prepare(strategy="partial", epochs=2)
    images = replace(
        task.images,
        digests={name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()},
        store=ActivationStore(tmp_path / "store"),
    )
    classifier = task.classifier()
    way = FrozenPrefixPlan(activations="cached", cut_point="stage6", views=2)
    phase = task.plan.phases[-1].model_copy(update={"frozen_prefix": way})
    enter(classifier, phase, task.plan.optimizer)
    augmentation = task.plan.augmentation
    feed = feed_for(phase, ActivationSource(classifier, images), augmentation=augmentation, seed=0)
    before = everything(classifier)
    made = find_learning_rates(rehearsal(task, classifier, phase=phase, feed=feed, images=images))
    assert feed.frozen_prefix == way
    assert [len(test.points) % 3 for test in made.tests] == [0, 0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in everything(classifier).items())


def test_a_batch_of_one_image_has_a_noise_too(task: Prepared, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(finder, "points_for", lambda steps: 3)
    made = find_learning_rates(rehearsal(task, task.classifier(), batch_size=1))
    point = made.tests[0].points[0]
    assert point.noise == pytest.approx(abs(point.loss - point.baseline))


LADDER = {"stem": 1e-6, "layer4": 5e-5, "head": 1e-3}


def resolved_phase(rule: LrRule, **rates: float) -> TrainPhase:
    return TrainPhase(
        name="tune",
        epochs=1,
        unfreeze="all",
        head_lr=rates["head"],
        backbone_lr=rule,
        schedule=Schedule(name="one_cycle"),
        peak_lr="find",
        lr_by_group=rates,
    )


def test_a_ladder_keeps_its_shape_and_is_listed():
    made = with_scaled_lr(resolved_phase(LrRule(rule="by_depth"), **LADDER), {"head": 0.5, "backbone": 4.0})
    assert made.lr_by_group == {"stem": 4e-6, "layer4": 2e-4, "head": 5e-4}
    assert (made.head_lr, made.peak_lr) == (5e-4, "found")
    assert made.backbone_lr == LrRule(rule="by_group", groups={"stem": 4e-6, "layer4": 2e-4})


def test_learning_rates_of_a_rule_with_a_top_follow_it():
    rates = {f"stage{i}": 1e-3 * 0.75 ** (3 - i) for i in range(1, 4)}
    rule = LrRule(rule="layer_decay", lr=1e-3, decay=0.75)
    made = with_scaled_lr(resolved_phase(rule, **rates, head=3e-3), {"head": None, "backbone": 0.3})
    assert made.backbone_lr == LrRule(rule="layer_decay", lr=3e-4, decay=0.75)
    assert made.lr_by_group["stage1"] == pytest.approx(3e-4 * 0.75**2)
    assert made.lr_by_group["head"] == 3e-3


def test_one_factor_for_all():
    made = with_scaled_lr(resolved_phase(LrRule(lr=1e-3), stem=1e-3, head=1e-3), {"all": 2.5})
    assert made.lr_by_group == {"stem": 2.5e-3, "head": 2.5e-3}


def test_no_learning_rate_goes_above_one_and_ratios_stay():
    made = with_scaled_lr(resolved_phase(LrRule(rule="by_depth"), stem=0.01, layer4=0.5, head=0.3), {"all": 20.0})
    assert made.lr_by_group == {"stem": 0.02, "layer4": 1.0, "head": 1.0}


def test_where_nothing_was_found_the_plan_stays():
    phase = resolved_phase(LrRule(rule="by_depth"), **LADDER)
    made = with_scaled_lr(phase, {"head": None, "backbone": None})
    assert made == phase.model_copy(update={"peak_lr": "planned"})


def run(task: Prepared, *, looks: int | None = None) -> Notes:
    class Stop(StopRequest):
        left = looks if looks is not None else 10**9

        @property
        def reason(self) -> str | None:
            self.left -= 1
            return "signal" if self.left <= 0 else None

    notes = Notes()
    fit(Training(task.plan, task.classifier(), task.images, run=task.run, observer=notes, stop=Stop()))
    return notes


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Prepared, Notes]]:
    """A whole run that found its rates, in fewer steps than usual."""
    folder = make_images(tmp_path_factory.mktemp("searched") / "images", per_class=6)
    task = Prepared(folder, folder.parent / "run", strategy="full", epochs=1, peak_lr="find")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finder, "points_for", lambda steps: POINTS)
        yield folder, task, run(task)


def test_the_resolved_plan_holds_the_found_learning_rates_and_why(searched: tuple[Path, Prepared, Notes]):
    _, task, notes = searched
    (event,) = notes.found()
    plan = task.run.plan()
    phase = plan.phases[-1]
    assert isinstance(phase, TrainPhase)
    assert phase.peak_lr == "found"
    assert phase.lr_by_group == event["lr"] != event["planned"]
    assert (phase.head_lr, phase.backbone_lr.lr) == (event["lr"]["head"], event["lr"]["stage7"])
    assert "range test (Smith 2017)" in plan.reasons["phases[1].head_lr"]
    assert "range test (Smith 2017)" in plan.reasons["phases[1].backbone_lr"]
    assert notes.work.index("tune: learning rates of the head") < notes.work.index(
        "tune: learning rates of the backbone"
    )
    assert all(len(row) == 4 for test in event["tests"] for row in test["points"])
    learned = sum(len(test["points"]) for test in event["tests"])
    assert event["steps"] >= 2 * (POINTS + 1) + learned, "those without learning too"


def test_training_with_found_learning_rates_is_training_with_these_planned(searched: tuple[Path, Prepared, Notes]):
    """Bit for bit: the search leaves no trace in weights, order, views or dropout."""
    folder, task, _ = searched
    planned = Prepared(folder, folder.parent / "planned", strategy="full", epochs=1)
    planned.plan = task.run.plan()
    notes = run(planned)
    assert notes.found() == [], "found rates are not searched again"
    first, second = (torch.load(t.run.checkpoint, weights_only=True)["network"] for t in (task, planned))
    assert len(first) > 100
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("looks", [28])  # in the second test
@pytest.mark.slow
def test_a_search_that_was_interrupted_begins_anew_and_finds_the_same(
    searched: tuple[Path, Prepared, Notes], tmp_path: Path, looks: int
):
    folder, task, notes = searched
    again = Prepared(folder, tmp_path / "run", strategy="full", epochs=1, peak_lr="find")
    assert run(again, looks=looks).found() == []
    assert again.run.plan().phases[-1].peak_lr == "find"
    again.plan = again.run.plan()
    assert run(again).found() == notes.found()
    first, second = (torch.load(t.run.checkpoint, weights_only=True)["network"] for t in (task, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_is_no_number_is_none_in_the_event(task: Prepared):
    point = finder._point(1.0, np.array([math.inf, 1.0]), np.array([1.0, 1.0]))
    test = finder.LearningRateTest("head", ("head",), (point,), finder.suggest([point], guess=1.0, tested="head"))
    assert test.record().points == ((1.0, None, 1.0, None),)
