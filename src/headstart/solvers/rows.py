"""Rows of features, one block after the other: what solvers read, from memory or from the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.arrays import Positions, Singles

CheckStop: TypeAlias = Callable[[], object]
"""Called between the steps of long work; what it raises ends the work there."""

BLOCK_BYTES = 8 * 2**20
"""Of a block in single precision: large enough for fast products, small next to everything else."""


class RowSource(Protocol):
    """N rows of F features that can be passed over as often as needed; always in the same order and blocks."""

    @property
    def rows(self) -> int:
        """N."""

    @property
    def width(self) -> int:
        """F."""

    def blocks(self) -> Iterator[tuple[int, Singles]]:
        """(number of the first row, (B, F) float32) for all rows in order; a block must not be written to."""

    def subset(self, positions: Positions) -> RowSource:
        """Some of the rows, in the order of `positions`."""


class MatrixRows:
    """Rows that lie in memory."""

    def __init__(self, matrix_NF: npt.NDArray[np.floating[Any]]) -> None:  # noqa: N803 - shapes
        """Take an (N, F) matrix; another type than float32 is converted once."""
        # float32 and contiguous once, here: every pass would convert again otherwise.
        self._matrix = np.ascontiguousarray(matrix_NF, np.float32)

    @property
    def rows(self) -> int:
        """N."""
        return len(self._matrix)

    @property
    def width(self) -> int:
        """F."""
        return int(self._matrix.shape[1])

    def blocks(self) -> Iterator[tuple[int, Singles]]:
        """Pieces of the matrix itself."""
        for start, stop in spans(self.rows, self.width):
            yield start, self._matrix[start:stop]

    def subset(self, positions: Positions) -> MatrixRows:
        """A copy of some rows."""
        return MatrixRows(self._matrix[positions])


class StoppableRows:
    """Rows that call `check_stop` before every block: whoever passes over them can be stopped in the middle."""

    def __init__(self, rows: RowSource, check_stop: CheckStop) -> None:
        """Look at rows; nothing is read yet."""
        self._rows, self._check_stop = rows, check_stop

    @property
    def rows(self) -> int:
        """N."""
        return self._rows.rows

    @property
    def width(self) -> int:
        """F."""
        return self._rows.width

    def blocks(self) -> Iterator[tuple[int, Singles]]:
        """The same blocks."""
        for start, block in self._rows.blocks():
            # Checked before every block, so that Ctrl-C ends a pass within milliseconds, however many rows there are.
            self._check_stop()
            yield start, block

    def subset(self, positions: Positions) -> StoppableRows:
        """Some of the rows, stoppable too."""
        return StoppableRows(self._rows.subset(positions), self._check_stop)


def never_stop() -> None:
    """The `check_stop` of work that nobody stops."""


class ChainedRows:
    """The rows of several sources, one source after the other."""

    def __init__(self, sources: Sequence[RowSource]) -> None:
        """Chain one or more sources of the same width.

        Raises:
            ValueError: their widths differ.
        """
        if len({source.width for source in sources}) != 1:
            raise ValueError(f"rows of widths {[source.width for source in sources]} do not stand below each other")
        self._sources = tuple(sources)
        self._starts = np.cumsum([0, *(source.rows for source in sources)])

    @property
    def rows(self) -> int:
        """N."""
        return int(self._starts[-1])

    @property
    def width(self) -> int:
        """F."""
        return self._sources[0].width

    def blocks(self) -> Iterator[tuple[int, Singles]]:
        """Those of each source in turn."""
        for offset, source in zip(self._starts[:-1], self._sources, strict=True):
            for start, block in source.blocks():
                # Offsets turn a source's row numbers into those of the chain; blocks never span two sources.
                yield int(offset) + start, block

    def subset(self, positions: Positions) -> MatrixRows:
        """A copy of some rows."""
        found = np.empty((len(positions), self.width), np.float32)
        for number, source in enumerate(self._sources):
            # Positions may mix sources in any order, so each source fills its places in the result.
            mine = np.flatnonzero((positions >= self._starts[number]) & (positions < self._starts[number + 1]))
            if len(mine):
                found[mine] = matrix_of_rows(source.subset(positions[mine] - self._starts[number]))
        return MatrixRows(found)


def matrix_of_rows(rows: RowSource) -> Singles:
    """All rows at once, (N, F)."""
    found = np.empty((rows.rows, rows.width), np.float32)
    for start, block in rows.blocks():
        found[start : start + len(block)] = block
    return found


def spans(rows: int, width: int) -> Iterator[tuple[int, int]]:
    """(first row, one past the last row) of every block."""
    # The last block may be smaller, and a single wide row may be larger than BLOCK_BYTES.
    step = max(1, BLOCK_BYTES // (4 * max(1, width)))
    for start in range(0, rows, step):
        yield start, min(start + step, rows)
