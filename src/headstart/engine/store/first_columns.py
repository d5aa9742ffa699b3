"""The first columns of cached rows: the features of the plain head among those of a head on all depths."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from headstart.engine.store.index import Reader
from headstart.engine.store.shards import Tensor


class FirstColumns(Reader):
    """The same rows, each cut off after a number of columns."""

    def __init__(self, reader: Reader, width: int) -> None:
        """Nothing is read yet.

        Args:
            reader: Of rows that are one vector each.
            width: How many columns are seen, at most as many as there are.
        """
        (tensor,) = reader.tensors
        self.tensors = (Tensor((width,), tensor.dtype),)
        self._whole, self._width = reader, width

    def __len__(self) -> int:
        """Rows."""
        return len(self._whole)

    @property
    def stored_order(self) -> npt.NDArray[np.int64]:
        """All positions in the order in which they lie on disk."""
        return self._whole.stored_order

    def take(
        self, positions: npt.ArrayLike, *, precision: Literal["declared", "stored"] = "declared"
    ) -> tuple[npt.NDArray[Any], ...]:
        """The rows at `positions`, in that order; see `Reader.take`.

        Returns:
            One array (B, width).
        """
        (rows,) = self._whole.take(positions, precision=precision)
        # A copy: a view would keep the columns behind it in memory, and products copy it every time.
        return (np.ascontiguousarray(rows[:, : self._width]),)
