"""What weights expect of an image: checked when made, resized in proportion, kept through JSON."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import PlanError
from headstart.input_spec import InputSpec

GREY = (0.5,)
SPEC = InputSpec(224, 256, "bicubic", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        InputSpec(16, 8, "bilinear", (0.5, 0.5), (0.5, 0.0, 1.0))
    assert caught.value.faults == (
        "input.size: 16 must be >= 32 pixels",
        "input.resize: 8 must be >= size 16",
        "input.mean and input.std: 2 and 3 values, one each per channel",
        "input.std: (0.5, 0.0, 1.0) must be > 0",
    )
    assert "4 faults" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 31, "resize": 31}, "input.size: 31 must be >= 32"),
        ({"resize": 223}, "input.resize: 223 must be >= size 224"),
        ({"mean": (), "std": ()}, "0 and 0 values"),
        ({"std": (0.1, -0.1, 0.1)}, "must be > 0"),
    ],
)
def test_each_fault_alone_is_one_fault(change: dict[str, object], words: str) -> None:
    with pytest.raises(PlanError) as caught:
        dataclasses.replace(SPEC, **change)
    assert len(caught.value.faults) == 1
    assert words in caught.value.faults[0]


def test_smallest_size_and_resize_equal_to_size_are_allowed() -> None:
    assert InputSpec(32, 32, "nearest", GREY, GREY).channels == 1
    assert SPEC.channels == 3


@settings(max_examples=50, deadline=None)
@given(size=st.integers(32, 2048), trained=st.integers(32, 512), extra=st.integers(0, 200))
def test_another_size_keeps_the_share_of_the_image(size: int, trained: int, extra: int) -> None:
    spec = InputSpec(trained, trained + extra, "bilinear", GREY, GREY)
    other = spec.at_size(size)
    assert other.size == size
    assert other.resize >= size
    assert abs(other.resize - size * spec.resize / spec.size) <= 1, "kept share moved by more than one pixel"
    assert (other.interpolation, other.mean, other.std) == (spec.interpolation, spec.mean, spec.std)


@pytest.mark.parametrize(("size", "resize"), [(224, 256), (112, 128), (448, 512), (64, 73)])
def test_known_sizes(size: int, resize: int) -> None:
    assert SPEC.at_size(size).resize == resize


def test_a_size_below_the_smallest_is_refused() -> None:
    with pytest.raises(PlanError, match="31 must be >= 32"):
        SPEC.at_size(31)


def test_survives_json() -> None:
    assert InputSpec.from_dict(json.loads(json.dumps(SPEC.to_dict()))) == SPEC
    assert hash(InputSpec.from_dict(SPEC.to_dict())) == hash(SPEC)
