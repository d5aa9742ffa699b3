"""Where each row lies, and gathering rows from shards with flat memory.

The index is three numpy arrays, 24 bytes a row. Rows are read through maps of the shards' files, so that what grows
with the store is the system's page cache, never the memory of the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from headstart.arrays import Positions
from headstart.engine.store.half import widen
from headstart.engine.store.shards import ID_BYTES, Ids, Shard, Tensor

POOLED = "pooled"
"""Cut point of the features that a linear probe reads."""


_LARGE_ROW_BYTES = 8192
"""From here on a row is copied by itself: gathering first would pass over memory twice."""


def as_ids(ids: Sequence[bytes] | Ids) -> Ids:
    """One array of ids.

    Raises:
        ValueError: an id that is not 16 bytes long.
    """
    if isinstance(ids, np.ndarray) and ids.dtype == np.dtype(f"S{ID_BYTES}"):
        return np.ascontiguousarray(ids)
    # One array of fixed width: it sorts and searches in C, which a list of bytes does not.
    raw = [bytes(one) for one in ids]
    if any(len(one) != ID_BYTES for one in raw):
        raise ValueError(f"row ids have {ID_BYTES} bytes each: use row_ids()")
    return np.frombuffer(b"".join(raw), f"S{ID_BYTES}")


class Index:
    """The rows of some shards, sorted by id; of a row that lies in two shards, one place."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = list(shards)
        counts = [len(shard.ids) for shard in shards]
        ids = np.concatenate([np.empty(0, f"S{ID_BYTES}"), *(shard.ids for shard in shards)])
        # Stable, so that of a row that lies in two shards always the same one is found.
        order = np.argsort(ids, kind="stable")
        self._ids: Ids = ids[order]
        self._shard = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[order]
        self._row = np.concatenate([np.empty(0, np.int32), *(np.arange(n, dtype=np.int32) for n in counts)])[order]

    @property
    def rows(self) -> int:
        """Different rows."""
        return len(self._ids) - int(np.count_nonzero(self._ids[1:] == self._ids[:-1]))

    def locate(self, ids: Ids) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Shard number and row in it of each id, (N,) each; -1 where there is none."""
        if not len(self._ids):
            nowhere = np.full(len(ids), -1, np.int32)
            return nowhere, nowhere.copy()
        # One binary search for all ids; `minimum` keeps the index valid behind the last id, where `there` is then
        # false.
        place = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        there = self._ids[place] == ids
        return np.where(there, self._shard[place], -1), np.where(there, self._row[place], -1)


class Reader:
    """Rows of a space under the caller's own numbers: position p is the p-th id the reader was made with."""

    def __init__(
        self,
        shards: Sequence[Shard],
        tensors: Sequence[Tensor],
        shard: npt.NDArray[np.int32],
        row: npt.NDArray[np.int32],
        *,
        keeps: object,
    ) -> None:
        self.tensors = tuple(tensors)
        self._shards = list(shards)
        self._shard = shard
        self._row = row
        self._keeps = keeps  # the lease: nothing is evicted while somebody may read

    def __len__(self) -> int:
        """Rows."""
        return len(self._row)

    @property
    def stored_order(self) -> Positions:
        """All positions in the order in which they lie on disk: the fastest way through a cold store."""
        return np.lexsort((self._row, self._shard))

    def take(
        self, positions: npt.ArrayLike, *, precision: Literal["declared", "stored"] = "declared"
    ) -> tuple[npt.NDArray[Any], ...]:
        """The rows at `positions`, in that order; positions may repeat.

        Args:
            positions: (B,) integers.
            precision: declared: the type the tensor was given in. stored: half precision where all of the rows are
                stored so, for callers that convert faster (a GPU) or do not need more.

        Returns:
            One array (B, *shape) for each tensor.
        """
        chosen = np.asarray(positions, np.int64).reshape(-1)
        shard, row = self._shard[chosen], self._row[chosen]
        # Rows are read shard by shard in file order, whatever order was requested: reading is nearly sequential.
        order = np.lexsort((row, shard))
        # One run for each shard: where the sorted shard number changes, a new one starts.
        starts = np.flatnonzero(np.diff(shard[order], prepend=-1))
        runs = np.split(order, starts[1:]) if len(order) else []
        found = tuple(
            np.empty((len(chosen), *tensor.shape), self._type_of(number, shard, precision))
            for number, tensor in enumerate(self.tensors)
        )
        for run in runs:
            records = self._shards[shard[run[0]]].records
            for number, out in enumerate(found):
                _gather(records[f"t{number}"], row[run], run, out)
        return found

    def blocks(
        self, rows: int, *, order: Literal["given", "stored"] = "given"
    ) -> Iterator[tuple[Positions, tuple[npt.NDArray[Any], ...]]]:
        """All rows in blocks of at most `rows`: (positions, arrays), for sums that need not hold everything at once.

        Args:
            rows: In a block.
            order: given: by position. stored: as they lie on disk.
        """
        positions_in_order = self.stored_order if order == "stored" else np.arange(len(self))
        for start in range(0, len(positions_in_order), rows):
            positions = positions_in_order[start : start + rows]
            yield positions, self.take(positions)

    def matrix(self) -> npt.NDArray[Any]:
        """All rows of pooled features as one matrix (N, F).

        Raises:
            ValueError: the rows are not one vector each.
        """
        if len(self.tensors) != 1 or len(self.tensors[0].shape) != 1:
            shapes = ", ".join(str(tensor.shape) for tensor in self.tensors)
            raise ValueError(f"rows of shape {shapes} are no matrix: use take() or blocks()")
        return self.take(np.arange(len(self)))[0]

    def _type_of(
        self, number: int, shard: npt.NDArray[np.int32], precision: Literal["declared", "stored"]
    ) -> np.dtype[Any]:
        declared = np.dtype(self.tensors[number].dtype)
        if precision == "declared" or not len(shard):
            return declared
        # One dtype only if all shards agree; a mix is widened to the declared type.
        stored = {self._shards[one].stored[number] for one in np.unique(shard)}
        return np.dtype(stored.pop()) if len(stored) == 1 else declared


def _gather(
    field: npt.NDArray[Any], rows: npt.NDArray[np.int32], positions: npt.NDArray[np.int64], out: npt.NDArray[Any]
) -> None:
    """Put `field[rows]` at `out[positions]`; rows are sorted."""
    first, place, count = int(rows[0]), int(positions[0]), len(rows)
    # A contiguous run in the file and in the output is one copy, without an index array.
    if np.all(np.diff(rows) == 1) and np.all(np.diff(positions) == 1):
        _copy(field[first : first + count], out[place : place + count])
        return
    if field.nbytes >= _LARGE_ROW_BYTES * len(field):
        for row, position in zip(rows.tolist(), positions.tolist(), strict=True):
            _copy(field[row : row + 1], out[position : position + 1])
        return
    # Small rows are gathered and converted in one go: a Python loop over them would cost more than the copy.
    gathered = np.empty((count, *out.shape[1:]), out.dtype)
    _copy(field[rows], gathered)
    out[positions] = gathered


def _copy(source: npt.NDArray[Any], target: npt.NDArray[Any]) -> None:
    if source.dtype == np.float16 and target.dtype == np.float32:
        widen(source, target)
    else:
        np.copyto(target, source)
