"""advise from DATA and from numbers, and the plan of strategy auto."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

import headstart
from headstart.errors import ModelError, PlanError
from headstart.inspection import domain_look
from headstart.inspection.domain_guess import DomainGuess
from headstart.plan.plan import DataPlan, Plan
from headstart.plan.presets import STRATEGIES
from headstart.plan.request import Request
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.runs.warnings import AdviceWarning
from headstart.workflow import advice_images, advising
from headstart.workflow.advising import advise, advised, advised_plan
from headstart.workflow.plans import make_plan
from headstart.workflow.training.train import train


def test_the_public_name_is_this_function():
    assert headstart.advise(images=2_000, similarity="high").strategy == "feature_extraction"


def test_numbers_alone_are_enough():
    advice = advise(images=500, domain="medical", channels=1, cores=2, gpu="none")
    assert advice.strategy == "progressive"
    assert advice.plan.data.source == "DATA"
    assert (advice.situation.hardware.cores, advice.situation.hardware.gpu) == (2, "none")


def test_data_is_counted_and_what_was_said_wins(image_folder: Path):
    advice = advise(image_folder, similarity="high", cores=2, gpu="none")
    assert advice.plan.data.source == str(image_folder)
    assert advice.situation.classes == 2
    assert advice.strategy == "feature_extraction"
    said = advise(str(image_folder), classes=3, channels=13, resolution=900, domain="satellite")
    assert (said.situation.classes, said.situation.channels, said.situation.resolution) == (3, 13, 900)


def test_groups_go_into_the_plan_and_few_of_them_are_remarked(image_folder: Path):
    advice = advise(image_folder, similarity="high", group=r"(\w+/\d\d)")
    assert advice.plan.data.group == r"(\w+/\d\d)"
    assert "--group" in advice.command(str(image_folder))
    few = advise(image_folder, similarity="high", group=r"(\w+/\d[0-3]|\w+/\d[4-7])")
    assert not any("groups" in warning for warning in few.warnings), "every image is its own group here"
    for path in sorted(image_folder.rglob("*.png")):
        path.rename(path.with_name(f"p{int(path.stem) // 4}_{path.stem}.png"))
    few = advise(image_folder, similarity="high", group=r"(\w+/p\d)_")
    assert any("images are of 2 groups" in warning for warning in few.warnings)
    with pytest.raises(PlanError, match="group: it is searched in the paths of DATA"):
        advise(images=500, group="(a)")


@pytest.mark.slow
def test_an_uncertain_look_is_a_question_and_no_decision(image_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(domain_look, "guess_domain", lambda looks, **named: DomainGuess("unknown", 0.4, "grey"))
    advice = advise(image_folder, domain="auto")
    assert advice.situation.domain == "photo"
    assert "the domain is unknown: grey" in advice.warnings[0]
    assert "as for photos, because the domain is unknown" in advice.plan.reasons["augmentation.flip"]
    monkeypatch.setattr(domain_look, "guess_domain", lambda looks, **named: DomainGuess("medical", 0.9, "grey"))
    assert advise(image_folder).situation.domain == "medical"
    assert advise(image_folder, domain="photo").situation.domain == "photo"


@pytest.mark.parametrize(
    ("question", "error", "words"),
    [
        ({}, PlanError, "give one of them"),
        ({"data": "photos", "images": 5}, PlanError, "give one of them"),
        ({"images": 5, "domain": "auto"}, PlanError, "auto looks at pixels, so it needs DATA"),
        ({"images": 5, "domain": "medicl"}, PlanError, "did you mean medical"),
        ({"images": 5, "model": "resnet81"}, ModelError, "did you mean"),
        ({"images": 0, "similarity": 3}, PlanError, "2 faults"),
    ],
)
def test_wrong_questions_are_answered_with_the_way_out(question: dict, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        advise(**question)


def test_rates_of_this_machine_are_for_this_machine_only():
    here, known = advising._hardware(None, "auto")
    assert known is not None
    other, unknown = advising._hardware(here.cores + 1, "auto")
    assert (other.cores, unknown) == (here.cores + 1, None)


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_hidden_gpu_is_none(hidden: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert advising._hardware(None, "auto")[0].gpu == "none"
    assert advising._hardware(None, "one")[0].gpu == "one"


def test_auto_takes_the_advice_and_keeps_what_was_said(image_folder: Path):
    part = DataPlan(source=str(image_folder))
    plan = advised_plan(Request(part, strategy="auto", model="resnet18", input_size=64, seed=5, domain="medical"))
    assert plan.strategy in STRATEGIES
    assert (plan.model.name, plan.input.size, plan.seed, plan.domain) == ("resnet18", 64, 5, "medical")
    assert plan.reasons["strategy"]
    assert plan.strategy == advise(image_folder, domain="medical", model="resnet18").strategy
    assert Plan.from_dict(plan.model_dump(mode="json")) == plan


def test_every_option_of_train_that_a_request_knows_reaches_the_plan(
    make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    """A new option must not be dropped by strategy auto without a word."""
    monkeypatch.setattr(advice_images, "_measure_similarity", lambda *given: None)
    from dataclasses import fields

    from headstart.plan.request import Request

    known = {field.name for field in fields(Request)} & {field.name for field in fields(Request)}
    assert known >= {"model", "input_size", "epochs", "unfreeze", "lr_rule", "grain", "head", "batch_size", "seed"}
    part = DataPlan(source=str(make_folder("few", per_class=20)))
    said = {"epochs": 3, "batch_size": 4, "augmentation": "light", "budget_seconds": math.inf}
    plan = advised_plan(Request(part, strategy="auto", domain="photo", **said))
    assert plan.strategy == "progressive"
    assert (plan.phases[1].epochs, plan.batch_size) == (3, 4)
    assert (plan.augmentation.preset, plan.budget_seconds) == ("light", None)
    with pytest.raises(PlanError, match="unfreeze: progressive has no use for it"):
        advised_plan(Request(part, strategy="auto", domain="photo", unfreeze=1))


def test_auto_is_no_preset():
    with pytest.raises(PlanError, match="resolved by looking at the images"):
        make_plan(Request(DataPlan(source="x"), strategy="auto"))


def test_train_runs_the_advised_plan(image_folder: Path, tmp_path: Path):
    """Twelve images of each of two classes or fewer: the head alone is solved."""
    options = Request(DataPlan(source=str(image_folder)), strategy="auto", input_size=32, domain="photo")
    answer = train(options, out=tmp_path / "run")
    assert answer.metrics.strategy == "feature_extraction"
    assert "fewer than 10 images of a class" in answer.run.plan().reasons["strategy"]


def test_what_the_advice_warns_of_is_told_and_kept(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Told(Observer):
        warnings: list[str] = []  # noqa: RUF012 - of one test

        def noted(self, event: Event) -> None:
            if isinstance(event, AdviceWarning):
                self.warnings.append(event.text)

    monkeypatch.setattr(domain_look, "guess_domain", lambda looks, **named: DomainGuess("unknown", 0.4, "grey"))
    options = Request(DataPlan(source=str(image_folder)), strategy="auto", input_size=32)
    answer = train(options, out=tmp_path / "run", observer=Told())
    assert any("the domain is unknown: grey" in text for text in Told.warnings)
    assert Told.warnings == [line.event.text for line in answer.run.events() if isinstance(line.event, AdviceWarning)]
    assert Told.warnings == list(advised(options).warnings)


def test_a_misspelt_augmentation_is_a_fault_whoever_settles_the_strategy(image_folder: Path):
    part = DataPlan(source=str(image_folder))
    for strategy in ("auto", "full"):
        with pytest.raises(PlanError, match="augmentation: 'hevy' must be one of none, light"):
            train(Request(part, strategy=strategy, augmentation="hevy"))


def test_train_refuses_a_plan_that_needs_a_missing_step(image_folder: Path, tmp_path: Path):
    said = {"images": 500, "domain": "document", "unlabelled": 200_000, "channels": 13}
    plan = advise(**said).plan.changed(data=DataPlan(source=str(image_folder)))
    with pytest.raises(PlanError, match="requires: self_supervised_pretraining is not there yet") as caught:
        train(plan, out=tmp_path / "run")
    assert len(caught.value.faults) == 1
    assert "take it out of `requires`" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_whoever_waits_is_told_what_is_done_to_the_images(image_folder: Path):
    """Every step has a name, and as many images as it announced."""
    told: dict[str, list[int]] = {}

    def progress(what: str, total: int) -> Callable[[int], object]:
        told[what] = [total, 0]

        def done(count: int) -> None:
            told[what][1] += count

        return done

    advise(str(image_folder), progress=progress)
    assert list(told) == ["listing the images", "looking at images", "measuring the similarity to ImageNet"]
    assert all(done == total > 0 for total, done in told.values())
