"""Types of arrays by what their elements are; shapes stand in the names of variables: x_NF has N rows of F features."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
"""Numbers of either precision."""
Singles: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]
Labels: TypeAlias = npt.NDArray[np.int64]
"""Class indices, 0..K-1."""
Positions: TypeAlias = npt.NDArray[np.int64]
"""Numbers of rows."""
