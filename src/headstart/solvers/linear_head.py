"""A linear probe, and the result of choosing its L2 penalty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headstart.arrays import Floats
from headstart.solvers.rows import RowSource


def softmax(logits_NK: Floats) -> Floats:  # noqa: N803
    """Rows of probabilities."""
    # Without the row's maximum: exp of a large logit would overflow, and the quotient is the same.
    shifted = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class LinearHead:
    """A linear probe: weights and biases in the units of the raw features."""

    weight_KF: Floats  # noqa: N815 - shapes
    bias_K: Floats  # noqa: N815
    l2_penalty: float

    def probabilities(self, features_NF: Floats) -> Floats:  # noqa: N803
        """(N, K) softmax of the logits."""
        return softmax(features_NF @ self.weight_KF.T + self.bias_K)

    def probabilities_of(self, rows: RowSource) -> Floats:
        """(N, K) softmax of the logits, in one pass over the blocks; only the probabilities are held."""
        found = np.empty((rows.rows, len(self.bias_K)))
        for start, block in rows.blocks():
            found[start : start + len(block)] = self.probabilities(block)
        return found

    def tempered(self, temperature: float) -> LinearHead:
        """The head whose logits are divided by a temperature > 0."""
        if temperature == 1:
            return self
        # softmax((x w + b) / T) = softmax(x (w / T) + b / T): the temperature needs no place of its own in the head.
        return LinearHead(self.weight_KF / temperature, self.bias_K / temperature, self.l2_penalty)


@dataclass(frozen=True, slots=True)
class PenaltyChoice:
    """The L2 penalty that cross-validation chose."""

    l2_penalty: float
    out_of_fold_NK: Floats  # noqa: N815
    """Probabilities of each image from the fit that did not see it, at the chosen penalty."""
    losses: dict[float, float]
    """L2 penalty -> mean out-of-fold log loss in nats."""
    temperature: float = 1.0
    """Divides the logits of the fitted head."""
    sample: npt.NDArray[np.int64] | None = None
    """Positions of the images that validated, where there were too many to use all; `out_of_fold_NK` is theirs."""
