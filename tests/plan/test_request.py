"""The request: every option has its range and its words, and all faults are named at once."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from headstart.errors import PlanError
from headstart.knowledge.domains import DOMAINS
from headstart.plan.plan import DataPlan
from headstart.plan.request import OPTIONS, Request

PHOTOS = Request(DataPlan(source="photos"))
KNOWN = {"data", "reasons"}
"""Fields that are no options: the data, and reasons that are known."""


def test_every_field_but_those_of_the_images_is_an_option() -> None:
    assert [field.name for field in fields(Request) if field.name not in KNOWN] == list(OPTIONS)
    assert all(option.help.endswith(".") for option in OPTIONS.values())


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.least > float("-inf")])
def test_numbers_outside_the_declared_range_are_faults_and_its_ends_are_none(name: str) -> None:
    option = OPTIONS[name]
    step: Any = 1e-3 if option.most <= 1 else 1
    low = option.least + (step if option.ends == "open below" else 0)
    for inside in (low, option.most):
        replace(PHOTOS, **{name: inside})
    for outside in (low - step, option.most + step):
        with pytest.raises(PlanError, match=f"^the request has 1 fault: {name}: "):
            replace(PHOTOS, **{name: outside})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"strategy": "gradul"}, "strategy: 'gradul' must be one of auto, .*; did you mean gradual"),
        ({"domain": "medicin"}, "domain: 'medicin' must be one of auto, photo, .*; did you mean medical"),
        ({"resize": "stretch"}, "resize: 'stretch' must be one of crop, squash, letterbox"),
        ({"device": "gpu"}, "device: 'gpu' must be auto, cpu, mps, cuda or cuda:NUMBER"),
        ({"budget_seconds": 0.0}, "budget: 0 s must be > 0"),
        ({"budget_seconds": float("nan")}, "budget: nan s must be > 0"),
    ],
)
def test_other_words_are_answered_with_those_there_are(given: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        replace(PHOTOS, **given)


def test_all_faults_come_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        replace(PHOTOS, epochs=0, lr=2.0, strategy="x", device="tpu")
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["strategy", "epochs", "lr", "device"]


@pytest.mark.parametrize("domain", [None, *DOMAINS])
def test_views_are_those_of_the_domain_unless_augmentation_is_given(domain: Any) -> None:
    values = DOMAINS[domain or "photo"]
    views = replace(PHOTOS, domain=domain).views
    assert (views.preset, views.flip) == (values.augmentation, values.flip)
    given = replace(PHOTOS, domain=domain, augmentation="trivial").views
    assert (given.preset, given.flip) == ("trivial", values.flip)
