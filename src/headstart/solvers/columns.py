"""Some of the features of rows, and heads that give the others weight zero."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from headstart.arrays import Positions, Singles
from headstart.solvers.linear_head import LinearHead
from headstart.solvers.rows import RowSource, spans

FeatureMask = npt.NDArray[np.bool_]
"""(F,) which features may have a weight."""


class ColumnRows:
    """Some features of rows."""

    def __init__(self, rows: RowSource, kept_F: FeatureMask) -> None:  # noqa: N803 - shapes
        """Look at rows of F features through a mask; nothing is read yet."""
        self._rows, self._kept = rows, kept_F
        self.width = int(np.count_nonzero(kept_F))
        """How many features are seen."""

    @property
    def rows(self) -> int:
        """N."""
        return self._rows.rows

    def blocks(self) -> Iterator[tuple[int, Singles]]:
        """Narrower blocks of as many rows as a matrix of this width would give.

        So sums over them are added up in the same order, and a head on these rows is bit for bit that on the matrix.
        """
        step = next((stop for _, stop in spans(self.rows, self.width)), 0)
        start, waiting = 0, list[Singles]()
        for _, block in self._rows.blocks():
            # Contiguous: the product with the weights would copy the masked block at every pass otherwise.
            rest = np.ascontiguousarray(block[:, self._kept])
            while len(rest):
                room = step - sum(map(len, waiting))
                waiting.append(rest[:room])
                rest = rest[room:]
                if sum(map(len, waiting)) == step:
                    yield start, _stacked(waiting)
                    start, waiting = start + step, []
        if waiting:
            yield start, _stacked(waiting)

    def subset(self, positions: Positions) -> ColumnRows:
        """The same features of some of the rows."""
        return ColumnRows(self._rows.subset(positions), self._kept)


def _stacked(blocks: list[Singles]) -> Singles:
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def widened(head: LinearHead, kept_F: FeatureMask) -> LinearHead:  # noqa: N803
    """A head on some features as one on all: the others have weight zero.

    Args:
        head: On the features that are kept, in their order.
        kept_F: Which of all features these are.
    """
    weight = np.zeros((len(head.bias_K), len(kept_F)))
    weight[:, kept_F] = head.weight_KF
    return LinearHead(weight, head.bias_K, head.l2_penalty)
