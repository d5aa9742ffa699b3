"""The request: its bounds, what a strategy has no use for, and what the user decided."""

from __future__ import annotations

from typing import Any

import pytest

from headstart.errors import PlanError
from headstart.facts import RATE_PRESETS
from headstart.plan import DataPlan
from headstart.presets import STRATEGIES
from headstart.request import NO_USE_FOR, Request

DATA = DataPlan(source="photos")
EXAMPLES: dict[str, Any] = {"thaw": 2, "rates": "ulmfit", "grain": "block"}


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_rates_are_found_in_every_phase_that_trains(strategy: str) -> None:
    plain, found = (STRATEGIES[strategy](Request(DATA, peak_rates=wish)) for wish in ("planned", "find"))
    for before, after in zip(plain.phases, found.phases, strict=True):
        assert getattr(before, "peak_rates", None) == (None if before.kind == "solve" else "planned")
        assert after == (before if before.kind == "solve" else before.model_copy(update={"peak_rates": "find"}))


def test_an_unknown_way_to_peak_rates_is_a_fault() -> None:
    with pytest.raises(PlanError, match="peak_rates: 'found' must be one of planned, find"):
        Request(DATA, peak_rates="found")  # type: ignore[arg-type]


@pytest.mark.parametrize(("strategy", "option"), [(s, o) for s, options in NO_USE_FOR.items() for o in options])
def test_an_option_without_use_is_refused_with_the_reason(strategy: str, option: str) -> None:
    with pytest.raises(PlanError) as caught:
        STRATEGIES[strategy](Request(DATA, **{option: EXAMPLES[option]}))
    assert caught.value.faults == (f"{option}: {strategy} has no use for it: {NO_USE_FOR[strategy][option]}",)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("option", sorted(EXAMPLES))
def test_an_option_is_refused_or_changes_the_plan(strategy: str, option: str) -> None:
    """Nothing the user says is dropped without a word."""
    if option in NO_USE_FOR.get(strategy, {}):
        return
    first, second = (STRATEGIES[strategy](Request(DATA, **said)) for said in ({}, {option: EXAMPLES[option]}))
    changed = {name for name in type(first).model_fields if getattr(first, name) != getattr(second, name)}
    if (strategy, option) == ("partial", "thaw"):
        assert changed == {"reasons"}, "two groups are what it thaws anyway"
    else:
        assert changed - {"reasons"}


def test_all_options_without_use_are_named_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        STRATEGIES["feature_extraction"](Request(DATA, **EXAMPLES))
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["thaw", "rates", "grain"]


def test_tables_name_only_what_there_is() -> None:
    assert set(NO_USE_FOR) <= set(STRATEGIES)
    assert {option for options in NO_USE_FOR.values() for option in options} <= set(Request.__dataclass_fields__)


def test_unknown_rates_are_answered_with_the_nearest() -> None:
    with pytest.raises(PlanError) as caught:
        Request(DATA, rates="ulm_fit", thaw=0)
    for words in ("thaw: 0 must be 1..10000", "rates: 'ulm_fit' must be one of", *RATE_PRESETS, "did you mean ulmfit"):
        assert words in str(caught.value)


def test_a_permission_goes_into_the_plan() -> None:
    assert STRATEGIES["full"](Request(DATA)).model.noncommercial_weights == "refuse"
    allowed = STRATEGIES["full"](Request(DATA, noncommercial_weights="allow"))
    assert allowed.model.noncommercial_weights == "allow"


@pytest.mark.parametrize(
    ("path", "option"),
    [
        ("model.name", {"model": "resnet18"}),
        ("model.grain", {"grain": "stage"}),
        ("input.size", {"input_size": 64}),
        ("batch_size", {"batch_size": 8}),
        ("phases[1].epochs", {"epochs": 3}),
        ("phases[1].thaw", {"thaw": 3}),
    ],
)
def test_what_the_user_decided_needs_no_reason(path: str, option: dict[str, Any]) -> None:
    assert Request(DATA, **option).says(path)
    assert not Request(DATA).says(path)
    assert not Request(DATA, **option).says("optimizer")
