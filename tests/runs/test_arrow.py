"""Arrow arrays of plain values: those of pyarrow, without importing pandas."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headstart.runs.arrow import arrow_array


@pytest.mark.parametrize(
    "values",
    [
        ["a", "bc", "", "日本"],
        ["a", None, "", None, "b", "c", "d", "e", "f"],
        [True, False, True] * 5,
        [True, None],
        [1, -2, 2**40],
        [1, None],
        [0.5, float("inf"), -0.0],
        [None, 1.5],
        [(0.25, 0.75), (0.5, 0.5)],
        [[1.0], [], [2.0, 3.0]],
        [(1, 2)],
        [(0.5,), None],
        [None, None],
        [],
        [1, 0.5],
        np.array([0.5, 1.5], np.float32),
        np.arange(6)[::2],
        np.array([1, 2], np.uint8),
        np.array([True, False]),
        np.array(["a", "b"], object),
        np.array([], np.float64),
        np.array([], object),
    ],
    ids=str,
)
def test_an_array_is_that_of_pyarrow(values: Any):
    found, expected = arrow_array(values), pa.array(values)
    found.validate(full=True)
    assert found.type == expected.type
    assert found.null_count == expected.null_count
    assert found.to_pylist() == expected.to_pylist()


def test_a_name_that_is_no_unicode_is_refused_as_by_pyarrow():
    with pytest.raises(UnicodeEncodeError):
        arrow_array(["\udc80"])


def test_tables_are_written_without_pandas(tmp_path: Any):
    code = f"""
import sys
from pathlib import Path
from headstart.runs.tables import write_columns
columns = {{"a": ["x", None], "b": [True, False], "c": [(0.5,), (1.0,)], "d": [None, None]}}
write_columns(Path({str(tmp_path)!r}) / "t.parquet", columns)
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
