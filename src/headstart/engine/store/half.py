"""Half precision for stored activations: when it is good enough, and fast conversion in both directions.

numpy converts between float16 and float32 value by value (9 ns each way on the reference machine, more than reading
from disk costs). A float16 is a float32 whose exponent is 112 too small and whose mantissa is 13 bits shorter, so a
shift of the bits and an exact multiplication by a power of two do the same in 1 ns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.arrays import Singles

Halves = npt.NDArray[np.float16]

LARGEST = 65504.0
"""The largest float16."""
ERROR_BOUND = 2.0**-10
"""Largest relative error of a row that may be stored in half precision, as |half(x) - x| / |x| in the L2 norm."""

_SAFE_MEAN_SQUARE = 2.0**-28
"""A row whose root mean square is at least 2^-14 stays below the bound: normal values are rounded by at most 2^-11 of
themselves, smaller ones by at most 2^-25 each, and so the row by at most 2^-11 + 2^-25 / 2^-14 = 2^-10 of its norm."""

_EXPONENT_GAP = 112  # bias of float32 (127) less that of float16 (15)
_SHORTER_BITS = 13
_UP = np.float32(2.0**_EXPONENT_GAP)
_DOWN = np.float32(2.0**-_EXPONENT_GAP)
_SIGN_AND_VALUE = np.int32(0x8FFFE000 - (1 << 32))
_BLOCK_VALUES = 1 << 15
"""Several passes go over each block; this many float32 stay in a core's own cache."""


def fits_half(rows: Singles) -> bool:
    """Whether every row keeps within ERROR_BOUND in half precision, and every value within its range.

    Args:
        rows: (N, ...); values that are not finite never fit.
    """
    if not rows.size:
        return True
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    # The negated comparison is also true of NaN.
    # First the range, which is cheap: half precision turns larger values into infinity.
    if not (flat.max() <= LARGEST and flat.min() >= -LARGEST):
        return False
    # Only rows with a small mean square need the exact error; of all others the bound is known (see above).
    mean_square = np.einsum("ij,ij->i", flat, flat) / flat.shape[1]
    faint = flat[mean_square < _SAFE_MEAN_SQUARE].astype(np.float64)
    error = np.linalg.norm(faint.astype(np.float16) - faint, axis=1)
    return bool(np.all(error <= ERROR_BOUND * np.linalg.norm(faint, axis=1)))


def narrow(rows: Singles, out: Halves) -> None:
    """Write `rows` to `out` in half precision, rounded to the nearest, ties to even.

    Below 2^-14 a value may be off by one more part in 2^13 of the spacing there, because it is rounded twice.

    Args:
        rows: (N, ...) with |value| <= LARGEST.
        out: The same shape.
    """
    step = _rows_in_block(rows)
    for start in range(0, len(rows), step):
        # Multiplying by 2^-112 moves the exponent to where that of float16 lies; float32 rounds what becomes subnormal.
        small: npt.NDArray[Any] = np.multiply(rows[start : start + step], _DOWN)
        bits = small.view(np.uint32)
        sign = (bits >> 16) & 0x8000
        # Round to nearest, ties to even: add half of the last place less one, plus one where the last bit is odd.
        odd = (bits >> _SHORTER_BITS) & 1
        bits += (1 << (_SHORTER_BITS - 1)) - 1
        bits += odd
        bits >>= _SHORTER_BITS
        # Without the sign, which sits 16 bits higher in float32 and is put back below.
        bits &= 0x7FFF
        bits |= sign
        np.copyto(out[start : start + step].view(np.uint16), bits, casting="unsafe")


def widen(rows: Halves, out: Singles) -> None:
    """Write `rows` to `out` in single precision; exact.

    Args:
        rows: (N, ...), all finite.
        out: The same shape.
    """
    step = _rows_in_block(rows)
    for start in range(0, len(rows), step):
        part = out[start : start + step]
        bits = part.view(np.int32)
        np.copyto(bits, rows[start : start + step].view(np.int16))  # the sign fills the upper half
        np.left_shift(bits, _SHORTER_BITS, out=bits)
        # The shift leaves copies of the sign bit in the exponent: the mask clears them.
        np.bitwise_and(bits, _SIGN_AND_VALUE, out=bits)
        # Exact: a power of two moves the exponent back and touches no bit of the mantissa; subnormals become normal.
        np.multiply(part, _UP, out=part)


def _rows_in_block(rows: npt.NDArray[Any]) -> int:
    return max(1, _BLOCK_VALUES * len(rows) // max(1, rows.size))
