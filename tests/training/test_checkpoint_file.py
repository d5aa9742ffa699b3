"""A checkpoint of arrays is written without torch, and torch reads it as one of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.training.checkpoint_file import write_checkpoint

RAW = {
    "progress": {"phase": 1, "rows": [{"loss": 0.5, "name": "probe", "done": True}], "penalty": None},
    "network": {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "count": np.array(3),
        "empty": np.zeros((0, 2)),
    },
    "correct": np.array([True, False]),
}


def test_torch_reads_it_with_weights_only(tmp_path: Path) -> None:
    write_checkpoint(RAW, tmp_path / "last.pt")
    found = torch.load(tmp_path / "last.pt", weights_only=True)
    assert found["progress"] == RAW["progress"]
    for name, array in RAW["network"].items():
        assert found["network"][name].numpy().dtype == array.dtype
        assert np.array_equal(found["network"][name].numpy(), array)
    assert found["correct"].tolist() == [True, False]


@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"])
def test_every_type_of_elements_comes_back(tmp_path: Path, kind: str) -> None:
    array = np.array([0, 1, 2]).astype(kind)
    write_checkpoint({"a": array}, tmp_path / "a.pt")
    found = torch.load(tmp_path / "a.pt", weights_only=True)["a"].numpy()
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


def test_an_array_that_is_there_twice_is_stored_once(tmp_path: Path) -> None:
    big = np.zeros(10**5, np.float32)
    write_checkpoint({"network": {"a": big}, "probe": {"weights": {"a": big}}}, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 1.2 * big.nbytes


def test_arrays_beside_tensors_become_tensors(tmp_path: Path) -> None:
    write_checkpoint({"a": np.ones(2), "of": [{"b": torch.zeros(1)}, (np.array(1),)]}, tmp_path / "a.pt")
    found = torch.load(tmp_path / "a.pt", weights_only=True)
    assert torch.equal(found["a"], torch.ones(2, dtype=torch.float64))
    assert torch.equal(found["of"][1][0], torch.tensor(1))


def test_arrays_need_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; "
        "from headstart.training.checkpoint_file import write_checkpoint; "
        f"write_checkpoint({{'a': np.ones(2)}}, Path({str(tmp_path / 'a.pt')!r})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert torch.load(tmp_path / "a.pt", weights_only=True)["a"].tolist() == [1.0, 1.0]
