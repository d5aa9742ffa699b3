"""The names of array types say what their elements are."""

from __future__ import annotations

from typing import get_args

import numpy as np

from headstart import arrays


def test_names_say_what_the_elements_are():
    kinds = {
        name: get_args(get_args(getattr(arrays, name))[1])[0] for name in ("Singles", "Doubles", "Labels", "Positions")
    }
    assert kinds == {"Singles": np.float32, "Doubles": np.float64, "Labels": np.int64, "Positions": np.int64}
