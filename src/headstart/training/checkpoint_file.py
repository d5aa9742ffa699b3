"""The file of a checkpoint: torch's own format, written by torch or, where everything is numpy arrays, without it.

The format is a zip archive without compression: `data.pkl`, a pickle of protocol 2 in which each tensor is a call of
`torch._utils._rebuild_tensor_v2` on a storage named by a persistent id, and the bytes of storage N in `data/N`. Torch
reads it with `weights_only`, whoever wrote it.
"""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

_ROOT = "checkpoint"
_STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
"""Element type of an array -> torch's class of its storage."""


def write_checkpoint(raw: dict[str, Any], path: Path) -> None:
    """Write plain values, arrays and tensors so that `torch.load` reads them; arrays come back as tensors.

    Raises:
        OSError: the file cannot be written.
    """
    if _holds_tensors(raw):
        import torch

        torch.save(_with_tensors(raw), path)
    else:
        _write_arrays(raw, path)


def _holds_tensors(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, dict):
        return any(map(_holds_tensors, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_tensors, value))
    return type(value).__module__.partition(".")[0] == "torch"


def _with_tensors(value: Any) -> Any:  # noqa: ANN401
    """The same, with a tensor in place of every array."""
    import torch

    if isinstance(value, dict):
        # The class is kept: an optimizer's state may be an OrderedDict.
        return type(value)((name, _with_tensors(one)) for name, one in value.items())
    if isinstance(value, list | tuple):
        return type(value)(map(_with_tensors, value))
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value


class _Name:
    """A name inside torch that a pickle refers to; importing torch for it is left to whoever reads the file."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:
        """Never called: a pickle needs something that can be."""


class _Storage:
    """The elements of an array."""

    def __init__(self, key: str, array: npt.NDArray[Any]) -> None:
        self.key, self.array = key, array


class _ArrayPickler(pickle._Pickler):  # the one in Python: it lets names be written
    """Pickles arrays as torch pickles tensors, and keeps their storages."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=2)
        self.storages = dict[int, _Storage]()

    def persistent_id(self, obj: Any) -> Any:  # noqa: ANN401
        if not isinstance(obj, _Storage):
            return None
        return ("storage", _Name("torch", _STORAGES[obj.array.dtype.name]), obj.key, "cpu", obj.array.size)

    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401
        if not isinstance(obj, np.ndarray):
            return NotImplemented
        # One storage for an array that is there several times, as for a tensor.
        storage = self.storages.setdefault(id(obj), _Storage(str(len(self.storages)), obj))
        strides = tuple(step // obj.itemsize for step in np.empty(obj.shape, obj.dtype).strides)
        gradient = bool(0)
        rebuild = _Name("torch._utils", "_rebuild_tensor_v2")
        return rebuild, (storage, 0, obj.shape, strides, gradient, OrderedDict())

    def _save_name(self, obj: _Name) -> None:
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())  # type: ignore[attr-defined]

    dispatch[_Name] = _save_name


def _write_arrays(raw: dict[str, Any], path: Path) -> None:
    pickled = io.BytesIO()
    pickler = _ArrayPickler(pickled)
    pickler.dump(raw)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{_ROOT}/data.pkl", pickled.getvalue())
        archive.writestr(f"{_ROOT}/byteorder", sys.byteorder)
        for storage in pickler.storages.values():
            archive.writestr(f"{_ROOT}/data/{storage.key}", np.ascontiguousarray(storage.array).tobytes())
        archive.writestr(f"{_ROOT}/version", "3\n")
