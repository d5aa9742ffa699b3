"""What a user asks for -> Plan."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from headstart.errors import ModelError, PlanError
from headstart.knowledge.domains import DOMAINS
from headstart.networks.cards.catalog import ModelChoice, all_cards
from headstart.networks.cards.finding import find_model
from headstart.plan.image_counts import PlanCounts, counted
from headstart.plan.plan import DataPlan
from headstart.plan.request import DEFAULT_MODEL
from headstart.workflow.plans import (
    FoundDomain,
    Request,
    domain_found,
    make_plan,
    options_without_effect,
    refuse_by_licence,
    refuse_missing_steps,
)


def options(source: str = "photos", **values: object) -> Request:
    return Request(DataPlan(source=source), **values)


def test_digits_are_writing_and_are_not_mirrored():
    plan = make_plan(options("digits"))
    assert (plan.domain, plan.augmentation.flip) == ("document", "none")


@pytest.mark.parametrize(
    ("domain", "flip"),
    [
        ("photo", "horizontal"),
        ("medical", "none"),
        ("satellite", "dihedral"),
        ("document", "none"),
        ("industrial", "all"),
    ],
)
def test_the_domain_decides_flips_with_its_reason(domain: str, flip: str):
    plan = make_plan(options(domain=domain))
    assert plan.augmentation.flip == flip
    assert plan.reasons["augmentation.flip"]
    assert "domain" not in plan.reasons, "the user set it"


def test_values_of_a_domain_stand_in_the_plan_with_the_records_reasons():
    satellite = DOMAINS["satellite"]
    for resolution in (None, 300, 64):
        plan = make_plan(options(domain="satellite"), FoundDomain(resolution=resolution))
        size = satellite.larger_input(resolution)
        larger = size is not None and size > find_model(DEFAULT_MODEL).card.input.size
        assert plan.input.size == (size if larger else "auto")
        assert (satellite.input_reason in plan.reasons.get("input.size", "")) == larger
    for name, domain in DOMAINS.items():
        plan = make_plan(options(domain=name), FoundDomain())
        assert plan.input.resize == (domain.resize or "auto")
        assert plan.data.contrast == (None if domain.contrast == "file" else domain.contrast)
        assert plan.reasons["augmentation.preset"] == domain.augmentation_reason


def test_contrast_resize_and_size_of_a_domain_yield_to_the_users(monkeypatch: pytest.MonkeyPatch):
    values = {"contrast": "clahe", "contrast_reason": "faint lungs", "resize": "letterbox", "resize_reason": "whole"}
    values |= {"channels": "sum", "channels_reason": "as bright"}
    changed = replace(DOMAINS["medical"], **values, largest_input=320, input_reason="small nodules")
    monkeypatch.setitem(DOMAINS, "medical", changed)
    plan = make_plan(options(domain="medical"))
    assert (plan.data.contrast, plan.input.resize, plan.input.size) == ("clahe", "letterbox", 320)
    assert (plan.reasons["data.contrast"], plan.reasons["input.resize"]) == ("faint lungs", "whole")
    assert (plan.input.channels, plan.reasons["input.channels"]) == ("sum", "as bright")
    given = Request(DataPlan(source="x", contrast="file"), domain="medical", resize="crop", input_size=160)
    plan = make_plan(replace(given, channels="repeat"))
    assert plan.input.channels == "repeat"
    assert (plan.data.contrast, plan.input.resize, plan.input.size) == ("file", "crop", 160)
    assert not {"data.contrast", "input.resize", "input.size"} & set(plan.reasons)


@pytest.mark.parametrize("given", [None, "auto"])
def test_a_domain_that_was_found_decides_and_an_unknown_one_gets_the_values_of_photos(given: str | None):
    found = FoundDomain("medical", "looks like medical: DICOM files; --domain says otherwise")
    plan = make_plan(options(domain=given), found)
    assert (plan.domain, plan.augmentation.flip) == ("medical", "none")
    assert plan.reasons["domain"] == found.evidence
    assert plan.reasons["augmentation.flip"] == DOMAINS["medical"].flip_reason
    plan = make_plan(options(domain=given), FoundDomain(None, "grey, many tones"))
    assert (plan.domain, plan.augmentation.flip) == ("photo", "horizontal")
    assert plan.reasons["domain"] == "the domain is unknown: grey, many tones; it gets the values of photo"
    assert "--domain document or medical" in plan.reasons["augmentation.flip"]
    assert make_plan(options(domain="industrial"), found).domain == "industrial"


def test_images_are_looked_at_only_where_something_depends_on_it(make_folder: Callable[..., Path]):
    source = str(make_folder("chest_xray", side=280))
    for path in Path(source).rglob("*.png"):
        Image.open(path).convert("L").save(path)
    assert domain_found(options(source, domain="photo")) is None
    assert domain_found(options(source, domain="satellite")) == FoundDomain(resolution=280, images=16)
    for given in (None, "auto"):
        found = domain_found(options(source, domain=given))
        assert found is not None
        assert (found.name, found.resolution) == ("medical", 280)
        assert found.evidence.startswith("looks like medical: names (chest_xray) speak of medical images")


def test_what_the_user_sets_wins_and_has_no_reason():
    plan = make_plan(options(augmentation="none", input_size=96, model="resnet18"))
    assert (plan.augmentation.preset, plan.input.size, plan.model.name) == ("none", 96, "resnet18")
    assert not {"augmentation.preset", "input.size", "model.name"} & set(plan.reasons)


@pytest.mark.parametrize(("images", "epochs"), [(244, 5), (1000, 10)])
def test_few_images_get_fewer_epochs(images: int, epochs: int):
    said = options(strategy="probe_then_tune")
    assert counted(make_plan(said), said, PlanCounts(images)).phases[1].epochs == epochs


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(PlanError, match=r"domain: 'medicl' must be one of auto, photo.*did you mean medical"):
        make_plan(options(domain="medicl"))
    with pytest.raises(PlanError, match=r"strategy: 'gradul'.*did you mean gradual"):
        make_plan(options(strategy="gradul"))
    with pytest.raises(ModelError, match=r"no model 'resnet81'; did you mean"):
        make_plan(options(model="resnet81"))


def test_an_infinite_budget_is_none():
    assert make_plan(options(budget_seconds=math.inf)).budget_seconds is None
    assert make_plan(options(budget_seconds=5.0)).budget_seconds == 5.0


def test_options_that_a_solved_head_cannot_use_are_named():
    asked = options(strategy="feature_extraction", epochs=3, augmentation="strong", peak_lr="find")
    assert options_without_effect(asked, make_plan(asked)) == ["epochs", "augmentation", "find_lr"]
    tuned = options(epochs=3, augmentation="strong", peak_lr="find")
    assert options_without_effect(tuned, make_plan(tuned)) == []


def test_unfreeze_rates_grain_and_permission_reach_the_plan():
    said = {"unfreeze": 3, "lr_rule": "decay_0.9", "grain": "stage", "noncommercial_weights": "allow"}
    plan = make_plan(options(strategy="partial", **said))
    assert plan.phases[1].unfreeze == 3
    assert plan.phases[1].backbone_lr.decay == 0.9
    assert (plan.model.grain, plan.model.noncommercial_weights) == ("stage", "allow")


def test_steps_of_bit_are_counted_on_the_images_of_an_epoch():
    asked = options(strategy="full", lr_rule="bit")
    assert counted(make_plan(asked), asked, PlanCounts(244, train=195)).phases[0].epochs == 250


def choice(commercial_use: str) -> ModelChoice:
    return ModelChoice(next(card for card in all_cards() if card.commercial_use == commercial_use))


def test_weights_that_forbid_commercial_use_are_refused_until_they_are_allowed():
    forbidden = choice("forbidden")
    with pytest.raises(ModelError, match=r"forbids commercial use; --allow-noncommercial"):
        refuse_by_licence(make_plan(options(model=forbidden.name)).model, forbidden)
    refuse_by_licence(make_plan(options(model=forbidden.name, noncommercial_weights="allow")).model, forbidden)
    refuse_by_licence(make_plan(options(model=forbidden.name, strategy="scratch")).model, forbidden)  # reads no weights
    for use in ("allowed", "see licence"):
        refuse_by_licence(make_plan(options()).model, choice(use))


def test_the_users_own_file_is_the_users_business(tmp_path):
    name = choice("forbidden").card.architecture
    (tmp_path / "w.pth").write_bytes(b"x")
    own = find_model(f"{name}:file:{tmp_path / 'w.pth'}")
    refuse_by_licence(make_plan(options(model=own.name)).model, own)


def test_a_plan_that_requires_a_missing_step_is_refused_with_every_step_and_its_reason():
    plan = make_plan(options())
    refuse_missing_steps(plan)
    steps = ("channel_adaptation", "self_supervised_pretraining")
    with pytest.raises(PlanError, match="is not there yet") as caught:
        refuse_missing_steps(plan.changed(requires=steps, reasons={"requires": "many unlabelled images"}))
    (fault,) = caught.value.faults
    assert all(text in fault for text in ("self_supervised_pretraining", "many unlabelled images", "`requires`"))
    refuse_missing_steps(plan.changed(requires=steps[:1]))
    with pytest.raises(PlanError, match=r"requires\[0\]: 'more_images' must be"):
        plan.changed(requires=("more_images",))
