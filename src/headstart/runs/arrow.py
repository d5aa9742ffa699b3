"""Arrow arrays of plain values.

`pyarrow.array` imports pandas where it is installed, to ask whether the values are a series of it: longer than a small
training takes to write its tables. Arrays of the usual kinds are made from their buffers instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

_LARGEST_OFFSET = 2**31 - 1


def arrow_array(values: Sequence[Any] | npt.NDArray[Any]) -> pa.Array[Any]:
    """What `pyarrow.array(values)` gives.

    Args:
        values: Texts, truth values, numbers, or sequences of fractions, one kind; None among texts and numbers is
            missing.
    """
    import pyarrow as pa

    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fiu":
        return pa.Array.from_buffers(
            pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))]
        )
    plain = values.tolist() if isinstance(values, np.ndarray) else list(values)
    kinds = {type(value) for value in plain}
    is_valid = _bits(value is not None for value in plain) if type(None) in kinds else None
    match kinds - {type(None)}:
        case only if not only:
            return pa.nulls(len(plain))
        case only if only == {str}:
            return _texts(plain, is_valid)
        case only if only == {bool}:
            return pa.Array.from_buffers(pa.bool_(), len(plain), [is_valid, _bits(map(bool, plain))])
        case only if only in ({int}, {float}):
            kind = pa.int64() if only == {int} else pa.float64()
            numbers = np.array([0 if value is None else value for value in plain], kind.to_pandas_dtype())
            return pa.Array.from_buffers(kind, len(plain), [is_valid, pa.py_buffer(numbers)])
        case only if only <= {tuple, list} and is_valid is None:
            flat = [value for row in plain for value in row]
            if flat and {type(value) for value in flat} == {float}:
                offsets = np.cumsum([0, *map(len, plain)]).astype(np.int32)
                buffers = [None, pa.py_buffer(offsets)]
                return pa.Array.from_buffers(
                    pa.list_(pa.float64()), len(plain), buffers, children=[arrow_array(np.array(flat))]
                )
    return pa.array(values)


def _texts(values: Sequence[str | None], is_valid: Any) -> pa.Array[Any]:  # noqa: ANN401 - a buffer
    import pyarrow as pa

    # One buffer that grows, not an object for each text: a run may have millions.
    encoded, ends = bytearray(), np.zeros(len(values) + 1, np.int64)
    for position, value in enumerate(values, start=1):
        if value is not None:
            encoded += value.encode()
        ends[position] = len(encoded)
    if ends[-1] > _LARGEST_OFFSET:
        return pa.array(values)  # in several chunks
    offsets = pa.py_buffer(ends.astype(np.int32))
    return pa.Array.from_buffers(pa.string(), len(values), [is_valid, offsets, pa.py_buffer(encoded)])


def _bits(truths: Any) -> Any:  # noqa: ANN401 - an iterable of bool -> a buffer
    import pyarrow as pa

    return pa.py_buffer(np.packbits(np.fromiter(truths, np.bool_), bitorder="little"))
