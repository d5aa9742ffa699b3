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
    # Objects are read where they lie: a list of them would be a copy as long as the column.
    plain: Any = values
    if not isinstance(values, np.ndarray):
        plain = list(values)
    elif values.dtype != object:
        plain = values.tolist()
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

    # One buffer of Arrow's that grows, not an object for each text: a run may have millions.
    encoded, ends, end = pa.BufferOutputStream(), np.zeros(len(values) + 1, np.int32), 0
    for position, value in enumerate(values, start=1):
        if value is not None:
            end += encoded.write(value.encode())
        if end > _LARGEST_OFFSET:
            return pa.array(values)  # in several chunks
        ends[position] = end
    return pa.Array.from_buffers(pa.string(), len(values), [is_valid, pa.py_buffer(ends), encoded.getvalue()])


def _bits(truths: Any) -> Any:  # noqa: ANN401 - an iterable of bool -> a buffer
    import pyarrow as pa

    return pa.py_buffer(np.packbits(np.fromiter(truths, np.bool_), bitorder="little"))
