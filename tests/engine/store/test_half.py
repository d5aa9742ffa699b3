"""Fast half precision against numpy's own, over every value there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headstart.engine.store.half import ERROR_BOUND, LARGEST, fits_half, narrow, widen

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
FINITE = EVERY[np.isfinite(EVERY)]
FLOATS = st.floats(-LARGEST, LARGEST, width=32)


def narrowed(rows: np.ndarray) -> np.ndarray:
    out = np.empty(rows.shape, np.float16)
    narrow(rows, out)
    return out


def widened(rows: np.ndarray) -> np.ndarray:
    out = np.empty(rows.shape, np.float32)
    widen(rows, out)
    return out


def test_every_half_widens_to_the_same_bits_as_numpys_and_comes_back():
    wide = widened(FINITE)
    assert np.array_equal(wide.view(np.uint32), FINITE.astype(np.float32).view(np.uint32))  # -0.0 is not 0.0
    assert np.array_equal(narrowed(wide).view(np.uint16), FINITE.view(np.uint16))


def test_ties_between_neighbours_go_to_the_even_one_as_numpys():
    normal = np.unique(np.abs(FINITE[np.abs(FINITE) >= 2.0**-14])).astype(np.float32)
    ties = (normal[1:] + normal[:-1]) / 2
    assert np.array_equal(narrowed(ties), ties.astype(np.float16))


@given(hnp.arrays(np.float32, st.integers(1, 200), elements=FLOATS))
def test_rounding_is_numpys_but_for_the_last_bit_of_the_smallest(values: np.ndarray):
    ours, reference = narrowed(values).astype(np.float64), values.astype(np.float16).astype(np.float64)
    large = np.abs(values) >= 2.0**-14
    assert np.array_equal(ours[large], reference[large])
    assert np.all(np.abs(ours - values)[~large] <= 2.0**-25 * (1 + 2.0**-12))


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4, 5), (300, 200), (2, 70_000)])
def test_shapes_blocks_and_layouts(shape: tuple[int, ...]):
    values = np.random.default_rng(0).normal(0, 3, shape).astype(np.float32)
    assert np.array_equal(narrowed(values), values.astype(np.float16))
    reverse = np.asfortranarray(values)
    assert np.array_equal(narrowed(reverse), values.astype(np.float16))
    field = np.zeros(shape[0], np.dtype([("a", "u1"), ("b", "<f2", shape[1:])]))["b"]  # as in a record of several
    narrow(values, field)
    assert np.array_equal(widened(field), values.astype(np.float16).astype(np.float32))


@given(hnp.arrays(np.float32, (3, 8), elements=st.floats(-70000, 70000, width=32)), st.integers(-40, 4))
def test_what_fits_keeps_the_bound_and_what_keeps_it_well_fits(rows: np.ndarray, power: int):
    rows = (rows * np.float32(2.0**power)).astype(np.float32)
    with np.errstate(over="ignore"):
        rounded = rows.astype(np.float16).astype(np.float64)
    exact = rows.astype(np.float64)
    within = np.all(np.abs(exact) <= LARGEST)
    error, norm = np.linalg.norm(rounded - exact, axis=1), np.linalg.norm(exact, axis=1)
    if fits_half(rows):
        assert within
        assert np.all(error <= ERROR_BOUND * norm)
    else:
        assert not within or np.any(error > 0.99 * ERROR_BOUND * norm)


@pytest.mark.parametrize(
    ("value", "fits"),
    [(LARGEST, True), (65505.0, False), (np.inf, False), (-np.inf, False), (np.nan, False), (0, True)],
)
def test_one_value_out_of_range_is_enough(value: float, fits: bool):
    rows = np.ones((4, 3, 2), np.float32)
    rows[2, 1, 0] = value
    assert fits_half(rows) is fits


def test_rows_too_faint_for_half_precision_do_not_fit():
    rows = np.full((2, 100), 1.0, np.float32)
    rows[1] = 3e-7
    assert not fits_half(rows)
    rows[1] = 0
    assert fits_half(rows)
    assert fits_half(np.empty((0, 100), np.float32))
