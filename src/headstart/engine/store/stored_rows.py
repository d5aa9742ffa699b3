"""Rows of pooled features in the activation store, as the solvers read them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headstart.arrays import Positions, Singles
from headstart.engine.store.index import Reader
from headstart.solvers.rows import spans


class StoredRows:
    """Rows of pooled features in the store, read through maps of its files: memory stays flat however many there are.

    They come in the order of the request, not as they lie on disk: sums then do not depend on the order
    in which images were computed.
    """

    def __init__(self, reader: Reader, positions: Positions | None = None) -> None:
        """Read all rows of `reader`, or those at `positions`.

        Raises:
            ValueError: its rows are not one vector each.
        """
        shapes = [tensor.shape for tensor in reader.tensors]
        if len(shapes) != 1 or len(shapes[0]) != 1:
            raise ValueError(f"rows of shape {', '.join(map(str, shapes))} are not one vector each")
        self._reader = reader
        self._positions = np.arange(len(reader)) if positions is None else positions

    @property
    def rows(self) -> int:
        """N."""
        return len(self._positions)

    @property
    def width(self) -> int:
        """F."""
        return self._reader.tensors[0].shape[0]

    def blocks(self) -> Iterator[tuple[int, Singles]]:
        """Fresh arrays in single precision."""
        for start, stop in spans(self.rows, self.width):
            (block,) = self._reader.take(self._positions[start:stop])
            # The reader copies, so the block may be converted without touching the file.
            yield start, np.asarray(block, np.float32)

    def subset(self, positions: Positions) -> StoredRows:
        """Other rows of the same reader; nothing is copied."""
        return StoredRows(self._reader, self._positions[positions])
