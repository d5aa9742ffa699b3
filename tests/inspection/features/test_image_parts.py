from __future__ import annotations

import numpy as np
import pytest

from headstart.data.decoders.file_traces import FileTraces
from headstart.inspection.features.image_parts import (
    bytes_rows,
    coarse_rows,
    colour_rows,
    format_rows,
    frame_rows,
    size_rows,
    square_rows,
)
from headstart.inspection.features.small_views import VIEW_SIDE


def view(value: int = 100) -> np.ndarray:
    return np.full((1, VIEW_SIDE, VIEW_SIDE, 3), value, np.uint8)


def test_a_frame_sees_the_border_only():
    inside, edge = view(), view()
    inside[:, 2:-2, 2:-2], edge[:, 0, 5] = 7, 7
    assert (frame_rows(inside) == frame_rows(view())).all()
    assert (frame_rows(edge) != frame_rows(view())).any()
    assert (frame_rows(edge, inset=6) == frame_rows(view(), inset=6)).all()


def test_a_square_sees_its_own_pixels_only():
    marked = view()
    marked[0, 0, 0] = 9
    assert (square_rows(marked, 0, 0) != square_rows(view(), 0, 0)).any()
    assert (square_rows(marked, 0, 40) == square_rows(view(), 0, 40)).all()


def test_colours_forget_where_pixels_lie():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (1, VIEW_SIDE, VIEW_SIDE, 3)).astype(np.uint8)
    moved = rng.permutation(picture.reshape(-1, 3)).reshape(picture.shape)
    np.testing.assert_allclose(colour_rows(moved), colour_rows(picture), rtol=1e-5)
    assert not np.allclose(coarse_rows(moved), coarse_rows(picture))


def test_files_become_numbers_even_without_a_header():
    traces = [FileTraces(1000, 10 * n, 20, "PNG RGB", "", "") for n in range(1, 9)] + [FileTraces(0, 0, 0, "", "", "")]
    for rows in (size_rows(traces), bytes_rows(traces), format_rows(traces)):
        assert len(rows) == 9
        assert np.isfinite(rows).all()
    assert format_rows(traces)[:, 0].tolist() == [1] * 8 + [0]


def test_fine_detail_is_what_a_filter_of_scipy_leaves():
    from scipy.ndimage import uniform_filter

    rng = np.random.default_rng(0)
    views = rng.integers(0, 256, (2, VIEW_SIDE, VIEW_SIDE, 3)).astype(np.uint8)
    sums, counts = (
        uniform_filter(values, (0, 7, 7, 0), mode="constant")
        for values in (views.astype(np.float64), np.ones(views.shape))
    )
    fine = views - sums / counts
    corner = square_rows(views, 0, 40, detail="fine").reshape(2, 8, 8, 3)
    np.testing.assert_allclose(corner, fine[:, :8, 40:], atol=1e-3)
    inner = frame_rows(views, inset=6, detail="fine")
    assert inner[0, 0] == pytest.approx(fine[0, 6, 6:8, 0].mean(), abs=1e-3)


def test_fine_detail_forgets_how_bright_an_image_is():
    np.testing.assert_allclose(frame_rows(view(100), detail="fine"), frame_rows(view(180), detail="fine"), atol=1e-3)
