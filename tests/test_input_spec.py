"""What weights expect of an image: checked when made, resized in proportion, kept through JSON."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import PlanError
from headstart.input_spec import Decoding, InputSpec

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


@pytest.mark.parametrize(
    ("size", "crop", "share"),
    [
        ((300, 300), "center", 1 - 0.875**2),
        ((400, 200), "center", 1 - 0.875**2 / 2),
        ((200, 400), "center", 1 - 0.875**2 / 2),
        ((10_000, 100), "center", 1 - 0.875**2 / 100),
        ((400, 200), "squash", 0),
        ((400, 200), "letterbox", 0),
        ((8, 20_000), "letterbox", 0),
    ],
)
def test_the_share_that_is_cut_follows_from_the_shape(size: tuple[int, int], crop: str, share: float):
    spec = SPEC.as_requested(size="auto", resize=None if crop == "center" else crop)
    assert spec.share_cut(*size) == pytest.approx(share, abs=1e-3)


def test_what_is_requested_changes_the_input_of_the_weights_and_nothing_else():
    assert SPEC.as_requested(size="auto", resize="auto") == SPEC
    assert SPEC.as_requested(size=None, resize="crop") == SPEC
    assert SPEC.as_requested(size=112, resize="crop") == SPEC.at_size(112)
    squashed = SPEC.as_requested(size=112, resize="squash", decoding=Decoding(bits=12))
    assert (squashed.size, squashed.resize, squashed.crop, squashed.decoding.bits) == (112, 112, "squash", 12)
    assert (squashed.mean, squashed.interpolation) == (SPEC.mean, SPEC.interpolation)
    assert SPEC.as_requested(size="auto", resize="letterbox").resize_name == "letterbox"
    theirs = replace(SPEC, crop="squash", resize=240)
    assert theirs.as_requested(size="auto", resize="squash") == theirs, "weights that want it keep their own size"
    assert theirs.as_requested(size="auto", resize="crop").crop == "center"


def test_choices_of_decoding_are_written_only_where_there_are_any_so_that_old_rows_and_bundles_stay_valid():
    assert not {"bits", "bands", "window", "contrast", "decoding"} & set(SPEC.to_dict())
    for decoding in (
        Decoding(bits=12),
        Decoding(bands=(3, 2, 1)),
        Decoding(window="40,400"),
        Decoding(contrast="clahe"),
        Decoding(9, (1,), "full", "clahe"),
    ):
        deep = SPEC.as_requested(size="auto", resize="auto", decoding=decoding)
        assert deep.to_dict().items() >= decoding.to_dict().items()
        assert InputSpec.from_dict(json.loads(json.dumps(deep.to_dict()))) == deep


@pytest.mark.parametrize(
    ("decoding", "words"),
    [
        (Decoding(bands=(3, 2)), "data.bands: '3,2' must be one number for grey or three"),
        (Decoding(bands=(0,)), "data.bands: '0'"),
        (Decoding(window="wide"), "data.window: 'wide' must be file, full, percentiles, or CENTER,WIDTH"),
        (Decoding(window="40,0"), "data.window: the width in '40,0' must be at least 1"),
        (Decoding(contrast="more"), "data.contrast: 'more' must be file or clahe"),  # type: ignore[arg-type]
    ],
)
def test_a_choice_of_decoding_that_is_none_is_a_fault(decoding: Decoding, words: str):
    with pytest.raises(PlanError, match=re.escape(words)):
        replace(SPEC, decoding=decoding)


def test_bits_are_1_to_16():
    with pytest.raises(PlanError, match=r"data.bits: 17 must be 1..16"):
        SPEC.as_requested(size="auto", resize="auto", decoding=Decoding(bits=17))
