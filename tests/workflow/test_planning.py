"""The plan of a training without the training: the same that train begins with, and no heavy library."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.errors import DataError, ModelError, PlanError
from headstart.plan.plan import DataPlan, TrainPhase
from headstart.plan.request import Request
from headstart.runs.progress import no_progress
from headstart.workflow.images import check_for_training
from headstart.workflow.planning import plan_of, requested_plan
from headstart.workflow.plans import domain_found, make_plan


def test_the_images_decide_how_many_epochs_and_steps(image_folder: Path, monkeypatch: pytest.MonkeyPatch):
    options = Request(DataPlan(source=str(image_folder)), strategy="full")
    uncounted, counted = make_plan(options, domain_found(options)), plan_of(options)
    assert isinstance(uncounted.phases[1], TrainPhase)
    assert isinstance(counted.phases[1], TrainPhase)
    assert (uncounted.phases[1].epochs, counted.phases[1].epochs) == (10, 5)
    data = check_for_training(uncounted, no_progress)
    roles, sizes = data.roles, data.facts.sizes
    requested = requested_plan(options)
    assert (requested.plan, requested.counted(uncounted, roles, sizes)) == (uncounted, counted)
    steps = requested_plan(Request(options.data))
    assert len(steps.counted(steps.plan, roles, sizes).phases) == 4, "tiny, but too few"
    monkeypatch.setattr("headstart.plan.image_counts.FEW_TRAINING_IMAGES", 10)
    assert len(steps.counted(steps.plan, roles).phases) == 4, "nobody has read how large they are"
    assert len(steps.counted(steps.plan, roles, sizes).phases) == 2


def test_a_plan_that_was_given_or_advised_keeps_its_epochs(image_folder: Path):
    plan = make_plan(Request(DataPlan(source=str(image_folder)), strategy="full"))
    roles = check_for_training(plan, no_progress).roles
    given = requested_plan(plan)
    counted = given.counted(plan, roles)
    assert (given.plan, counted.phases) == (plan, plan.phases)
    assert (counted.imbalance, counted.selection.metric) == ("none", "accuracy")
    assert given.counted(counted, roles) == counted
    advised = requested_plan(Request(DataPlan(source=str(image_folder)), strategy="auto", domain="photo"))
    assert advised.counted(advised.plan, roles).phases == advised.plan.phases


def test_a_folder_alone_gets_the_default_strategy(image_folder: Path):
    assert plan_of(str(image_folder)).strategy == "progressive"


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"model": "resnet1"}, ModelError), ({"strategy": "gradul"}, PlanError), ({"epochs": 0}, PlanError)],
)
def test_what_train_refuses_is_refused(image_folder: Path, changes: dict[str, object], error: type[Exception]):
    with pytest.raises(error):
        plan_of(Request(DataPlan(source=str(image_folder)), **changes))


def test_images_that_cannot_be_trained_on_are_refused(tmp_path: Path):
    (tmp_path / "one").mkdir()
    with pytest.raises(DataError):
        plan_of(str(tmp_path))
